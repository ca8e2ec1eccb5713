package catalog

import (
	"drawbridge/internal/finding"
	"drawbridge/internal/rule"
)

// plannedRules are about a change before it exists. Package gate judges them: it asks the engine about both sides of the change, which no check of one organisation can.
var plannedRules = []rule.Rule{
	{
		ID: "IAC-001", Title: "Planned change widens access",
		Detects:  "A Terraform plan, a CloudFormation change set or a template that gives somebody of another account, or from outside, what they could not do before: a trust, a way over several roles, rights of a role that they hold, a guard that goes; and no entry of the registry declares it",
		Why:      "A trust that nobody agreed to is cheapest to refuse before it exists, while whoever wants it is there to ask.",
		Remedy:   "Narrow the change, or register what it gives, with an owner, a reason and an end: the gate drafts the entry.",
		Severity: finding.High, Since: "0.1.0",
		Controls:        rule.Controls{NHI: []string{"NHI5:2025", "NHI6:2025"}, Tenets: []int{4, 6}, CSF: []string{"ID.RA-07", "PR.PS-01"}, NIST: []string{"CM-3(2)", "CM-4"}, CIS: ""},
		NeverUnassessed: "what cannot be judged of a change is reported by IAC-002, and does not pass either.",
		Planned:         true,
		Example: rule.Example{
			Before: `{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:role/ci","arn:aws:iam::444455556666:role/pipeline"]},"Action":"sts:AssumeRole"}`,
			After:  `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/ci"},"Action":"sts:AssumeRole"}`,
		},
	},
	{
		ID: "IAC-002", Title: "Plan hides the policy",
		Detects:  "A trust policy, a resource policy or another value that decides about access is computed when the change is applied, or is not understood",
		Why:      "What is not known is not known to be safe: a check that passes it has looked at nothing.",
		Remedy:   "Give the value in the code, where the plan can show it, or judge the change after it was applied.",
		Severity: finding.Medium, Since: "0.1.0",
		Controls:        rule.Controls{NHI: []string{"NHI6:2025"}, Tenets: []int{4}, CSF: []string{"PR.PS-01"}, NIST: []string{"CM-4", "SI-10"}, CIS: ""},
		NeverUnassessed: "it reports what cannot be judged.",
		Planned:         true,
		Example: rule.Example{
			Before: `{"after":{"name":"deploy"},"after_unknown":{"assume_role_policy":true}}`,
			After:  `{"after":{"name":"deploy","assume_role_policy":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::111122223333:role/ci\"},\"Action\":\"sts:AssumeRole\"}]}"},"after_unknown":{}}`,
		},
	},
}
