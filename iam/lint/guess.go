package lint

import (
	"strings"

	"drawbridge/iam/policy"
)

// Guess says what kind of policy a document looks like, and by what. Only three kinds look different: without any principal
// a document is taken for an identity policy, with principals and actions of STS alone for a trust policy, otherwise for a
// resource policy. Boundaries, session policies and service control policies look like identity policies; resource control
// policies and endpoint policies look like resource policies.
func Guess(d *policy.Document) (kind policy.Kind, why string) {
	principals, resources, sts := false, false, true
	for i := range d.Statements {
		s := &d.Statements[i]
		principals = principals || s.Principal.Present
		resources = resources || s.Resource.Present
		sts = sts && s.Action.Present && !s.Action.Not
		for _, a := range s.Action.Values {
			sts = sts && strings.HasPrefix(strings.ToLower(a.Value), "sts:")
		}
	}
	switch {
	case !principals:
		return policy.Identity, "no statement has a principal"
	case sts && !resources:
		return policy.Trust, "it names principals and actions of STS alone"
	}
	return policy.Resource, "it names principals"
}
