package org

import (
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/internal/snapshot"
)

// hidden are the gaps behind which resources may stand that the snapshot does not list.
type hidden struct {
	calls    map[hiddenIn][]*snapshot.Gap
	regions  map[string]*snapshot.Gap // by account/region, or account where it is not known which regions are enabled
	accounts map[string]*snapshot.Gap
	some     *snapshot.Gap // of one account that was not read at all; nil where there is none
}

// hiddenIn is a service, by the name that its ARNs have, in an account, in every account, or in some account.
type hiddenIn struct{ service, account string }

const everyAccount, someAccount = "*", ""

// Hidden says why a resource that the snapshot does not list may be there all the same, with a policy that nobody has read: the call that
// lists its type was not answered, or its region or account was not read. account is its owner, "" where nobody knows, as of a bucket.
// Patterns name no one resource.
func (o *Org) Hidden(resource, account string) (reason string, ok bool) {
	a, err := arn.Parse(resource)
	if err == nil && a.Service == "iam" && a.ResourceType() == "role" && !strings.ContainsAny(resource, "*?") {
		home, ok := o.accounts[a.Account]
		if ok && home.Membership != Outside && !home.Inventoried {
			return resource + " is not in the input and may be there: not all roles of account " + a.Account + " were read", true
		}
		return "", false
	}
	if err != nil || notHidden[a.Service] || strings.ContainsAny(strings.TrimSuffix(resource, "/*"), "*?") {
		return "", false
	}
	h := &o.hidden
	why := func(g *snapshot.Gap) (string, bool) {
		where := ""
		if g.Account != "" {
			where = "account " + g.Account + ": "
		}
		return resource + " is not in the input and may be there: " + where + g.Reason, true
	}
	for _, of := range [...]string{account, everyAccount} {
		for _, g := range h.calls[hiddenIn{a.Service, of}] {
			if region := gapRegion(g); (region == "" || a.Region == "" || region == a.Region) && lists(g.Types, a) {
				return why(g)
			}
		}
	}
	g := h.some
	if account != "" {
		g = h.accounts[account]
		if g == nil && a.Region != "" {
			if g = h.regions[account+"/"+a.Region]; g == nil {
				g = h.regions[account]
			}
		}
	}
	if g == nil {
		return "", false
	}
	return why(g)
}

// GrantsUnknown says why a KMS key may have grants that the snapshot does not list: the call that lists them was not answered, for it or for keys of its account and region.
func (o *Org) GrantsUnknown(key, account string) (reason string, ok bool) {
	a, err := arn.Parse(key)
	if err != nil {
		return "", false
	}
	for _, g := range o.hidden.calls[hiddenIn{a.Service, account}] {
		if g.Call == "KMS ListGrants" && (g.Subject == key || g.Subject == account+"/"+a.Region || g.Subject == account) {
			return "the grants on " + key + ": " + g.Reason, true
		}
	}
	return "", false
}

// notHidden are services whose things are known otherwise: principals by the inventory of their account.
var notHidden = map[string]bool{"": true, "iam": true, "sts": true, "organizations": true}

// indexHidden needs the gaps.
func (b *builder) indexHidden() {
	h := &b.hidden
	h.calls, h.regions, h.accounts = map[hiddenIn][]*snapshot.Gap{}, map[string]*snapshot.Gap{}, map[string]*snapshot.Gap{}
	for i := range b.Org.Gaps {
		g := &b.Org.Gaps[i]
		switch {
		case g.Kind == snapshot.GapCall && g.Account == "":
			for _, s := range servicesOf(g.Types) {
				in := hiddenIn{s, everyAccount}
				h.calls[in] = append(h.calls[in], g)
			}
		case g.Kind == snapshot.GapCall:
			for _, s := range servicesOf(g.Types) {
				in := hiddenIn{s, g.Account}
				h.calls[in] = append(h.calls[in], g)
				// Of some account one gap of each kind is enough: an ARN without account has no region either.
				in.account = someAccount
				if !slices.ContainsFunc(h.calls[in], func(other *snapshot.Gap) bool { return other.Types == g.Types }) {
					h.calls[in] = append(h.calls[in], g)
				}
			}
		case g.Kind == snapshot.GapRegion:
			h.regions[g.Subject] = g
		case g.Kind == snapshot.GapAccount && g.Types == snapshot.AllTypes && g.Account != "":
			h.accounts[g.Account] = g
			if h.some == nil {
				h.some = g
			}
		}
	}
}

// gapRegion is the region of a gap of a call: its subject is account/region, an account, or one ARN.
func gapRegion(g *snapshot.Gap) string {
	if a, err := arn.Parse(g.Subject); err == nil {
		return a.Region
	}
	_, region, _ := strings.Cut(g.Subject, "/")
	return region
}

// servicesOf are the services, by the name that ARNs have, of CloudFormation types.
func servicesOf(types string) []string {
	var out []string
	for t := range strings.FieldsSeq(types) {
		for _, s := range arnServices(t) {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

// arnServices are the services that ARNs of a CloudFormation type name. Most are the type's own, in lower case.
func arnServices(cloudFormationType string) []string {
	if s, ok := otherServices[cloudFormationType]; ok {
		return s
	}
	parts := strings.Split(cloudFormationType, "::")
	if len(parts) < 3 {
		return nil
	}
	if s, ok := otherServices[parts[1]]; ok {
		return s
	}
	return []string{strings.ToLower(parts[1])}
}

// otherServices are those of other names, by the second part of the type, or by the type.
// Source: Service Authorization Reference, "Resource types defined by …" of each.
var otherServices = map[string][]string{
	"ACMPCA": {"acm-pca"}, "ApiGateway": {"execute-api", "apigateway"}, "Cognito": {"cognito-identity"}, "EFS": {"elasticfilesystem"}, "EventSchemas": {"schemas"},
	"MSK": {"kafka"}, "OpenSearchService": {"es"}, "OpenSearchServerless": {"aoss"}, "S3ObjectLambda": {"s3-object-lambda"}, "VpcLattice": {"vpc-lattice"},
	"AWS::ECR::PublicRepository": {"ecr-public"},
}

// lists reports whether an ARN may be of one of the types.
func lists(types string, a arn.ARN) bool {
	for t := range strings.FieldsSeq(types) {
		prefix, told := kinds[t]
		if slices.Contains(arnServices(t), a.Service) && (!told || strings.HasPrefix(a.Resource, prefix)) && (t != "AWS::S3::Bucket" || a.Account == "") {
			return true
		}
	}
	return false
}

// kinds are what the last part of an ARN begins with, for types that share a service with others. Types without an entry are taken for all of it.
var kinds = map[string]string{
	"AWS::S3::AccessPoint": "accesspoint/", "AWS::S3::MultiRegionAccessPoint": "accesspoint/", "AWS::S3::AccessGrantsInstance": "access-grants/", "AWS::S3::AccessGrant": "access-grants/",
	"AWS::S3Express::DirectoryBucket": "bucket/", "AWS::S3Express::AccessPoint": "accesspoint/",
	"AWS::Lambda::Function": "function:", "AWS::Lambda::Version": "function:", "AWS::Lambda::Alias": "function:", "AWS::Lambda::Url": "function:", "AWS::Lambda::LayerVersion": "layer:",
	"AWS::SSM::Parameter": "parameter/", "AWS::SSM::Document": "document/", "AWS::DynamoDB::Table": "table/",
	"AWS::EC2::VPCEndpoint": "vpc-endpoint/", "AWS::EC2::VPCEndpointService": "vpc-endpoint-service/", "AWS::EC2::Snapshot": "snapshot/", "AWS::EC2::Image": "image/",
}
