package gate_test

import (
	"os"
	"testing"
	"testing/fstest"

	"drawbridge/iam/ref"
	"drawbridge/internal/change"
	"drawbridge/internal/gate"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/synthetic"
)

// large is an organisation of accounts with a hundred roles each.
func large(t testing.TB, accounts int) *snapshot.Snapshot {
	files := fstest.MapFS{}
	if err := synthetic.Write(accounts, 100, func(name string, data []byte) error {
		files[name] = &fstest.MapFile{Data: data}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s, err := snapshot.ReadFS(files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// opened are plans that open the trust of one role of the largest kind: to everybody, to the organisation, to one account.
func opened(t testing.TB, s *snapshot.Snapshot) map[string]*change.Plan {
	role := s.Roles[len(s.Roles)/2+3]
	plans := map[string]*change.Plan{}
	for name, principal := range map[string]string{
		"everybody":    `"Principal":"*"`,
		"organisation": `"Principal":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-synthetic01"}}`,
		"account":      `"Principal":{"AWS":"arn:aws:iam::` + s.Roles[5].Account + `:root"}`,
	} {
		after := role
		doc, gaps := snapshot.NewDocument("trust policy", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",`+principal+`}]}`), snapshot.Source{}, false)
		if len(gaps) > 0 {
			t.Fatal(gaps)
		}
		after.Trust = doc
		plans[name] = &change.Plan{Tool: "terraform", Steps: []change.Step{{Address: "aws_iam_role.x", Action: change.Update, Before: []change.Part{change.Role{Role: role}}, After: []change.Part{change.Role{Role: after}}}}}
	}
	return plans
}

func BenchmarkJudge(b *testing.B) {
	s := large(b, 200)
	for name, p := range opened(b, s) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := gate.Judge(s, p, gate.Options{Now: at, Engine: ref.Engine()})
				b.ReportMetric(float64(len(r.Gains)), "gains")
			}
		})
	}
}

// TestPathsAsEverywhere: the search for completed ways that leaves out resources behind no new step finds what one over all of them does.
func TestPathsAsEverywhere(t *testing.T) {
	same := func(t *testing.T, base *snapshot.Snapshot, p *change.Plan) (paths int) {
		t.Helper()
		o := gate.Options{Now: at, Engine: ref.Engine()}
		quick, all := gate.Judge(base, p, o), gate.Judge(base, p, gate.Everywhere(o))
		if len(quick.Gains) != len(all.Gains) || len(quick.Unjudged) != len(all.Unjudged) {
			t.Fatalf("%d gains and %d not judged, everywhere %d and %d", len(quick.Gains), len(quick.Unjudged), len(all.Gains), len(all.Unjudged))
		}
		for i := range quick.Gains {
			if q, a := &quick.Gains[i], &all.Gains[i]; q.Fingerprint != a.Fingerprint {
				t.Errorf("gain %d: %s on %s by %v, everywhere %s on %s by %v", i, q.Kind, q.What, q.Who, a.Kind, a.What, a.Who)
			}
			if quick.Gains[i].Kind == gate.Path {
				paths++
			}
		}
		return paths
	}
	s := large(t, 3)
	paths := 0
	for name, p := range opened(t, s) {
		t.Run(name, func(t *testing.T) { paths += same(t, s, p) })
	}
	rights := change.Inline{Owner: s.Roles[7].ARN, Document: d(t, "more", policyText(`{"Effect":"Allow","Action":["s3:*","kms:*","sqs:*","sts:AssumeRole"],"Resource":"*"}`))}
	paths += same(t, s, &change.Plan{Steps: []change.Step{{Address: "x", Action: change.Create, After: []change.Part{rights}}}})
	acme, err := snapshot.ReadFS(os.DirFS("../../examples/acme"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"complete-a-path", "widen-by-notprincipal", "registered"} {
		paths += same(t, acme, readPlan(t, "../../examples/gate/"+name+".json"))
	}
	if paths < 5 {
		t.Errorf("%d ways: too few to compare", paths)
	}
}
