package remedy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/rule"
)

// ErrInWords is returned where the remedy of a rule is no change that can be computed: it stands in the rule in words.
var ErrInWords = errors.New("the remedy of this rule cannot be computed")

// cures are the remedies of rules. What is not here has its remedy in words only.
var cures = map[string]func(*finding.Finding, Inputs) (*Proposal, error){
	"TRU-001": narrowed, "TRU-002": narrowed, "TRU-003": narrowed, "TRU-004": narrowed, "TRU-005": narrowed, "TRU-006": narrowed, "TRU-009": narrowed,
	"TRU-010": narrowed, "TRU-013": narrowed, "TRU-008": dropped, "TRU-012": trustActions,
	"EXT-001": narrowed, "EXT-002": narrowed, "EXT-003": narrowed, "EXT-004": narrowed, "EXT-005": narrowed, "EXT-006": dropped, "EXT-007": dropped,
	"FED-001": narrowed, "FED-002": narrowed, "FED-003": narrowed, "FED-004": narrowed, "FED-005": narrowed, "FED-006": narrowed, "FED-007": narrowed,
	"RES-001": narrowed, "RES-002": narrowed, "RES-003": narrowed, "KMS-001": narrowed,
	"REG-001": narrowed, "REG-003": dropped, "REG-005": narrowed, "USE-001": dropped, "USE-002": dropped, "USE-003": dropped,
	"SES-001": sessions, "SVC-001": sourced, "SVC-002": sourced,
	"PRM-001": permitted, "PRM-002": permitted, "PRM-005": permitted, "PRM-003": bounded, "PRM-004": permitted,
	"KMS-002": revoked, "SHR-001": unshared, "SHR-002": unshared,
}

// For is the remedy of a finding: the change that cures its rule. ErrInWords where it cannot be computed.
func For(f *finding.Finding, in Inputs) (*Proposal, error) {
	cure, ok := cures[f.Rule]
	if !ok {
		return nil, ErrInWords
	}
	return cure(f, in)
}

// State is what became of a finding after a change.
type State string

const (
	Cured      State = "cured"
	Lowered    State = "lowered"     // it is there, and a guard stops it
	StillFound State = "still found" // as it was, or in another form
	NotSaid    State = "not assessed"
)

// Recheck runs the finding's rule on the organisation as it would be after the changes. The reason is the rule's, where it still finds
// something on the subject.
func Recheck(r *rule.Rule, before *rule.Input, f *finding.Finding, in Inputs, changes []Change) (state State, reason string) {
	graph := in.Rebuilt(changes)
	after := *before
	after.Graph, after.Org = graph, graph.Org
	state = Cured
	known := map[string]bool{} // what was there before the change, beside this one
	for _, o := range rule.Run([]*rule.Rule{r}, before) {
		known[o.Fingerprint] = true
	}
	for _, n := range rule.Run([]*rule.Rule{r}, &after) {
		if n.Subject != f.Subject {
			continue
		}
		switch {
		case n.Status == finding.NotAssessed:
			if state == Cured {
				state, reason = NotSaid, n.Reason
			}
		case n.Lowered != "" && f.Lowered == "" && n.Fingerprint == f.Fingerprint:
			return Lowered, n.Lowered
		case n.Fingerprint == f.Fingerprint || f.Grantee == "":
			return StillFound, n.Reason
		case !known[n.Fingerprint]:
			return StillFound, "for " + n.Grantee + ": " + n.Reason
		}
	}
	return state, reason
}

// narrowed is the narrower trust or resource policy. Where nothing says who needs what is open to anyone, it is closed to those outside the
// organisation.
func narrowed(f *finding.Finding, in Inputs) (*Proposal, error) {
	if role, ok := in.Graph.Org.Principal(f.Subject); ok && role.Role != nil {
		p, err := Trust(role, in)
		if errors.Is(err, ErrNoEvidence) && slices.Contains([]string{"TRU-001", "TRU-002", "TRU-006"}, f.Rule) && in.Graph.Org.ID != "" {
			return insideOrganization(role.ARN, in)
		}
		return p, err
	}
	r, ok := in.Graph.Org.Resource(f.Subject)
	if !ok {
		return nil, fmt.Errorf("%s is neither a role nor a resource of the input: %w", f.Subject, ErrInWords)
	}
	p, err := Resource(r, in)
	if errors.Is(err, ErrNoEvidence) && f.Rule == "RES-001" && in.Graph.Org.ID != "" {
		return insideOrganization(r.ARN, in)
	}
	return p, err
}

