package remedy

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/policy"
	"drawbridge/internal/access"
	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
)

// ItemState is how far an item of an offboarding is. Only a snapshot makes an item gone; that somebody says it is done does not.
type ItemState string

const (
	Open ItemState = "open"
	Done ItemState = "done" // somebody says so, and no snapshot has shown it yet
	Gone ItemState = "gone" // a snapshot shows that it is not there any more
)

// Plan is the offboarding of a vendor as it is kept in a file, so that it can be continued. Its JSON is docs/schema/offboarding.schema.json.
type Plan struct {
	Version  int       `json:"version"`
	Vendor   string    `json:"vendor"`
	Accounts []string  `json:"accounts"`
	Made     time.Time `json:"made"`
	Items    []Item    `json:"items"`
}

// Item is one step with its state. Before is the policy to go back to.
type Item struct {
	ID       string          `json:"id"`
	State    ItemState       `json:"state"`
	Kind     StepKind        `json:"kind"`
	Account  string          `json:"account"`
	Target   string          `json:"target"`
	Who      []string        `json:"who"`
	What     string          `json:"what"`
	Commands []string        `json:"commands"`
	Before   json.RawMessage `json:"before,omitempty"`
	After    json.RawMessage `json:"after,omitempty"`
	DoneAt   *time.Time      `json:"doneAt,omitempty"`
	GoneAt   *time.Time      `json:"goneAt,omitempty"` // when the snapshot was collected that showed it, or read where it does not say
	Note     string          `json:"note,omitempty"`

	Places []access.Evidence `json:"-"`
}

