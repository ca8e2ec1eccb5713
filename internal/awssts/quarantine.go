package awssts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"drawbridge/iam/arn"
	"drawbridge/internal/broker"
)

// Quarantine cuts sessions by one service control policy of the organisation, which 'drawbridge setup quarantine' makes: it denies everything to a list of source identities. The policy is there and attached beforehand, so that the broker needs no more
// than to change that one; it never makes, attaches or changes another. It is out of reach of the target account, and does not bind the management account (AWS Organizations User Guide, "Service control policies").
type Quarantine struct {
	// Policy is the id of the service control policy, such as p-examplepolicyid111.
	Policy string
	// Client has the rights of the quarantine's role in the management account, or in one to which AWS Organizations is delegated.
	Client *organizations.Client
	// Alone runs do while nobody else, in any daemon, changes the policy.
	Alone func(ctx context.Context, do func(context.Context) error) error
	Now   func() time.Time
}

const (
	// QuarantineNobody stands first in the list of the policy, so that it is never empty. No session has this source identity: those of the broker name a request.
	QuarantineNobody = "drawbridge-nobody"
	// MaxSCP is how many characters a service control policy may have (AWS Organizations User Guide, "Quotas").
	MaxSCP = 5120
	// maxDepth is how deep organizational units may lie below the root, and the account below them.
	maxDepth = 8
)

type scp struct {
	Version   string
	Statement []scpStatement
}

type scpStatement struct {
	Sid, Effect, Action, Resource string
	Condition                     map[string]map[string][]string
}

// QuarantinePolicy is the text of the policy that denies everything to these source identities.
func QuarantinePolicy(sources []string) string {
	list := append([]string{QuarantineNobody}, sources...)
	text, err := json.Marshal(scp{"2012-10-17", []scpStatement{{"DrawbridgeQuarantine", "Deny", "*", "*", map[string]map[string][]string{"StringEquals": {"aws:SourceIdentity": list}}}}})
	if err != nil {
		panic("a policy has only fields that JSON can hold: " + err.Error())
	}
	return string(text)
}

// quarantined reads the list of a policy. Anything but what QuarantinePolicy writes is an error: a policy of somebody else's is not overwritten.
func quarantined(text string) ([]string, error) {
	var p scp
	if err := json.Unmarshal([]byte(text), &p); err != nil || len(p.Statement) != 1 {
		return nil, errors.New("it is not the quarantine that 'drawbridge setup quarantine' makes")
	}
	list := p.Statement[0].Condition["StringEquals"]["aws:SourceIdentity"]
	if len(list) == 0 || list[0] != QuarantineNobody || !same(text, QuarantinePolicy(list[1:])) {
		return nil, errors.New("it is not the quarantine that 'drawbridge setup quarantine' makes")
	}
	return list[1:], nil
}

// carry puts a source identity on the list, where the policy binds the account, and reads it back.
func (q *Quarantine) carry(ctx context.Context, e *broker.Effect) (broker.Carried, error) {
	role, err := arn.Parse(e.Role)
	if err != nil {
		return broker.Carried{}, fmt.Errorf("effect %s: %w", e.ID, err)
	}
	if err := q.binds(ctx, role.Account); err != nil {
		return broker.Carried{}, err
	}
	err = q.change(ctx, func(list []string) []string {
		if slices.Contains(list, e.Source) {
			return list
		}
		return append(list, e.Source)
	})
	return broker.Carried{At: q.Now()}, err
}

// lift takes a source identity off the list.
func (q *Quarantine) lift(ctx context.Context, e *broker.Effect) error {
	return q.change(ctx, func(list []string) []string {
		return slices.DeleteFunc(list, func(s string) bool { return s == e.Source })
	})
}

func (q *Quarantine) read(ctx context.Context) ([]string, error) {
	out, err := q.Client.DescribePolicy(ctx, &organizations.DescribePolicyInput{PolicyId: &q.Policy})
	if err != nil {
		return nil, fmt.Errorf("reading the policy %s: %w", q.Policy, err)
	}
	if out.Policy == nil {
		return nil, fmt.Errorf("reading the policy %s: AWS answered without it", q.Policy)
	}
	list, err := quarantined(aws.ToString(out.Policy.Content))
	if err != nil {
		return nil, fmt.Errorf("the policy %s: %w", q.Policy, err)
	}
	return list, nil
}

func (q *Quarantine) change(ctx context.Context, do func([]string) []string) error {
	return q.Alone(ctx, func(ctx context.Context) error {
		list, err := q.read(ctx)
		if err != nil {
			return err
		}
		want := do(slices.Clone(list))
		if slices.Equal(want, list) {
			return nil
		}
		text := QuarantinePolicy(want)
		if len(text) > MaxSCP {
			return fmt.Errorf("the policy %s has no room for one more source identity: it names %d, in at most %d characters", q.Policy, len(list), MaxSCP)
		}
		if _, err := q.Client.UpdatePolicy(ctx, &organizations.UpdatePolicyInput{PolicyId: &q.Policy, Content: &text}); err != nil {
			return fmt.Errorf("changing the policy %s: %w", q.Policy, err)
		}
		got, err := q.read(ctx)
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("the policy %s is not what was written", q.Policy)
		}
		return err
	})
}

// binds says why the policy does not bind an account: it is attached to none of what the account is in, or the account is the management account.
func (q *Quarantine) binds(ctx context.Context, account string) error {
	o, err := q.Client.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{})
	if err != nil {
		return fmt.Errorf("reading the organisation: %w", err)
	}
	if o.Organization == nil {
		return errors.New("reading the organisation: AWS answered without it")
	}
	if aws.ToString(o.Organization.MasterAccountId) == account {
		return fmt.Errorf("%s is the management account, which no service control policy binds", account)
	}
	attached := make(map[string]bool)
	for pages := organizations.NewListTargetsForPolicyPaginator(q.Client, &organizations.ListTargetsForPolicyInput{PolicyId: &q.Policy}); pages.HasMorePages(); {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("reading what the policy %s is attached to: %w", q.Policy, err)
		}
		for _, t := range out.Targets {
			attached[aws.ToString(t.TargetId)] = true
		}
	}
	for at, depth := account, 0; depth < maxDepth; depth++ {
		if attached[at] {
			return nil
		}
		out, err := q.Client.ListParents(ctx, &organizations.ListParentsInput{ChildId: &at})
		if err != nil {
			return fmt.Errorf("reading what %s is in: %w", at, err)
		}
		if len(out.Parents) != 1 {
			break
		}
		at = aws.ToString(out.Parents[0].Id)
		if out.Parents[0].Type == orgtypes.ParentTypeRoot {
			if attached[at] {
				return nil
			}
			break
		}
	}
	return fmt.Errorf("the policy %s is not attached to the account %s, nor to anything that it is in", q.Policy, account)
}
