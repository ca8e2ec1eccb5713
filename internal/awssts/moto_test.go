package awssts

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"drawbridge/iam/arn"
	"drawbridge/internal/broker"
	"drawbridge/internal/mototest"
)

// TestMotoTakeBack cuts and lets go on an emulated AWS: denies of a role in IAM, and a service control policy of an organisation with a unit and an account in it. What the emulator does not do is enforce: so the drill finds, rightly, that its revoker
// may do everything.
func TestMotoTakeBack(t *testing.T) {
	address, _ := mototest.Start(t)
	ctx := t.Context()
	c := aws.Config{Region: "us-east-1", BaseEndpoint: &address, Credentials: credentials.NewStaticCredentialsProvider("AKIAEXAMPLE", "x", "")}
	roles, o := iam.NewFromConfig(c), organizations.NewFromConfig(c)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	trust := `{"Version": "2012-10-17", "Statement": []}`
	_, err := roles.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("deploy"), Path: aws.String("/apps/"), AssumeRolePolicyDocument: &trust})
	must(err)
	made, err := o.CreateOrganization(ctx, &organizations.CreateOrganizationInput{FeatureSet: orgtypes.OrganizationFeatureSetAll})
	must(err)
	roots, err := o.ListRoots(ctx, &organizations.ListRootsInput{})
	must(err)
	root := *roots.Roots[0].Id
	_, err = o.EnablePolicyType(ctx, &organizations.EnablePolicyTypeInput{RootId: &root, PolicyType: orgtypes.PolicyTypeServiceControlPolicy})
	must(err)
	unit, err := o.CreateOrganizationalUnit(ctx, &organizations.CreateOrganizationalUnitInput{Name: aws.String("prod"), ParentId: &root})
	must(err)
	account, err := o.CreateAccount(ctx, &organizations.CreateAccountInput{AccountName: aws.String("web"), Email: aws.String("web@example.com")})
	must(err)
	id := *account.CreateAccountStatus.AccountId
	_, err = o.MoveAccount(ctx, &organizations.MoveAccountInput{AccountId: &id, SourceParentId: &root, DestinationParentId: unit.OrganizationalUnit.Id})
	must(err)
	policy, err := o.CreatePolicy(ctx, &organizations.CreatePolicyInput{Name: aws.String("drawbridge-quarantine"), Type: orgtypes.PolicyTypeServiceControlPolicy, Description: aws.String("x"), Content: aws.String(QuarantinePolicy(nil))})
	must(err)

	r := &Revoker{Now: time.Now, IAM: func(context.Context, arn.ARN) (*iam.Client, error) { return roles, nil },
		Quarantine: &Quarantine{Policy: *policy.Policy.PolicySummary.Id, Client: o, Now: time.Now, Alone: func(ctx context.Context, do func(context.Context) error) error { return do(ctx) }}}
	e := isolate("r-1.1", id)
	if _, err := r.Carry(ctx, e); err == nil || !strings.Contains(err.Error(), "not attached") {
		t.Errorf("before it is attached: %v", err)
	}
	_, err = o.AttachPolicy(ctx, &organizations.AttachPolicyInput{PolicyId: policy.Policy.PolicySummary.Id, TargetId: unit.OrganizationalUnit.Id})
	must(err)
	if _, err := r.Carry(ctx, isolate("r-1.1", *made.Organization.MasterAccountId)); err == nil || !strings.Contains(err.Error(), "management account") {
		t.Errorf("the management account: %v", err)
	}
	content := func() string {
		t.Helper()
		out, err := o.DescribePolicy(ctx, &organizations.DescribePolicyInput{PolicyId: policy.Policy.PolicySummary.Id})
		must(err)
		return *out.Policy.Content
	}
	for range 2 {
		_, err := r.Carry(ctx, e)
		must(err)
	}
	if got := content(); got != QuarantinePolicy([]string{"r-1.1"}) {
		t.Errorf("the policy is %s", got)
	}
	must(r.Lift(ctx, e))
	if got := content(); got != QuarantinePolicy(nil) {
		t.Errorf("lifted: the policy is %s", got)
	}

	deny := broker.Effect{ID: "e", Kind: broker.DenySource, Source: "r-1.1", Role: role}
	carried, err := r.Carry(ctx, deny)
	must(err)
	if !carried.Older.IsZero() {
		t.Errorf("%+v", carried)
	}
	got, err := roles.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: aws.String("deploy"), PolicyName: aws.String("drawbridge-deny-r-1.1")})
	must(err)
	if text, err := url.PathUnescape(*got.PolicyDocument); err != nil || !strings.Contains(text, `"aws:SourceIdentity":"r-1.1"`) {
		t.Errorf("the deny is %s, error %v", text, err)
	}
	must(r.Lift(ctx, deny))
	found := strings.Join(r.Drill(ctx, strings.Replace(role, "222222222222", id, 1), "r-7"), "; ")
	if !strings.Contains(found, "may iam:AttachRolePolicy") || strings.Contains(found, "could not be taken back") || strings.Contains(found, "would not work") {
		t.Errorf("the drill: %s", found)
	}
	list, err := roles.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: aws.String("deploy")})
	must(err)
	if len(list.PolicyNames) > 0 {
		t.Errorf("left on the role: %v", list.PolicyNames)
	}
}
