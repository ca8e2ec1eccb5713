package gate_test

import (
	"os"
	"testing"

	"drawbridge/iam/ref"
	"drawbridge/internal/change"
	"drawbridge/internal/gate"
	"drawbridge/internal/ingest"
	"drawbridge/internal/registry"
	"drawbridge/internal/snapshot"
)

// TestEntries: an entry that is drafted makes the gate say yes to what it is for, and to no more; nothing is drafted that does not.
func TestEntries(t *testing.T) {
	base, err := snapshot.ReadFS(os.DirFS("../../examples/acme"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		entries int
		passes  bool
	}{
		"widen-by-list":            {2, true}, // with the one that is there already
		"widen-by-condition":       {1, true},
		"widen-by-resource-policy": {1, true},
		"registered":               {2, true},
		"widen-by-notprincipal":    {0, false}, // anyone
		"complete-a-path":          {0, false}, // no trust
		"remove-boundary":          {0, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := readPlan(t, "../../examples/gate/"+name+".json")
			o := gate.Options{Now: at, Engine: ref.Engine()}
			r := gate.Judge(base, p, o)
			o.Registry = &registry.Registry{}
			for i := range r.Entries {
				e := r.Entries[i].Entry
				if len(e.Missing()) == 0 {
					t.Errorf("%s lacks nothing: who says who owns it?", e.Name)
				}
				o.Registry.Entries = append(o.Registry.Entries, e)
			}
			again := gate.Judge(base, p, o)
			show(t, again)
			if len(r.Entries) != want.entries || again.Passes() != want.passes {
				t.Errorf("%d entries; with them: %s", len(r.Entries), again.Status())
			}
			for i := range again.Gains {
				for k := range r.Entries {
					for _, f := range r.Entries[k].Lets {
						if f == again.Gains[i].Fingerprint && again.Gains[i].Registered == "" {
							t.Errorf("%s does not let %s pass", r.Entries[k].Name, again.Gains[i].What)
						}
					}
				}
			}
			if len(again.Entries) > 0 {
				t.Errorf("with the entries there are %d more", len(again.Entries))
			}
		})
	}
}

// TestEntryThatSaysMore: an entry that a trust outgrows is drafted with what it would have to say, and keeps what people said.
func TestEntryThatSaysMore(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/r.yaml", []byte("apiVersion: drawbridge/v1\nkind: Trust\nmetadata:\n  name: a-to-c\n  owner: x@example.com\nspec:\n  purpose: p p p p\n  category: other\n  from:\n    principals: ["+roleA+"]\n  to:\n    role: "+roleC+
		"\n  trustConditions: {StringEquals: {sts:ExternalId: one-two-three-four}}\n  expires: 2027-06-30\n  review: {every: 90d}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	reg, probs, err := ingest.OpenRegistry(dir)
	if err != nil || len(probs) > 0 {
		t.Fatal(err, probs)
	}
	w := world(t)
	w.Roles[2].Trust = d(t, "trust policy", stmt(`{"Effect":"Allow","Principal":{"AWS":"`+roleA+`"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"one-two-three-four"}}}`))
	before := w.Roles[2]
	before.Inline = nil
	after := before
	after.Trust = d(t, "trust policy", stmt(`{"Effect":"Allow","Principal":{"AWS":"`+roleA+`"},"Action":"sts:AssumeRole"}`))
	p := &change.Plan{Steps: []change.Step{up(one(change.Role{Role: before}), one(change.Role{Role: after}))}}
	o := gate.Options{Now: at, Engine: ref.Engine(), Registry: reg}
	r := gate.Judge(w, p, o)
	show(t, r)
	if len(r.Entries) != 1 || !r.Entries[0].Replaces || r.Entries[0].Owner != "x@example.com" || len(r.Entries[0].TrustConditions) != 0 {
		t.Fatalf("entries %+v", r.Entries)
	}
	o.Registry = &registry.Registry{Entries: []registry.Entry{r.Entries[0].Entry}}
	if r := gate.Judge(w, p, o); !r.Passes() {
		t.Errorf("with the entry: %s", r.Status())
	}
}
