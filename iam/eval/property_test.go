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

// drawn calls a property for many random requests, by the same flag as TestDifferential. Each has a random number generator of its own, so that a seed reproduces it.
func drawn(t *testing.T, property func(r *rand.Rand, q *eval.Request) (holds bool, what string)) {
	t.Helper()
	for seed := range uint64(*requests) * 3 / 10 {
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

// with is the request with one more document of statements of one effect, in a layer that it has.
func with(r *rand.Rand, q *eval.Request, effect policy.Effect) *eval.Request {
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
	if len(p.SCPs) > 0 {
		layers = append(layers, eval.SCP)
	}
	if len(p.RCPs) > 0 && effect == policy.Deny {
		layers = append(layers, eval.RCP)
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
		d.Statements[i].Effect = effect
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
	case eval.SCP:
		p.SCPs = slices.Clone(p.SCPs)
		level := r.IntN(len(p.SCPs))
		p.SCPs[level] = *add(&p.SCPs[level])
	case eval.RCP:
		p.RCPs = slices.Clone(p.RCPs)
		level := r.IntN(len(p.RCPs))
		p.RCPs[level] = *add(&p.RCPs[level])
	}
	n := *q
	n.Policies = &p
	return &n
}

// rank orders verdicts by how much they allow.
func rank(v eval.Verdict) int {
	return map[eval.Verdict]int{eval.Deny: 0, eval.Unknown: 1, eval.Allow: 2}[v]
}

func TestMoreAllowNeverDenies(t *testing.T) {
	e := engine()
	drawn(t, func(r *rand.Rand, q *eval.Request) (bool, string) {
		more := with(r, q, policy.Allow)
		return rank(e.Decide(more).Verdict) >= rank(e.Decide(q).Verdict), "an Allow more, and it is allowed less: " + describe(more)
	})
}

func TestMoreDenyNeverAllows(t *testing.T) {
	e := engine()
	drawn(t, func(r *rand.Rand, q *eval.Request) (bool, string) {
		more := with(r, q, policy.Deny)
		return rank(e.Decide(more).Verdict) <= rank(e.Decide(q).Verdict), "a Deny more, and it is allowed more: " + describe(more)
	})
}

// TestOrderNeverMatters shuffles the documents of every layer, their statements and the levels (6).
func TestOrderNeverMatters(t *testing.T) {
	e := engine()
	drawn(t, func(r *rand.Rand, q *eval.Request) (bool, string) {
		set := func(s eval.Set) eval.Set {
			var shuffled eval.Set
			for _, i := range r.Perm(len(s.Policies)) {
				d := *s.Policies[i].Document
				d.Statements = slices.Clone(d.Statements)
				r.Shuffle(len(d.Statements), func(i, j int) { d.Statements[i], d.Statements[j] = d.Statements[j], d.Statements[i] })
				shuffled.Policies = append(shuffled.Policies, policy.Compile(&d))
			}
			return shuffled
		}
		optional := func(s *eval.Set) *eval.Set {
			if s == nil {
				return nil
			}
			shuffled := set(*s)
			return &shuffled
		}
		levels := func(all []eval.Set) []eval.Set {
			var shuffled []eval.Set
			for _, i := range r.Perm(len(all)) {
				shuffled = append(shuffled, set(all[i]))
			}
			return shuffled
		}
		p := *q.Policies
		p.Identity, p.SCPs, p.RCPs = set(p.Identity), levels(p.SCPs), levels(p.RCPs)
		p.Resource, p.Boundary, p.Session, p.Endpoint = optional(p.Resource), optional(p.Boundary), optional(p.Session), optional(p.Endpoint)
		other := *q
		other.Policies = &p
		if a, b := e.Decide(q).Verdict, e.Decide(&other).Verdict; a != b {
			return false, "in another order " + b.String() + ": " + describe(&other)
		}
		open := *q
		open.Context = &cond.Context{Parent: q.Caller.Context(), Rest: cond.Undetermined}
		otherOpen := other
		otherOpen.Context = open.Context
		a, b := e.Decide(&open), e.Decide(&otherOpen)
		if a.Verdict != b.Verdict {
			return false, "with open keys, " + a.Verdict.String() + " if " + a.LeftOver.String() + ", in another order " + b.Verdict.String() + " if " + b.LeftOver.String()
		}
		return true, ""
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
				if said == cond.Unknown && several(c) {
					continue // of several values under a test for one, the engine may find in the end that it does not matter which is meant
				}
				if said != cond.Of(one.Verdict == eval.Allow) && (said != cond.Unknown || !d.LeftOver.Opaque()) {
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

// several: some key has several values.
func several(ctx *cond.Context) bool {
	found := false
	ctx.Keys(func(_ string, _ cond.State, values []string) bool {
		found = found || len(values) > 1
		return true
	})
	return found
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