// insideOrganization adds aws:PrincipalOrgID to the statements that are for anyone.
func insideOrganization(target string, in Inputs) (*Proposal, error) {
	t, c, err := onTarget(target, in)
	if err != nil {
		return nil, err
	}
	d := *t.live.Document
	d.Statements = slices.Clone(d.Statements)
	for i := range d.Statements {
		s := &d.Statements[i]
		anyone := slices.ContainsFunc(s.Principal.Values, func(v policy.PrincipalValue) bool {
			return policy.CompilePrincipal(v.Type, v.Value).Form == policy.Everyone
		})
		if s.Effect == policy.Allow && !s.Principal.Not && anyone {
			s.Condition = append(slices.Clone(s.Condition), equals("aws:PrincipalOrgID", in.Graph.Org.ID))
			t.because(i, "lets in anyone: it demands that the caller is of the organisation, for nothing says who needs it")
		}
	}
	c.After = &d
	return t.prove(c)
}

func equals(key string, values ...string) policy.Condition {
	return policy.Condition{Operator: policy.Text{Value: "StringEquals"}, Key: policy.Text{Value: key}, Values: texts(values)}
}

// onTarget begins the work on the policy of a role or resource.
func onTarget(name string, in Inputs) (*narrowing, Change, error) {
	if role, ok := in.Graph.Org.Principal(name); ok && role.Role != nil && role.Role.Trust.Policy != nil {
		t := &narrowing{kind: policy.Trust, target: role.ARN, account: role.Account, in: in, live: role.Role.Trust.Policy}
		t.callers()
		return t, Change{Kind: TrustPolicy, Target: role.ARN, Type: "AWS::IAM::Role", Account: role.Account, Before: t.live.Document}, nil
	}
	if r, ok := in.Graph.Org.Resource(name); ok && r.Policy != nil && len(r.Policy.Policies) == 1 {
		t := &narrowing{kind: policy.Resource, target: r.ARN, account: r.Account, in: in, live: r.Policy.Policies[0]}
		t.callers()
		return t, Change{Kind: ResourceDoc, Target: r.ARN, Type: r.Type, Account: r.Account, Before: t.live.Document}, nil
	}
	return nil, Change{}, fmt.Errorf("%s has no policy that was read: %w", name, ErrInWords)
}

// dropped takes the finding's grantee out of the policy, and everybody from elsewhere where it names none. Whoever uses the trust all the
// same is a break.
func dropped(f *finding.Finding, in Inputs) (*Proposal, error) {
	return Drop(f.Subject, f.Grantee, in)
}

// Drop takes one grantee, or with "" everybody from elsewhere, out of the policy of a role or resource.
func Drop(target, grantee string, in Inputs) (*Proposal, error) {
	t, c, err := onTarget(target, in)
	if err != nil {
		return nil, err
	}
	d := *t.live.Document
	d.Statements = nil
	for i, s := range t.live.Document.Statements {
		if s.Effect != policy.Allow || s.Principal.Not {
			d.Statements = append(d.Statements, s)
			continue
		}
		var kept []policy.PrincipalValue
		for _, v := range s.Principal.Values {
			if t.names(v, grantee) {
				t.because(i, "drops "+v.Value)
			} else {
				kept = append(kept, v)
			}
		}
		if len(kept) == 0 {
			t.because(i, "goes: nobody is left in it")
			continue
		}
		s.Principal.Values = kept
		d.Statements = append(d.Statements, s)
	}
	if len(t.reasons) == 0 {
		return nil, fmt.Errorf("no statement of %s names %s: %w", target, grantee, ErrInWords)
	}
	if c.After = &d; len(d.Statements) == 0 {
		if c.After = nil; t.kind == policy.Trust {
			c.After = closed.Document
			t.reasons = append(t.reasons, "nobody is left: the role is closed, and can be opened again")
		}
	}
	return t.prove(c)
}

// names reports whether a principal of the policy is a grantee; with "", whether it is from elsewhere.
func (t *narrowing) names(v policy.PrincipalValue, grantee string) bool {
	compiled := policy.CompilePrincipal(v.Type, v.Value)
	if grantee == "" {
		return v.Type != policy.Service && (compiled.Account != t.account || v.Type == policy.Federated)
	}
	return v.Value == grantee || compiled.Value == grantee || compiled.Form == policy.AccountForm && compiled.Account == grantee
}

