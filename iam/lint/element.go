package lint

import (
	"strings"

	"drawbridge/iam/policy"
)

// elementChecks are about which elements a statement has.
var elementChecks = []check{
	{
		Record: Record{"LNT-003", Error, "No statement", "The grammar asks for one statement at least.", "IAM User Guide, Grammar of the IAM JSON policy language"},
		document: func(l *linter) {
			if len(l.document.Statements) == 0 {
				l.report(place{pos: l.document.Pos, statement: -1, path: "Statement"}, "Statement is empty: the grammar asks for one statement at least")
			}
		},
	},
	{
		Record: Record{"LNT-004", Error, "Principal where there is none", "A policy that is attached to whom it concerns has neither Principal nor NotPrincipal.", "IAM User Guide, AWS JSON policy elements: Principal (rule 17)"},
		statement: func(l *linter, s *statement) {
			if l.attached() && s.Principal.Present {
				l.report(s.name(named(s.Principal.Not, "Principal"), s.Principal.Pos), "%s has no %s: it concerns whom it is attached to", kindName(l.kind), named(s.Principal.Not, "Principal"))
			}
		},
	},
	{
		Record: Record{"LNT-005", Error, "Principal missing", "A policy of a resource must say in each statement whom it concerns.", "IAM User Guide, AWS JSON policy elements: Principal (rule 17)"},
		statement: func(l *linter, s *statement) {
			if l.is(policy.Trust, policy.Resource, policy.RCP, policy.Endpoint) && !s.Principal.Present {
				l.report(s.whole(), "the statement has no Principal: %s must say whom it concerns", kindName(l.kind))
			}
		},
	},
	{
		Record: Record{"LNT-006", Error, "Resource missing", "A policy that is attached to a caller must say in each statement which resources it concerns.", "IAM User Guide, IAM JSON policy elements: Resource"},
		statement: func(l *linter, s *statement) {
			if l.attached() && !s.Resource.Present {
				l.report(s.whole(), "the statement has neither Resource nor NotResource")
			}
		},
	},
	{
		Record: Record{"LNT-007", Error, "Resource in a trust policy", "A trust policy concerns its own role; AWS refuses Resource and NotResource in it.", "IAM User Guide, How to use trust policies with IAM roles (rule 17)"},
		statement: func(l *linter, s *statement) {
			if l.is(policy.Trust) && s.Resource.Present {
				l.report(s.name(named(s.Resource.Not, "Resource"), s.Resource.Pos), "a trust policy has no %s: it concerns its own role", named(s.Resource.Not, "Resource"))
			}
		},
	},
	{
		Record: Record{"LNT-008", Error, "Sid of other characters", "In policies of IAM a Sid has letters and digits only. Other services allow more.", "IAM User Guide, IAM JSON policy elements: Sid"},
		statement: func(l *linter, s *statement) {
			if l.is(policy.Identity, policy.Boundary, policy.Trust) && strings.ContainsFunc(s.Sid.Value, func(c rune) bool {
				return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9')
			}) {
				l.report(s.value("Sid", s.Sid, 0, 1), "Sid %q: %s allows letters and digits only", s.Sid.Value, kindName(l.kind))
			}
		},
	},
	{
		Record: Record{"LNT-009", Error, "Sid given twice", "In policies of IAM the Sid of each statement is its own.", "IAM User Guide, IAM JSON policy elements: Sid"},
		document: func(l *linter) {
			if !l.is(policy.Identity, policy.Boundary, policy.Trust) {
				return
			}
			first := map[string]int{}
			for i := range l.statements {
				s := &l.statements[i]
				if s.Sid.Value == "" {
					continue
				}
				if at, ok := first[s.Sid.Value]; ok {
					l.report(s.value("Sid", s.Sid, 0, 1), "Sid %q is that of the statement at line %d too", s.Sid.Value, l.statements[at].Pos.Line)
					continue
				}
				first[s.Sid.Value] = i
			}
		},
	},
	{
		Record: Record{"LNT-017", Error, "Resource control policy of another version", "A resource control policy has the Version 2012-10-17.", "AWS Organizations User Guide, RCP syntax"},
		document: func(l *linter) {
			at := place{pos: l.document.Pos, statement: -1, path: "Version"}
			switch version := l.document.Version; {
			case !l.is(policy.RCP) || l.document.Variables():
			case version.Value == "":
				l.report(at, "the document has no Version: a resource control policy has 2012-10-17")
			default:
				at.pos, at.isValue = version.Pos, true
				l.report(at, "Version %q: a resource control policy has 2012-10-17", version.Value)
			}
		},
	},
}

// attached: the policy is attached to whom it concerns.
func (l *linter) attached() bool {
	return l.is(policy.Identity, policy.Boundary, policy.Session, policy.SCP)
}

// kindName is a kind as messages begin with it.
func kindName(k policy.Kind) string {
	switch k {
	case policy.Identity:
		return "an identity policy"
	case policy.Trust:
		return "a trust policy"
	case policy.Resource:
		return "a resource policy"
	case policy.Boundary:
		return "a permissions boundary"
	case policy.Session:
		return "a session policy"
	case policy.SCP:
		return "a service control policy"
	case policy.RCP:
		return "a resource control policy"
	case policy.Endpoint:
		return "an endpoint policy"
	}
	return "a policy"
}
