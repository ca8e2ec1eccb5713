package eval_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
)

var requests = flag.Int("requests", 20_000, "how many random requests the engine and the second evaluator are both asked")

// The tables are fixed here: what they hold is data, and how they are used is what is tested.
var (
	someRCPServices = map[string]bool{"s3": true, "sts": true, "kms": true}
	someKMSActions  = map[string]bool{"kms:decrypt": true, "kms:retiregrant": true}
)

// TestDifferential asks the engine and the second evaluator the same random requests.
func TestDifferential(t *testing.T) {
	var next, different atomic.Int64
	var mutex sync.Mutex
	seen := map[string]int{}
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Add(1)
		go func() {
			defer wait.Done()
			counts := map[string]int{}
			for different.Load() == 0 {
				seed := uint64(next.Add(1))
				if seed > uint64(*requests) {
					break
				}
				r := drawnRequest(rand.New(rand.NewPCG(seed, 7)))
				got, want := asked(r)
				counts[fmt.Sprintf("%v by %v", got.Verdict, got.By.Layer)]++
				if differ(r, got, want) {
					if different.Add(1) == 1 {
						t.Errorf("seed %d:\n%s", seed, describe(shrunk(r)))
					}
				}
			}
			mutex.Lock()
			for k, n := range counts {
				seen[k] += n
			}
			mutex.Unlock()
		}()
	}
	wait.Wait()
	var lines []string
	for k, n := range seen {
		lines = append(lines, fmt.Sprintf("%6d %s", n, k))
	}
	sort.Sort(sort.Reverse(sort.StringSlice(lines)))
	t.Logf("%d requests\n%s", *requests, strings.Join(lines, "\n"))
}

// asked is the engine's decision and the reference's answer.
func asked(r *eval.Request) (eval.Decision, answer) {
	e := eval.Evaluator{RCPServices: someRCPServices, KMSAcrossAccounts: someKMSActions}
	x := reference{r: r, rcpServices: someRCPServices, kmsAcross: someKMSActions}
	return e.Decide(r), x.decide()
}

// differ: the two answers disagree. Where the statements say not to guess (74), the engine may answer all the same what holds
// whichever of a key's values is meant, as where two tests on it contradict each other.
func differ(r *eval.Request, got eval.Decision, want answer) bool {
	if got.Verdict.String() == want.String() {
		return false
	}
	if want != unsure {
		return true
	}
	choices := []*cond.Context{r.Context}
	r.Context.Keys(func(name string, state cond.State, values []string) bool {
		if state != cond.Present || len(values) < 2 {
			return true
		}
		var more []*cond.Context
		for _, c := range choices {
			for _, v := range values {
				chosen := &cond.Context{Parent: c}
				chosen.Set(name, v)
				more = append(more, chosen)
			}
		}
		choices = more
		return true
	})
	for _, c := range choices {
		chosen := *r
		chosen.Context = c
		if _, one := asked(&chosen); one.String() != got.Verdict.String() {
			return true
		}
	}
	return false
}

// shrunk drops documents, statements and conditions as long as the two disagree.
func shrunk(r *eval.Request) *eval.Request {
	disagree := func(r *eval.Request) bool {
		got, want := asked(r)
		return differ(r, got, want)
	}
	for smaller := true; smaller; {
		smaller = false
		for _, try := range smallerRequests(r) {
			if disagree(try) {
				r, smaller = try, true
				break
			}
		}
	}
	return r
}