// trustActions leaves of the actions of a trust those by which its principals assume the role, and those that it names beside them.
func trustActions(f *finding.Finding, in Inputs) (*Proposal, error) {
	t, c, err := onTarget(f.Subject, in)
	if err != nil {
		return nil, err
	}
	d := *t.live.Document
	d.Statements = slices.Clone(d.Statements)
	for i := range d.Statements {
		s, r := &d.Statements[i], &t.live.Rules[i]
		if s.Effect != policy.Allow || r.NotUnderstood != "" {
			continue
		}
		kept := policy.Element{Present: true, Pos: s.Action.Pos}
		for _, name := range []string{"sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity", "sts:SetSourceIdentity", "sts:TagSession"} {
			literal := !s.Action.Not && slices.ContainsFunc(s.Action.Values, func(v policy.Text) bool { return strings.EqualFold(v.Value, name) })
			if literal && assumes(s, name) || !literal && r.Actions.Match(strings.ToLower(name)) && assumes(s, name) && strings.Contains(name, "AssumeRole") {
				kept.Values = append(kept.Values, policy.Text{Value: name})
			}
		}
		if len(kept.Values) > 0 && elementKey(kept) != elementKey(s.Action) {
			t.because(i, "allows "+elementWords(kept)+" instead of "+elementWords(s.Action)+": a trust is for these only")
			s.Action = kept
		}
	}
	t.notes = append(t.notes, "whether callers pass session tags or a source identity is not recorded: where they do, name sts:TagSession or sts:SetSourceIdentity too")
	c.After = &d
	return t.prove(c)
}

// assumes reports whether an action is one by which some principal of the statement may come in.
func assumes(s *policy.Statement, action string) bool {
	if !strings.Contains(action, "AssumeRole") || s.Principal.Not {
		return true
	}
	return slices.ContainsFunc(s.Principal.Values, func(v policy.PrincipalValue) bool {
		switch {
		case v.Type == policy.Federated && strings.Contains(v.Value, ":saml-provider/"):
			return action == "sts:AssumeRoleWithSAML"
		case v.Type == policy.Federated:
			return action == "sts:AssumeRoleWithWebIdentity"
		}
		return action == "sts:AssumeRole"
	})
}

func sessions(f *finding.Finding, in Inputs) (*Proposal, error) {
	role, ok := in.Graph.Org.Principal(f.Subject)
	if !ok {
		return nil, fmt.Errorf("%s is not in the input: %w", f.Subject, ErrInWords)
	}
	return Session(role, in)
}

func permitted(f *finding.Finding, in Inputs) (*Proposal, error) {
	return permissionsOf(f, in, ActionGrain, false)
}

func bounded(f *finding.Finding, in Inputs) (*Proposal, error) {
	return permissionsOf(f, in, ActionGrain, true)
}

func permissionsOf(f *finding.Finding, in Inputs, grain Grain, boundary bool) (*Proposal, error) {
	role, ok := in.Graph.Org.Principal(f.Subject)
	if !ok || role.Role == nil {
		return nil, fmt.Errorf("%s is no role of the input: %w", f.Subject, ErrInWords)
	}
	return Permissions(role, in, grain, boundary)
}

// sourced demands of services that they act for the own account's resources, or for those that an entry names.
func sourced(f *finding.Finding, in Inputs) (*Proposal, error) { return Source(f.Subject, in) }

// sourceKeys are the keys by which a service says for whose resource it acts (rule 102).
var sourceKeys = []string{"aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths"}

// Source adds to every statement that lets in a service which sends source keys that it acts for a resource of the target's own account, or
// what the service's entry demands instead. Other principals of the statement stay in one without it.
func Source(target string, in Inputs) (*Proposal, error) {
	t, c, err := onTarget(target, in)
	if err != nil {
		return nil, err
	}
	d := *t.live.Document
	d.Statements = nil
	for i, s := range t.live.Document.Statements {
		var services, rest []policy.PrincipalValue
		for _, v := range s.Principal.Values {
			if sends, known := ref.SourceKeys(v.Value); v.Type == policy.Service && sends && known {
				services = append(services, v)
			} else {
				rest = append(rest, v)
			}
		}
		if s.Effect != policy.Allow || s.Principal.Not || len(services) == 0 || t.bound(&s) {
			d.Statements = append(d.Statements, s)
			continue
		}
		with := s
		with.Principal.Values = services
		with.Condition = slices.Clone(s.Condition)
		demanded := t.sourceOf(services)
		for _, n := range demanded {
			with.Condition = slices.DeleteFunc(with.Condition, func(c policy.Condition) bool {
				return strings.EqualFold(c.Key.Value, n.Key.Value) && strings.EqualFold(c.Operator.Value, n.Operator.Value)
			})
			with.Condition = append(with.Condition, n)
			t.because(i, fmt.Sprintf("demands of %s %s %s", services[0].Value, n.Key.Value, strings.Join(values(n.Values), ", ")))
		}
		if len(rest) > 0 {
			s.Principal.Values = rest
			d.Statements = append(d.Statements, s)
			if with.Sid.Value != "" {
				with.Sid.Value += "Services"
			}
		}
		d.Statements = append(d.Statements, with)
	}
	t.notes = append(t.notes, "for whose resource a service acted is not recorded: look whether the resources that use this are all of account "+t.account)
	c.After = &d
	return t.prove(c)
}

