package collect

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acmpca"
	acmpcatypes "github.com/aws/aws-sdk-go-v2/service/acmpca/types"
	"github.com/aws/aws-sdk-go-v2/service/backup"
	backuptypes "github.com/aws/aws-sdk-go-v2/service/backup/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	cloudtrailtypes "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	codeartifacttypes "github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
	"github.com/aws/aws-sdk-go-v2/service/oam"
	oamtypes "github.com/aws/aws-sdk-go-v2/service/oam/types"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	latticetypes "github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
)

// policyRows are further resources that have one policy each: a list, and one call a resource.
var policyRows = []Row{
	{
		Name: "Backup vault", Type: "AWS::Backup::BackupVault", Mechanism: "policy", Place: Regional,
		Calls: calls("Backup", "backup", "ListBackupVaults", "GetBackupVaultAccessPolicy"),
		read: func(t *task) {
			c := backup.NewFromConfig(t.cfg)
			list := listed(t, backup.NewListBackupVaultsPaginator(c, &backup.ListBackupVaultsInput{}), func(out *backup.ListBackupVaultsOutput) []backuptypes.BackupVaultListMember {
				return out.BackupVaultList
			})
			each(t, list, func(v backuptypes.BackupVaultListMember) {
				out, o := ask(t, c.GetBackupVaultAccessPolicy, &backup.GetBackupVaultAccessPolicyInput{BackupVaultName: v.BackupVaultName}, "ResourceNotFoundException")
				t.governed("", v.BackupVaultArn, o, func() *string { return out.Policy })
			})
		},
	},
	{
		Name: "CodeArtifact domain, repository", Type: "AWS::CodeArtifact::Domain", Others: []string{"AWS::CodeArtifact::Repository"}, Mechanism: "policy", Place: Regional,
		Calls: calls("codeartifact", "codeartifact", "ListDomains", "GetDomainPermissionsPolicy", "ListRepositories", "GetRepositoryPermissionsPolicy"),
		read:  readCodeArtifact,
	},
	{
		Name: "CloudTrail event data store, channel, dashboard", Type: "AWS::CloudTrail::EventDataStore", Others: []string{"AWS::CloudTrail::Channel", "AWS::CloudTrail::Dashboard"}, Mechanism: "policy", Place: Regional,
		Calls: calls("CloudTrail", "cloudtrail", "ListEventDataStores", "ListChannels", "ListDashboards", "GetResourcePolicy"),
		read:  readTrailPolicies,
	},
	{
		Name: "CloudWatch OAM sink", Type: "AWS::Oam::Sink", Mechanism: "policy", Place: Regional,
		Calls: calls("OAM", "oam", "ListSinks", "GetSinkPolicy", "ListAttachedLinks"),
		Note:  "The links of the accounts that send to a sink are attributes.links, by their ARN: those accounts let the sink's account read.",
		read: func(t *task) {
			c := oam.NewFromConfig(t.cfg)
			list := listed(t, oam.NewListSinksPaginator(c, &oam.ListSinksInput{}), func(out *oam.ListSinksOutput) []oamtypes.ListSinksItem { return out.Items })
			each(t, list, func(s oamtypes.ListSinksItem) {
				r := resource{ARN: aws.ToString(s.Arn)}
				r.Policy, r.Error = policyBy(t, c.GetSinkPolicy, &oam.GetSinkPolicyInput{SinkIdentifier: s.Arn}, func(out *oam.GetSinkPolicyOutput) *string { return out.Policy }, "ResourceNotFoundException")
				var links []string
				pagesOf(t, r.ARN, oam.NewListAttachedLinksPaginator(c, &oam.ListAttachedLinksInput{SinkIdentifier: s.Arn}), func(out *oam.ListAttachedLinksOutput) {
					for _, l := range out.Items {
						links = append(links, aws.ToString(l.LinkArn))
					}
				})
				if len(links) > 0 {
					r.Attributes = map[string]any{"links": links}
				}
				t.resource(r)
			})
		},
	},
	{
		Name: "ACM private CA", Type: "AWS::ACMPCA::CertificateAuthority", Mechanism: "policy", Place: Regional,
		Calls: calls("ACM PCA", "acm-pca", "ListCertificateAuthorities", "GetPolicy"),
		Note:  "Permissions are not read: they can name ACM alone.",
		read: func(t *task) {
			c := acmpca.NewFromConfig(t.cfg)
			list := listed(t, acmpca.NewListCertificateAuthoritiesPaginator(c, &acmpca.ListCertificateAuthoritiesInput{ResourceOwner: acmpcatypes.ResourceOwnerSelf}), func(out *acmpca.ListCertificateAuthoritiesOutput) []acmpcatypes.CertificateAuthority {
				return out.CertificateAuthorities
			})
			each(t, list, func(a acmpcatypes.CertificateAuthority) {
				out, o := ask(t, c.GetPolicy, &acmpca.GetPolicyInput{ResourceArn: a.Arn}, "ResourceNotFoundException")
				t.governed("", a.Arn, o, func() *string { return out.Policy })
			})
		},
	},
	{
		Name: "VPC Lattice service, service network, resource configuration", Type: "AWS::VpcLattice::Service", Others: []string{"AWS::VpcLattice::ServiceNetwork", "AWS::VpcLattice::ResourceConfiguration"}, Mechanism: "auth policy, resource policy by RAM", Place: Regional,
		Calls: calls("VPC Lattice", "vpc-lattice", "ListServices", "ListServiceNetworks", "ListResourceConfigurations", "GetAuthPolicy", "GetResourcePolicy"),
		Note:  "The policy of a service and a network is its auth policy; who may attach it is attributes.resourcePolicy, which is not evaluated. What is shared by RAM is in the row of RAM, too.",
		read:  readLattice,
	},
}