// smallerRequests are the request without one of its parts.
func smallerRequests(r *eval.Request) []*eval.Request {
	var out []*eval.Request
	with := func(change func(p *eval.Policies)) {
		n, p := *r, *r.Policies
		change(&p)
		n.Policies = &p
		out = append(out, &n)
	}
	optional := func(field func(p *eval.Policies) **eval.Set) {
		s := *field(r.Policies)
		if s == nil {
			return
		}
		with(func(p *eval.Policies) { *field(p) = nil })
		for _, less := range smallerSets(*s) {
			with(func(p *eval.Policies) { *field(p) = &less })
		}
	}
	for _, less := range smallerSets(r.Policies.Identity) {
		with(func(p *eval.Policies) { p.Identity = less })
	}
	optional(func(p *eval.Policies) **eval.Set { return &p.Resource })
	optional(func(p *eval.Policies) **eval.Set { return &p.Boundary })
	optional(func(p *eval.Policies) **eval.Set { return &p.Session })
	optional(func(p *eval.Policies) **eval.Set { return &p.Endpoint })
	for _, levels := range []func(p *eval.Policies) *[]eval.Set{func(p *eval.Policies) *[]eval.Set { return &p.SCPs }, func(p *eval.Policies) *[]eval.Set { return &p.RCPs }} {
		list := *levels(r.Policies)
		for i := range list {
			with(func(p *eval.Policies) { *levels(p) = append(append([]eval.Set(nil), list[:i]...), list[i+1:]...) })
			for _, less := range smallerSets(list[i]) {
				with(func(p *eval.Policies) {
					*levels(p) = append([]eval.Set(nil), list...)
					(*levels(p))[i] = less
				})
			}
		}
	}
	return out
}

func smallerSets(s eval.Set) []eval.Set {
	var out []eval.Set
	replace := func(i int, p ...*policy.Policy) {
		out = append(out, eval.Set{Policies: append(append(append([]*policy.Policy(nil), s.Policies[:i]...), p...), s.Policies[i+1:]...)})
	}
	for i, p := range s.Policies {
		replace(i)
		d := p.Document
		for j := range d.Statements {
			n := *d
			n.Statements = append(append([]policy.Statement(nil), d.Statements[:j]...), d.Statements[j+1:]...)
			if len(n.Statements) > 0 {
				replace(i, policy.Compile(&n))
			}
			for k := range d.Statements[j].Condition {
				n := *d
				n.Statements = append([]policy.Statement(nil), d.Statements...)
				st := &n.Statements[j]
				st.Condition = append(append([]policy.Condition(nil), st.Condition[:k]...), st.Condition[k+1:]...)
				replace(i, policy.Compile(&n))
			}
		}
	}
	return out
}

// describe prints a request with its policies and both answers.
func describe(r *eval.Request) string {
	var b strings.Builder
	got, want := asked(r)
	fmt.Fprintf(&b, "the engine says %v by %v, the second evaluator %v\n", got.Verdict, got.By.Layer, want)
	c := r.Caller
	fmt.Fprintf(&b, "%s by %v %q session %q id %q canonical id %q management %v, on %s of %q\n", r.Action, c.Kind, c.ARN+c.Service, c.Session, c.UniqueID, c.CanonicalID, c.Management, r.Resource, r.ResourceAccount)
	r.Context.Keys(func(name string, state cond.State, values []string) bool {
		if state == cond.Present {
			fmt.Fprintf(&b, "  %s %q\n", name, values)
		}
		return true
	})
	if r.Facts != nil {
		fmt.Fprintf(&b, "facts: %+v\n", *r.Facts)
	}
	set := func(name string, s *eval.Set) {
		if s == nil {
			return
		}
		for _, p := range s.Policies {
			fmt.Fprintf(&b, "%s: %s\n", name, p.Document.Canonical())
		}
	}
	p := r.Policies
	set("identity", &p.Identity)
	set("resource", p.Resource)
	set("boundary", p.Boundary)
	set("session", p.Session)
	set("endpoint", p.Endpoint)
	if p.Gateway {
		fmt.Fprintln(&b, "the endpoint is a gateway")
	}
	for i := range p.SCPs {
		set("SCP", &p.SCPs[i])
	}
	for i := range p.RCPs {
		set("RCP", &p.RCPs[i])
	}
	return b.String()
}
