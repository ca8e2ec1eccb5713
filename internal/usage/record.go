// Package usage is what was really used: by whom, when first and last, and how far the evidence reaches. Nothing is called stale
// without evidence: a trail that does not cover the time, the region or the account proves nothing by its silence.
package usage

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"drawbridge/internal/snapshot"
)

// Record is recorded use, reduced. The zero value is a record without any evidence.
type Record struct {
	// Crossings are assumptions of roles and data accesses, one for each caller, target and mechanism, sorted. Those of Pending
	// calls of which only the target's side is known are among them, with the caller's account as the caller.
	Crossings []Crossing
	// Actions are what roles and users did, sorted.
	Actions []ActionUse
	// Coverage is what somebody says of trails, one for each account and stretch of time, sorted.
	Coverage []Coverage
	// Seen is of which days, regions and kinds trails hold events, one for each account, sorted.
	Seen []Seen
	// Files are the SHA-256 digests, in hexadecimal, of what was taken in, sorted.
	Files []string
	// Pending are calls across accounts whose other side may come yet, the newest Waiting ones, sorted by their ids.
	Pending []Half
	// Policies say what of personal data was kept, each once, sorted; more than one: of parts that were imported differently.
	Policies []Policy

	// Accessed is what IAM itself says, of the facts of a snapshot; the file of a record holds none of it.
	Accessed []Accessed

	settled []Crossing // Crossings without those of pending calls; nil: all are
}

// base are the crossings that pending calls are no part of.
func (r *Record) base() []Crossing {
	if r.settled == nil && len(r.Pending) == 0 {
		return r.Crossings
	}
	return r.settled
}

// Crossing is the use of one trust by one caller.
type Crossing struct {
	Caller    string // ARN of the role or user, account, oidc:host:subject, host of a service
	Target    string // ARN of the role or resource
	Mechanism string // AssumeRole, AssumeRoleWithWebIdentity, AssumeRoleWithSAML, or the action of a data access
	First     time.Time
	Last      time.Time // of a use that succeeded; zero: none did
	Count     int
	// Days are those with a use that succeeded.
	Days Days
	// Denied counts attempts that AWS refused, LastDenied is the last of them.
	Denied     int
	LastDenied time.Time
	// Unapproved counts uses of which is known that no request was open for them.
	Unapproved int
	// Sessions are the lengths of the sessions that were asked for, Networks where calls came from (see Network), SourceIdentities who
	// sessions were first begun for: each value once, sorted, Listed of each; that there were more is said.
	Sessions                                   []time.Duration
	Networks, SourceIdentities                 []string
	MoreSessions, MoreNetworks, MoreIdentities bool
}

// ActionUse is the use of an action by a role or user, in one account.
type ActionUse struct {
	Caller  string
	Action  string
	Account string // owner of the resource, or of the trail where the call names no resource
	First   time.Time
	Last    time.Time // of a use that succeeded; zero: none did
	Count   int
	Days    Days // with a use that succeeded
	// Denied counts attempts that AWS refused, LastDenied is the last of them.
	Denied     int
	LastDenied time.Time
}

// Accessed is IAM's last accessed data of one role: which of the services that its policies allow it used in the days before the
// snapshot was collected. Source: IAM User Guide, "Refine permissions using last accessed information".
type Accessed struct {
	Role         string
	Used, Unused []string // names of services, as actions have them in front
	Days         int
}

// Coverage is what somebody says of the trail of one account.
type Coverage struct {
	Account string // "" for all accounts
	From    time.Time
	To      time.Time
	// RegionsMissing are regions in use of which there is no trail.
	RegionsMissing []string
	// Missing: there is no trail of the account at all.
	Missing bool
}

// Seen is the evidence of one account: what its trails hold events of.
type Seen struct {
	Account string
	Days    Days        // with any event
	Regions []NamedDays // by region
	// Data are days with data events, by service: they are recorded only where a trail is told to.
	Data []NamedDays
}

// NamedDays are the days of one region or service.
type NamedDays struct {
	Name string
	Days Days
}