// ReadPlan reads a plan. Unknown fields and states are errors.
func ReadPlan(name string, text []byte) (*Plan, error) {
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	var p Plan
	if err := d.Decode(&p); err != nil {
		line := 1 + strings.Count(string(text[:min(int(d.InputOffset()), len(text))]), "\n")
		return nil, fmt.Errorf("%s:%d: %w", name, line, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: something stands behind the plan", name)
	}
	if p.Version != 1 {
		return nil, fmt.Errorf("%s: version %d: this program reads version 1", name, p.Version)
	}
	for i := range p.Items {
		it := &p.Items[i]
		if it.State == Gone && it.GoneAt == nil || it.State == Done && it.DoneAt == nil {
			return nil, fmt.Errorf("%s: item %d is %s, and does not say since when", name, i+1, it.State)
		}
		if it.State != Open && it.State != Done && it.State != Gone || it.ID == "" {
			return nil, fmt.Errorf("%s: item %d: expected an id and a state of open, done or gone, found %q and %q", name, i+1, it.ID, it.State)
		}
	}
	return &p, nil
}

// NewPlan is a plan in which nothing is done.
func NewPlan(v Leaver, made time.Time) *Plan {
	return &Plan{Version: 1, Vendor: v.Name, Accounts: v.Accounts, Made: made.UTC().Truncate(time.Second), Items: []Item{}}
}

// Continue brings a plan up to what a snapshot shows: what is there and not in the plan comes to it, what is not there any more is gone, and
// what came back is open again. g is the snapshot's graph, at the time as of which it is.
func (p *Plan) Continue(g *access.Graph, v Leaver, at time.Time) {
	if !g.Org.Snapshot.Collected.IsZero() {
		at = g.Org.Snapshot.Collected
	}
	at = at.UTC().Truncate(time.Second)
	found := map[string]bool{}
	for _, s := range Offboard(g, v) {
		id := s.ID()
		found[id] = true
		i := slices.IndexFunc(p.Items, func(it Item) bool { return it.ID == id })
		if i < 0 {
			p.Items = append(p.Items, Item{ID: id, State: Open})
			i = len(p.Items) - 1
		}
		it := &p.Items[i]
		it.Kind, it.Account, it.Target, it.Who, it.What, it.Commands, it.Places = s.Kind, s.Account, s.Target, s.Who, s.What, s.Commands, s.Places
		if it.Commands == nil {
			it.Commands = []string{}
		}
		if it.State == Gone {
			it.State, it.GoneAt, it.DoneAt, it.Note = Open, nil, nil, "it was gone, and came back"
		}
		if s.After != nil {
			it.After = s.After.Canonical()
			if it.Before == nil {
				it.Before = s.Before.Canonical()
			}
		}
	}
	for i := range p.Items {
		it := &p.Items[i]
		if found[it.ID] || it.State == Gone {
			continue
		}
		if it.Kind == SessionStep {
			continue
		}
		if why := notShown(g.Org, it); why != "" {
			it.Note = why
			continue
		}
		it.gone(at, "")
	}
	for i := range p.Items { // after the trusts: a session is over when nothing can have kept it
		if it := &p.Items[i]; it.Kind == SessionStep && !found[it.ID] && it.State != Gone {
			p.sessionsOver(g.Org, it, at)
		}
	}
	slices.SortStableFunc(p.Items, func(a, b Item) int { return slices.Index(stepOrder, a.Kind) - slices.Index(stepOrder, b.Kind) })
}

// listedBy are the services whose calls list what a step takes back; of resources the organisation knows it by their types.
var listedBy = map[StepKind][]string{EndpointStep: {"EC2"}, GrantStep: {"KMS"}, ShareStep: {"RAM", "EC2", "RDS"}, ProviderStep: {"IAM", "RolesAnywhere"}}

// notShown is why a snapshot that lacks an item does not show that it is gone, "" where it does: what was not read is not gone.
func notShown(o *org.Org, it *Item) string {
	switch it.Kind {
	case TrustStep:
		role, there := o.Principal(it.Target)
		if there && role.Role != nil && role.Role.Trust.State == snapshot.Unresolved {
			return "its trust policy was not read"
		}
		if !there && !o.Inventoried(it.Account) {
			return "the roles of account " + it.Account + " were not read completely"
		}
		return ""
	case ResourceStep:
		if r, there := o.Resource(it.Target); there {
			if r.Resource.Policy.State == snapshot.Unresolved {
				return "its policy was not read"
			}
			return ""
		}
		// A listing that was not answered hides what it would have listed.
		if why, hidden := o.Hidden(it.Target, it.Account); hidden {
			return why
		}
	case ExternalIDStep:
		if !o.Inventoried(it.Account) {
			return "the roles of account " + it.Account + " were not read completely"
		}
		return ""
	}
	file := map[StepKind]string{ResourceStep: "resources.jsonl", EndpointStep: "resources.jsonl", GrantStep: "grants.jsonl", ShareStep: "shares.jsonl", ProviderStep: "providers.json"}[it.Kind]
	target, _ := arn.Parse(it.Target)
	for _, gap := range o.Gaps {
		if gap.Account != it.Account && gap.Account != "" {
			continue
		}
		switch {
		case gap.Kind == snapshot.GapAccount && gap.Account == it.Account,
			gap.Kind == snapshot.GapCall && gap.Account == it.Account && slices.ContainsFunc(listedBy[it.Kind], func(service string) bool { return strings.HasPrefix(gap.Call, service+" ") }),
			gap.Kind == snapshot.GapRegion && (target.Region == "" || strings.HasSuffix(gap.Subject, target.Region)),
			gap.Kind == snapshot.GapFile && (strings.HasSuffix(gap.Subject, file) || strings.HasSuffix(gap.Source.File, file)):
			return "not read: " + gap.Subject + ": " + gap.Reason
		}
	}
	return ""
}

func (it *Item) gone(at time.Time, note string) { it.State, it.GoneAt, it.Note = Gone, &at, note }

// longestSession is the longest session that AWS gives. Source: IAM User Guide, "Maximum session duration".
const longestSession = 12 * time.Hour

// sessionsOver: the sessions that a vendor had of a role are over when the role is not there any more, when its policies deny everything to
// those made before the trust was taken away, or when the longest session has passed since a snapshot showed the trust without the vendor.
func (p *Plan) sessionsOver(o *org.Org, it *Item, at time.Time) {
	role, there := o.Principal(it.Target)
	if !there && o.Inventoried(it.Account) {
		it.gone(at, "the role is gone")
		return
	}
	if !there {
		it.Note = "the role's account was not read completely"
		return
	}
	for _, d := range role.Identity.Policies {
		for i := range d.Rules {
			if r := &d.Rules[i]; r.Effect == policy.Deny && r.Actions.Match("*") && revokes(r.Condition) {
				it.gone(at, "a policy denies everything to older sessions")
				return
			}
		}
	}
	for i := range p.Items {
		t := &p.Items[i]
		if t.Kind == TrustStep && t.Target == it.Target && t.GoneAt != nil && !at.Before(t.GoneAt.Add(longestSession)) {
			it.gone(at, "no session lasts longer than 12 hours, and the trust is gone for longer")
			return
		}
	}
	it.Note = "no snapshot shows that they ended: look again 12 hours after the trust is gone, or end them"
}

func revokes(block cond.Block) bool {
	return slices.ContainsFunc(block, func(t cond.Test) bool {
		return strings.EqualFold(t.Key, "aws:TokenIssueTime") && strings.HasPrefix(t.Operator, "DateLessThan")
	})
}

// Mark says of items, by id or the beginning of one, that they are done. An id that no open item has is an error.
func (p *Plan) Mark(ids []string, at time.Time) error {
	at = at.UTC().Truncate(time.Second)
	for _, id := range ids {
		var found []int
		for i := range p.Items {
			if id != "" && strings.HasPrefix(p.Items[i].ID, id) {
				found = append(found, i)
			}
		}
		if len(found) != 1 {
			return fmt.Errorf("--done %q: %d items of the plan begin with it", id, len(found))
		}
		if it := &p.Items[found[0]]; it.State == Open {
			it.State, it.DoneAt = Done, &at
		}
	}
	return nil
}

// Count is how many items are in a state.
func (p *Plan) Count(state ItemState) int {
	n := 0
	for i := range p.Items {
		if p.Items[i].State == state {
			n++
		}
	}
	return n
}

// JSON is the plan as it is kept.
func (p *Plan) JSON() ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(p); err != nil {
		return nil, fmt.Errorf("writing the plan: %w", err)
	}
	return []byte(b.String()), nil
}
