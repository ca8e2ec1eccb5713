package compare

import (
	"cmp"
	"slices"
	"strings"

	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
)

// actionClass is the actions that no statement tells apart.
type actionClass struct {
	action eval.Action
	lower  string
	names  []string // all of it, sorted
}

// assuming are the actions that a trust policy is about.
var assuming = []string{
	"sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity", "sts:SetContext", "sts:SetSourceIdentity", "sts:TagSession",
}

// actionClasses cuts the actions into classes by the statements whose Action matches them. Besides the known actions there is
// one of the program's own for each pattern that fits none of them.
func (c *comparison) actionClasses() []actionClass {
	at := map[string]int{}
	var classes []actionClass
	for _, name := range c.actionNames() {
		action, err := eval.ActionOf(name)
		if err != nil {
			continue
		}
		key, concerned := c.signature(action.Lower())
		if !concerned {
			continue
		}
		switch action.Service() {
		case "ecr": // its statements need no Resource
			key += "ecr"
		case "iam", "kms", "sts": // what some of their actions do is decided by more than policies
			key = action.Lower()
		}
		i, seen := at[key]
		if !seen {
			i = len(classes)
			at[key] = i
			classes = append(classes, actionClass{})
		}
		classes[i].names = append(classes[i].names, name)
	}
	for i := range classes {
		action := eval.MustAction(familiar(classes[i].names))
		classes[i].action, classes[i].lower = action, action.Lower()
	}
	return classes
}

// familiar is the action that most readers know: the first of a well-known service, or else the first.
func familiar(names []string) string {
	for _, service := range [...]string{"s3:", "dynamodb:", "sqs:", "ec2:", "lambda:"} {
		if i := slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(n, service) }); i >= 0 {
			return names[i]
		}
	}
	return names[0]
}

// signature is which statements an action is in. Concerned: a difference about it can be, because some statement allows it, or
// denies what an identity policy of the resource's account may allow.
func (c *comparison) signature(lower string) (signature string, concerned bool) {
	var b []byte
	for rule := range c.rules(c.all) {
		if rule.Actions.Match(lower) {
			b = append(b, '1')
			concerned = concerned || rule.Effect != policy.Deny || c.kind == policy.Resource
		} else {
			b = append(b, '0')
		}
	}
	return string(b), concerned
}

// actionNames are the actions to be told apart, sorted.
func (c *comparison) actionNames() []string {
	if c.kind == policy.Trust {
		return assuming
	}
	names := ref.Expand("*")
	seen := map[string]bool{}
	for _, p := range c.all {
		for i := range p.Document.Statements {
			for _, v := range p.Document.Statements[i].Action.Values {
				glob := strings.ToLower(v.Value)
				if seen[glob] {
					continue
				}
				seen[glob] = true
				if len(ref.Expand(v.Value)) == 0 {
					names = append(names, madeUp(v.Value))
				}
			}
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a), strings.ToLower(b)), cmp.Compare(a, b))
	})
	return slices.CompactFunc(names, strings.EqualFold)
}

// madeUp is an action that a pattern fits.
func madeUp(pattern string) string {
	if pattern == "*" {
		return "example:Example"
	}
	service, action, found := strings.Cut(pattern, ":")
	if !found {
		action = "Example"
	}
	return strings.NewReplacer("*", "example", "?", "x").Replace(service) + ":" + strings.NewReplacer("*", "Example", "?", "x").Replace(action)
}
