package remedy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/internal/access"
	"drawbridge/internal/org"
	"drawbridge/internal/usage"
)

// quarantineSid begins the Sid of the statement that shuts a role; the day on which it was made follows, as YYYYMMDD.
const quarantineSid = "DrawbridgeQuarantine"

// Removal is the plan by which a role's trust is removed so that it can be taken back: shut by an explicit deny, watched for a time, removed.
type Removal struct {
	Role       string
	Account    string
	Quarantine time.Duration
	// Began is when the role was shut, as its trust policy says; zero: it is not yet. Ends is when the time of watching is over.
	Began, Ends time.Time
	// Before is the trust policy without the deny, to go back to; Shut is the one with it. Statement is the deny.
	Before, Shut *policy.Document
	Statement    policy.Statement
	// After is the trust policy at the end; nil: the role is deleted, for nobody else is let in.
	After *policy.Document
	// Outside are those from elsewhere whom the deny keeps out; StillOpen are those whom it does not, which is said first. Cut are those of the
	// own account, and services, whom it keeps out too.
	Outside, StillOpen, Cut []string
	// Attempts are calls since the role was shut: those that were refused, and those that came through all the same.
	Attempts []Attempt
	// Watched: a record of use since then was given.
	Watched bool
	Delete  []string // the commands that delete the role
}

// Attempt is a caller who tried to come in during the quarantine.
type Attempt struct {
	Caller  string
	Refused int
	Last    time.Time
	CameIn  int // uses that succeeded since: the deny is not in force, or was taken away
}

// Next is the step that is to be done: 1 shut, 2 watch, 3 remove.
func (r *Removal) Next(now time.Time) int {
	switch {
	case r.Began.IsZero():
		return 1
	case now.Before(r.Ends) || len(r.Attempts) > 0:
		return 2
	}
	return 3
}

// Remove plans the removal of a role's trust. everyone also keeps out the own account and AWS's services. fresh is a record of use made
// during the quarantine; nil: none.
func Remove(role *org.Principal, in Inputs, quarantine time.Duration, everyone bool, fresh *usage.Record) (*Removal, error) {
	if role.Role == nil || role.Role.Trust.Policy == nil {
		return nil, fmt.Errorf("%s has no trust policy that was read", role.ARN)
	}
	r := &Removal{Role: role.ARN, Account: role.Account, Quarantine: quarantine, Before: role.Role.Trust.Policy.Document}
	original := *r.Before
	original.Statements = nil
	for _, s := range r.Before.Statements {
		if day, ok := strings.CutPrefix(s.Sid.Value, quarantineSid); ok && s.Effect == policy.Deny {
			if began, err := time.Parse("20060102", day); err == nil {
				r.Began, r.Statement = began, s
				continue
			}
		}
		original.Statements = append(original.Statements, s)
	}
	r.Before = &original
	began := r.Began
	if began.IsZero() {
		began, r.Statement = in.Now.UTC().Truncate(24*time.Hour), quarantineStatement(role.Account, in.Now, everyone)
	}
	r.Ends = began.Add(quarantine)
	shut := original
	shut.Statements = append(slices.Clone(original.Statements), r.Statement)
	r.Shut = &shut
	r.prove(in)
	r.end(role, everyone)
	r.watch(fresh, began)
	return r, nil
}

// quarantineStatement denies everybody from elsewhere: principals of other accounts, subjects of providers, anonymous callers. Those of the
// own account and AWS's services stay in, unless everyone is kept out. Source: IAM User Guide, aws:PrincipalAccount and
// aws:PrincipalIsAWSService; a negated test holds where the key is absent (rule 59), which is so for subjects of providers.
func quarantineStatement(account string, now time.Time, everyone bool) policy.Statement {
	s := policy.Statement{
		Sid: policy.Text{Value: quarantineSid + now.UTC().Format("20060102")}, Effect: policy.Deny,
		Principal: policy.PrincipalElement{Present: true, Values: []policy.PrincipalValue{{Type: policy.AnyPrincipal, Text: policy.Text{Value: "*"}}}},
		Action:    policy.Element{Present: true, Values: texts([]string{"sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"})},
	}
	if !everyone {
		s.Condition = []policy.Condition{test("BoolIfExists", "aws:PrincipalIsAWSService", "false"), test("StringNotEquals", "aws:PrincipalAccount", account)}
	}
	return s
}

// prove builds the organisation with the role shut and looks at each way in.
func (r *Removal) prove(in Inputs) {
	open := in.Rebuilt([]Change{{Kind: TrustPolicy, Target: r.Role, After: r.Before}})
	shut := in.Rebuilt([]Change{{Kind: TrustPolicy, Target: r.Role, After: r.Shut}})
	verdicts := map[string]*access.Edge{}
	name := func(e *access.Edge) string { return e.Grantee.ID + " by " + string(e.Mechanism) }
	for _, e := range shut.EdgesTo(r.Role) {
		verdicts[name(e)] = e
	}
	for _, e := range open.EdgesTo(r.Role) {
		if e.Verdict == eval.Deny {
			continue
		}
		now := verdicts[name(e)]
		denied := now != nil && now.Verdict == eval.Deny
		// Everybody and everybody else are also the own account: whoever comes from another one is asked about by himself.
		if e.Grantee.Kind == access.Anyone || e.Grantee.Kind == access.EveryoneElse {
			denied = r.keepsOutStrangers(in)
		}
		switch own := !e.CrossAccount || e.Grantee.Kind == access.ServiceGrantee; {
		case !own && denied:
			r.Outside = append(r.Outside, name(e))
		case !own:
			r.StillOpen = append(r.StillOpen, name(e))
		case denied:
			r.Cut = append(r.Cut, name(e))
		}
	}
}

