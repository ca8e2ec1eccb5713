package remedy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/registry"
	"drawbridge/internal/snapshot"
)

// StepKind is what a step of an offboarding takes back, in the order in which it is done: the way in first, then the sessions that
// are already in, then everything else.
type StepKind string

const (
	TrustStep    StepKind = "trust"
	SessionStep  StepKind = "sessions"
	ResourceStep StepKind = "resource policy"
	GrantStep    StepKind = "KMS grant"
	ShareStep    StepKind = "share"
	EndpointStep StepKind = "endpoint service"
	ProviderStep StepKind = "identity provider"
	// ExternalIDStep is a value that trusts demand of the vendor. It is a secret that the vendor knows: nobody else may ever get it.
	ExternalIDStep StepKind = "ExternalId"
)

var stepOrder = []StepKind{TrustStep, SessionStep, ResourceStep, GrantStep, ShareStep, EndpointStep, ProviderStep, ExternalIDStep}

// Leaver is the vendor that goes.
type Leaver struct {
	Name     string
	Accounts []string
	// Registry holds the vendor's entries; nil: none was given.
	Registry *registry.Registry
}

// Step takes back one thing that a vendor has.
type Step struct {
	Kind    StepKind
	Account string // whose account it is done in
	Target  string
	Who     []string // the vendor's principals that are let in
	What    string   // in words
	// After is the policy without the vendor; nil where the step changes none. Before is what to go back to.
	Before, After *policy.Document
	Commands      []string
	Places        []access.Evidence
}

// ID tells the same step in two snapshots: kind and target.
func (s *Step) ID() string { return finding.Fingerprint("offboard", string(s.Kind), s.Target) }

// steps collects the steps of a plan, each once.
type steps map[string]*Step

func (list steps) at(kind StepKind, account, target, who string) *Step {
	s := &Step{Kind: kind, Account: account, Target: target}
	if known := list[s.ID()]; known != nil {
		s = known
	}
	list[s.ID()] = s
	if !slices.Contains(s.Who, who) {
		s.Who = append(s.Who, who)
		slices.Sort(s.Who)
	}
	return s
}

// Offboard is one plan over all accounts: everything by which a vendor is let in. It covers what the input has: trusts of roles with the
// sessions that they made, policies of resources, KMS grants, shares, endpoint services, identity providers, ExternalIds.
func Offboard(g *access.Graph, v Leaver) []Step {
	list := steps{}
	accounts := v.Accounts
	providers := v.providers(g)
	at := func(kind StepKind, e *access.Edge) *Step {
		return list.at(kind, e.Target.Account, e.Target.ARN, e.Grantee.ID)
	}
	for _, e := range g.Edges {
		if providers[e.Grantee.ID] != "" && e.Target.Role != nil {
			at(TrustStep, e).takeOut(e, accounts, providers)
			at(SessionStep, e).revoke()
			continue
		}
		if e.Grantee.Account == "" || !slices.Contains(accounts, e.Grantee.Account) || !e.CrossAccount {
			continue
		}
		switch {
		case e.Mechanism == access.KMSGrantGiven:
			s := at(GrantStep, e)
			s.What = "revoke the grants to the vendor on the key"
			id := strings.TrimPrefix(e.By.Document, "grant ")
			s.Commands = append(s.Commands, revokeGrant(e.Target.ARN, id))
			s.Places = append(s.Places, e.By)
		case e.Mechanism == access.ShareGiven:
			s := at(ShareStep, e)
			s.What = "stop sharing with the vendor"
			s.Commands = append(s.Commands, unshare(e)...)
			s.Places = append(s.Places, e.By)
		case e.Target.Role != nil:
			at(TrustStep, e).takeOut(e, accounts, providers)
			at(SessionStep, e).revoke()
			v.externalIDs(list, e)
		case e.Target.Resource != nil:
			s := at(ResourceStep, e)
			s.What = "take the vendor out of the resource's policy"
			s.change(&e.Target, accounts, nil)
			s.Places = append(s.Places, places(e)...)
		}
	}
	v.endpoints(list, g)
	for name, why := range providers {
		p, _ := g.Org.Provider(name)
		s := list.at(ProviderStep, p.Account, name, v.Name)
		s.What = "delete the provider, which is the vendor's " + why
		s.Commands = deleteProvider(p)
	}
	out := make([]Step, 0, len(list))
	for _, s := range list {
		slices.Sort(s.Commands)
		s.Commands = slices.Compact(s.Commands)
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Step) int {
		return cmp.Or(cmp.Compare(slices.Index(stepOrder, a.Kind), slices.Index(stepOrder, b.Kind)), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Target, b.Target))
	})
	return out
}

