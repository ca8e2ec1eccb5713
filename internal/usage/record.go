// Package usage is what was really used: by whom, when first and last, and how far the evidence reaches. Nothing is called stale
// without evidence: a trail that does not cover the time, the region or the account proves nothing by its silence.
package usage

import (
	"cmp"
	"slices"
	"time"

	"drawbridge/internal/snapshot"
)

// Record is recorded use, reduced. The zero value is a record without any evidence.
type Record struct {
	// Crossings are assumptions of roles and data accesses, one for each caller, target and mechanism, sorted.
	Crossings []Crossing
	// Actions are what roles and users did, sorted.
	Actions []ActionUse
	// Coverage is what the trails hold, one for each account and stretch of time, sorted.
	Coverage []Coverage
	// Files are the digests of the files that were taken in, sorted.
	Files []string
}

// Crossing is the use of one trust by one caller.
type Crossing struct {
	Caller    string // ARN of the role or user, oidc:host:subject, host of a service
	Target    string // ARN of the role or resource
	Mechanism string // AssumeRole, AssumeRoleWithWebIdentity, AssumeRoleWithSAML, or the action of a data access
	First     time.Time
	Last      time.Time // of a use that succeeded; zero: none did
	Count     int
	// Denied counts attempts that AWS refused, LastDenied is the last of them.
	Denied     int
	LastDenied time.Time
	// Unapproved counts uses of which is known that no request was open for them.
	Unapproved int
	// Sessions are the lengths of the sessions that were asked for, each once.
	Sessions []time.Duration
}

// Coverage is how far the evidence of one account reaches.
type Coverage struct {
	Account string // "" for all accounts
	From    time.Time
	To      time.Time
	// RegionsMissing are regions in use of which there is no trail.
	RegionsMissing []string
	// Missing: there is no trail of the account at all.
	Missing bool
}

// Of reduces the facts about use that a snapshot keeps. Facts of other shapes than calls and coverage are left out.
func Of(facts []snapshot.Usage) *Record {
	r := &Record{}
	byKey := map[[3]string]int{}
	for i := range facts {
		f := facts[i].Fields
		if account, ok := f["coverage"].(string); ok {
			r.Coverage = append(r.Coverage, Coverage{Account: account, From: timeOf(f["from"]), To: timeOf(f["to"]), Missing: f["missing"] == true,
				RegionsMissing: listOf(f["regionsMissing"])})
			continue
		}
		event, _ := f["event"].(string)
		caller, _ := f["principal"].(string)
		target, _ := f["target"].(string)
		at := timeOf(f["time"])
		if event == "" || caller == "" || target == "" || at.IsZero() {
			continue
		}
		key := [3]string{caller, target, event}
		i, known := byKey[key]
		if !known {
			i = len(r.Crossings)
			byKey[key] = i
			r.Crossings = append(r.Crossings, Crossing{Caller: caller, Target: target, Mechanism: event, First: at})
		}
		if request, said := f["request"]; said && request == nil {
			r.Crossings[i].Unapproved++
		}
		r.Crossings[i].add(at, f["result"] != "denied" && f["result"] != "AccessDenied")
	}
	r.sort()
	return r
}

func (c *Crossing) add(at time.Time, succeeded bool) {
	if at.Before(c.First) {
		c.First = at
	}
	if !succeeded {
		c.Denied++
		if at.After(c.LastDenied) {
			c.LastDenied = at
		}
		return
	}
	c.Count++
	if at.After(c.Last) {
		c.Last = at
	}
}

func timeOf(v any) time.Time {
	text, _ := v.(string)
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

func listOf(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, item := range list {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// On are the crossings to a target, a part of Crossings. A nil record has none.
func (r *Record) On(target string) []Crossing {
	if r == nil {
		return nil
	}
	from, _ := slices.BinarySearchFunc(r.Crossings, target, func(c Crossing, t string) int { return cmp.Compare(c.Target, t) })
	to := from
	for to < len(r.Crossings) && r.Crossings[to].Target == target {
		to++
	}
	return r.Crossings[from:to]
}

// LastUse is when callers that match used a target last; zero where no use is recorded.
func (r *Record) LastUse(target string, matches func(caller string) bool) time.Time {
	var last time.Time
	for _, c := range r.On(target) {
		if c.Last.After(last) && matches(c.Caller) {
			last = c.Last
		}
	}
	return last
}

// Anybody matches every caller.
func Anybody(string) bool { return true }

// Covers reports whether the trail of an account reaches from a time to now, in every region in use, without a hole. Stretches
// that follow each other within a day are one.
func (r *Record) Covers(account string, from, now time.Time) bool {
	if r == nil {
		return false
	}
	reached := from
	found := false
	for _, c := range r.of(account) {
		if c.Missing || len(c.RegionsMissing) > 0 {
			return false
		}
		found = true
		if c.From.After(reached.Add(24 * time.Hour)) {
			return false
		}
		if c.To.IsZero() || c.To.After(reached) {
			if reached = c.To; c.To.IsZero() {
				reached = now
			}
		}
	}
	return found && !now.After(reached.Add(24*time.Hour))
}

// of is the coverage of an account, and of all accounts, in the order of time.
func (r *Record) of(account string) []Coverage {
	all := r.section("")
	if account == "" || len(all) == 0 {
		return r.section(account)
	}
	out := slices.Concat(all, r.section(account))
	slices.SortStableFunc(out, func(a, b Coverage) int { return a.From.Compare(b.From) })
	return out
}

func (r *Record) section(account string) []Coverage {
	from, _ := slices.BinarySearchFunc(r.Coverage, account, func(c Coverage, a string) int { return cmp.Compare(c.Account, a) })
	to := from
	for to < len(r.Coverage) && r.Coverage[to].Account == account {
		to++
	}
	return r.Coverage[from:to]
}

// Known reports whether anything at all is known of the trail of an account.
func (r *Record) Known(account string) bool { return r != nil && len(r.of(account)) > 0 }
