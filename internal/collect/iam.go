package collect

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"
)

var iamRows = []Row{
	{
		Name: "IAM role", Type: "AWS::IAM::Role", Others: []string{"AWS::IAM::User", "AWS::IAM::Group", "AWS::IAM::ManagedPolicy"}, Mechanism: "trust policy", Place: Principal,
		Calls: calls("IAM", "iam", "GetAccountAuthorizationDetails", "ListRoles", "GenerateCredentialReport", "GetCredentialReport"),
		Note:  "With last use of roles, passwords and keys, and the longest session of each role.",
	},
	{
		Name: lastAccessedRow, Mechanism: "use", Place: Principal,
		Calls: calls("IAM", "iam", "GenerateServiceLastAccessedDetails", "GetServiceLastAccessedDetails"),
		Note:  "Only with --last-accessed.",
		read:  readLastAccessed,
	},
	{
		Name: "IAM OIDC provider", Type: "AWS::IAM::OIDCProvider", Mechanism: "federation", Place: Global,
		Calls: calls("IAM", "iam", "ListOpenIDConnectProviders", "GetOpenIDConnectProvider"),
		read: func(t *task) {
			c := iam.NewFromConfig(t.cfg)
			out := must(t, "", c.ListOpenIDConnectProviders, &iam.ListOpenIDConnectProvidersInput{})
			if out == nil {
				return
			}
			each(t, out.OpenIDConnectProviderList, func(p types.OpenIDConnectProviderListEntry) {
				v := provider{ARN: aws.ToString(p.Arn), Type: "oidc", Account: t.account}
				if d := must(t, v.ARN, c.GetOpenIDConnectProvider, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: p.Arn}); d != nil {
					v.URL, v.Audiences = aws.ToString(d.Url), d.ClientIDList
					if v.URL != "" && !strings.Contains(v.URL, "://") {
						v.URL = "https://" + v.URL
					}
				}
				t.provider(v)
			})
		},
	},
	{
		Name: "IAM SAML provider", Type: "AWS::IAM::SAMLProvider", Mechanism: "federation", Place: Global,
		Calls: calls("IAM", "iam", "ListSAMLProviders"),
		read: func(t *task) {
			out := must(t, "", iam.NewFromConfig(t.cfg).ListSAMLProviders, &iam.ListSAMLProvidersInput{})
			if out == nil {
				return
			}
			for _, p := range out.SAMLProviderList {
				t.provider(provider{ARN: aws.ToString(p.Arn), Type: "saml", Account: t.account, ValidUntil: p.ValidUntil})
			}
		},
	},
}

func (t *task) provider(p provider) {
	t.facts.mu.Lock()
	defer t.facts.mu.Unlock()
	t.facts.providers = append(t.facts.providers, p)
}

// The shapes of iam.json are AWS's own, with the fields that docs/snapshot.md adds.
type (
	detailsPage struct {
		UserDetailList  []userDetail
		GroupDetailList []types.GroupDetail
		RoleDetailList  []roleDetail
		Policies        []types.ManagedPolicyDetail
		IsTruncated     bool
	}
	userDetail struct {
		types.UserDetail
		AccessKeys *int       `json:",omitempty"`
		LastUsed   *time.Time `json:",omitempty"`
	}
	roleDetail struct {
		types.RoleDetail
		MaxSessionDuration *int32 `json:",omitempty"`
	}
)

// readIAM reads the account's principals, page by page, and gives each page as a file's content. complete is false where a page could not be read: the last one given then says that another follows.
func readIAM(t *task, write func(page int, content detailsPage) error) error {
	c := iam.NewFromConfig(t.cfg)
	sessions := make(map[string]*int32)
	pages(t, iam.NewListRolesPaginator(c, &iam.ListRolesInput{}), func(out *iam.ListRolesOutput) {
		for _, r := range out.Roles {
			sessions[aws.ToString(r.Arn)] = r.MaxSessionDuration
		}
	})
	keys := credentialReport(t, c)
	n := 0
	var failed error
	pages(t, iam.NewGetAccountAuthorizationDetailsPaginator(c, &iam.GetAccountAuthorizationDetailsInput{MaxItems: aws.Int32(1000)}), func(out *iam.GetAccountAuthorizationDetailsOutput) {
		page := detailsPage{UserDetailList: []userDetail{}, GroupDetailList: []types.GroupDetail{}, RoleDetailList: []roleDetail{}, Policies: []types.ManagedPolicyDetail{}, IsTruncated: out.IsTruncated}
		page.GroupDetailList = append(page.GroupDetailList, out.GroupDetailList...)
		for _, p := range out.Policies {
			// The default version is what counts; the others would make up most of the file.
			p.PolicyVersionList = slices.DeleteFunc(p.PolicyVersionList, func(v types.PolicyVersion) bool { return !v.IsDefaultVersion })
			page.Policies = append(page.Policies, p)
		}
		for _, u := range out.UserDetailList {
			d := userDetail{UserDetail: u}
			if k, ok := keys[aws.ToString(u.Arn)]; ok {
				d.AccessKeys, d.LastUsed = &k.active, k.last
			}
			page.UserDetailList = append(page.UserDetailList, d)
		}
		for _, r := range out.RoleDetailList {
			page.RoleDetailList = append(page.RoleDetailList, roleDetail{r, sessions[aws.ToString(r.Arn)]})
			t.facts.roles = append(t.facts.roles, aws.ToString(r.Arn))
		}
		n++
		if failed == nil {
			failed = write(n, page)
		}
	})
	return failed
}

// keyUse is what the credential report says of a user.
type keyUse struct {
	active int
	last   *time.Time
}

// reportWait is how long IAM is waited for: a report is made within seconds, or was made within the last four hours.
const reportTries = 10

// credentialReport reads how many keys each user has, and when the user was last seen, by ARN; what is wrong is a gap.
func credentialReport(t *task, c *iam.Client) map[string]keyUse {
	for range reportTries {
		out := must(t, "", c.GenerateCredentialReport, &iam.GenerateCredentialReportInput{})
		if out == nil {
			return nil
		}
		if out.State == types.ReportStateTypeComplete {
			break
		}
		if !t.pause(time.Second) {
			return nil
		}
	}
	report := must(t, "", c.GetCredentialReport, &iam.GetCredentialReportInput{})
	if report == nil {
		return nil
	}
	rows, err := csv.NewReader(strings.NewReader(string(report.Content))).ReadAll()
	if err != nil || len(rows) == 0 {
		t.fail("", &smithy.OperationError{ServiceID: "IAM", OperationName: "GetCredentialReport", Err: fmt.Errorf("the report could not be read: %w", cmp.Or(err, io.ErrUnexpectedEOF))})
		return nil
	}
	column := make(map[string]int)
	for i, name := range rows[0] {
		column[name] = i
	}
	out := make(map[string]keyUse)
	for _, row := range rows[1:] {
		field := func(name string) string {
			if i, ok := column[name]; ok && i < len(row) {
				return row[i]
			}
			return ""
		}
		var k keyUse
		for _, name := range []string{"access_key_1_active", "access_key_2_active"} {
			if strings.EqualFold(field(name), "true") {
				k.active++
			}
		}
		for _, name := range []string{"password_last_used", "access_key_1_last_used_date", "access_key_2_last_used_date"} {
			if at, err := time.Parse(time.RFC3339, field(name)); err == nil && (k.last == nil || at.After(*k.last)) {
				k.last = &at
			}
		}
		out[field("arn")] = k
	}
	return out
}
