package eval_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
)

// drawn calls a property for many random requests. Each has a random number generator of its own, so that a seed reproduces it.
func drawn(t *testing.T, property func(r *rand.Rand, q *eval.Request) (holds bool, what string)) {
	t.Helper()
	for seed := range uint64(6000) {
		r := rand.New(rand.NewPCG(seed, 11))
		q := drawnRequest(r)
		if holds, what := property(r, q); !holds {
			t.Fatalf("seed %d: %s\n%s", seed, what, describe(q))
		}
	}
}

func engine() *eval.Evaluator {
	return &eval.Evaluator{RCPServices: someRCPServices, KMSAcrossAccounts: someKMSActions}
}

// with is the request with one more statement in a layer that it has; false where it has none of the layers.
func with(r *rand.Rand, q *eval.Request, effect string) (*eval.Request, bool) {
	layers := []eval.Layer{eval.Identity}
	p := *q.Policies
	if p.Resource != nil {
		layers = append(layers, eval.Resource)
	}
	if p.Boundary != nil {
		layers = append(layers, eval.Boundary)
	}
	if p.Session != nil {
		layers = append(layers, eval.Session)
	}
	if p.Endpoint != nil {
		layers = append(layers, eval.Endpoint)
	}
	layer := pick(r, layers)
	shape := layer
	if layer == eval.Resource && strings.HasPrefix(strings.ToLower(q.Action.String()), "sts:") && strings.Contains(q.Resource, ":role/") {
		shape = eval.Trust
	}
	more := setOf(drawnDocument(r, shape, 1)).Policies[0]
	d := *more.Document
	d.Statements = append([]policy.Statement(nil), d.Statements...)
	for i := range d.Statements {
		d.Statements[i].Effect = map[string]policy.Effect{"Allow": policy.Allow, "Deny": policy.Deny}[effect]
	}
	add := func(s *eval.Set) *eval.Set {
		return &eval.Set{Policies: append(append([]*policy.Policy(nil), s.Policies...), policy.Compile(&d))}
	}
	switch layer {
	case eval.Identity:
		p.Identity = *add(&p.Identity)
	case eval.Resource:
		p.Resource = add(p.Resource)
	case eval.Boundary:
		p.Boundary = add(p.Boundary)
	case eval.Session:
		p.Session = add(p.Session)
	case eval.Endpoint:
		p.Endpoint = add(p.Endpoint)
	}
	n := *q
	n.Policies = &p
	return &n, true
}

func TestMoreAllowNeverDenies(t *testing.T) {
	e := engine()
	drawn(t, func(r *rand.Rand, q *eval.Request) (bool, string) {
		more, _ := with(r, q, "Allow")
		return e.Decide(q).Verdict != eval.Allow || e.Decide(more).Verdict == eval.Allow, "an Allow more, and it is allowed no longer: " + describe(more)
	})
}

func TestMoreDenyNeverAllows(t *testing.T) {
	e := engine()
	drawn(t, func(r *rand.Rand, q *eval.Request) (bool, string) {
		more, _ := with(r, q, "Deny")
		return e.Decide(q).Verdict == eval.Allow || e.Decide(more).Verdict != eval.Allow, "a Deny more, and it is allowed: " + describe(more)
	})
}

// completions are the states that a key of the universe may have.
func completions(key string) []func(*cond.Context) {
	out := []func(*cond.Context){func(c *cond.Context) { c.SetAbsent(key) }}
	values := append(append([]string(nil), keyValues[key]...), "k", "other")
	for _, v := range values {
		out = append(out, func(c *cond.Context) { c.Set(key, v) })
	}
	if key == "aws:TagKeys" {
		for i, v := range keyValues[key] {
			out = append(out, func(c *cond.Context) { c.Set(key, v, keyValues[key][(i+1)%len(keyValues[key])]) })
		}
	}
	return out
}

// TestConditionalAgreesWithBruteForce makes two keys unknown and asks the same request with every pair of states that they may
// have: what the conditional answer says must be what each concrete answer says.
func TestConditionalAgreesWithBruteForce(t *testing.T) {
	e := engine()
	keys := []string{"aws:PrincipalTag/team", "aws:SourceIp", "aws:CurrentTime", "s3:max-keys", "aws:SecureTransport", "aws:SourceArn", "x:bytes", "aws:TagKeys", "aws:PrincipalOrgID"}
	open := 0
	drawn(t, func(r *rand.Rand, q *eval.Request) (bool, string) {
		a, b := pick(r, keys), pick(r, keys)
		if tested := testedKeys(q.Policies, keys); len(tested) > 0 {
			a, b = pick(r, tested), pick(r, tested)
		}
		partial := *q
		ctx := &cond.Context{Parent: q.Context}
		ctx.SetUnknown(a)
		ctx.SetUnknown(b)
		partial.Context = ctx
		d := e.Decide(&partial)
		if d.Verdict == eval.Unknown {
			open++
		}
		for _, setA := range completions(a) {
			for _, setB := range completions(b) {
				full := *q
				c := &cond.Context{Parent: q.Context}
				setA(c)
				setB(c)
				full.Context = c
				one := e.Decide(&full)
				if one.Verdict == eval.Unknown {
					continue // a key with several values under a test for one
				}
				said := cond.Of(d.Verdict == eval.Allow)
				if d.Verdict == eval.Unknown {
					said = d.LeftOver.Eval(c)
				}
				if said != cond.Unknown && said != cond.Of(one.Verdict == eval.Allow) {
					return false, "open " + a + " and " + b + ": " + d.Verdict.String() + " if " + d.LeftOver.String() + ", but " + describe(&full)
				}
			}
		}
		return true, ""
	})
	if open < 100 {
		t.Errorf("only %d answers were conditional", open)
	}
}

// testedKeys are those of the keys that some statement tests.
func testedKeys(p *eval.Policies, keys []string) []string {
	var found []string
	sets := append(append([]eval.Set{p.Identity}, p.SCPs...), p.RCPs...)
	for _, s := range []*eval.Set{p.Resource, p.Boundary, p.Session, p.Endpoint} {
		if s != nil {
			sets = append(sets, *s)
		}
	}
	for _, s := range sets {
		for _, d := range s.Policies {
			for _, st := range d.Document.Statements {
				for _, c := range st.Condition {
					if slices.Contains(keys, c.Key.Value) {
						found = append(found, c.Key.Value)
					}
				}
			}
		}
	}
	return found
}

// TestWitnessesAreAllowed: of every request about which some keys are unknown, the witness is allowed when asked afresh, and where
// there is none the answer is Deny, or something is not understood.
func TestWitnessesAreAllowed(t *testing.T) {
	e := engine()
	found := 0
	drawn(t, func(r *rand.Rand, q *eval.Request) (bool, string) {
		partial := *q
		partial.Context = &cond.Context{Parent: q.Caller.Context(), Rest: cond.Undetermined}
		w, ok := e.Witness(&partial)
		d := e.Decide(&partial)
		if ok {
			found++
			return e.Decide(w).Verdict == eval.Allow, "the witness is not allowed"
		}
		possible, _ := d.LeftOver.Possible(partial.Context)
		return possible != cond.True && (d.Verdict == eval.Deny || possible == cond.Unknown || d.LeftOver.Opaque()), "no witness, and it may be allowed if " + d.LeftOver.String()
	})
	if found < 1000 {
		t.Errorf("only %d witnesses were found", found)
	}
}
