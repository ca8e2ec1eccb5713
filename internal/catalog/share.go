package catalog

import (
	"fmt"
	"strings"

	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/rule"
	"drawbridge/internal/snapshot"
)

// shareRules judge what is shared without a policy: RAM shares, images and snapshots, KMS grants.
var shareRules = []rule.Rule{
	{
		ID: "KMS-002", Title: "Grant to an outsider",
		Detects:  "Key grant whose grantee or retiring principal is outside the organization or unregistered; no constraints",
		Why:      "A grant opens the key past its policy, and nobody reads grants in a review.",
		Remedy:   "Revoke the grant; where it is needed, make it again with a constraint on the encryption context.",
		Severity: finding.High, Since: "0.2.0",
		Controls: rule.Controls{NHI: []string{"NHI5:2025", "NHI3:2025"}, Tenets: []int{6}, CSF: []string{"PR.DS-01", "PR.AA-05"}, NIST: []string{"SC-12", "AC-3"}, CIS: ""},
		Example: rule.Example{
			Before: `{"GranteePrincipal":"arn:aws:iam::444455556666:role/app","Operations":["Decrypt"]}`,
			After:  `{"GranteePrincipal":"arn:aws:iam::444455556666:role/app","Operations":["Decrypt"],"Constraints":{"EncryptionContextSubset":{"tenant":"a"}}}`,
		},
		Check: grantToOutsider,
	},
	{
		ID: "SHR-001", Title: "RAM share outside the organization",
		Detects:  "AllowExternalPrincipals true and an external account or unregistered organization among principals, or pending invitation",
		Why:      "A share hands the resource to another company, past every policy of the resource.",
		Remedy:   "Set allowExternalPrincipals to false, and take the outside account from the share.",
		Severity: finding.High, Since: "0.2.0",
		Controls: rule.Controls{NHI: []string{"NHI6:2025"}, Tenets: []int{1, 6}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-21", "AC-20"}, CIS: ""},
		Example: rule.Example{
			Before: `{"allowExternalPrincipals":true,"principals":["444455556666"]}`,
			After:  `{"allowExternalPrincipals":false,"principals":["arn:aws:organizations::111122223333:organization/o-exampleorg1"]}`,
		},
		Check: sharedOutside,
	},
	{
		ID: "SHR-002", Title: "Image or snapshot shared",
		Detects:  "AMI, EBS, RDS, Aurora, Redshift, DocumentDB, Neptune, FSx, WorkSpaces image shared with an external account or all; or KMS key of it shared",
		Why:      "Whoever may start the image or restore the snapshot has all data in it.",
		Remedy:   "Stop sharing with everybody, and switch on the account's block of public sharing.",
		Severity: finding.High, Since: "0.2.0",
		Controls: rule.Controls{NHI: []string{"NHI6:2025"}, Tenets: []int{1}, CSF: []string{"PR.DS-01", "PR.AA-05"}, NIST: []string{"AC-21", "SC-28"}, CIS: "SH EC2.1 RDS.1 Neptune.3 DocumentDB.3"},
		Example: rule.Example{
			Before: `{"LaunchPermissions":[{"Group":"all"}]}`,
			After:  `{"LaunchPermissions":[]}`,
		},
		Check: imageShared,
	},
}

// shares calls judge for every share with somebody of another account, with the share itself.
func shares(p *rule.Pass, judge func(e *access.Edge, s *snapshot.Share)) {
	byARN := map[string]*snapshot.Share{}
	for i := range p.Org.Snapshot.Shares {
		byARN[p.Org.Snapshot.Shares[i].ARN] = &p.Org.Snapshot.Shares[i]
	}
	for _, e := range p.Graph.Edges {
		if s := byARN[e.Target.ARN]; e.Mechanism == access.ShareGiven && e.CrossAccount && s != nil && s.ARN != "" {
			judge(e, s)
		}
	}
}

func sharedOutside(p *rule.Pass) {
	shares(p, func(e *access.Edge, s *snapshot.Share) {
		if s.Kind != "RAM" {
			return
		}
		switch e.Grantee.Relation {
		case access.RelationUnknown:
			p.NotAssessed(s.ARN, "whether "+e.Grantee.ID+" belongs to the organisation is not in the input", e.By)
		case access.External, access.Public:
			reason := fmt.Sprintf("%s, outside the organisation, shares in %s.", e.Grantee.ID+accountName(p, e.Grantee.Account), strings.Join(s.Resources, ", "))
			if len(s.Resources) == 0 {
				reason = fmt.Sprintf("%s, outside the organisation, is in the share.", e.Grantee.ID+accountName(p, e.Grantee.Account))
			}
			p.ReportEdge(e, finding.Finding{Reason: reason, Evidence: []access.Evidence{e.By}})
		}
	})
}

func imageShared(p *rule.Pass) {
	shares(p, func(e *access.Edge, s *snapshot.Share) {
		switch {
		case s.Kind == "RAM" || s.Kind == "DelegatedAdministrator" || s.Kind == "LakeFormation":
		case e.Grantee.Relation == access.Public:
			p.ReportEdge(e, finding.Finding{Severity: finding.Critical, Evidence: []access.Evidence{e.By}, Reason: fmt.Sprintf("The %s is public: every account of AWS may use it.", s.Kind)})
		case e.Grantee.Relation == access.External:
			p.ReportEdge(e, finding.Finding{Evidence: []access.Evidence{e.By}, Reason: fmt.Sprintf("%s, outside the organisation, may use the %s.", e.Grantee.ID+accountName(p, e.Grantee.Account), s.Kind)})
		case e.Grantee.Relation == access.RelationUnknown:
			p.NotAssessed(s.ARN, "whether "+e.Grantee.ID+" belongs to the organisation is not in the input", e.By)
		}
	})
}

func grantToOutsider(p *rule.Pass) {
	for i := range p.Org.Snapshot.KMSGrants {
		g := &p.Org.Snapshot.KMSGrants[i]
		if len(g.Constraints) > 0 {
			continue
		}
		for _, e := range p.Graph.EdgesTo(g.Key) {
			if e.Mechanism != access.KMSGrantGiven || e.Grantee.ID != g.Grantee || e.Grantee.Kind == access.ServiceGrantee {
				continue
			}
			switch e.Grantee.Relation {
			case access.External, access.Public:
				p.ReportEdge(e, finding.Finding{Evidence: []access.Evidence{e.By},
					Reason: fmt.Sprintf("Grant %s lets %s, outside the organisation, %s with the key, whatever the encryption context.", g.ID, e.Grantee.ID, strings.Join(g.Operations, ", "))})
			case access.RelationUnknown:
				p.NotAssessed(g.Key, "whether "+e.Grantee.ID+" belongs to the organisation is not in the input", e.By)
			}
		}
	}
}
