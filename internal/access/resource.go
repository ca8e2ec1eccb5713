package access

import (
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
)

// resourceEdges are the trusts that a resource's policy grants.
func (g *Graph) resourceEdges(r *org.Resource) []*Edge {
	target := Target{ARN: r.ARN, Type: r.Type, Account: r.Account, Resource: r}
	if r.Policy == nil {
		return nil
	}
	if len(r.Policy.Unresolved) > 0 {
		return []*Edge{g.unreadable(target, ResourcePolicy, r.Policy.Unresolved[0], r.Resource.Policy)}
	}
	var b granted
	g.collect(&b, r.Policy, r.Resource.Policy, &target, func(*policy.Rule, *policy.CompiledPrincipal) Mechanism { return ResourcePolicy })
	edges := make([]*Edge, 0, len(b.order))
	ctx := g.resourceContext(r)
	for _, key := range b.order {
		e := b.edges[key]
		e.Target = target
		e.CrossAccount = e.Grantee.Account != target.Account
		e.Actions = grantedActions(e)
		c, p := g.callerOf(&e.Grantee, &target, e.Mechanism)
		g.conditions(e, c, ctx)
		g.settle(e, c, p, ctx)
		edges = append(edges, e)
	}
	return edges
}

// grantedActions are the action patterns of the edge's statements as written.
func grantedActions(e *Edge) []string {
	var actions []string
	for i := range e.Grants {
		element := &e.Grants[i].Statement.Action
		for _, v := range element.Values {
			if element.Not {
				actions = append(actions, "all but "+v.Value)
			} else {
				actions = append(actions, v.Value)
			}
		}
	}
	slices.Sort(actions)
	return slices.Compact(actions)
}

// resourceContext is what is known of every request to a resource.
func (g *Graph) resourceContext(r *org.Resource) *cond.Context {
	ctx := &cond.Context{Rest: cond.Undetermined}
	g.describeTarget(ctx, r.Account)
	setRegion(ctx, r.ARN)
	for key, value := range r.Tags {
		ctx.Set("aws:ResourceTag/"+key, value)
	}
	return ctx
}

// setRegion: a resource whose ARN carries a region is asked for at the endpoint of that region.
func setRegion(ctx *cond.Context, resource string) {
	if a, err := arn.Parse(resource); err == nil && a.Region != "" {
		ctx.Set("aws:RequestedRegion", a.Region)
	}
}

// probe is one concrete question by which an edge is judged.
type probe struct {
	action   eval.Action
	resource string
}

// maxProbes bounds the questions asked of one statement.
const maxProbes = 48

// probes are the questions that one statement of a target's policy raises: for a role the one action by which it is
// assumed; for a resource each action and each part that the statement names, and, where the caller's policies name
// narrower ones, those too.
func (g *Graph) probes(rule *policy.Rule, e *Edge, p *org.Principal) []probe {
	if e.Target.Role != nil {
		return []probe{{actionOf(e.Mechanism), e.Target.ARN}}
	}
	actions := probeActions(rule, e.Target.Type, p)
	resources := probeResources(rule, e.Target.ARN, p)
	var probes []probe
	for _, a := range actions {
		for _, r := range resources {
			if fits(a, r, e.Target.ARN) && len(probes) < maxProbes {
				probes = append(probes, probe{a, r})
			}
		}
	}
	if len(probes) == 0 && len(actions) > 0 {
		probes = append(probes, probe{actions[0], e.Target.ARN})
	}
	return probes
}

