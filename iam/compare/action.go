package compare

import (
	"cmp"
	"slices"
	"strings"
	"sync"

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
	for _, action := range c.actions() {
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
		classes[i].names = append(classes[i].names, action.String())
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

// known are the actions that AWS documents, sorted.
var known = sync.OnceValue(func() []eval.Action { return actionsOf(ref.Expand("*")) })

func actionsOf(names []string) []eval.Action {
	all := make([]eval.Action, 0, len(names))
	for _, n := range names {
		if a, err := eval.ActionOf(n); err == nil {
			all = append(all, a)
		}
	}
	return all
}

// actions are those to be told apart, sorted: those that AWS documents, and made-up ones for patterns that fit none of them, one for
// each combination of such patterns.
func (c *comparison) actions() []eval.Action {
	if c.kind == policy.Trust {
		return actionsOf(assuming)
	}
	var unknown []string
	for _, p := range c.all {
		for i := range p.Document.Statements {
			for _, v := range p.Document.Statements[i].Action.Values {
				if v.Value != "*" && len(ref.Expand(v.Value)) == 0 {
					unknown = append(unknown, strings.ToLower(v.Value))
				}
			}
		}
	}
	if len(unknown) == 0 {
		return known()
	}
	slices.Sort(unknown)
	t := tree{domain: "?*:?*", patterns: slices.Compact(unknown)}
	t.grow()
	c.incomplete = t.incomplete
	var names []string
	for _, class := range t.found {
		if len(class.in) > 0 {
			names = append(names, class.example)
		}
	}
	all := slices.Concat(known(), actionsOf(names))
	slices.SortStableFunc(all, func(a, b eval.Action) int { return cmp.Compare(a.Lower(), b.Lower()) })
	return slices.CompactFunc(all, func(a, b eval.Action) bool { return a.Lower() == b.Lower() })
}
