package lint

import (
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
)

// resourceChecks are about Resource and NotResource, and about ARNs wherever they stand.
var resourceChecks = []check{
	{
		Record: Record{"LNT-018", Error, "Short ARN in a session policy", "Elsewhere an ARN of less than six fields is completed with \"*\". In a session policy AWS refuses it.", "IAM User Guide, IAM JSON policy elements: Resource (rule 86)"},
		statement: func(l *linter, s *statement) {
			for i, v := range s.Resource.Values {
				if l.is(policy.Session) && strings.HasPrefix(v.Value, "arn:") && strings.Count(v.Value, ":") < 5 {
					l.report(s.resource(i), "resource %q has less than six fields, which a session policy does not take", v.Value)
				}
			}
		},
	},
	{
		Record: Record{"LNT-019", Error, "Variable before the fifth colon", "A variable stands in the last field of an ARN only, and is spelt ${key} or ${key, 'default'}.", "IAM User Guide, IAM policy elements: Variables and tags (rule 75)"},
		statement: func(l *linter, s *statement) {
			if !l.document.Variables() {
				return
			}
			for i, v := range s.Resource.Values {
				first := strings.Index(v.Value, "${")
				if first < 0 {
					continue
				}
				if !strings.HasPrefix(v.Value, "arn:") || strings.Count(v.Value[:first], ":") < 5 {
					l.report(s.resource(i), "resource %q has a variable before its fifth colon", v.Value)
				}
			}
		},
	},
	{
		Record: Record{"LNT-020", Error, "Resource that is no ARN", "A resource is an ARN or \"*\".", "IAM User Guide, IAM JSON policy elements: Resource"},
		statement: func(l *linter, s *statement) {
			for i, v := range s.Resource.Values {
				if l.is(policy.Identity, policy.Boundary, policy.Session, policy.SCP) && !strings.HasPrefix(v.Value, "arn:") && !strings.ContainsAny(v.Value, "*?$") {
					l.report(s.resource(i), "resource %q is neither an ARN nor \"*\"", v.Value)
				}
			}
		},
	},
	{
		Record: Record{"LNT-116", Warning, "Resource that the action does not take", "An action is asked for with resources of its own types. On others its statement says nothing, and an action that has no type takes \"*\" only.", "Service Authorization Reference"},
		statement: func(l *linter, s *statement) {
			if s.Action.Not || s.Resource.Not || !s.Resource.Present || s.Resource.Incomplete || !l.attached() {
				return
			}
			patterns := make([]arn.Pattern, len(s.Resource.Values))
			for i, v := range s.Resource.Values {
				patterns[i] = arn.CompilePattern(widened(v.Value))
			}
			for i, v := range s.Action.Values {
				a, ok := ref.LookupAction(v.Value)
				if !ok || !l.compare(len(patterns)*len(a.Resources)) || takesSome(a, patterns) {
					continue
				}
				if len(a.Resources) == 0 {
					l.report(s.action(i), "%s takes no resource but \"*\", which the statement does not name", a.Name)
					continue
				}
				l.report(s.action(i), "%s takes %s, which no resource of the statement is", a.Name, typesOf(a))
			}
		},
	},
	{
		Record: Record{"LNT-118", Warning, "NotResource allows", "NotResource with Allow allows the actions on every other resource, those of other services and accounts included.", "IAM User Guide, IAM JSON policy elements: NotResource (rule 83)"},
		statement: func(l *linter, s *statement) {
			if l.is(policy.Identity, policy.Resource) && s.Resource.Not && s.Effect == policy.Allow {
				l.report(s.name("NotResource", s.Resource.Pos), "NotResource with Allow: the actions are allowed on every resource but these")
			}
		},
	},
	{
		Record: Record{"LNT-121", Warning, "Account id of another length", "An account id has 12 digits. Another number fits no account; a zero in front may have been lost.", "IAM User Guide, IAM identifiers"},
		statement: func(l *linter, s *statement) {
			for i, v := range s.Resource.Values {
				if id := arn.Account(v.Value); wrongAccount(id) {
					l.report(s.resource(i), "account id %q has %d digits and not 12", id, len(id))
				}
			}
			for j := range s.Condition {
				c := condition{&s.Condition[j], s}
				for i, v := range c.Values {
					id := arn.Account(v.Value)
					if accountKeys[strings.ToLower(c.Key.Value)] {
						id = v.Value
					}
					if wrongAccount(id) {
						l.report(c.value(i), "account id %q has %d digits and not 12", id, len(id))
					}
				}
			}
		},
	},
}

// accountKeys are the keys whose values are account ids.
// Source: IAM User Guide, AWS global condition context keys.
var accountKeys = map[string]bool{
	"aws:principalaccount": true, "aws:resourceaccount": true, "aws:sourceaccount": true, "s3:resourceaccount": true, "kms:calleraccount": true,
}

// wrongAccount reports whether a text of digits is no account id.
func wrongAccount(id string) bool {
	return id != "" && len(id) != 12 && strings.Trim(id, "0123456789") == ""
}

// widened is a value with "*" for every variable: every ARN that it may come to mean, and more.
func widened(s string) string {
	for {
		before, rest, found := strings.Cut(s, "${")
		if !found {
			return s
		}
		_, after, found := strings.Cut(rest, "}")
		if !found {
			return before + "*"
		}
		s = before + "*" + after
	}
}

// neverIn are characters that no ARN of a type has, although "*" in the type's pattern would take them. Without this, an
// object would be taken for a bucket with a slash in its name.
// Source: Amazon S3 User Guide, Bucket naming rules.
var neverIn = map[string]string{"s3:bucket": "/"}

// takesSome reports whether an action can be asked for with a resource that some pattern fits. An action of optional types,
// or none, can be asked for with "*".
func takesSome(a ref.Action, patterns []arn.Pattern) bool {
	service, _, _ := strings.Cut(a.Name, ":")
	required := false
	for _, r := range a.Resources {
		required = required || r.Required
		t, ok := ref.LookupResourceType(service, r.Type)
		if !ok || len(t.ARNs) == 0 {
			return true // the table does not say
		}
		for _, text := range t.ARNs {
			form := arn.CompilePattern(text)
			for i := range patterns {
				if without := neverIn[service+":"+r.Type]; without != "" && strings.Contains(patterns[i].String(), without) {
					continue
				}
				if patterns[i].Intersects(&form) {
					return true
				}
			}
		}
	}
	for i := range patterns {
		if !required && patterns[i].Match("*") {
			return true
		}
	}
	return false
}

// typesOf names the types of resources that an action takes.
func typesOf(a ref.Action) string {
	names := make([]string, len(a.Resources))
	for i, r := range a.Resources {
		names[i] = r.Type
	}
	if len(names) > 5 {
		return "other resources"
	}
	return strings.Join(names, " or ")
}