// bound reports whether a statement names the own account, or a resource of it, as the only source.
func (t *narrowing) bound(s *policy.Statement) bool {
	return slices.ContainsFunc(s.Condition, func(c policy.Condition) bool {
		if !slices.Contains(sourceKeys, strings.ToLower(c.Key.Value)) || strings.HasSuffix(c.Operator.Value, "IfExists") || strings.Contains(c.Operator.Value, "Not") {
			return false
		}
		return !slices.ContainsFunc(c.Values, func(v policy.Text) bool {
			return v.Value != t.account && arn.Account(v.Value) != t.account && (t.in.Graph.Org.ID == "" || !strings.HasPrefix(v.Value, t.in.Graph.Org.ID))
		})
	})
}

func (t *narrowing) sourceOf(services []policy.PrincipalValue) []policy.Condition {
	for i := range t.needs {
		n := &t.needs[i]
		if n.entry == nil || !slices.ContainsFunc(services, func(v policy.PrincipalValue) bool { return v.Value == n.caller }) {
			continue
		}
		var out []policy.Condition
		for j := range n.entry.TrustConditions {
			test := &n.entry.TrustConditions[j]
			if slices.Contains(sourceKeys, strings.ToLower(test.Key)) {
				out = append(out, policy.Condition{Operator: policy.Text{Value: test.Operator}, Key: policy.Text{Value: test.Key}, Values: texts(test.Constraint().Values())})
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return []policy.Condition{equals("aws:SourceAccount", t.account)}
}

// revoked revokes the KMS grants to the finding's grantee on the key.
func revoked(f *finding.Finding, in Inputs) (*Proposal, error) {
	return takenBack(f, in, access.KMSGrantGiven)
}

// unshared takes a share back from the finding's grantee.
func unshared(f *finding.Finding, in Inputs) (*Proposal, error) {
	return takenBack(f, in, access.ShareGiven)
}

func takenBack(f *finding.Finding, in Inputs, mechanism access.Mechanism) (*Proposal, error) {
	p := &Proposal{Subject: f.Subject, Notes: in.evidence(f.Account)}
	for _, e := range in.Graph.EdgesTo(f.Subject) {
		if e.Mechanism != mechanism || !e.CrossAccount || f.Grantee != "" && e.Grantee.ID != f.Grantee && e.Grantee.Account != f.Grantee {
			continue
		}
		c := Change{Kind: Share, Target: e.Target.ARN, Type: e.Target.Type, Account: e.Target.Account, Name: e.Grantee.ID, Commands: unshare(e)}
		if mechanism == access.KMSGrantGiven {
			id := strings.TrimPrefix(e.By.Document, "grant ")
			c.Kind, c.Name, c.Commands = KMSGrant, id, []string{revokeGrant(e.Target.ARN, id)}
		}
		p.Changes = append(p.Changes, c)
		p.Reasons = append(p.Reasons, fmt.Sprintf("%s gives %s to %s", e.By.Document, strings.Join(e.Actions, ", "), e.Grantee.ID))
		if in.Usage != nil {
			for i := range in.Usage.Crossings {
				u := &in.Usage.Crossings[i]
				if u.Target == f.Subject && u.Count > 0 && !u.Last.Before(in.Since) && (u.Caller == e.Grantee.ID || arn.Account(u.Caller) == e.Grantee.Account || u.Caller == e.Grantee.Account) {
					p.Breaks = append(p.Breaks, Break{u.Caller, fmt.Sprintf("%s, used %d times, last on %s", u.Mechanism, u.Count, u.Last.Format("2006-01-02")), "it may be allowed by this alone"})
				}
			}
		}
	}
	if len(p.Changes) == 0 {
		return nil, fmt.Errorf("what shares %s is not in the input: %w", f.Subject, ErrInWords)
	}
	return p, nil
}

func revokeGrant(key, id string) string {
	return fmt.Sprintf("aws kms revoke-grant --key-id %s --grant-id %s", key, id)
}