// representative are, by CloudFormation type, the actions that stand for reading, writing and administering a resource
// where a statement names them by a wildcard only. Other types are probed by what their statements name.
var representative = map[string][]string{
	"AWS::S3::Bucket":             {"s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject", "s3:PutBucketPolicy"},
	"AWS::KMS::Key":               {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:CreateGrant", "kms:PutKeyPolicy"},
	"AWS::SQS::Queue":             {"sqs:ReceiveMessage", "sqs:SendMessage", "sqs:AddPermission"},
	"AWS::SNS::Topic":             {"sns:Publish", "sns:Subscribe", "sns:AddPermission"},
	"AWS::Lambda::Function":       {"lambda:InvokeFunction", "lambda:UpdateFunctionCode", "lambda:AddPermission"},
	"AWS::SecretsManager::Secret": {"secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:PutResourcePolicy"},
	"AWS::ECR::Repository":        {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:PutImage", "ecr:SetRepositoryPolicy"},
	"AWS::DynamoDB::Table":        {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"},
}

// RepresentativeActions are the actions that stand for reading, writing and administering a resource of a CloudFormation
// type; nil for a type without such a list.
func RepresentativeActions(resourceType string) []string { return representative[resourceType] }

// probeActions are the concrete actions that a statement covers: those that it or the caller's policies spell out, and the
// representative ones.
func probeActions(rule *policy.Rule, resourceType string, p *org.Principal) []eval.Action {
	var names []string
	add := func(name string) {
		if rule.Actions.Match(strings.ToLower(name)) && !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			names = append(names, name)
		}
	}
	if !rule.Actions.Not {
		for i := range rule.Actions.Globs {
			if name, ok := rule.Actions.Globs[i].Literal(); ok {
				add(name)
			}
		}
	}
	for _, name := range representative[resourceType] {
		add(name)
	}
	if p != nil {
		for _, q := range p.Identity.Policies {
			for i := range q.Rules {
				for j := range q.Rules[i].Actions.Globs {
					if name, ok := q.Rules[i].Actions.Globs[j].Literal(); ok && !q.Rules[i].Actions.Not {
						add(name)
					}
				}
			}
		}
	}
	if len(names) == 0 && !rule.Actions.Not {
		for i := range rule.Actions.Globs {
			if example := cond.Example(rule.Actions.Globs[i].String()); strings.Contains(example, ":") {
				add(example)
			}
		}
	}
	actions := make([]eval.Action, 0, len(names))
	for _, name := range names {
		if a, err := eval.ActionOf(name); err == nil {
			actions = append(actions, a)
		}
	}
	return actions
}

// probeResources are the parts of a resource that a statement names: its patterns as written (a pattern asks for all of
// it), the caller's narrower patterns, and the resource itself with everything in it where the statement says "*".
func probeResources(rule *policy.Rule, target string, p *org.Principal) []string {
	inTarget := arn.CompilePattern(target + "*")
	var resources []string
	add := func(r string) {
		if !slices.Contains(resources, r) {
			resources = append(resources, r)
		}
	}
	whole := !rule.Resources.Present || rule.Resources.Not
	for i := range rule.Resources.Values {
		v := &rule.Resources.Values[i]
		switch {
		case rule.Resources.Not:
		case v.Template != nil || v.Pattern.Anything():
			whole = true
		case v.Pattern.Intersects(&inTarget):
			if covered := arn.CompilePattern(target); v.Pattern.Covers(&inTarget) && !covered.Covers(&v.Pattern) {
				whole = true
			} else {
				add(v.Pattern.String())
			}
		}
	}
	if whole {
		add(target)
		add(target + "/*")
	}
	if p == nil {
		return resources
	}
	statement := resources
	for _, q := range p.Identity.Policies {
		for i := range q.Rules {
			own := &q.Rules[i].Resources
			for j := range own.Values {
				if v := &own.Values[j]; v.Template == nil && !own.Not && !v.Pattern.Anything() && v.Pattern.Intersects(&inTarget) {
					narrower := slices.ContainsFunc(statement, func(s string) bool {
						outer := arn.CompilePattern(s)
						return outer.Covers(&v.Pattern)
					})
					if narrower {
						add(v.Pattern.String())
					}
				}
			}
		}
	}
	return resources
}

// fits reports whether an action concerns this part of a resource: in S3 the object actions concern objects, the bucket
// actions the bucket; elsewhere the resource itself is asked for.
func fits(a eval.Action, resource, target string) bool {
	inside := len(resource) > len(target) && strings.HasPrefix(resource, target+"/")
	if a.Service() == "s3" {
		object := strings.Contains(a.Lower(), "object") && !strings.HasPrefix(a.Lower(), "s3:putbucket") && a.Lower() != "s3:listbucketversions"
		return object == inside || strings.HasSuffix(resource, "*") && !inside
	}
	return !inside || resource != target+"/*"
}

// kmsGrantEdges are the trusts that grants on keys give (rule 49). A grant needs no policy on the caller's side.
func (g *Graph) kmsGrantEdges() []*Edge {
	var edges []*Edge
	for i := range g.Org.Snapshot.KMSGrants {
		kg := &g.Org.Snapshot.KMSGrants[i]
		target := Target{ARN: kg.Key, Type: "AWS::KMS::Key", Account: arn.Account(kg.Key)}
		target.Resource, _ = g.Org.Resource(kg.Key)
		e := &Edge{
			Grantee:   g.namedGrantee(kg.Grantee, target.Account),
			Mechanism: KMSGrantGiven,
			Target:    target,
			By:        Evidence{Subject: kg.Key, Document: "grant " + kg.ID, Statement: -1, Source: kg.Source},
		}
		e.CrossAccount = e.Grantee.Account != target.Account
		for _, operation := range kg.Operations {
			e.Actions = append(e.Actions, "kms:"+operation)
		}
		slices.Sort(e.Actions)
		g.settleKMSGrant(e, kg)
		edges = append(edges, e)
	}
	return edges
}

// settleKMSGrant decides what a KMS grant gives by itself: the grantee's own policies, its SCPs and the RCPs of the key's account may
// deny it.
func (g *Graph) settleKMSGrant(e *Edge, kg *snapshot.KMSGrant) {
	c, p := g.callerOf(&e.Grantee, &e.Target, e.Mechanism)
	if c == nil { // a principal that does not exist any more
		e.Verdict, e.LeftOver, e.Denied = eval.Deny, cond.Never(), eval.Resource
		return
	}
	policies := g.callerPolicies(c, p)
	if home := g.homeOf(&e.Target); home != nil {
		policies.RCPs = home.RCPs
	}
	known := &cond.Context{Rest: cond.Undetermined}
	if e.Target.Resource != nil {
		known = g.resourceContext(e.Target.Resource)
	}
	facts := &eval.Facts{Grants: []eval.KMSGrant{grantOf(kg)}}
	e.Verdict, e.LeftOver = eval.Deny, cond.Never()
	for _, name := range e.Actions {
		action, err := eval.ActionOf(name)
		if err != nil {
			continue // a grant of an operation without a name gives none
		}
		d := g.engine.Decide(&eval.Request{Caller: c, Action: action, Resource: kg.Key, ResourceAccount: e.Target.Account,
			Context: child(known, c), Policies: &policies, Facts: facts})
		switch {
		case d.Verdict == eval.Deny && e.Verdict == eval.Deny:
			e.Denied, e.Explicit = d.By.Layer, d.Explicit
		case d.Verdict == eval.Allow || d.Verdict == eval.Unknown && e.Verdict == eval.Deny:
			e.Verdict, e.LeftOver, e.CallerAssumed = d.Verdict, d.LeftOver, d.CallerAssumed
		}
	}
}

// shareEdges are the trusts that RAM shares and image and snapshot permissions give (rule 139).
func (g *Graph) shareEdges() []*Edge {
	var edges []*Edge
	for i := range g.Org.Snapshot.Shares {
		s := &g.Org.Snapshot.Shares[i]
		for _, with := range s.With {
			target := Target{ARN: s.ARN, Type: shareType(s), Account: s.Owner}
			e := &Edge{
				Grantee:   g.namedGrantee(with, s.Owner),
				Mechanism: ShareGiven,
				Target:    target,
				Verdict:   eval.Allow,
				LeftOver:  cond.Always(),
				Actions:   []string{s.Kind},
				By:        Evidence{Subject: s.ARN, Document: s.Kind + " share", Statement: -1, Source: s.Source},
			}
			e.CrossAccount = e.Grantee.Account != s.Owner
			edges = append(edges, e)
		}
	}
	return edges
}

func shareType(s *snapshot.Share) string {
	switch s.Kind {
	case "RAM":
		return "AWS::RAM::ResourceShare"
	case "AMI":
		return "AWS::EC2::Image"
	case "EBSSnapshot":
		return "AWS::EC2::Snapshot"
	case "RDSSnapshot":
		return "AWS::RDS::DBSnapshot"
	case "RedshiftSnapshot":
		return "AWS::Redshift::ClusterSnapshot"
	case "WorkSpacesImage":
		return "AWS::WorkSpaces::WorkspaceImage"
	}
	return s.Kind
}

// namedGrantee reads a grantee that stands outside a policy: an account id, "all", an ARN, an organisation or OU.
func (g *Graph) namedGrantee(name, from string) Grantee {
	switch {
	case name == "all" || name == "*":
		return Grantee{Kind: Anyone, ID: "*", Relation: Public}
	case strings.Contains(name, ":organizations:"):
		t := Grantee{Kind: WholeAccount, ID: name, Relation: SameOrg}
		if g.Org.ID != "" && !strings.Contains(name, g.Org.ID) {
			t.Relation = External
		}
		return t
	}
	compiled := policy.CompilePrincipal(policy.AWS, name)
	return g.granteeOf(&compiled, from)
}
