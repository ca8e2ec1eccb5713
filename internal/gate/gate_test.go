package gate_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"drawbridge/iam/eval"
	"drawbridge/iam/ref"
	"drawbridge/internal/change"
	"drawbridge/internal/gate"
	"drawbridge/internal/ingest/terraform"
	"drawbridge/internal/snapshot"
)

var at = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

func readPlan(t *testing.T, name string) *change.Plan {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := terraform.ReadPlan(f, terraform.Options{File: name, Account: "111122223333"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// confirm asks the engine about every request that shows a gain: allowed with the policies after the change, and not with those before.
func confirm(t *testing.T, r *gate.Result) {
	t.Helper()
	engine := ref.Engine()
	for i := range r.Gains {
		g := &r.Gains[i]
		if g.Witness == nil {
			if g.Kind == gate.Rights || g.Kind == gate.Trust && len(g.Actions) == 0 {
				t.Errorf("%s on %s is shown by nothing", g.Kind, g.What)
			}
			continue
		}
		if d := engine.Decide(g.Witness.Request(g.Witness.Allowing)); d.Verdict != eval.Allow {
			t.Errorf("%s on %s: the request that shows it is %v after the change", g.Kind, g.What, d.Verdict)
		}
		if d := engine.Decide(g.Witness.Request(g.Witness.Denying)); d.Verdict != eval.Deny {
			t.Errorf("%s on %s: the request that shows it is %v before the change", g.Kind, g.What, d.Verdict)
		}
	}
}

// TestExamples: our own plans, over the example organisation.
func TestExamples(t *testing.T) {
	base, err := snapshot.ReadFS(os.DirFS("../../examples/acme"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct {
		status string
		kinds  string // of the gains that are refused
	}{
		"widen-by-condition":       {"refused", "trust"},
		"widen-by-list":            {"refused", "trust"},
		"widen-by-notprincipal":    {"refused", "trust trust path"},
		"widen-by-resource-policy": {"refused", "trust"},
		"complete-a-path":          {"refused", "path path path"},
		"remove-boundary":          {"refused", "guard"},
		"detach-scp":               {"refused", "guard"},
		"unknown":                  {"cannot be judged", ""},
		"narrow":                   {"nothing new", ""},
		"registered":               {"refused", "trust"}, // without its registry
	}
	files, err := filepath.Glob("../../examples/gate/*.json")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d plans, %d expectations, error %v", len(files), len(want), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			r := gate.Judge(base, readPlan(t, file), gate.Options{Now: at, Engine: ref.Engine()})
			var kinds []string
			for i := range r.Gains {
				if r.Refuses(&r.Gains[i]) {
					kinds = append(kinds, string(r.Gains[i].Kind))
				}
			}
			if w := want[name]; r.Status() != w.status || strings.Join(kinds, " ") != w.kinds {
				t.Errorf("%s: %v; want %s: %s", r.Status(), kinds, w.status, w.kinds)
			}
			confirm(t, r)
		})
	}
}

// TestReversed: a change that gives nothing gives something when it is undone, and the reverse, wherever nothing is unknown.
func TestReversed(t *testing.T) {
	base, err := snapshot.ReadFS(os.DirFS("../../examples/acme"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"narrow": "refused", "widen-by-list": "nothing new", "widen-by-condition": "nothing new", "widen-by-resource-policy": "nothing new", "remove-boundary": "nothing new", "complete-a-path": "nothing new"} {
		p := readPlan(t, "../../examples/gate/"+name+".json")
		_, after := change.Apply(base, p)
		for i := range p.Steps {
			s := &p.Steps[i]
			s.Before, s.After = s.After, s.Before
		}
		r := gate.Judge(after, p, gate.Options{Now: at, Engine: ref.Engine()})
		if r.Status() != want {
			t.Errorf("%s, undone: %s, %+v, %+v; want %s", name, r.Status(), r.Gains, r.Unjudged, want)
		}
		confirm(t, r)
	}
}

// TestSamples: every real plan is judged, each gain shown by a request that the engine confirms.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob("../../../shared/data/terraform-plan-samples/*/test_plan.json")
	if err != nil || len(files) == 0 {
		t.Skip("SKIPPED: no folder with real plans beside the project")
	}
	gains := 0
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			r := gate.Judge(nil, readPlan(t, file), gate.Options{Now: at, Engine: ref.Engine()})
			t.Logf("%s: %d gains, %d not judged", r.Status(), len(r.Gains), len(r.Unjudged))
			confirm(t, r)
			gains += len(r.Gains)
			if strings.Contains(file, "public_access") && !slices.ContainsFunc(r.Gains, func(g gate.Gain) bool { return r.Refuses(&g) }) {
				t.Error("a plan that opens resources to anyone is not refused")
			}
		})
	}
	if gains == 0 {
		t.Error("no plan gives anybody anything")
	}
}
