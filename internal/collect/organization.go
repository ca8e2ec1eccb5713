package collect

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
)

var organizationRows = []Row{
	{
		Name: "SCP, RCP, delegation policy", Type: "AWS::Organizations::Policy", Mechanism: "organization guard", Place: Central,
		Calls: calls("Organizations", "organizations", "DescribeOrganization", "ListRoots", "ListOrganizationalUnitsForParent", "ListAccountsForParent", "ListPolicies", "ListTargetsForPolicy", "DescribePolicy",
			"DescribeResourcePolicy", "ListDelegatedAdministrators", "ListDelegatedServicesForAccount"),
	},
}

// The shapes of organization.json, as docs/snapshot.md says.
type (
	organization struct {
		Version           int             `json:"version"`
		Collected         time.Time       `json:"collected"`
		ID                string          `json:"id,omitempty"`
		ManagementAccount string          `json:"managementAccount,omitempty"`
		Accounts          []account       `json:"accounts"`
		Units             []unit          `json:"ous,omitempty"`
		SCPs              []controlPolicy `json:"scps,omitempty"`
		RCPs              []controlPolicy `json:"rcps,omitempty"`
	}
	account struct {
		ID        string `json:"id"`
		Name      string `json:"name,omitempty"`
		Kind      string `json:"kind,omitempty"`
		Partition string `json:"partition,omitempty"`
		Unit      string `json:"ou,omitempty"`

		suspended bool
	}
	unit struct {
		Path string `json:"path"`
		Name string `json:"name,omitempty"`
	}
	controlPolicy struct {
		Name     string   `json:"name"`
		ARN      string   `json:"arn,omitempty"`
		Targets  []string `json:"targets"`
		Document any      `json:"document"`
		Error    *string  `json:"error,omitempty"`
	}
)