// governed adds a resource by its policy. kind is its type where it is not the row's; text is asked only where there was an answer.
func (t *task) governed(kind string, arn *string, o outcome, text func() *string) {
	r := resource{ARN: aws.ToString(arn), Type: kind}
	var p *string
	if o.err == nil && !o.absent {
		p = text()
	}
	r.Policy, r.Error = policy(p, o)
	t.resource(r)
}

func readCodeArtifact(t *task) {
	c := codeartifact.NewFromConfig(t.cfg)
	document := func(p *codeartifacttypes.ResourcePolicy) *string {
		if p == nil {
			return nil
		}
		return p.Document
	}
	domains := listed(t, codeartifact.NewListDomainsPaginator(c, &codeartifact.ListDomainsInput{}), func(out *codeartifact.ListDomainsOutput) []codeartifacttypes.DomainSummary { return out.Domains })
	each(t, domains, func(d codeartifacttypes.DomainSummary) {
		out, o := ask(t, c.GetDomainPermissionsPolicy, &codeartifact.GetDomainPermissionsPolicyInput{Domain: d.Name, DomainOwner: d.Owner}, "ResourceNotFoundException")
		t.governed("", d.Arn, o, func() *string { return document(out.Policy) })
	})
	repositories := listed(t, codeartifact.NewListRepositoriesPaginator(c, &codeartifact.ListRepositoriesInput{}), func(out *codeartifact.ListRepositoriesOutput) []codeartifacttypes.RepositorySummary {
		return out.Repositories
	})
	each(t, repositories, func(r codeartifacttypes.RepositorySummary) {
		out, o := ask(t, c.GetRepositoryPermissionsPolicy, &codeartifact.GetRepositoryPermissionsPolicyInput{Domain: r.DomainName, DomainOwner: r.DomainOwner, Repository: r.Name}, "ResourceNotFoundException")
		t.governed("AWS::CodeArtifact::Repository", r.Arn, o, func() *string { return document(out.Policy) })
	})
}

