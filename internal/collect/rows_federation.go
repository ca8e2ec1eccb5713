package collect

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentity"
	cognitotypes "github.com/aws/aws-sdk-go-v2/service/cognitoidentity/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/rolesanywhere"
	anywheretypes "github.com/aws/aws-sdk-go-v2/service/rolesanywhere/types"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	ssotypes "github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"
)

// federationRows are ways in from other systems, and who is let into clusters.
var federationRows = []Row{
	{
		Name: "Roles Anywhere anchor, profile, CRL", Type: "AWS::RolesAnywhere::TrustAnchor", Others: []string{"AWS::RolesAnywhere::Profile", "AWS::RolesAnywhere::CRL"}, Mechanism: "federation by X.509", Place: Regional,
		Calls: calls("RolesAnywhere", "rolesanywhere", "ListTrustAnchors", "ListProfiles", "ListCrls"),
		Note:  "Anchors are providers; profiles are resources with their roles and session policy as attributes.",
		read:  readAnchors,
	},
	{
		Name: "EKS cluster's issuer, access entry, pod identity", Type: "AWS::EKS::AccessEntry", Others: []string{"AWS::EKS::Cluster", "AWS::EKS::PodIdentityAssociation"}, Mechanism: "principal to cluster; pod to role", Place: Regional,
		Calls: append(calls("EKS", "eks", "ListClusters", "DescribeCluster", "ListAccessEntries", "DescribeAccessEntry", "ListAssociatedAccessPolicies", "ListPodIdentityAssociations", "DescribePodIdentityAssociation"),
			calls("IAM", "iam", "ListOpenIDConnectProviders")...),
		read: readClusters,
	},
	{
		Name: "Identity Center permission set, assignment", Type: "AWS::SSO::PermissionSet", Others: []string{"AWS::SSO::Assignment"}, Mechanism: "organization-wide roles in accounts", Place: Regional,
		Calls: calls("SSO Admin", "sso", "ListInstances", "ListPermissionSets", "DescribePermissionSet", "GetInlinePolicyForPermissionSet", "ListManagedPoliciesInPermissionSet", "ListCustomerManagedPolicyReferencesInPermissionSet",
			"GetPermissionsBoundaryForPermissionSet", "ListAccountsForProvisionedPermissionSet", "ListAccountAssignments"),
		Note: "Read where the instance lies: in the account that owns it. The roles themselves appear as AWSReservedSSO_* in each account.",
		read: readPermissionSets,
	},
	{
		Name: "Identity Center application", Type: "AWS::SSO::Application", Mechanism: "application actor policy", Place: Regional,
		Calls: calls("SSO Admin", "sso", "ListInstances", "ListApplications", "ListApplicationAuthenticationMethods"),
		Note:  "The actor policies of the application's authentication methods are its policy.",
		read: func(t *task) {
			c := ssoadmin.NewFromConfig(t.cfg)
			for _, instance := range t.instances(c) {
				list := listed(t, ssoadmin.NewListApplicationsPaginator(c, &ssoadmin.ListApplicationsInput{InstanceArn: instance.InstanceArn}), func(out *ssoadmin.ListApplicationsOutput) []ssotypes.Application { return out.Applications })
				each(t, list, func(a ssotypes.Application) {
					r := resource{ARN: aws.ToString(a.ApplicationArn), Attributes: map[string]any{"name": aws.ToString(a.Name), "account": aws.ToString(a.ApplicationAccount)}}
					var texts []*string
					var broken error
					err := walk(t, ssoadmin.NewListApplicationAuthenticationMethodsPaginator(c, &ssoadmin.ListApplicationAuthenticationMethodsInput{ApplicationArn: a.ApplicationArn}), func(out *ssoadmin.ListApplicationAuthenticationMethodsOutput) {
						for _, m := range out.AuthenticationMethods {
							if way, ok := m.AuthenticationMethod.(*ssotypes.AuthenticationMethodMemberIam); ok && way.Value.ActorPolicy != nil {
								text, fault := documentOf(way.Value.ActorPolicy)
								if fault != nil {
									broken = unreadable("SSO Admin", "ListApplicationAuthenticationMethods", fault)
									continue
								}
								texts = append(texts, aws.String(string(text)))
							}
						}
					})
					r.Policy, r.Error = merged(texts, outcome{err: cmp.Or(err, broken)})
					t.resource(r)
				})
			}
		},
	},
	{
		Name: "Cognito identity pool", Type: "AWS::Cognito::IdentityPool", Mechanism: "federation to roles", Place: Regional,
		Calls: calls("Cognito Identity", "cognito-identity", "ListIdentityPools", "GetIdentityPoolRoles"),
		Note:  "Pools are providers; the roles that they hand out are attributes.roles of the resource of the same ARN.",
		read: func(t *task) {
			c := cognitoidentity.NewFromConfig(t.cfg)
			list := listed(t, cognitoidentity.NewListIdentityPoolsPaginator(c, &cognitoidentity.ListIdentityPoolsInput{MaxResults: aws.Int32(60)}), func(out *cognitoidentity.ListIdentityPoolsOutput) []cognitotypes.IdentityPoolShortDescription {
				return out.IdentityPools
			})
			each(t, list, func(p cognitotypes.IdentityPoolShortDescription) {
				r := resource{ARN: t.arn("cognito-identity", "identitypool/"+aws.ToString(p.IdentityPoolId)), Attributes: map[string]any{"name": aws.ToString(p.IdentityPoolName)}}
				t.provider(provider{ARN: r.ARN, Type: "cognito", Account: t.account})
				if out := must(t, r.ARN, c.GetIdentityPoolRoles, &cognitoidentity.GetIdentityPoolRolesInput{IdentityPoolId: p.IdentityPoolId}); out != nil {
					if len(out.Roles) > 0 {
						r.Attributes["roles"] = out.Roles
					}
					var mapped []string
					for _, m := range out.RoleMappings {
						if m.RulesConfiguration != nil {
							for _, rule := range m.RulesConfiguration.Rules {
								mapped = append(mapped, aws.ToString(rule.RoleARN))
							}
						}
					}
					if slices.Sort(mapped); len(mapped) > 0 {
						r.Attributes["mappedRoles"] = slices.Compact(mapped)
					}
				}
				t.resource(r)
			})
		},
	},
}

