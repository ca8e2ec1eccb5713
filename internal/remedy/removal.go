package remedy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/org"
	"drawbridge/internal/usage"
)

// quarantineSid begins the Sid of the statement that shuts a role; the day on which it was made follows, as YYYYMMDD.
const quarantineSid = "DrawbridgeQuarantine"

// Removal is the plan by which those from elsewhere are taken out of a role's trust policy or a resource's policy so that it can be taken back: shut
// by an explicit deny, watched for a time, removed.
type Removal struct {
	Target     string // ARN of the role or resource
	Type       string // CloudFormation type
	Account    string
	Quarantine time.Duration
	// Began is when the role was shut, as its trust policy says; zero: it is not yet. Ends is when the time of watching is over.
	Began, Ends time.Time
	// Before is the trust policy without the deny, to go back to; Shut is the one with it. Statement is the deny.
	Before, Shut *policy.Document
	Statement    policy.Statement
	// After is the policy at the end; nil: nobody else is let in, so that the role is deleted, or the resource has no policy any more.
	After *policy.Document
	// Outside are those from elsewhere whom the deny keeps out; StillOpen are those whom it does not, which is said first. Cut are those of the
	// own account, and services, whom it keeps out too.
	Outside, StillOpen, Cut []string
	// Attempts are calls since the role was shut: those that were refused, and those that came through all the same.
	Attempts []Attempt
	// Watched: a record of use since then was given.
	Watched bool
	Delete  []string // the commands that delete the role, or the resource's policy
}

// OfRole reports whether it is a role that is shut, and not a resource.
func (r *Removal) OfRole() bool { return r.Type == roleType }

// kind is what the removal changes.
func (r *Removal) kind() Kind {
	if r.OfRole() {
		return TrustPolicy
	}
	return ResourceDoc
}

const roleType = "AWS::IAM::Role"

// Shutting is the change that the first step makes.
func (r *Removal) Shutting() Change {
	return Change{Kind: r.kind(), Target: r.Target, Type: r.Type, Account: r.Account, Before: r.Before, After: r.Shut}
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

// Remove plans the removal of those from elsewhere from a role or a resource. everyone also keeps out the own account and AWS's services. fresh
// is a record of use made during the quarantine; nil: none.
func Remove(target string, in Inputs, quarantine time.Duration, everyone bool, fresh *usage.Record) (*Removal, error) {
	r := &Removal{Target: target, Type: roleType, Quarantine: quarantine}
	role, isRole := in.Graph.Org.Principal(target)
	resource, isResource := in.Graph.Org.Resource(target)
	switch {
	case isRole && role.Role != nil:
		r.Account = role.Account
		if p := role.Role.Trust.Policy; p != nil {
			r.Before = p.Document
		}
	case isResource:
		r.Type, r.Account = resource.Type, resource.Account
		if p := resource.Policy; p != nil && len(p.Policies) == 1 && len(p.Unresolved) == 0 {
			r.Before = p.Policies[0].Document
		}
	default:
		return nil, fmt.Errorf("role or resource %s: %w in the input", target, access.ErrNotFound)
	}
	if r.Before == nil {
		return nil, fmt.Errorf("%s has no policy that was read", target)
	}
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
		began, r.Statement = in.Now.UTC().Truncate(24*time.Hour), r.quarantineStatement(in.Now, everyone)
	}
	r.Ends = began.Add(quarantine)
	shut := original
	shut.Statements = append(slices.Clone(original.Statements), r.Statement)
	r.Shut = &shut
	r.prove(in)
	r.end(in, everyone)
	if isRole && r.After == nil {
		r.deleteRole(role)
	}
	r.watch(fresh, began)
	return r, nil
}

// quarantineStatement denies everybody from elsewhere: principals of other accounts, subjects of providers, anonymous callers. Those of the
// own account and AWS's services stay in, unless everyone is kept out. Source: IAM User Guide, aws:PrincipalAccount and
// aws:PrincipalIsAWSService; a negated test holds where the key is absent (rule 59), which is so for subjects of providers.
func (r *Removal) quarantineStatement(now time.Time, everyone bool) policy.Statement {
	s := policy.Statement{
		Sid: policy.Text{Value: quarantineSid + now.UTC().Format("20060102")}, Effect: policy.Deny,
		Principal: policy.PrincipalElement{Present: true, Values: []policy.PrincipalValue{{Type: policy.AnyPrincipal, Text: policy.Text{Value: "*"}}}},
		Action:    policy.Element{Present: true, Values: texts([]string{"sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"})},
	}
	if !everyone {
		s.Condition = []policy.Condition{test("BoolIfExists", "aws:PrincipalIsAWSService", "false"), test("StringNotEquals", "aws:PrincipalAccount", r.Account)}
	}
	if r.OfRole() {
		return s
	}
	s.Action.Values = texts([]string{serviceOf(r.Target) + ":*"})
	s.Resource.Present = true
	switch r.Type {
	case "AWS::S3::Bucket":
		s.Resource.Values = texts([]string{r.Target, r.Target + "/*"})
	case "AWS::KMS::Key", "AWS::SecretsManager::Secret", "AWS::ECR::Repository": // in their policies it is the resource itself
		s.Resource.Values = texts([]string{"*"})
	default:
		s.Resource.Values = texts([]string{r.Target})
	}
	return s
}