func readTrailPolicies(t *task) {
	c := cloudtrail.NewFromConfig(t.cfg)
	one := func(kind string, arn *string) {
		out, o := ask(t, c.GetResourcePolicy, &cloudtrail.GetResourcePolicyInput{ResourceArn: arn}, "ResourcePolicyNotFoundException")
		t.governed(kind, arn, o, func() *string { return out.ResourcePolicy })
	}
	stores := listed(t, cloudtrail.NewListEventDataStoresPaginator(c, &cloudtrail.ListEventDataStoresInput{}), func(out *cloudtrail.ListEventDataStoresOutput) []cloudtrailtypes.EventDataStore {
		return out.EventDataStores
	})
	each(t, stores, func(s cloudtrailtypes.EventDataStore) { one("", s.EventDataStoreArn) })
	channels := listed(t, cloudtrail.NewListChannelsPaginator(c, &cloudtrail.ListChannelsInput{}), func(out *cloudtrail.ListChannelsOutput) []cloudtrailtypes.Channel { return out.Channels })
	each(t, channels, func(s cloudtrailtypes.Channel) { one("AWS::CloudTrail::Channel", s.ChannelArn) })
	dashboards := listed(t, &turns[*cloudtrail.ListDashboardsOutput]{service: "CloudTrail", operation: "ListDashboards", next: func(ctx context.Context, token *string) (*cloudtrail.ListDashboardsOutput, *string, error) {
		out, err := c.ListDashboards(ctx, &cloudtrail.ListDashboardsInput{NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out, out.NextToken, nil
	}}, func(out *cloudtrail.ListDashboardsOutput) []cloudtrailtypes.DashboardDetail { return out.Dashboards })
	each(t, dashboards, func(d cloudtrailtypes.DashboardDetail) { one("AWS::CloudTrail::Dashboard", d.DashboardArn) })
}

func readLattice(t *task) {
	c := vpclattice.NewFromConfig(t.cfg)
	own := func(arn *string) bool { return accountOf(aws.ToString(arn)) == t.account } // lists have what others share, too
	one := func(kind string, arn *string) {
		if !own(arn) {
			return
		}
		r := resource{ARN: aws.ToString(arn), Type: kind}
		r.Policy, r.Error = policyBy(t, c.GetAuthPolicy, &vpclattice.GetAuthPolicyInput{ResourceIdentifier: arn}, func(out *vpclattice.GetAuthPolicyOutput) *string { return out.Policy }, "ResourceNotFoundException")
		out, o := ask(t, c.GetResourcePolicy, &vpclattice.GetResourcePolicyInput{ResourceArn: arn}, "ResourceNotFoundException")
		if o.err != nil {
			t.fail(r.ARN, o.err)
		} else if out != nil && aws.ToString(out.Policy) != "" {
			text, _ := policy(out.Policy, o)
			r.Attributes = map[string]any{"resourcePolicy": text}
		}
		t.resource(r)
	}
	services := listed(t, vpclattice.NewListServicesPaginator(c, &vpclattice.ListServicesInput{}), func(out *vpclattice.ListServicesOutput) []latticetypes.ServiceSummary { return out.Items })
	each(t, services, func(s latticetypes.ServiceSummary) { one("", s.Arn) })
	networks := listed(t, vpclattice.NewListServiceNetworksPaginator(c, &vpclattice.ListServiceNetworksInput{}), func(out *vpclattice.ListServiceNetworksOutput) []latticetypes.ServiceNetworkSummary { return out.Items })
	each(t, networks, func(n latticetypes.ServiceNetworkSummary) { one("AWS::VpcLattice::ServiceNetwork", n.Arn) })
	configurations := listed(t, vpclattice.NewListResourceConfigurationsPaginator(c, &vpclattice.ListResourceConfigurationsInput{}), func(out *vpclattice.ListResourceConfigurationsOutput) []latticetypes.ResourceConfigurationSummary {
		return out.Items
	})
	each(t, configurations, func(r latticetypes.ResourceConfigurationSummary) {
		if own(r.Arn) {
			of := resource{ARN: aws.ToString(r.Arn), Type: "AWS::VpcLattice::ResourceConfiguration"}
			of.Policy, of.Error = policyBy(t, c.GetResourcePolicy, &vpclattice.GetResourcePolicyInput{ResourceArn: r.Arn}, func(out *vpclattice.GetResourcePolicyOutput) *string { return out.Policy }, "ResourceNotFoundException")
			t.resource(of)
		}
	})
}
