package gate_test

import (
	"os"
	"testing"

	"drawbridge/iam/ref"
	"drawbridge/internal/change"
	"drawbridge/internal/gate"
	"drawbridge/internal/ingest"
)

// TestWiderThanRegistered: one registered trust lets no other pass. Passing tags and a source identity is part of what an entry declares.
func TestWiderThanRegistered(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/r.yaml", []byte("apiVersion: drawbridge/v1\nkind: Trust\nmetadata:\n  name: a-to-c\n  owner: x@example.com\nspec:\n  purpose: p p p p\n  category: other\n  from:\n    principals: ["+roleA+"]\n  to:\n    role: "+roleC+"\n  expires: 2027-06-30\n  review: {every: 90d}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	reg, probs, err := ingest.OpenRegistry(dir)
	if err != nil || len(probs) > 0 {
		t.Fatal(err, probs)
	}
	w := world(t)
	a := `{"Effect":"Allow","Principal":{"AWS":"` + roleA + `"},"Action":"sts:AssumeRole"}`
	w.Roles[2].Trust = d(t, "trust policy", stmt(a))
	rC := w.Roles[2]
	rC.Inline = nil
	for name, s := range map[string]string{
		"root of outsider": a + `,{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999999999999:root"},"Action":"sts:AssumeRole"}`,
		"everybody":        `{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}`,
		"organisation":     a + `,{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-abcdefghij"}}}`,
		"root of A":        a + `,{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"sts:AssumeRole"}`,
		"a role not there": a + `,{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/nothere"},"Action":"sts:AssumeRole"}`,
		"cognito":          a + `,{"Effect":"Allow","Principal":{"Federated":"cognito-identity.amazonaws.com"},"Action":"sts:AssumeRoleWithWebIdentity"}`,
		"tag session":      `{"Effect":"Allow","Principal":{"AWS":"` + roleA + `"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			q := rC
			q.Trust = d(t, "trust policy", stmt(s))
			r := gate.Judge(w, &change.Plan{Steps: []change.Step{up(one(change.Role{Role: rC}), one(change.Role{Role: q}))}}, gate.Options{Now: at, Engine: ref.Engine(), Registry: reg})
			show(t, r)
			if r.Passes() != (name == "tag session") {
				t.Errorf("%s", r.Status())
			}
		})
	}
}