func readAnchors(t *task) {
	c := rolesanywhere.NewFromConfig(t.cfg)
	anchors := listed(t, rolesanywhere.NewListTrustAnchorsPaginator(c, &rolesanywhere.ListTrustAnchorsInput{}), func(out *rolesanywhere.ListTrustAnchorsOutput) []anywheretypes.TrustAnchorDetail {
		return out.TrustAnchors
	})
	enabled := make(map[string]bool) // by anchor
	known := pages(t, rolesanywhere.NewListCrlsPaginator(c, &rolesanywhere.ListCrlsInput{}), func(out *rolesanywhere.ListCrlsOutput) {
		for _, list := range out.Crls {
			if aws.ToBool(list.Enabled) {
				enabled[aws.ToString(list.TrustAnchorArn)] = true
			}
		}
	})
	for _, a := range anchors {
		p := provider{ARN: aws.ToString(a.TrustAnchorArn), Type: "rolesanywhere", Account: t.account}
		if a.Source != nil {
			p.Source = string(a.Source.SourceType)
		}
		switch {
		case enabled[p.ARN] || aws.ToBool(a.CrlDpRevocationEnabled):
			p.CRL = "enabled"
		case known:
			p.CRL = "disabled"
		}
		t.provider(p)
	}
	pages(t, rolesanywhere.NewListProfilesPaginator(c, &rolesanywhere.ListProfilesInput{}), func(out *rolesanywhere.ListProfilesOutput) {
		for _, p := range out.Profiles {
			r := resource{ARN: aws.ToString(p.ProfileArn), Type: "AWS::RolesAnywhere::Profile", Attributes: map[string]any{"name": aws.ToString(p.Name), "enabled": aws.ToBool(p.Enabled), "roles": p.RoleArns, "acceptRoleSessionName": aws.ToBool(p.AcceptRoleSessionName)}}
			if text := aws.ToString(p.SessionPolicy); text != "" {
				r.Attributes["sessionPolicy"] = text
			}
			if len(p.ManagedPolicyArns) > 0 {
				r.Attributes["managedPolicies"] = p.ManagedPolicyArns
			}
			t.resource(r)
		}
	})
}