func (s *Step) takeOut(e *access.Edge, accounts []string, providers map[string]string) {
	s.What = "take the vendor out of the trust policy"
	s.change(&e.Target, accounts, providers)
	s.Places = append(s.Places, places(e)...)
}

// providers are the identity providers of the vendor, each with why it is taken for one: an entry of the vendor names its issuer, or its
// name has the vendor's. One that serves many tenants is nobody's own.
func (v *Leaver) providers(g *access.Graph) map[string]string {
	out := map[string]string{}
	for _, p := range g.Org.Providers {
		if _, shared := ref.SharedIssuer(p.ARN); shared || p.Type == "eks" || p.Type == "cognito" {
			continue
		}
		host := eval.IssuerHost(p.ARN)
		if v.Registry != nil {
			for i := range v.Registry.Entries {
				e := &v.Registry.Entries[i]
				if strings.EqualFold(e.Vendor, v.Name) && e.From.OIDC != nil && strings.TrimPrefix(e.From.OIDC.Issuer, "https://") == host {
					out[p.ARN] = "by entry " + e.Name
				}
			}
		}
		if name := plain(v.Name); out[p.ARN] == "" && len(name) >= 4 && strings.Contains(plain(p.ARN[strings.IndexByte(p.ARN, '/')+1:]), name) {
			out[p.ARN] = "by its name: make sure that it is"
		}
	}
	return out
}

// plain is a name without case and punctuation.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		}
		return -1
	}, name)
}

func deleteProvider(p *snapshot.Provider) []string {
	switch p.Type {
	case "oidc":
		return []string{"aws iam delete-open-id-connect-provider --open-id-connect-provider-arn " + p.ARN}
	case "saml":
		return []string{"aws iam delete-saml-provider --saml-provider-arn " + p.ARN}
	case "rolesanywhere":
		return []string{"aws rolesanywhere disable-trust-anchor --trust-anchor-id " + roleName(p.ARN)}
	}
	return []string{"# delete " + p.ARN + " (" + p.Type + ")"}
}

// endpoints are the endpoint services that allow the vendor to connect.
func (v *Leaver) endpoints(list steps, g *access.Graph) {
	for _, r := range g.Org.Resources {
		allowed, _ := r.Attributes.Other["allowedPrincipals"].([]any)
		for _, a := range allowed {
			name, _ := a.(string)
			if !slices.Contains(v.Accounts, name) && !slices.Contains(v.Accounts, arn.Account(name)) {
				continue
			}
			s := list.at(EndpointStep, r.Account, r.ARN, name)
			s.What = "take the vendor from those who may connect to the endpoint service, and reject its connections"
			s.Places = []access.Evidence{{Subject: r.ARN, Document: "allowed principals", Statement: -1, Source: r.Source}}
			s.Commands = []string{
				fmt.Sprintf("aws ec2 modify-vpc-endpoint-service-permissions --service-id %s --remove-allowed-principals %s", roleName(r.ARN), strings.Join(s.Who, " ")),
				fmt.Sprintf("aws ec2 describe-vpc-endpoint-connections --filters Name=service-id,Values=%s   # then aws ec2 reject-vpc-endpoint-connections for those of the vendor", roleName(r.ARN)),
			}
		}
	}
}