// keepsOutStrangers asks about some principal of an account that nobody names.
func (r *Removal) keepsOutStrangers(in Inputs) bool {
	stranger := "000000000001"
	c := eval.SomePrincipal(partitionOf(r.Role), stranger)
	known := &cond.Context{Rest: cond.Undetermined, Parent: c.Context()}
	engine := in.Graph.Engine()
	d := engine.Decide(&eval.Request{Caller: c, Action: eval.MustAction("sts:AssumeRole"), Resource: r.Role, ResourceAccount: r.Account, Context: known,
		Policies: &eval.Policies{CallerAssumed: true, Resource: &eval.Set{Policies: []*policy.Policy{policy.Compile(r.Shut)}}}})
	return d.Verdict == eval.Deny
}

// end is what is removed at the end: the role, where nobody of the own account and no service is let in, else those from elsewhere.
func (r *Removal) end(role *org.Principal, everyone bool) {
	after := *r.Before
	after.Statements = nil
	t := narrowing{kind: policy.Trust, target: role.ARN, account: role.Account}
	for _, s := range r.Before.Statements {
		if s.Effect == policy.Allow && !s.Principal.Not {
			var kept []policy.PrincipalValue
			for _, v := range s.Principal.Values {
				if !t.names(v, "") {
					kept = append(kept, v)
				}
			}
			if len(kept) == 0 {
				continue
			}
			s.Principal.Values = kept
		}
		after.Statements = append(after.Statements, s)
	}
	lets := slices.ContainsFunc(after.Statements, func(s policy.Statement) bool { return s.Effect == policy.Allow })
	if lets && !everyone {
		r.After = &after
		return
	}
	name := roleName(role.ARN)
	for _, p := range role.Role.InstanceProfiles {
		r.Delete = append(r.Delete, fmt.Sprintf("aws iam remove-role-from-instance-profile --instance-profile-name %s --role-name %s", roleName(p), name))
	}
	for _, a := range role.Attached {
		r.Delete = append(r.Delete, fmt.Sprintf("aws iam detach-role-policy --role-name %s --policy-arn %s", name, a.ARN))
	}
	for _, d := range role.Inline {
		r.Delete = append(r.Delete, fmt.Sprintf("aws iam delete-role-policy --role-name %s --policy-name %s", name, d.Name))
	}
	r.Delete = append(r.Delete, "aws iam delete-role --role-name "+name)
}

// watch lists who came to the shut role. The day on which it was shut counts only from the first refusal on: what succeeded on it may
// have been before.
func (r *Removal) watch(fresh *usage.Record, began time.Time) {
	if fresh == nil || r.Began.IsZero() {
		return
	}
	r.Watched = true
	for i := range fresh.Crossings {
		c := &fresh.Crossings[i]
		if c.Target != r.Role {
			continue
		}
		a := Attempt{Caller: c.Caller}
		if !c.LastDenied.Before(began) && c.Denied > 0 {
			a.Refused, a.Last = c.Denied, c.LastDenied
		}
		if c.Count > 0 && !c.Last.Before(began.Add(24*time.Hour)) && !r.stays(c.Caller) {
			a.CameIn = c.Count
			if c.Last.After(a.Last) {
				a.Last = c.Last
			}
		}
		if a.Refused+a.CameIn > 0 {
			r.Attempts = append(r.Attempts, a)
		}
	}
	slices.SortFunc(r.Attempts, func(a, b Attempt) int { return strings.Compare(a.Caller, b.Caller) })
}

// stays reports whether a caller may come in during the quarantine.
func (r *Removal) stays(caller string) bool {
	return len(r.Statement.Condition) > 0 && (access.AccountOf(caller) == r.Account || caller == r.Account || strings.HasSuffix(caller, ".amazonaws.com"))
}

// Restore is the trust policy as it was, and Commands are those of the steps, in their order: shut, watch, remove.
func (r *Removal) Restore() []byte { return indented(r.Before) }

// Commands are those of a step.
func (r *Removal) Commands(step int) []string {
	name := roleName(r.Role)
	set := "aws iam update-assume-role-policy --role-name " + name + " --policy-document file://" + name
	switch step {
	case 1:
		return []string{set + "-quarantine.json"}
	case 3:
		if r.After != nil {
			return []string{set + "-after.json"}
		}
		return r.Delete
	}
	return nil
}

// JSON is a document of the plan as people read it.
func JSON(d *policy.Document) []byte { return indented(d) }