func readClusters(t *task) {
	c := eks.NewFromConfig(t.cfg)
	names := listed(t, eks.NewListClustersPaginator(c, &eks.ListClustersInput{}), func(out *eks.ListClustersOutput) []string { return out.Clusters })
	if len(names) == 0 {
		return
	}
	registered := must(t, "", iam.NewFromConfig(t.cfg).ListOpenIDConnectProviders, &iam.ListOpenIDConnectProvidersInput{})
	each(t, names, func(name string) {
		arn := t.arn("eks", "cluster/"+name)
		if out := must(t, arn, c.DescribeCluster, &eks.DescribeClusterInput{Name: &name}); out != nil && out.Cluster != nil && out.Cluster.Identity != nil && out.Cluster.Identity.Oidc != nil {
			p := provider{ARN: arn, Type: "eks", Account: t.account, Cluster: name, URL: aws.ToString(out.Cluster.Identity.Oidc.Issuer)}
			if registered != nil {
				known := false
				for _, o := range registered.OpenIDConnectProviderList {
					known = known || strings.HasSuffix(aws.ToString(o.Arn), ":oidc-provider/"+strings.TrimPrefix(p.URL, "https://"))
				}
				p.Registered = &known
			}
			t.provider(p)
		}
		var principals []string
		pagesOf(t, arn, eks.NewListAccessEntriesPaginator(c, &eks.ListAccessEntriesInput{ClusterName: &name}), func(out *eks.ListAccessEntriesOutput) { principals = append(principals, out.AccessEntries...) })
		for _, principal := range principals {
			out := must(t, arn, c.DescribeAccessEntry, &eks.DescribeAccessEntryInput{ClusterName: &name, PrincipalArn: &principal}, "ResourceNotFoundException")
			if out == nil || out.AccessEntry == nil {
				continue
			}
			e := out.AccessEntry
			r := resource{ARN: aws.ToString(e.AccessEntryArn), Attributes: map[string]any{"cluster": arn, "principal": principal, "type": aws.ToString(e.Type)}}
			if len(e.KubernetesGroups) > 0 {
				r.Attributes["groups"] = e.KubernetesGroups
			}
			var policies []map[string]any
			pagesOf(t, r.ARN, eks.NewListAssociatedAccessPoliciesPaginator(c, &eks.ListAssociatedAccessPoliciesInput{ClusterName: &name, PrincipalArn: &principal}), func(out *eks.ListAssociatedAccessPoliciesOutput) {
				for _, p := range out.AssociatedAccessPolicies {
					one := map[string]any{"policy": aws.ToString(p.PolicyArn)}
					if p.AccessScope != nil {
						one["scope"], one["namespaces"] = string(p.AccessScope.Type), p.AccessScope.Namespaces
					}
					policies = append(policies, one)
				}
			})
			if len(policies) > 0 {
				r.Attributes["accessPolicies"] = policies
			}
			t.resource(r)
		}
		var ids []*string
		pagesOf(t, arn, eks.NewListPodIdentityAssociationsPaginator(c, &eks.ListPodIdentityAssociationsInput{ClusterName: &name}), func(out *eks.ListPodIdentityAssociationsOutput) {
			for _, a := range out.Associations {
				ids = append(ids, a.AssociationId)
			}
		})
		for _, id := range ids {
			out := must(t, arn, c.DescribePodIdentityAssociation, &eks.DescribePodIdentityAssociationInput{ClusterName: &name, AssociationId: id}, "ResourceNotFoundException")
			if out == nil || out.Association == nil {
				continue
			}
			a := out.Association
			r := resource{ARN: aws.ToString(a.AssociationArn), Type: "AWS::EKS::PodIdentityAssociation", Attributes: map[string]any{"cluster": arn, "namespace": aws.ToString(a.Namespace), "serviceAccount": aws.ToString(a.ServiceAccount), "role": aws.ToString(a.RoleArn)}}
			if target := aws.ToString(a.TargetRoleArn); target != "" {
				r.Attributes["targetRole"] = target
			}
			t.resource(r)
		}
	})
}

// instances are the Identity Center instances that the account owns in the region; others only see them.
func (t *task) instances(c *ssoadmin.Client) []ssotypes.InstanceMetadata {
	list := listed(t, ssoadmin.NewListInstancesPaginator(c, &ssoadmin.ListInstancesInput{}), func(out *ssoadmin.ListInstancesOutput) []ssotypes.InstanceMetadata { return out.Instances })
	return slices.DeleteFunc(list, func(i ssotypes.InstanceMetadata) bool {
		return aws.ToString(i.OwnerAccountId) != "" && aws.ToString(i.OwnerAccountId) != t.account
	})
}

