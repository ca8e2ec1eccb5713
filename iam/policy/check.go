package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Check reports what AWS refuses in a policy of this kind: elements that the kind does not have or must have (rules 17,
// 99), principals that no policy may name (rules 54, 119), in order of position. Parse has reported what is wrong with any
// kind.
func Check(d *Document, kind Kind) []Problem {
	var problems []Problem
	report := func(pos Position, format string, args ...any) {
		problems = append(problems, Problem{Pos: pos, Message: fmt.Sprintf(format, args...)})
	}
	if len(d.Statements) == 0 {
		report(d.Pos, "Statement is empty: the grammar asks for one statement at least")
	}
	for i := range d.Statements {
		s := &d.Statements[i]
		switch kind {
		case Identity, Boundary, Session, SCP:
			if s.Principal.Present {
				report(s.Principal.Pos, "this kind of policy has no Principal: it is attached to whom it concerns")
			}
			if !s.Resource.Present {
				report(s.Pos, "the statement has neither Resource nor NotResource")
			}
		case Trust, Resource, RCP, Endpoint:
			if !s.Principal.Present {
				report(s.Pos, "the statement has no Principal: this kind of policy must say whom it concerns")
			}
		}
		if kind == Trust {
			if s.Resource.Present {
				report(s.Resource.Pos, "a trust policy has no Resource: it concerns its own role")
			}
			if s.Principal.Not && s.Effect == Allow {
				report(s.Principal.Pos, "a trust policy cannot allow with NotPrincipal")
			}
		}
		if kind == RCP {
			if s.Effect == Allow {
				report(s.EffectPos, "a resource control policy only denies")
			}
			if s.Principal.Present && (s.Principal.Not || len(s.Principal.Values) != 1 || s.Principal.Values[0].Value != "*") {
				report(s.Principal.Pos, "the Principal of a resource control policy is \"*\"")
			}
		}
		for _, v := range s.Principal.Values {
			switch form := CompilePrincipal(v.Type, v.Value).Form; {
			case form != UnknownForm:
			case strings.ContainsAny(v.Value, "*?"):
				report(v.Pos, "principal %q: a wildcard stands alone, under AWS, or not at all", v.Value)
			default:
				report(v.Pos, "principal %q is of no form that %s may have", v.Value, v.Type)
			}
		}
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return int(a.Pos.Offset) - int(b.Pos.Offset) })
	return problems
}
