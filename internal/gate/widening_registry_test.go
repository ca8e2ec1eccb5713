package gate_test

import (
	"os"
	"testing"

	"drawbridge/iam/ref"
	"drawbridge/internal/change"
	"drawbridge/internal/gate"
	"drawbridge/internal/ingest"
	"drawbridge/internal/snapshot"
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

// TestOtherTrustOfATarget: an entry for one trust of a role declares no other, of whatever kind.
func TestOtherTrustOfATarget(t *testing.T) {
	dir := t.TempDir()
	entry := func(name, from string) string {
		return "apiVersion: drawbridge/v1\nkind: Trust\nmetadata:\n  name: " + name + "\n  owner: x@example.com\nspec:\n  purpose: p p p p\n  category: other\n  from:\n" + from + "  to:\n    role: " + roleC + "\n  expires: 2027-06-30\n  review: {every: 90d}\n"
	}
	if err := os.WriteFile(dir+"/r.yaml", []byte(entry("a-to-c", "    principals: ["+roleA+"]\n")+"---\n"+
		entry("repo-to-c", "    oidc:\n      issuer: https://token.actions.githubusercontent.com\n      audience: sts.amazonaws.com\n      claims: {sub: \"repo:acme/shop:ref:refs/heads/main\"}\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	reg, probs, err := ingest.OpenRegistry(dir)
	if err != nil || len(probs) > 0 {
		t.Fatal(err, probs)
	}
	a := `{"Effect":"Allow","Principal":{"AWS":"` + roleA + `"},"Action":"sts:AssumeRole"}`
	tokens := func(subject string) string {
		return `,{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::222222222222:oidc-provider/token.actions.githubusercontent.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"token.actions.githubusercontent.com:aud":"sts.amazonaws.com"},"StringLike":{"token.actions.githubusercontent.com:sub":"` + subject + `"}}}`
	}
	for name, c := range map[string]struct {
		added  string
		passes bool
	}{
		"Identity Center of the account": {`,{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::222222222222:saml-provider/AWSSSO_0123456789abcdef_DO_NOT_DELETE"},"Action":"sts:AssumeRoleWithSAML"}`, false},
		"another SAML provider":          {`,{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::222222222222:saml-provider/corp"},"Action":"sts:AssumeRoleWithSAML"}`, false},
		"Roles Anywhere":                 {`,{"Effect":"Allow","Principal":{"Service":"rolesanywhere.amazonaws.com"},"Action":"sts:AssumeRole"}`, false},
		"tokens as declared":             {tokens("repo:acme/shop:ref:refs/heads/main"), true},
		"tokens of all branches":         {tokens("repo:acme/shop:*"), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := world(t)
			w.Roles[2].Trust = d(t, "trust policy", stmt(a))
			rC := w.Roles[2]
			rC.Inline = nil
			w.Providers = append(w.Providers, snapshot.Provider{ARN: "arn:aws:iam::222222222222:oidc-provider/token.actions.githubusercontent.com", Account: accB, Type: "oidc", URL: "https://token.actions.githubusercontent.com", Audiences: []string{"sts.amazonaws.com"}})
			q := rC
			q.Trust = d(t, "trust policy", stmt(a+c.added))
			r := gate.Judge(w, &change.Plan{Steps: []change.Step{up(one(change.Role{Role: rC}), one(change.Role{Role: q}))}}, gate.Options{Now: at, Engine: ref.Engine(), Registry: reg})
			show(t, r)
			if r.Passes() != c.passes {
				t.Errorf("%s", r.Status())
			}
		})
	}
}
