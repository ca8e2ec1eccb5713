package lint

import (
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/policy"
)

// statementChecks are about what a statement means as a whole, and beside the others.
var statementChecks = []check{
	{
		Record: Record{"LNT-111", Warning, "Condition that nothing satisfies", "All tests of a condition must hold. Where they exclude each other, the statement never applies.", "IAM User Guide, Conditions with multiple context keys or values (rules 55 to 58)"},
		statement: func(l *linter, s *statement) {
			if len(s.Condition) == 0 || !s.understood() {
				return
			}
			f := s.condition()
			if !f.IsNever() {
				if truth, _ := f.Possible(&cond.Context{Rest: cond.Undetermined}); truth != cond.False {
					return
				}
			}
			l.report(s.name("Condition", s.Condition[0].Operator.Pos), "the condition cannot hold: its tests exclude each other, and the statement never applies")
		},
	},
	{
		Record: Record{"LNT-113", Warning, "Allow that a Deny takes back", "A Deny outweighs every Allow. Here one denies everything that the statement allows.", "IAM User Guide, Policy evaluation logic (rule 1)"},
		document: func(l *linter) {
			l.covered(policy.Allow, policy.Deny, func(s, by *statement) {
				l.report(s.whole(), "the statement allows nothing: the Deny at line %d covers all of it", by.Pos.Line)
			})
		},
	},
	{
		Record: Record{"LNT-115", Warning, "Variable in a document of the old version", "Only in version 2012-10-17 is ${…} a variable. In others, and without Version, it is compared character by character.", "IAM User Guide, IAM JSON policy elements: Version (rule 78)"},
		document: func(l *linter) {
			if l.document.Variables() {
				return
			}
			for i := range l.statements {
				s := &l.statements[i]
				for j, v := range s.Resource.Values {
					l.oldVariable(s.resource(j), v.Value)
				}
				for j := range s.Condition {
					c := condition{&s.Condition[j], s}
					for k, v := range c.Values {
						l.oldVariable(c.value(k), v.Value)
					}
				}
			}
		},
	},
	{
		Record: Record{"LNT-201", Note, "Statement that another contains", "Another statement of the same effect says all of it. It can go.", "IAM User Guide, Policy evaluation logic"},
		document: func(l *linter) {
			report := func(s, by *statement) {
				l.report(s.whole(), "the statement adds nothing: the one at line %d says all of it", by.Pos.Line)
			}
			l.covered(policy.Allow, policy.Allow, report)
			l.covered(policy.Deny, policy.Deny, report)
		},
	},
	{
		Record: Record{"LNT-202", Note, "Value given twice", "A list is a set: the second time says nothing.", "IAM User Guide, Grammar of the IAM JSON policy language"},
		statement: func(l *linter, s *statement) {
			l.twice(s.Action.Values, true, s.action)
			l.twice(s.Resource.Values, false, s.resource)
			for i := range s.Condition {
				c := condition{&s.Condition[i], s}
				l.twice(c.Values, false, c.value)
			}
		},
	},
}

// condition is what must hold for the statement to apply, as far as its Condition says.
func (s *statement) condition() cond.Formula {
	if s.formula == nil {
		f := s.rule.Condition.LeftOver(&cond.Context{Rest: cond.Undetermined})
		s.formula = &f
	}
	return *s.formula
}

// oldVariable reports a variable that is none. What is certain to repair it is the version, where one is written.
func (l *linter) oldVariable(at place, value string) {
	if !strings.Contains(value, "${") {
		return
	}
	d := l.report(at, "%q: ${…} is a variable in version 2012-10-17 only", value)
	if l.document.Version.Value == "2008-10-17" {
		version := Diagnostic{Pos: l.document.Version.Pos}
		version.Length = literalLength(l.text, int(version.Pos.Offset))
		l.fix(&version, "2008-10-17", "2012-10-17")
		d.Fix = version.Fix
	}
}

// twice reports values of a list that stand in it before. The fix takes out the value with the comma before it.
func (l *linter) twice(values []policy.Text, fold bool, at func(int) place) {
	seen := make(map[string]bool, len(values))
	for i, v := range values {
		name := v.Value
		if fold {
			name = strings.ToLower(name)
		}
		if !seen[name] {
			seen[name] = true
			continue
		}
		d := l.report(at(i), "%q stands in the list already", v.Value)
		before := int(values[i-1].Pos.Offset)
		from, length := before+literalLength(l.text, before), d.Length
		to := int(v.Pos.Offset) + length
		if length > 0 && from > before && from < to && strings.Trim(l.text[from:v.Pos.Offset], ", \t\r\n") == "" && strings.Count(l.text[from:v.Pos.Offset], ",") == 1 {
			d.Fix = &Fix{Offset: from, Length: to - from, What: "leave it out"}
		}
	}
}

