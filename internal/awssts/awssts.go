// Package awssts is where the broker meets AWS: it exchanges permits for sessions, and cuts sessions. It holds no standing key where the target federates with the broker's own issuer; where a target is reached by AssumeRole,
// the broker's own role is all it has.
package awssts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"drawbridge/iam/arn"
	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
)

// Way is how a target role is reached.
type Way uint8

const (
	Federated Way = iota // AssumeRoleWithWebIdentity, by a token of the broker's own issuer
	Assumed              // AssumeRole, by the broker's own role
)

// Issuer implements broker.Issuer.
type Issuer struct {
	// STS is a client with the broker's own credentials; for a target that federates none are used.
	STS *sts.Client
	// Token makes a token of the broker's own issuer for an order.
	Token func(broker.Order) (string, error)
	// Way is how a role is reached.
	Way func(role string) Way
	// ExternalID is what is said to a role that is taken by AssumeRole, for an entry of a vendor.
	ExternalID func(ctx context.Context, vendor, role string) (string, error)
}

// Issue spends the permit. AWS is asked once: a client that tries again by itself might make two sessions of one permit, and a caller that wants another try asks again.
func (i *Issuer) Issue(ctx context.Context, p *broker.Permit) (broker.Credentials, error) {
	o, err := p.Take()
	if err != nil {
		return broker.Credentials{}, fmt.Errorf("%w: %w", broker.ErrNotIssued, err)
	}
	once := func(options *sts.Options) { options.RetryMaxAttempts, options.Retryer = 1, aws.NopRetryer{} }
	life := aws.Int32(int32(o.Life / time.Second))
	var c *ststypes.Credentials
	var user *ststypes.AssumedRoleUser
	var packed *int32
	if i.Way(o.Role) == Federated {
		token, err := i.Token(o)
		if err != nil {
			return broker.Credentials{}, fmt.Errorf("%w: %w", broker.ErrNotIssued, err)
		}
		out, err := i.STS.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{RoleArn: &o.Role, RoleSessionName: &o.Name, WebIdentityToken: &token, Policy: &o.Policy, DurationSeconds: life}, once)
		if err != nil {
			return broker.Credentials{}, outcome(err)
		}
		c, user, packed = out.Credentials, out.AssumedRoleUser, out.SessionTokenUtilization
		if packed == nil {
			packed = out.PackedPolicySize //lint:ignore SA1019 what answers without the newer figure has this one
		}
	} else {
		external, err := i.ExternalID(ctx, o.Vendor, o.Role)
		if err != nil {
			return broker.Credentials{}, fmt.Errorf("%w: %w", broker.ErrNotIssued, err)
		}
		in := &sts.AssumeRoleInput{RoleArn: &o.Role, RoleSessionName: &o.Name, SourceIdentity: &o.SourceIdentity, ExternalId: &external, Policy: &o.Policy, DurationSeconds: life}
		for _, name := range slices.Sorted(maps.Keys(o.Tags)) {
			value := o.Tags[name]
			in.Tags = append(in.Tags, ststypes.Tag{Key: aws.String(name), Value: aws.String(value)})
		}
		out, err := i.STS.AssumeRole(ctx, in, once)
		if err != nil {
			return broker.Credentials{}, outcome(err)
		}
		c, user, packed = out.Credentials, out.AssumedRoleUser, out.SessionTokenUtilization
		if packed == nil {
			packed = out.PackedPolicySize //lint:ignore SA1019 what answers without the newer figure has this one
		}
	}
	if c == nil || c.AccessKeyId == nil || c.SecretAccessKey == nil || c.SessionToken == nil {
		return broker.Credentials{}, errors.New("AWS answered without credentials")
	}
	got := broker.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: audit.Secret(*c.SecretAccessKey), SessionToken: audit.Secret(*c.SessionToken), NotAfter: aws.ToTime(c.Expiration), Packed: int(aws.ToInt32(packed))}
	if user != nil {
		got.Role, got.RoleID = aws.ToString(user.Arn), aws.ToString(user.AssumedRoleId)
	}
	return got, nil
}

// outcome says whether an error means that surely nothing was issued: AWS answered, and its answer is a refusal. A lost answer, or one that says that something went wrong inside AWS, leaves it open.
func outcome(err error) error {
	var api smithy.APIError
	var answered *smithyhttp.ResponseError
	if errors.As(err, &api) && errors.As(err, &answered) && answered.HTTPStatusCode() < http.StatusInternalServerError {
		return fmt.Errorf("%w: %s: %s", broker.ErrNotIssued, api.ErrorCode(), api.ErrorMessage())
	}
	// The error's own text may hold the request. It is kept out of records.
	if errors.As(err, &api) {
		return fmt.Errorf("AWS answered %s", api.ErrorCode())
	}
	if ctx := context.DeadlineExceeded; errors.Is(err, ctx) {
		return fmt.Errorf("AWS did not answer in time: %w", ctx)
	}
	return errors.New("AWS's answer was lost")
}

// Revoker implements broker.Revoker: by an SCP where a quarantine is asked for, else by inline policies on the target role that deny everything to a source identity. Each has its own name, so that none takes another's place or keeps another from being removed.
type Revoker struct {
	// IAM is a client with the rights of the revoker's role in a target role's account: to put, read and delete the broker's own policies, and nothing else.
	IAM func(ctx context.Context, target arn.ARN) (*iam.Client, error)
	// Quarantine is nil where the organisation has none.
	Quarantine *Quarantine
	Now        func() time.Time
}

