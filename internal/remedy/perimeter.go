package remedy

import (
	"cmp"
	"errors"
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
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
)

// Closed is a way that a perimeter closes: an edge that was open, or open under conditions, and is denied by it. The edge itself is the
// witness: its grantee, action and target are a request that was possible and is not any more.
type Closed struct {
	Who, Action, Target string
}

// unauthenticated are services whose calls for signing in carry no principal: a perimeter of principals would refuse them to everybody.
var unauthenticated = []string{"cognito-identity", "cognito-idp", "rolesanywhere", "signin"}

// reachingOut are the actions by which data leaves for a resource of another account. ECR is left out: AWS's own images are pulled by it.
var reachingOut = []string{"dynamodb:*", "kms:*", "lambda:InvokeFunction", "s3:*", "secretsmanager:*", "sns:*", "sqs:*", "sts:AssumeRole"}

// Perimeter proposes a guard around the organisation. An RCP refuses principals from outside at the organisation's resources, of the services
// that RCPs reach; an SCP refuses the organisation's principals at resources outside. AWS's own services, and the accounts that the registry
// declares, are excepted. It is proven by replay, and by the ways that it closes.
func Perimeter(kind Kind, in Inputs) (*Proposal, error) {
	o := in.Graph.Org
	root := ""
	if o.Snapshot.Organization != nil {
		for _, u := range o.Snapshot.Organization.Units {
			if !strings.Contains(u.Path, "/") {
				root = u.Path
			}
		}
	}
	if o.ID == "" || root == "" {
		return nil, errors.New("the organisation's id or its root is not in the input: a perimeter cannot be drawn")
	}
	p := &Proposal{Subject: root}
	partners := in.partners(kind, p)
	name, sid, orgKey, accountKey := "perimeter-identities", "OnlyPrincipalsOfTheOrganization", "aws:PrincipalOrgID", "aws:PrincipalAccount"
	exceptions := []policy.Condition{test("BoolIfExists", "aws:PrincipalIsAWSService", "false")}
	p.Notes = append(p.Notes, "the management account is bound by no RCP and no SCP")
	if kind == SCP {
		name, sid, orgKey, accountKey = "perimeter-resources", "OnlyResourcesOfTheOrganization", "aws:ResourceOrgID", "aws:ResourceAccount"
		// A request without a resource of an account (a listing) has neither key, and stays allowed.
		exceptions = []policy.Condition{test("BoolIfExists", "aws:ViaAWSService", "false"), test("Null", "aws:ResourceAccount", "false")}
		p.Notes = append(p.Notes, "resources of AWS itself (packages in S3, images in ECR) are of no organisation: what uses them must be excepted, and is listed where it was recorded")
	} else {
		p.Notes = append(p.Notes, "identity providers stay outside of it: sts:AssumeRoleWithWebIdentity and sts:AssumeRoleWithSAML carry no principal of an organisation",
			"services for signing in are left out ("+strings.Join(unauthenticated, ", ")+"): their calls carry no principal")
	}
	outside := test("StringNotEqualsIfExists", orgKey, o.ID)
	conditions := []policy.Condition{outside}
	if len(partners) > 0 {
		conditions = append(conditions, test("StringNotEqualsIfExists", accountKey, partners...))
	}
	s := policy.Statement{Sid: policy.Text{Value: sid}, Effect: policy.Deny, Action: policy.Element{Present: true, Values: texts(perimeterActions(kind))},
		Resource: policy.Element{Present: true, Values: texts([]string{"*"})}, Condition: append(conditions, exceptions...)}
	if kind == RCP {
		s.Principal = policy.PrincipalElement{Present: true, Values: []policy.PrincipalValue{{Type: policy.AnyPrincipal, Text: policy.Text{Value: "*"}}}}
	}
	d := &policy.Document{Version: policy.Text{Value: "2012-10-17"}, Statements: []policy.Statement{s}}
	p.Changes = []Change{{Kind: kind, Target: root, Account: o.Snapshot.Organization.ManagementAccount, Name: name, After: d}}
	p.Notes = append(p.Notes, tooLong(p.Changes)...)
	after := in.Rebuilt(p.Changes)
	in.replayPerimeter(p, kind, after, partners)
	p.Closes = closes(in.Graph, after)
	return p, nil
}

