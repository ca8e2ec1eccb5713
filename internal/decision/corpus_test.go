package decision

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
)

// TestCorpus runs the decision corpus: every case as given, with documents and statements shuffled, and after its documents
// were printed and read again. The answers must be the expected one each time.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("../../testdata/corpus/*.json")
	if err != nil {
		t.Fatal(err)
	}
	tables := ref.Engine()
	engine := &tables
	cases, rules := 0, map[int]bool{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		decisions, problems := Read(data, filepath.Base(file))
		for _, p := range problems {
			t.Error(p)
		}
		for i := range decisions {
			d := &decisions[i]
			cases++
			for _, r := range d.Rules {
				rules[r] = true
			}
			if len(d.Rules) == 0 || d.Expect == "" || d.Source == "" {
				t.Errorf("%s: %q cites no rule, names no source or expects nothing", file, d.Name)
			}
			check(t, file, d, engine)
		}
	}
	if cases < 150 || len(rules) < 100 {
		t.Errorf("%d cases of %d rules: files are missing", cases, len(rules))
	}
}

func check(t *testing.T, file string, d *Decision, engine *eval.Evaluator) {
	t.Helper()
	if a := d.Answer(engine); !*a.Passed {
		t.Errorf("%s: %q (rules %v): %s by %s, expected %s (%s)", filepath.Base(file), d.Name, d.Rules, a.Verdict, a.DecidedBy.Layer, d.Expect, a.Reason)
	}
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 3))
		shuffled := rewritten(d, func(p *policy.Policy) *policy.Policy { return shuffle(r, p, d.Readings) }, r)
		if a := shuffled.Answer(engine); !*a.Passed {
			t.Errorf("%s: %q with statements shuffled: %s, expected %s", filepath.Base(file), d.Name, a.Verdict, d.Expect)
		}
	}
	printed := rewritten(d, func(p *policy.Policy) *policy.Policy { return reread(t, p, d.Readings) }, nil)
	if a := printed.Answer(engine); !*a.Passed {
		t.Errorf("%s: %q printed and read again: %s, expected %s", filepath.Base(file), d.Name, a.Verdict, d.Expect)
	}
}

// rewritten copies a decision with every document changed, and shuffled inside their sets where r is given.
func rewritten(d *Decision, change func(*policy.Policy) *policy.Policy, r *rand.Rand) *Decision {
	n := *d
	set := func(s eval.Set) eval.Set {
		c := eval.Set{Unresolved: s.Unresolved}
		for _, q := range s.Policies {
			c.Policies = append(c.Policies, change(q))
		}
		if r != nil {
			r.Shuffle(len(c.Policies), func(i, j int) { c.Policies[i], c.Policies[j] = c.Policies[j], c.Policies[i] })
		}
		return c
	}
	optional := func(s *eval.Set) *eval.Set {
		if s == nil {
			return nil
		}
		c := set(*s)
		return &c
	}
	levels := func(all []eval.Set) []eval.Set {
		var c []eval.Set
		for _, s := range all {
			c = append(c, set(s))
		}
		return c
	}
	request := func(r *eval.Request) {
		p := *r.Policies
		p.Identity, p.Boundary, p.Session, p.SCPs, p.RCPs = set(p.Identity), optional(p.Boundary), optional(p.Session), levels(p.SCPs), levels(p.RCPs)
		p.Resource, p.Endpoint = optional(p.Resource), optional(p.Endpoint)
		r.Policies = &p
		if r.Facts != nil && r.Facts.AccessPoint != nil {
			facts, point := *r.Facts, *r.Facts.AccessPoint
			point.Policy = optional(point.Policy)
			facts.AccessPoint = &point
			r.Facts = &facts
		}
	}
	holder := func(h *eval.Holder) {
		h.Identity, h.Boundary, h.SCPs = set(h.Identity), optional(h.Boundary), levels(h.SCPs)
	}
	request(&n.Request)
	n.Also = slices.Clone(d.Also)
	for i := range n.Also {
		request(&n.Also[i])
	}
	if d.Chain != nil {
		c := *d.Chain
		c.Act, c.Session = &n.Request, optional(c.Session)
		holder(&c.Start)
		c.Hops = slices.Clone(c.Hops)
		for i := range c.Hops {
			h := &c.Hops[i]
			holder(&h.Role)
			h.Trust, h.Session, h.RCPs = optional(h.Trust), optional(h.Session), levels(h.RCPs)
		}
		n.Chain = &c
	}
	return &n
}

func shuffle(r *rand.Rand, p *policy.Policy, readings cond.Readings) *policy.Policy {
	d := *p.Document
	d.Statements = slices.Clone(d.Statements)
	r.Shuffle(len(d.Statements), func(i, j int) { d.Statements[i], d.Statements[j] = d.Statements[j], d.Statements[i] })
	return policy.CompileUnder(&d, readings)
}

func reread(t *testing.T, p *policy.Policy, readings cond.Readings) *policy.Policy {
	t.Helper()
	d, problems := policy.Parse(p.Document.Canonical())
	for _, problem := range problems {
		if problem.Fatal {
			t.Fatalf("the canonical form does not parse: %v", problem)
		}
	}
	return policy.CompileUnder(d, readings)
}
