package awssts

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"

	"drawbridge/iam/arn"
	"drawbridge/internal/broker"
)

// nobody is the name of what the drill asks to change and what is not there, so that an answer other than a refusal changes nothing either.
const nobody = "drawbridge-drill-nobody"

// Drill rehearses taking back at a role, and tries what the revoker must not be able to do. It gives what is wrong, in words. Nothing of what it does has an effect on anybody: the source identity of its deny is nobody's, and what it tries beyond that
// names what does not exist, or says what IAM refuses to take.
func (r *Revoker) Drill(ctx context.Context, role, id string) []string {
	found := []string{}
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	e := broker.Effect{ID: id, Kind: broker.DenySource, Source: "drill-" + id, Role: role}
	at, err := arn.Parse(role)
	if err != nil {
		return append(found, err.Error())
	}
	client, name, err := r.client(ctx, &e)
	if err != nil {
		return append(found, err.Error())
	}
	var full *iamtypes.LimitExceededException
	switch err := r.put(ctx, client, name, &e); {
	case errors.As(err, &full):
		say("the role has no room for one more deny: all its sessions would be cut with those of one request")
	case err != nil:
		say("access could not be taken back: %v", plainly(err))
	}
	if err := r.Lift(ctx, e); err != nil {
		say("the deny of the drill stays on the role: %v", plainly(err))
	}
	policy, garbled, document := "arn:"+at.Partition+":iam::"+at.Account+":policy/"+nobody, "no policy", QuarantinePolicy(nil)
	other, user := nobody, nobody
	for _, probe := range []struct {
		action string
		ask    func() error
	}{
		{"iam:AttachRolePolicy on the role", func() error {
			_, err := client.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: &name, PolicyArn: &policy})
			return err
		}},
		{"iam:UpdateAssumeRolePolicy on the role", func() error {
			_, err := client.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: &name, PolicyDocument: &garbled})
			return err
		}},
		{"iam:PutRolePolicy on other roles", func() error {
			_, err := client.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &other, PolicyName: &other, PolicyDocument: &document})
			return err
		}},
		{"iam:CreateAccessKey", func() error {
			_, err := client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &user})
			return err
		}},
	} {
		var api smithy.APIError
		switch err := probe.ask(); {
		case err == nil:
			say("the revoker may %s", probe.action)
		case !errors.As(err, &api):
			say("whether the revoker may %s is not known: %v", probe.action, plainly(err))
		case api.ErrorCode() != "AccessDenied" && api.ErrorCode() != "AccessDeniedException":
			say("the revoker may %s: it was not refused, AWS answered %s", probe.action, api.ErrorCode())
		}
	}
	if r.Quarantine != nil {
		if err := r.Quarantine.binds(ctx, at.Account); err != nil {
			say("a quarantine would not work: %v", plainly(err))
		} else if _, err := r.Quarantine.read(ctx); err != nil {
			say("a quarantine would not work: %v", plainly(err))
		}
	}
	return found
}

// plainly keeps ids of requests and addresses out of what people read.
func plainly(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		return fmt.Errorf("AWS answered %s: %s", api.ErrorCode(), api.ErrorMessage())
	}
	return err
}