func test(operator, key string, values ...string) policy.Condition {
	return policy.Condition{Operator: policy.Text{Value: operator}, Key: policy.Text{Value: key}, Values: texts(values)}
}

// perimeterActions are, for an RCP, all actions of the services that RCPs reach; of STS, the one by which a principal assumes a role.
func perimeterActions(kind Kind) []string {
	if kind == SCP {
		return reachingOut
	}
	var out []string
	for service := range ref.RCPServices() {
		switch {
		case service == "sts":
			out = append(out, "sts:AssumeRole")
		case !slices.Contains(unauthenticated, service):
			out = append(out, service+":*")
		}
	}
	slices.Sort(out)
	return out
}

// partners are the accounts outside that the registry declares, on the side that the perimeter looks at, each with its reason.
func (in *Inputs) partners(kind Kind, p *Proposal) []string {
	why := map[string]string{}
	add := func(account, reason string) {
		if arn.IsAccountID(account) && in.Graph.Org.Membership(account) == org.Outside && why[account] == "" {
			why[account] = reason
		}
	}
	for _, pair := range in.Registry.Pairs() {
		if pair.Entry.Expires.Over(in.Now) {
			continue
		}
		name := pair.Source
		if kind == SCP {
			name = pair.Target
		}
		account := name
		if !arn.IsAccountID(name) {
			account = arn.Account(name)
		}
		add(account, "entry "+pair.Entry.Name)
	}
	if in.Registry != nil && kind == RCP {
		for i := range in.Registry.Vendors {
			v := &in.Registry.Vendors[i]
			for _, account := range v.Accounts {
				if !v.Ended(in.Now) {
					add(account, "vendor "+v.Name)
				}
			}
		}
	}
	accounts := make([]string, 0, len(why))
	for account := range why {
		accounts = append(accounts, account)
	}
	slices.Sort(accounts)
	for _, account := range accounts {
		p.Reasons = append(p.Reasons, "account "+account+" is excepted: "+why[account])
	}
	if in.Registry == nil {
		p.Notes = append(p.Notes, "no registry was given: no account outside is excepted")
	}
	return accounts
}

// assuming is the call by which a declared caller comes into a role.
func assuming(source string) string {
	switch {
	case strings.HasPrefix(source, "oidc:") || strings.Contains(source, ":oidc-provider/"):
		return "sts:AssumeRoleWithWebIdentity"
	case strings.Contains(source, ":saml-provider/"):
		return "sts:AssumeRoleWithSAML"
	}
	return "sts:AssumeRole"
}

