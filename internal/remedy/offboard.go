package remedy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/policy"
	"drawbridge/internal/access"
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
)

var stepOrder = []StepKind{TrustStep, SessionStep, ResourceStep, GrantStep, ShareStep}

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

// key tells the same step in two snapshots.
func (s *Step) key() string { return string(s.Kind) + " " + s.Target }

// Offboard is one plan over all accounts: everything by which the accounts of a vendor are let in. It covers what the input has: trusts
// of roles with the sessions that they made, policies of resources, KMS grants, shares.
func Offboard(g *access.Graph, accounts []string) []Step {
	steps := map[string]*Step{}
	at := func(kind StepKind, e *access.Edge) *Step {
		s := Step{Kind: kind, Account: e.Target.Account, Target: e.Target.ARN}
		if steps[s.key()] == nil {
			steps[s.key()] = &s
		}
		found := steps[s.key()]
		if !slices.Contains(found.Who, e.Grantee.ID) {
			found.Who = append(found.Who, e.Grantee.ID)
			slices.Sort(found.Who)
		}
		return found
	}
	for _, e := range g.Edges {
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
			s := at(TrustStep, e)
			s.What = "take the vendor out of the trust policy"
			s.change(&e.Target, accounts)
			s.Places = places(e)
			at(SessionStep, e).revoke()
		case e.Target.Resource != nil:
			s := at(ResourceStep, e)
			s.What = "take the vendor out of the resource's policy"
			s.change(&e.Target, accounts)
			s.Places = places(e)
		}
	}
	out := make([]Step, 0, len(steps))
	for _, s := range steps {
		slices.Sort(s.Commands)
		s.Commands = slices.Compact(s.Commands)
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Step) int {
		return cmp.Or(cmp.Compare(slices.Index(stepOrder, a.Kind), slices.Index(stepOrder, b.Kind)), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Target, b.Target))
	})
	return out
}

func places(e *access.Edge) []access.Evidence {
	var out []access.Evidence
	for i := range e.Grants {
		out = append(out, e.Grants[i].Evidence)
	}
	return out
}

// change makes the policy without the vendor's principals, and the command that sets it.
func (s *Step) change(t *access.Target, accounts []string) {
	var live *policy.Policy
	if t.Role != nil {
		live = t.Role.Role.Trust.Policy
	} else if p := t.Resource.Policy; p != nil && len(p.Policies) == 1 {
		live = p.Policies[0]
	}
	if live == nil {
		return
	}
	s.Before, s.After = live.Document, without(live.Document, accounts)
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
func without(d *policy.Document, accounts []string) *policy.Document {
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
			if compiled.Account == "" || !slices.Contains(accounts, compiled.Account) {
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

// revoke denies what sessions may do that were made before now: taking somebody out of a trust ends no session.
// Source: IAM User Guide, "Revoke IAM role temporary security credentials".
func (s *Step) revoke() {
	s.What = "end the sessions that the vendor has: deny everything to those made before now"
	s.Commands = []string{fmt.Sprintf(`aws iam put-role-policy --role-name %s --policy-name AWSRevokeOlderSessions --policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"NOW"}}}]}'   # NOW as 2026-11-23T12:00:00Z`, roleName(s.Target))}
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

// Left are the steps of an earlier plan that are still to be done, as a later snapshot shows. Whether sessions were ended is in no
// snapshot: such a step counts as done with its trust.
func Left(plan, now []Step) []Step {
	var left []Step
	for _, s := range plan {
		if slices.ContainsFunc(now, func(n Step) bool { return n.key() == s.key() }) {
			left = append(left, s)
		}
	}
	return left
}