// errNoQuarantine says that an effect needs what is not configured any more.
var errNoQuarantine = errors.New("this broker has no policy of the organisation to quarantine by")

// policyPrefix begins the names of the broker's own policies; the revoker's role may touch no others.
const policyPrefix = "drawbridge-deny-"

// PolicyName is the name of an effect's policy.
func PolicyName(e *broker.Effect) string {
	if e.Kind == broker.DenyOlder {
		return policyPrefix + "older-sessions"
	}
	return policyPrefix + e.Source
}

// Policy is the text of an effect's policy. Both are of one shape, so that the one of all older sessions, which setup puts there with a moment long ago, never needs more room than it has.
func Policy(e *broker.Effect) (string, error) {
	condition := map[string]map[string]string{"StringEquals": {"aws:SourceIdentity": e.Source}}
	if e.Kind == broker.DenyOlder {
		condition = map[string]map[string]string{"DateLessThan": {"aws:TokenIssueTime": e.Older.UTC().Format(time.RFC3339)}}
	}
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{"Sid": "DrawbridgeRevoked", "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}}})
	if err != nil {
		return "", fmt.Errorf("the policy of effect %s: %w", e.ID, err)
	}
	return string(text), nil
}

// Carry puts the policy and reads it back. Where the role has no room for one more, every older session of the role is denied instead: coarser, but nothing lives on (31).
func (r *Revoker) Carry(ctx context.Context, e broker.Effect) (broker.Carried, error) {
	if e.Kind == broker.Quarantine {
		if r.Quarantine == nil {
			return broker.Carried{}, errNoQuarantine
		}
		return r.Quarantine.carry(ctx, &e)
	}
	client, name, err := r.client(ctx, &e)
	if err != nil {
		return broker.Carried{}, err
	}
	if e.Kind == broker.DenySource {
		err = r.put(ctx, client, name, &e)
		var full *iamtypes.LimitExceededException
		if !errors.As(err, &full) {
			return broker.Carried{At: r.Now()}, err
		}
		e.Kind = broker.DenyOlder
	}
	// The moment is AWS's, by whose clock sessions are issued; the next whole second, because they are compared by seconds.
	out, err := client.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: &name})
	if err != nil {
		return broker.Carried{}, fmt.Errorf("listing the policies of the role %s: %w", name, err)
	}
	at, ok := middleware.GetServerTime(out.ResultMetadata)
	if !ok {
		return broker.Carried{}, fmt.Errorf("listing the policies of the role %s: AWS did not say what time it is", name)
	}
	e.Older = at.UTC().Truncate(time.Second).Add(time.Second)
	err = r.put(ctx, client, name, &e)
	return broker.Carried{At: r.Now(), Older: e.Older}, err
}

// Lift removes the policy and sees that it is gone.
func (r *Revoker) Lift(ctx context.Context, e broker.Effect) error {
	if e.Kind == broker.Quarantine {
		if r.Quarantine == nil {
			return errNoQuarantine
		}
		return r.Quarantine.lift(ctx, &e)
	}
	client, name, err := r.client(ctx, &e)
	if err != nil {
		return err
	}
	policy := PolicyName(&e)
	var gone *iamtypes.NoSuchEntityException
	if _, err := client.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &name, PolicyName: &policy}); err != nil && !errors.As(err, &gone) {
		return fmt.Errorf("removing %s from the role %s: %w", policy, name, err)
	}
	switch _, err := client.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &name, PolicyName: &policy}); {
	case err == nil:
		return fmt.Errorf("the policy %s of the role %s was removed and is there", policy, name)
	case !errors.As(err, &gone):
		return fmt.Errorf("seeing that %s of the role %s is gone: %w", policy, name, err)
	}
	return nil
}

// client is one for the account of an effect's role, with the role's name: IAM names a role without its path.
func (r *Revoker) client(ctx context.Context, e *broker.Effect) (*iam.Client, string, error) {
	role, err := arn.Parse(e.Role)
	if err != nil {
		return nil, "", fmt.Errorf("effect %s: %w", e.ID, err)
	}
	client, err := r.IAM(ctx, role)
	if err != nil {
		return nil, "", fmt.Errorf("effect %s: %w", e.ID, err)
	}
	return client, role.Resource[strings.LastIndexByte(role.Resource, '/')+1:], nil
}

func (r *Revoker) put(ctx context.Context, client *iam.Client, role string, e *broker.Effect) error {
	policy := PolicyName(e)
	text, err := Policy(e)
	if err != nil {
		return err
	}
	if _, err := client.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &role, PolicyName: &policy, PolicyDocument: &text}); err != nil {
		return fmt.Errorf("putting %s on the role %s: %w", policy, role, err)
	}
	out, err := client.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &role, PolicyName: &policy})
	if err != nil {
		return fmt.Errorf("reading %s of the role %s back: %w", policy, role, err)
	}
	got, err := url.PathUnescape(aws.ToString(out.PolicyDocument))
	if err != nil || !same(got, text) {
		return fmt.Errorf("the policy %s of the role %s is not what was put there", policy, role)
	}
	return nil
}

// same compares two JSON texts.
func same(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	p, err := json.Marshal(x)
	q, err2 := json.Marshal(y)
	return err == nil && err2 == nil && string(p) == string(q)
}