func readPermissionSets(t *task) {
	c := ssoadmin.NewFromConfig(t.cfg)
	for _, i := range t.instances(c) {
		instance := i.InstanceArn
		sets := listed(t, ssoadmin.NewListPermissionSetsPaginator(c, &ssoadmin.ListPermissionSetsInput{InstanceArn: instance}), func(out *ssoadmin.ListPermissionSetsOutput) []string { return out.PermissionSets })
		each(t, sets, func(arn string) {
			r := resource{ARN: arn, Attributes: map[string]any{"instance": aws.ToString(instance)}}
			if out := must(t, arn, c.DescribePermissionSet, &ssoadmin.DescribePermissionSetInput{InstanceArn: instance, PermissionSetArn: &arn}); out != nil && out.PermissionSet != nil {
				r.Attributes["name"], r.Attributes["sessionDuration"] = aws.ToString(out.PermissionSet.Name), aws.ToString(out.PermissionSet.SessionDuration)
			}
			if out := must(t, arn, c.GetInlinePolicyForPermissionSet, &ssoadmin.GetInlinePolicyForPermissionSetInput{InstanceArn: instance, PermissionSetArn: &arn}); out != nil && aws.ToString(out.InlinePolicy) != "" {
				r.Attributes["inlinePolicy"], _ = policy(out.InlinePolicy, outcome{})
				if !json.Valid([]byte(*out.InlinePolicy)) { // attributes are not read as policies: nobody else would notice
					t.fail(arn, unreadable("SSO Admin", "GetInlinePolicyForPermissionSet", errors.New("the inline policy is not JSON")))
				}
			}
			var managed, customer []string
			pagesOf(t, arn, ssoadmin.NewListManagedPoliciesInPermissionSetPaginator(c, &ssoadmin.ListManagedPoliciesInPermissionSetInput{InstanceArn: instance, PermissionSetArn: &arn}), func(out *ssoadmin.ListManagedPoliciesInPermissionSetOutput) {
				for _, p := range out.AttachedManagedPolicies {
					managed = append(managed, aws.ToString(p.Arn))
				}
			})
			pagesOf(t, arn, ssoadmin.NewListCustomerManagedPolicyReferencesInPermissionSetPaginator(c, &ssoadmin.ListCustomerManagedPolicyReferencesInPermissionSetInput{InstanceArn: instance, PermissionSetArn: &arn}), func(out *ssoadmin.ListCustomerManagedPolicyReferencesInPermissionSetOutput) {
				for _, p := range out.CustomerManagedPolicyReferences {
					customer = append(customer, aws.ToString(p.Path)+aws.ToString(p.Name))
				}
			})
			if len(managed) > 0 {
				r.Attributes["managedPolicies"] = managed
			}
			if len(customer) > 0 {
				r.Attributes["customerManagedPolicies"] = customer
			}
			if out := must(t, arn, c.GetPermissionsBoundaryForPermissionSet, &ssoadmin.GetPermissionsBoundaryForPermissionSetInput{InstanceArn: instance, PermissionSetArn: &arn}, "ResourceNotFoundException"); out != nil && out.PermissionsBoundary != nil {
				if b := out.PermissionsBoundary; b.ManagedPolicyArn != nil {
					r.Attributes["permissionsBoundary"] = aws.ToString(b.ManagedPolicyArn)
				} else if own := b.CustomerManagedPolicyReference; own != nil {
					r.Attributes["permissionsBoundary"] = aws.ToString(own.Path) + aws.ToString(own.Name)
				}
			}
			var accounts []string
			pagesOf(t, arn, ssoadmin.NewListAccountsForProvisionedPermissionSetPaginator(c, &ssoadmin.ListAccountsForProvisionedPermissionSetInput{InstanceArn: instance, PermissionSetArn: &arn}), func(out *ssoadmin.ListAccountsForProvisionedPermissionSetOutput) {
				accounts = append(accounts, out.AccountIds...)
			})
			var assignments []map[string]string
			for _, id := range accounts {
				pagesOf(t, arn, ssoadmin.NewListAccountAssignmentsPaginator(c, &ssoadmin.ListAccountAssignmentsInput{InstanceArn: instance, PermissionSetArn: &arn, AccountId: &id}), func(out *ssoadmin.ListAccountAssignmentsOutput) {
					for _, a := range out.AccountAssignments {
						assignments = append(assignments, map[string]string{"account": aws.ToString(a.AccountId), "principalType": string(a.PrincipalType), "principal": aws.ToString(a.PrincipalId)})
					}
				})
			}
			if len(assignments) > 0 {
				r.Attributes["assignments"] = assignments
			}
			t.resource(r)
		})
	}
}
