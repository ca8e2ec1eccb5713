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

// familiarActions are those that most readers know. They stand for their class.
var familiarActions = []string{
	"s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject", "sqs:SendMessage", "sqs:ReceiveMessage", "sns:Publish",
	"dynamodb:GetItem", "dynamodb:PutItem", "lambda:InvokeFunction", "secretsmanager:GetSecretValue", "ec2:RunInstances", "ec2:DescribeInstances",
}

// familiar is the action that stands for a class.
func familiar(names []string) string {
	for _, n := range familiarActions {
		if slices.Contains(names, n) {
			return n
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

// actionNames are the actions to be told apart, sorted: those that AWS documents, and made-up ones for patterns that fit none of them,
// one for each combination of such patterns.
func (c *comparison) actionNames() []string {
	if c.kind == policy.Trust {
		return assuming
	}
	names := ref.Expand("*")
	var unknown []string
	for _, p := range c.all {
		for i := range p.Document.Statements {
			for _, v := range p.Document.Statements[i].Action.Values {
				if len(ref.Expand(v.Value)) == 0 {
					unknown = append(unknown, strings.ToLower(v.Value))
				}
			}
		}
	}
	if len(unknown) == 0 {
		return names
	}
	slices.Sort(unknown)
	t := tree{domain: "?*:?*", patterns: slices.Compact(unknown)}
	t.grow(nil, nil)
	c.incomplete = t.incomplete
	for _, class := range t.found {
		if len(class.in) > 0 {
			names = append(names, class.example)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return slices.CompactFunc(names, strings.EqualFold)
}