// readOrganization reads the tree, the accounts and the control policies. A part that could not be read is left out, which the snapshot takes as not known, and the task has its failure.
// Without DescribeOrganization there is no organisation: the caller's own account is all there is.
func readOrganization(t *task) organization {
	o := organization{Version: 1}
	c := organizations.NewFromConfig(t.cfg)
	described := must(t, "", c.DescribeOrganization, &organizations.DescribeOrganizationInput{}, "AWSOrganizationsNotInUseException")
	if described == nil || described.Organization == nil {
		return o
	}
	o.ID, o.ManagementAccount = aws.ToString(described.Organization.Id), aws.ToString(described.Organization.MasterAccountId)
	for _, root := range listed(t, organizations.NewListRootsPaginator(c, &organizations.ListRootsInput{}), func(out *organizations.ListRootsOutput) []types.Root { return out.Roots }) {
		o.Units = append(o.Units, unit{aws.ToString(root.Id), aws.ToString(root.Name)})
		o.unit(t, c, aws.ToString(root.Id))
	}
	slices.SortFunc(o.Accounts, func(a, b account) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(o.Units, func(a, b unit) int { return strings.Compare(a.Path, b.Path) })
	paths := make(map[string]string, len(o.Units))
	for _, u := range o.Units {
		paths[path.Base(u.Path)] = u.Path
	}
	o.SCPs = policies(t, c, types.PolicyTypeServiceControlPolicy, paths)
	o.RCPs = policies(t, c, types.PolicyTypeResourceControlPolicy, paths)
	o.delegated(t, c)
	if out, answer := ask(t, c.DescribeResourcePolicy, &organizations.DescribeResourcePolicyInput{}, "ResourcePolicyNotFoundException"); out != nil && out.ResourcePolicy != nil {
		p := out.ResourcePolicy
		text, why := policy(p.Content, answer)
		t.resource(resource{ARN: aws.ToString(p.ResourcePolicySummary.Arn), Type: "AWS::Organizations::ResourcePolicy", Account: o.ManagementAccount, Policy: text, Error: why})
	} else if answer.err != nil {
		why := explain(answer.err)
		t.resource(resource{ARN: "arn:" + t.part + ":organizations::" + o.ManagementAccount + ":resourcepolicy/" + o.ID, Type: "AWS::Organizations::ResourcePolicy", Account: o.ManagementAccount, Error: &why})
	}
	return o
}

// unit reads what is below a root or unit, by its path.
func (o *organization) unit(t *task, c *organizations.Client, at string) {
	parent := aws.String(path.Base(at))
	pages(t, organizations.NewListAccountsForParentPaginator(c, &organizations.ListAccountsForParentInput{ParentId: parent}), func(out *organizations.ListAccountsForParentOutput) {
		for _, a := range out.Accounts {
			kind := "member"
			if aws.ToString(a.Id) == o.ManagementAccount {
				kind = "management"
			}
			o.Accounts = append(o.Accounts, account{ID: aws.ToString(a.Id), Name: aws.ToString(a.Name), Kind: kind, Partition: t.part, Unit: at,
				suspended: a.State == types.AccountStateSuspended || a.State == types.AccountStateClosed || a.State == types.AccountStatePendingClosure})
		}
	})
	var below []string
	pages(t, organizations.NewListOrganizationalUnitsForParentPaginator(c, &organizations.ListOrganizationalUnitsForParentInput{ParentId: parent}), func(out *organizations.ListOrganizationalUnitsForParentOutput) {
		for _, u := range out.OrganizationalUnits {
			o.Units = append(o.Units, unit{at + "/" + aws.ToString(u.Id), aws.ToString(u.Name)})
			below = append(below, at+"/"+aws.ToString(u.Id))
		}
	})
	for _, u := range below {
		o.unit(t, c, u)
	}
}

// policies reads the control policies of one kind; nil where they are not known.
func policies(t *task, c *organizations.Client, kind types.PolicyType, paths map[string]string) []controlPolicy {
	out := []controlPolicy{}
	var ids []types.PolicySummary
	if !pages(t, organizations.NewListPoliciesPaginator(c, &organizations.ListPoliciesInput{Filter: kind}), func(o *organizations.ListPoliciesOutput) { ids = append(ids, o.Policies...) }) {
		return nil
	}
	for _, summary := range ids {
		p := controlPolicy{Name: aws.ToString(summary.Name), ARN: aws.ToString(summary.Arn), Targets: []string{}}
		complete := pages(t, organizations.NewListTargetsForPolicyPaginator(c, &organizations.ListTargetsForPolicyInput{PolicyId: summary.Id}), func(o *organizations.ListTargetsForPolicyOutput) {
			for _, target := range o.Targets {
				id := aws.ToString(target.TargetId)
				if at, ok := paths[id]; ok {
					id = at
				}
				p.Targets = append(p.Targets, id)
			}
		})
		if !complete {
			return nil // a policy whose targets are not known may hold anywhere: the whole list is not known
		}
		slices.Sort(p.Targets)
		described, answer := ask(t, c.DescribePolicy, &organizations.DescribePolicyInput{PolicyId: summary.Id})
		var content *string
		if described != nil && described.Policy != nil {
			content = described.Policy.Content
		}
		p.Document, p.Error = policy(content, answer)
		if p.Document == nil && p.Error == nil {
			p.Error = aws.String("Organizations DescribePolicy: the answer has no content")
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b controlPolicy) int { return strings.Compare(a.ARN, b.ARN) })
	return out
}

// delegated reads which accounts administer a service for the whole organisation.
func (o *organization) delegated(t *task, c *organizations.Client) {
	pages(t, organizations.NewListDelegatedAdministratorsPaginator(c, &organizations.ListDelegatedAdministratorsInput{}), func(out *organizations.ListDelegatedAdministratorsOutput) {
		for _, a := range out.DelegatedAdministrators {
			services := []string{}
			complete := pages(t, organizations.NewListDelegatedServicesForAccountPaginator(c, &organizations.ListDelegatedServicesForAccountInput{AccountId: a.Id}), func(out *organizations.ListDelegatedServicesForAccountOutput) {
				for _, s := range out.DelegatedServices {
					services = append(services, aws.ToString(s.ServicePrincipal))
				}
			})
			slices.Sort(services)
			s := share{Kind: "DelegatedAdministrator", Owner: o.ManagementAccount, With: []string{aws.ToString(a.Id)}}
			if complete {
				s.Attributes = map[string]any{"services": services}
			}
			t.facts.shares = append(t.facts.shares, s)
		}
	})
}

// encode is the form in which files of a snapshot are written: indented, so that lines are places to point at.
func encode(v any) ([]byte, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	return append(text, '\n'), err
}