// covered calls report for every statement of one effect, all of which a statement of another effect (or another statement
// of the same) covers. Of two that cover each other, the second is reported. It errs to silence.
func (l *linter) covered(effect, by policy.Effect, report func(s, by *statement)) {
	for i := range l.statements {
		s := &l.statements[i]
		if s.Effect != effect || !s.understood() {
			continue
		}
		for j := range l.statements {
			t := &l.statements[j]
			if !l.compare(1 + len(s.Action.Values)*len(t.Action.Values) + len(s.Resource.Values)*len(t.Resource.Values)) {
				return
			}
			if i == j || t.Effect != by || !t.understood() || !covers(t, s) {
				continue
			}
			if effect == by && j > i && covers(s, t) {
				continue
			}
			report(s, t)
			break
		}
	}
}

// covers reports whether a statement certainly applies wherever another does.
func covers(outer, inner *statement) bool {
	if !coversActions(&outer.rule.Actions, &inner.rule.Actions) || !coversResources(outer, inner) || !coversPrincipals(outer, inner) {
		return false
	}
	f, g := inner.condition(), outer.condition()
	if g.IsAlways() {
		return true
	}
	implies, certain := f.Implies(g)
	return implies && certain
}

func coversActions(outer, inner *policy.Actions) bool {
	texts := func(a *policy.Actions) []string {
		list := make([]string, len(a.Globs))
		for i := range a.Globs {
			list[i] = a.Globs[i].String()
		}
		return list
	}
	return coversSets(texts(outer), outer.Not, texts(inner), inner.Not, arn.GlobCovers, arn.GlobsIntersect)
}

// coversSets compares two lists of patterns, each of which may stand for everything else.
func coversSets[P any](outer []P, outerNot bool, inner []P, innerNot bool, covers, meet func(P, P) bool) bool {
	within := func(outer, inner []P) bool {
		for _, p := range inner {
			found := false
			for _, q := range outer {
				if found = covers(q, p); found {
					break
				}
			}
			if !found {
				return false
			}
		}
		return true
	}
	switch {
	case outerNot && innerNot:
		return within(inner, outer)
	case outerNot:
		for _, p := range inner {
			for _, q := range outer {
				if meet(p, q) {
					return false
				}
			}
		}
		return true
	case innerNot:
		return false
	}
	return within(outer, inner)
}

func coversResources(outer, inner *statement) bool {
	a, b := &outer.rule.Resources, &inner.rule.Resources
	if !a.Present || !b.Present {
		return a.Present == b.Present
	}
	return coversSets(a.Values, a.Not, b.Values, b.Not,
		func(p, q policy.ResourcePattern) bool {
			if p.Template == nil && p.Pattern.Anything() {
				return true
			}
			if p.Template != nil || q.Template != nil {
				return p.Template != nil && q.Template != nil && p.Template.String() == q.Template.String()
			}
			return p.Pattern.Covers(&q.Pattern)
		},
		func(p, q policy.ResourcePattern) bool {
			return p.Template != nil || q.Template != nil || p.Pattern.Intersects(&q.Pattern)
		})
}

// coversPrincipals compares principals as they are written, because naming a role and naming its account are not the same
// grant. Only a Deny of everybody covers whoever has an account.
func coversPrincipals(outer, inner *statement) bool {
	a, b := &outer.Principal, &inner.Principal
	if !a.Present || !b.Present {
		return a.Present == b.Present
	}
	if a.Not || b.Not {
		return a.Not == b.Not && sameValues(a.Values, b.Values)
	}
	for _, v := range b.Values {
		found := false
		for _, w := range a.Values {
			found = found || w.Type == v.Type && w.Value == v.Value || outer.Effect == policy.Deny && w.Value == "*" && v.Type == policy.AWS
		}
		if !found {
			return false
		}
	}
	return true
}

func sameValues(a, b []policy.PrincipalValue) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Type != b[i].Type || a[i].Value != b[i].Value {
			return false
		}
	}
	return true
}