// replayPerimeter asks every recorded use and every declared need before and after.
func (in *Inputs) replayPerimeter(p *Proposal, kind Kind, after *access.Graph, partners []string) {
	broken := map[string]bool{}
	ask := func(caller, action, target, because string) {
		q := access.Question{Principal: caller, Action: action, Resource: target, Rest: cond.Undetermined, Context: map[string][]string{"aws:ViaAWSService": {"false"}}}
		if account := arn.Account(target); account != "" && in.Graph.Org.Membership(account) == org.Outside {
			q.Context["aws:ResourceOrgID"] = []string{"o-another"} // which one is not known, but that it is another
		}
		key := caller + " " + action + " " + target
		if broken[key] {
			return
		}
		old, err := in.Graph.Decide(q)
		if err != nil {
			p.NotDecided = append(p.NotDecided, fmt.Sprintf("%s by %s on %s (%s): %v", action, caller, target, because, err))
			return
		}
		// What was recorded was allowed, whatever the input knows of a target outside: it breaks where the new guard denies it.
		if now, err := after.Decide(q); err == nil && now.Verdict == eval.Deny && (old.Verdict != eval.Deny || now.Explicit && now.By.Layer != old.By.Layer) {
			broken[key] = true
			p.Breaks = append(p.Breaks, Break{caller, action + " on " + target + ", " + because, "denied by " + now.By.Layer.String()})
		}
	}
	for _, pair := range in.Registry.Pairs() {
		if pair.Entry.Expires.Over(in.Now) {
			continue
		}
		because := "entry " + pair.Entry.Name + " declares it"
		if strings.Contains(pair.Target, ":role/") {
			ask(pair.Source, assuming(pair.Source), pair.Target, because)
			continue
		}
		target, _ := arn.Parse(pair.Target)
		for _, w := range declaredActions(pair.Entry) {
			if names := w.names(); len(names) > 0 && strings.HasPrefix(strings.ToLower(names[0]), target.Service+":") {
				ask(pair.Source, names[0], pair.Target, because)
			}
		}
	}
	if in.Usage == nil {
		p.Notes = append(p.Notes, "no record of use was given: only declared needs are replayed")
		return
	}
	for i := range in.Usage.Crossings {
		c := &in.Usage.Crossings[i]
		if c.Count == 0 || c.Last.Before(in.Since) {
			continue
		}
		because := fmt.Sprintf("used %d times, last on %s", c.Count, c.Last.Format(time.DateOnly))
		if strings.HasPrefix(c.Mechanism, "AssumeRole") {
			ask(c.Caller, "sts:"+c.Mechanism, c.Target, because)
			continue
		}
		for _, w := range wantedOf(c.Mechanism, because) {
			ask(c.Caller, w.pattern, c.Target, because)
		}
	}
	if kind == RCP {
		return
	}
	var covered patterns
	for _, a := range reachingOut {
		covered = append(covered, strings.ToLower(a))
	}
	for i := range in.Usage.Actions {
		u := &in.Usage.Actions[i]
		if u.Count == 0 || u.Last.Before(in.Since) || u.Action == "sts:AssumeRole" || !covered.match(u.Action) ||
			in.Graph.Org.Membership(u.Account) != org.Outside || in.Graph.Org.Membership(arn.Account(u.Caller)) != org.Inside || slices.Contains(partners, u.Account) {
			continue
		}
		p.Breaks = append(p.Breaks, Break{u.Caller, fmt.Sprintf("%s in account %s, used %d times, last on %s", u.Action, u.Account, u.Count, u.Last.Format(time.DateOnly)),
			"account " + u.Account + " is outside, and no entry declares it"})
	}
}

// closes are the ways that were open, or open under conditions, and are denied after the change.
func closes(before, after *access.Graph) []Closed {
	open := map[Closed]bool{}
	key := func(e *access.Edge) Closed {
		action := "sts:" + string(e.Mechanism)
		if len(e.Actions) > 0 {
			action = strings.Join(e.Actions, ", ")
		}
		return Closed{e.Grantee.ID, action, e.Target.ARN}
	}
	for _, e := range before.Edges {
		if e.CrossAccount && e.Verdict != eval.Deny {
			open[key(e)] = true
		}
	}
	var out []Closed
	for _, e := range after.Edges {
		if k := key(e); e.CrossAccount && e.Verdict == eval.Deny && open[k] {
			out = append(out, k)
			delete(open, k)
		}
	}
	slices.SortFunc(out, func(a, b Closed) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Who, b.Who), cmp.Compare(a.Action, b.Action))
	})
	return out
}

// Disappear are the findings of one run that another lacks, or has lowered by a guard. NotAssessed ones are no findings here.
func Disappear(before, after []finding.Finding) (gone, lowered []finding.Finding) {
	now := map[string]*finding.Finding{}
	for i := range after {
		if after[i].Status == finding.Confirmed {
			now[after[i].Fingerprint] = &after[i]
		}
	}
	for _, f := range before {
		switch n := now[f.Fingerprint]; {
		case f.Status != finding.Confirmed:
		case n == nil:
			gone = append(gone, f)
		case n.Lowered != "" && f.Lowered == "":
			lowered = append(lowered, *n)
		}
	}
	return gone, lowered
}

// patterns are patterns of actions, in lower case.
type patterns []string

func (l patterns) match(action string) bool {
	return slices.ContainsFunc(l, func(p string) bool { return arn.MatchGlob(p, strings.ToLower(action)) })
}