func serviceOf(name string) string {
	a, err := arn.Parse(name)
	if err != nil {
		return ""
	}
	return a.Service
}

// prove builds the organisation with the role shut and looks at each way in.
func (r *Removal) prove(in Inputs) {
	open := in.Rebuilt([]Change{{Kind: r.kind(), Target: r.Target, After: r.Before}})
	shut := in.Rebuilt([]Change{{Kind: r.kind(), Target: r.Target, After: r.Shut}})
	verdicts := map[string]*access.Edge{}
	name := func(e *access.Edge) string { return e.Grantee.ID + " by " + string(e.Mechanism) }
	for _, e := range shut.EdgesTo(r.Target) {
		verdicts[name(e)] = e
	}
	for _, e := range open.EdgesTo(r.Target) {
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
	c := eval.SomePrincipal(partitionOf(r.Target), stranger)
	known := &cond.Context{Rest: cond.Undetermined, Parent: c.Context()}
	engine := in.Graph.Engine()
	set := &eval.Set{Policies: []*policy.Policy{policy.Compile(r.Shut)}}
	for _, action := range r.asked() {
		d := engine.Decide(&eval.Request{Caller: c, Action: action, Resource: r.Target, ResourceAccount: r.Account, Context: known,
			Policies: &eval.Policies{CallerAssumed: true, Resource: set}})
		if d.Verdict != eval.Deny {
			return false
		}
	}
	return true
}

// asked are the actions that a stranger is asked about: to assume the role, or all that the resource's policy allows anybody by name.
func (r *Removal) asked() []eval.Action {
	if r.OfRole() {
		return []eval.Action{eval.MustAction("sts:AssumeRole")}
	}
	var out []eval.Action
	for _, s := range r.Before.Statements {
		for _, v := range s.Action.Values {
			for _, name := range ref.Expand(v.Value) {
				if a, err := eval.ActionOf(name); err == nil && s.Effect == policy.Allow && !s.Action.Not && a.Service() == serviceOf(r.Target) {
					out = append(out, a)
				}
			}
		}
	}
	return out
}

// end is what is removed at the end: all of the policy, where nobody of the own account and no service is let in, else those from elsewhere.
func (r *Removal) end(in Inputs, everyone bool) {
	after := *r.Before
	after.Statements = nil
	t := narrowing{kind: policy.Trust, target: r.Target, account: r.Account, in: in}
	if !r.OfRole() {
		t.kind = policy.Resource
	}
	for _, s := range r.Before.Statements {
		if s.Effect == policy.Allow {
			everybody := s.Principal.Not // all but some, and everybody, become those of the own account
			var kept []policy.PrincipalValue
			for _, v := range s.Principal.Values {
				if !s.Principal.Not && policy.CompilePrincipal(v.Type, v.Value).Form == policy.Everyone {
					everybody = true
					kept = append(kept, v)
				} else if s.Principal.Not || !t.names(v, "") {
					kept = append(kept, v)
				}
			}
			if len(kept) == 0 {
				continue
			}
			s.Principal.Values = kept
			if everybody {
				s.Condition = append(slices.Clone(s.Condition), test("StringEquals", "aws:PrincipalAccount", r.Account))
			}
		}
		after.Statements = append(after.Statements, s)
	}
	lets := slices.ContainsFunc(after.Statements, func(s policy.Statement) bool { return s.Effect == policy.Allow })
	if lets && !everyone {
		r.After = &after
		return
	}
	r.Delete = []string{setPolicy(&access.Target{ARN: r.Target, Type: r.Type}, slugOf(r.Target)+"-after.json", true)}
}

// deleteRole are the commands that delete the role.
func (r *Removal) deleteRole(role *org.Principal) {
	r.Delete = nil
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
		if c.Target != r.Target {
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

// Restore is the policy as it was.
func (r *Removal) Restore() []byte { return indented(r.Before) }

// Commands are those of a step: 1 shut, 3 remove.
func (r *Removal) Commands(step int) []string {
	t := &access.Target{ARN: r.Target, Type: r.Type}
	file := slugOf(r.Target)
	if r.OfRole() {
		file = roleName(r.Target)
	}
	switch {
	case step == 1:
		return []string{setPolicy(t, file+"-quarantine.json", false)}
	case step == 3 && r.After != nil:
		return []string{setPolicy(t, file+"-after.json", false)}
	case step == 3:
		return r.Delete
	}
	return nil
}

// JSON is a document of the plan as people read it.
func JSON(d *policy.Document) []byte { return indented(d) }