// Of reduces the facts about use that a snapshot keeps. Facts of other shapes than calls, coverage and last accessed
// data are left out. The facts count as one
// file: a record that has taken them in does not take them in again.
func Of(facts []snapshot.Usage) *Record {
	r := &Record{}
	byKey := map[[3]string]int{}
	digest := sha256.New()
	write := json.NewEncoder(digest)
	for i := range facts {
		f := facts[i].Fields
		if err := write.Encode(f); err != nil {
			fmt.Fprintln(digest, i, err) // no fact of a snapshot, which is JSON
		}
		if account, ok := f["coverage"].(string); ok {
			r.Coverage = append(r.Coverage, Coverage{Account: account, From: timeOf(f["from"]), To: timeOf(f["to"]), Missing: f["missing"] == true,
				RegionsMissing: listOf(f["regionsMissing"])})
			continue
		}
		if role, ok := f["accessAdvisor"].(string); ok {
			days, _ := f["window"].(float64)
			r.Accessed = append(r.Accessed, Accessed{Role: role, Used: listOf(f["used"]), Unused: listOf(f["unused"]), Days: int(days)})
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
	slices.SortFunc(r.Crossings, func(a, b Crossing) int { return a.compare(&b) })
	if len(facts) > 0 {
		r.Files = []string{hex.EncodeToString(digest.Sum(nil))}
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
	c.Days.Add(Day(at))
	if at.After(c.Last) {
		c.Last = at
	}
}

func timeOf(v any) time.Time {
	text, _ := v.(string)
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || !InRange(t) {
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

// By is what a role or user did, a part of Actions. A nil record has none.
func (r *Record) By(caller string) []ActionUse {
	if r == nil {
		return nil
	}
	from, _ := slices.BinarySearchFunc(r.Actions, caller, func(a ActionUse, c string) int { return cmp.Compare(a.Caller, c) })
	to := from
	for to < len(r.Actions) && r.Actions[to].Caller == caller {
		to++
	}
	return r.Actions[from:to]
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
// that follow each other within a day are one. A day without any event is a hole: accounts that are in use are called every day,
// if only by AWS itself.
func (r *Record) Covers(account string, from, now time.Time) bool {
	if r == nil {
		return false
	}
	var stretches []Coverage
	for _, c := range r.of(account) {
		if c.Missing || len(c.RegionsMissing) > 0 {
			return false
		}
		stretches = append(stretches, c)
	}
	if s := r.seen(account); s != nil {
		s.Days.Ranges(func(first, last int) {
			stretches = append(stretches, Coverage{From: dateOf(first), To: dateOf(last + 1).Add(-time.Second)})
		})
	}
	slices.SortFunc(stretches, func(a, b Coverage) int { return a.From.Compare(b.From) })
	reached := from
	for _, c := range stretches {
		if c.From.After(reached.Add(24 * time.Hour)) {
			return false
		}
		if c.To.IsZero() || c.To.After(reached) {
			if reached = c.To; c.To.IsZero() {
				reached = now
			}
		}
	}
	return len(stretches) > 0 && !now.After(reached.Add(24*time.Hour))
}

func (r *Record) seen(account string) *Seen {
	if r == nil {
		return nil
	}
	if i, ok := slices.BinarySearchFunc(r.Seen, account, func(s Seen, a string) int { return cmp.Compare(s.Account, a) }); ok {
		return &r.Seen[i]
	}
	return nil
}

// of is the coverage of an account, and of all accounts.
func (r *Record) of(account string) []Coverage {
	all := r.section("")
	if account == "" {
		return all
	}
	return slices.Concat(all, r.section(account))
}

func (r *Record) section(account string) []Coverage {
	from, _ := slices.BinarySearchFunc(r.Coverage, account, func(c Coverage, a string) int { return cmp.Compare(c.Account, a) })
	to := from
	for to < len(r.Coverage) && r.Coverage[to].Account == account {
		to++
	}
	return r.Coverage[from:to]
}

// Services reports what IAM says of a role that was collected at a time: known, that its data reach from a time before to that one;
// used, that the role used a service no longer ago than that.
func (r *Record) Services(role string, from, collected time.Time) (used, known bool) {
	if r == nil {
		return false, false
	}
	for _, a := range r.Accessed {
		begin := collected.AddDate(0, 0, -a.Days)
		switch {
		case a.Role != role || a.Days == 0:
		case len(a.Used) > 0:
			used = used || !begin.Before(from)
			known = known || used
		case len(a.Unused) > 0:
			known = known || !begin.After(from)
		}
	}
	return used, known
}

// Known reports whether anything at all is known of the trail of an account.
func (r *Record) Known(account string) bool {
	return r != nil && (r.seen(account) != nil || len(r.of(account)) > 0)
}

// Evidence reports whether anything is known of any trail.
func (r *Record) Evidence() bool { return r != nil && len(r.Coverage)+len(r.Seen) > 0 }