// externalIDs are the values that the statements which let in the vendor demand. The entries that name a value are told.
func (v *Leaver) externalIDs(list steps, e *access.Edge) {
	for i := range e.Grants {
		for _, c := range e.Grants[i].Statement.Condition {
			if !strings.EqualFold(c.Key.Value, "sts:ExternalId") {
				continue
			}
			for _, value := range c.Values {
				s := list.at(ExternalIDStep, e.Target.Account, value.Value, e.Grantee.ID)
				s.What = "retire the value: it goes with the trusts that demand it, and is never given to anybody again"
				if v.Registry != nil {
					for j := range v.Registry.Entries {
						if n := &v.Registry.Entries[j]; strings.Contains(fmt.Sprint(n.TrustConditions.LeftOver(open)), value.Value) && !strings.Contains(s.What, "entry "+n.Name+" ") {
							s.What += "; entry " + n.Name + " names it"
						}
					}
				}
				s.Places = append(s.Places, e.Grants[i].Evidence)
			}
		}
	}
}

func places(e *access.Edge) []access.Evidence {
	var out []access.Evidence
	for i := range e.Grants {
		out = append(out, e.Grants[i].Evidence)
	}
	return out
}

// change makes the policy without the vendor's principals, and the command that sets it.
func (s *Step) change(t *access.Target, accounts []string, providers map[string]string) {
	var live *policy.Policy
	if t.Role != nil {
		live = t.Role.Role.Trust.Policy
	} else if p := t.Resource.Policy; p != nil && len(p.Policies) == 1 {
		live = p.Policies[0]
	}
	if live == nil {
		return
	}
	s.Before, s.After = live.Document, without(live.Document, accounts, providers)
	empty := len(s.After.Statements) == 0
	if empty && t.Role != nil { // a trust policy cannot be empty: closed first, so that it can be opened again
		s.After, empty = closed.Document, false
		s.What += ", and close the role, which nobody else uses; delete it when nobody has missed it"
	}
	s.Commands = []string{setPolicy(t, slugOf(t.ARN)+"-after.json", empty)}
}

// closed is a trust policy that lets nobody in.
var closed = policy.MustParse(`{"Version":"2012-10-17","Statement":[{"Sid":"Closed","Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}]}`)

// without is a document whose statements name nobody of the accounts any more. A statement that named nobody else is gone. Statements
// that let in everybody are as they were: they are no grant to the vendor alone.
func without(d *policy.Document, accounts []string, providers map[string]string) *policy.Document {
	n := *d
	n.Statements = nil
	for _, s := range d.Statements {
		if s.Effect != policy.Allow || s.Principal.Not {
			n.Statements = append(n.Statements, s)
			continue
		}
		var kept []policy.PrincipalValue
		for _, v := range s.Principal.Values {
			compiled := policy.CompilePrincipal(v.Type, v.Value)
			if providers[v.Value] == "" && (compiled.Account == "" || v.Type == policy.Federated || !slices.Contains(accounts, compiled.Account)) {
				kept = append(kept, v)
			}
		}
		if len(kept) > 0 {
			s.Principal.Values = kept
			n.Statements = append(n.Statements, s)
		}
	}
	return &n
}

