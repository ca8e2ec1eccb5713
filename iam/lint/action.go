package lint

import (
	"slices"
	"strings"

	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
)

// actionChecks are about Action and NotAction.
var actionChecks = []check{
	{
		Record: Record{"LNT-013", Error, "Action without service", "AWS refuses an action that does not begin with a service and a colon. \"*\" stands for all.", "IAM User Guide, IAM JSON policy elements: Action (rule 80)"},
		statement: func(l *linter, s *statement) {
			for i, v := range s.Action.Values {
				if service, name, ok := strings.Cut(v.Value, ":"); v.Value != "*" && (!ok || service == "" || name == "") {
					l.report(s.action(i), "action %q: expected a service, a colon and a name", v.Value)
				}
			}
		},
	},
	{
		Record: Record{"LNT-014", Error, "Action of another service in a trust policy", "A trust policy takes actions of STS only.", "IAM User Guide, How to use trust policies with IAM roles"},
		statement: func(l *linter, s *statement) {
			for i, v := range s.Action.Values {
				if l.is(policy.Trust) && !s.Action.Not && !strings.HasPrefix(strings.ToLower(v.Value), "sts:") {
					l.report(s.action(i), "action %q: a trust policy takes actions of STS only", v.Value)
				}
			}
		},
	},
	{
		Record: Record{"LNT-101", Warning, "Unknown action", "AWS takes any action of any service. One that does not exist is never asked for. The table of actions has a day, and what is newer is not in it.", "Service Authorization Reference (rule 80)"},
		statement: func(l *linter, s *statement) {
			for i, v := range s.Action.Values {
				if strings.ContainsAny(v.Value, "*?") || !strings.Contains(v.Value, ":") {
					continue
				}
				if _, ok := ref.LookupAction(v.Value); ok || !l.lookup(4) {
					continue
				}
				if nearest := ref.NearestAction(v.Value); nearest != "" {
					l.report(s.action(i), "no action %q is known: %s is nearest", v.Value, nearest)
					continue
				}
				l.report(s.action(i), "no action %q is known", v.Value)
			}
		},
	},
	{
		Record: Record{"LNT-102", Warning, "Pattern of no known action", "AWS takes any pattern. One that fits no action does nothing.", "Service Authorization Reference (rules 80, 81)"},
		statement: func(l *linter, s *statement) {
			for i, v := range s.Action.Values {
				service, _, ok := strings.Cut(v.Value, ":")
				weight := 8
				if strings.ContainsAny(service, "*?") {
					weight = 200 // every service is looked through
				}
				if ok && strings.ContainsAny(v.Value, "*?") && l.lookup(weight) && len(ref.Expand(v.Value)) == 0 {
					l.report(s.action(i), "no known action fits %q", v.Value)
				}
			}
		},
	},
	{
		Record: Record{"LNT-104", Warning, "Key that the actions do not send", "A key of a service is there only in requests of the actions that send it. In other requests it is absent.", "Service Authorization Reference (rule 61)"},
		condition: func(l *linter, s *statement, c condition) {
			key, known := ref.LookupKey(c.Key.Value)
			if !known || !ofActions(key) || s.Action.Not || len(s.Action.Values) == 0 {
				return
			}
			for _, v := range s.Action.Values {
				a, ok := ref.LookupAction(v.Value)
				if !ok {
					return // a pattern, or newer than the table
				}
				if slices.ContainsFunc(ref.ActionKeys(a.Name), func(k string) bool { return strings.EqualFold(k, key.Name) }) {
					return
				}
			}
			if len(s.Action.Values) == 1 {
				l.report(c.key(), "%s does not send %s", s.Action.Values[0].Value, c.Key.Value)
				return
			}
			l.report(c.key(), "none of the actions of the statement sends %s", c.Key.Value)
		},
	},
	{
		Record: Record{"LNT-117", Warning, "NotAction allows", "NotAction with Allow allows every other action, in every service, those of next year included.", "IAM User Guide, IAM JSON policy elements: NotAction (rule 82)"},
		statement: func(l *linter, s *statement) {
			if l.is(policy.Identity, policy.Resource) && s.Action.Not && s.Effect == policy.Allow {
				l.report(s.name("NotAction", s.Action.Pos), "NotAction with Allow: every action but these is allowed, in every service")
			}
		},
	},
	{
		Record: Record{"LNT-124", Warning, "Service that no resource control policy reaches", "A resource control policy acts on the services that AWS lists. On others it does nothing.", "AWS Organizations User Guide, Resource control policies (rule 95)"},
		statement: func(l *linter, s *statement) {
			if !l.is(policy.RCP) || s.Action.Not {
				return
			}
			for i, v := range s.Action.Values {
				service, _, ok := strings.Cut(strings.ToLower(v.Value), ":")
				if ok && !strings.ContainsAny(service, "*?") && !ref.RCPServices()[service] {
					l.report(s.action(i), "action %q: resource control policies do not reach %s", v.Value, service)
				}
			}
		},
	},
}

// ofActions reports whether a key is sent by some actions only: keys of services, and of the global ones those about tags.
func ofActions(k ref.Key) bool {
	name := strings.ToLower(k.Name)
	if k.Global {
		return strings.HasPrefix(name, "aws:requesttag/") || strings.HasPrefix(name, "aws:resourcetag/") || name == "aws:tagkeys"
	}
	service, _, ok := strings.Cut(name, ":")
	return ok && slices.Contains(ref.Services(), service)
}