// setPolicy is the command that writes a policy, or removes it where nothing is left of it.
func setPolicy(t *access.Target, file string, empty bool) string {
	a, err := arn.Parse(t.ARN)
	if err != nil {
		return "# no command is known for " + t.ARN
	}
	switch t.Type {
	case "AWS::IAM::Role":
		return fmt.Sprintf("aws iam update-assume-role-policy --role-name %s --policy-document file://%s", roleName(t.ARN), file)
	case "AWS::S3::Bucket":
		if empty {
			return "aws s3api delete-bucket-policy --bucket " + a.Resource
		}
		return fmt.Sprintf("aws s3api put-bucket-policy --bucket %s --policy file://%s", a.Resource, file)
	case "AWS::KMS::Key":
		return fmt.Sprintf("aws kms put-key-policy --key-id %s --policy-name default --policy file://%s", t.ARN, file)
	case "AWS::SQS::Queue":
		if empty {
			return fmt.Sprintf("aws sqs set-queue-attributes --queue-url %s --attributes Policy=", queueURL(a))
		}
		return fmt.Sprintf(`aws sqs set-queue-attributes --queue-url %s --attributes "$(jq --null-input --rawfile policy %s '{Policy: $policy}')"`, queueURL(a), file)
	case "AWS::SNS::Topic":
		return fmt.Sprintf("aws sns set-topic-attributes --topic-arn %s --attribute-name Policy --attribute-value file://%s", t.ARN, file)
	case "AWS::SecretsManager::Secret":
		if empty {
			return "aws secretsmanager delete-resource-policy --secret-id " + t.ARN
		}
		return fmt.Sprintf("aws secretsmanager put-resource-policy --secret-id %s --resource-policy file://%s", t.ARN, file)
	case "AWS::ECR::Repository":
		if empty {
			return "aws ecr delete-repository-policy --repository-name " + strings.TrimPrefix(a.Resource, "repository/")
		}
		return fmt.Sprintf("aws ecr set-repository-policy --repository-name %s --policy-text file://%s", strings.TrimPrefix(a.Resource, "repository/"), file)
	case "AWS::DynamoDB::Table":
		if empty {
			return "aws dynamodb delete-resource-policy --resource-arn " + t.ARN
		}
		return fmt.Sprintf("aws dynamodb put-resource-policy --resource-arn %s --policy file://%s", t.ARN, file)
	}
	return fmt.Sprintf("# set the policy of %s (%s) to %s", t.ARN, t.Type, file)
}

// revocation is the name that AWS's console gives the policy.
const revocation = "AWSRevokeOlderSessions"

// revoke denies what sessions may do that were made before now: taking somebody out of a trust ends no session.
// Source: IAM User Guide, "Revoke IAM role temporary security credentials".
func (s *Step) revoke() {
	s.What = "end the sessions that the vendor has: deny everything to those made before now"
	s.Commands = []string{fmt.Sprintf(`aws iam put-role-policy --role-name %s --policy-name %s --policy-document "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"DateLessThan\":{\"aws:TokenIssueTime\":\"$(date -u +%%Y-%%m-%%dT%%H:%%M:%%SZ)\"}}}]}"`, roleName(s.Target), revocation)}
}

// unshare are the commands that take a share back.
func unshare(e *access.Edge) []string {
	id := e.Target.ARN[strings.LastIndexByte(e.Target.ARN, '/')+1:]
	switch e.Target.Type {
	case "AWS::RAM::ResourceShare":
		return []string{fmt.Sprintf("aws ram disassociate-resource-share --resource-share-arn %s --principals %s", e.Target.ARN, e.Grantee.ID)}
	case "AWS::EC2::Image":
		return []string{fmt.Sprintf("aws ec2 modify-image-attribute --image-id %s --launch-permission 'Remove=[{UserId=%s}]'", id, e.Grantee.Account)}
	case "AWS::EC2::Snapshot":
		return []string{fmt.Sprintf("aws ec2 modify-snapshot-attribute --snapshot-id %s --attribute createVolumePermission --operation-type remove --user-ids %s", id, e.Grantee.Account)}
	case "AWS::RDS::DBSnapshot":
		name := e.Target.ARN[strings.LastIndexByte(e.Target.ARN, ':')+1:]
		return []string{fmt.Sprintf("aws rds modify-db-snapshot-attribute --db-snapshot-identifier %s --attribute-name restore --values-to-remove %s", name, e.Grantee.Account)}
	}
	return []string{fmt.Sprintf("# stop sharing %s (%s) with %s", e.Target.ARN, e.Target.Type, e.Grantee.ID)}
}

func slugOf(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, name[strings.LastIndexByte(name, ':')+1:]), "-")
}
