package iamcollect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/internal/snapshot"
)

// kind is a kind of resource that iam-collect writes, known by its ARN.
type kind struct {
	service, resource string // of the ARN; resource is what stands before the first slash or colon
	name              string // of CloudFormation
	// listed: the policy comes with the list of the resources, so that where it is missing there is none. Elsewhere it is asked for by itself, and a missing one may have been denied.
	listed bool
	// unused: nothing of it is read, since it lets nobody into the account by a policy of its own.
	unused bool
}

// kinds are from the source of iam-collect, folder src/syncs. What an ARN without type, as those of buckets, topics and queues, stands for is its service.
var kinds = []kind{
	{service: "acm-pca", resource: "certificate-authority", name: "AWS::ACMPCA::CertificateAuthority"},
	{service: "apigateway", resource: "", name: "AWS::ApiGateway::RestApi", listed: true},
	{service: "backup", resource: "backup-vault", name: "AWS::Backup::BackupVault"},
	{service: "codeartifact", resource: "repository", name: "AWS::CodeArtifact::Repository"},
	{service: "codebuild", resource: "project", name: "AWS::CodeBuild::Project"},
	{service: "dynamodb", resource: "table", name: "AWS::DynamoDB::Table"}, // and their streams
	{service: "ec2", resource: "vpc-endpoint", name: "AWS::EC2::VPCEndpoint", listed: true},
	{service: "ecr", resource: "repository", name: "AWS::ECR::Repository"},
	{service: "eks", unused: true},
	{service: "elasticfilesystem", resource: "file-system", name: "AWS::EFS::FileSystem"},
	{service: "es", resource: "domain", name: "AWS::OpenSearchService::Domain"},
	{service: "events", resource: "event-bus", name: "AWS::Events::EventBus"},
	{service: "glacier", resource: "vaults", name: "AWS::S3::Glacier"},
	{service: "glue", resource: "catalog", name: "AWS::Glue::DataCatalog"},
	{service: "iot", unused: true},
	{service: "identitystore", unused: true},
	{service: "kafka", resource: "cluster", name: "AWS::MSK::Cluster"},
	{service: "kinesis", resource: "stream", name: "AWS::Kinesis::Stream"},
	{service: "kms", resource: "key", name: "AWS::KMS::Key"},
	{service: "lambda", resource: "function", name: "AWS::Lambda::Function"},
	{service: "lambda", resource: "layer", name: "AWS::Lambda::LayerVersion"},
	{service: "s3", resource: "accesspoint", name: "AWS::S3::AccessPoint"},
	{service: "s3", resource: "", name: "AWS::S3::Bucket"},
	{service: "s3-object-lambda", resource: "accesspoint", name: "AWS::S3ObjectLambda::AccessPoint"},
	{service: "s3express", resource: "accesspoint", name: "AWS::S3Express::AccessPoint"},
	{service: "s3express", resource: "bucket", name: "AWS::S3Express::DirectoryBucket"},
	{service: "s3-outposts", resource: "", name: "AWS::S3Outposts::Bucket"},
	{service: "s3tables", resource: "bucket", name: "AWS::S3Tables::TableBucket"},
	{service: "secretsmanager", resource: "secret", name: "AWS::SecretsManager::Secret"},
	{service: "ses", resource: "identity", name: "AWS::SES::EmailIdentity"},
	{service: "sns", resource: "", name: "AWS::SNS::Topic"},
	{service: "sqs", resource: "", name: "AWS::SQS::Queue"},
	{service: "sso", unused: true},
}

// kindOf is the kind of a resource by its ARN, the zero kind where it is not known.
func kindOf(a arn.ARN) kind {
	for _, k := range kinds {
		if k.service != a.Service || k.resource != "" && k.resource != a.ResourceType() || k.service == "s3" && k.resource == "" && a.Account != "" {
			continue
		}
		switch {
		case k.service == "s3" && k.resource == "accesspoint" && a.Region == "":
			k.name = "AWS::S3::MultiRegionAccessPoint"
		case k.service == "s3-outposts" && strings.Contains(a.Resource, "/accesspoint/"):
			k.name = "AWS::S3Outposts::AccessPoint"
		case k.service == "dynamodb" && strings.Contains(a.Resource, "/stream/"):
			k.name = "AWS::DynamoDB::Stream"
		}
		return k
	}
	return kind{}
}

// services reads what is not IAM in the folder of one account.
type services struct {
	*reader
	account      *snapshot.Account
	blockAccount string // on, off or "": the account's own settings of S3 against public access
}

// walk reads every resource in a folder: what has a metadata.json or a policy.
func (s *services) walk(dir string) {
	var folders []string
	resource := false
	entries, err := fs.ReadDir(s.fsys, dir)
	if err != nil {
		s.gap(snapshot.GapFile, dir, s.account.ID, "the folder could not be read: "+err.Error(), dir)
	}
	for _, e := range entries {
		if e.IsDir() {
			folders = append(folders, e.Name())
			continue
		}
		resource = resource || e.Name() == "metadata.json" || strings.Contains(e.Name(), "polic")
	}
	if resource {
		s.resource(dir)
	}
	for _, f := range folders {
		s.walk(path.Join(dir, f))
	}
}

func (s *services) resource(dir string) {
	id := s.account.ID
	var m metadata
	at, ok := s.decode(path.Join(dir, "metadata.json"), id, &m)
	name, err := arn.Parse(m.ARN)
	if _, below, found := strings.Cut(dir, "/lambda/"); err != nil && ok && found && m.Name != "" && m.Version != nil { // layers are written without their ARN
		region, _, _ := strings.Cut(below, "/")
		name, err = arn.Parse(fmt.Sprintf("arn:%s:lambda:%s:%s:layer:%s:%v", s.account.Partition, region, id, m.Name, m.Version))
	}
	if err != nil {
		s.gap(snapshot.GapFile, dir, id, "has no metadata.json with an ARN; the folder was not read", dir)
		return
	}
	k := kindOf(name)
	switch {
	case k.unused:
		return
	case k.name == "":
		s.gap(snapshot.GapFile, name.String(), id, "a kind of resource that is not known; its policy was not read", dir)
		return
	}
	res := snapshot.Resource{ARN: name.String(), Type: k.name, Account: id, Region: name.Region, Source: at}
	if res.Region == "" {
		res.Region = m.Region
	}
	var there bool
	res.Policy, there = s.document("resource policy", res.ARN, id, path.Join(dir, "policy.json"))
	if !there && k.service == "ses" {
		res.Policy, there = s.sending(res.ARN, path.Join(dir, "policies.json"))
	}
	if !there && !k.listed {
		res.Policy = s.unread("resource policy", res.ARN, id, "there is no policy.json, which iam-collect writes neither where there is no policy nor where it was denied", at)
	}
	s.decode(path.Join(dir, "tags.json"), id, &res.Tags)
	if k.service == "s3" {
		res.Attributes.PublicAccessBlock = s.blocked(path.Join(dir, "bpa.json"))
		switch {
		case s.blockAccount == "on":
			res.Attributes.PublicAccessBlock = "on"
		case s.blockAccount == "" && res.Attributes.PublicAccessBlock == "off":
			res.Attributes.PublicAccessBlock = "" // the account's own settings may be on
		}
		var rules []struct {
			ApplyServerSideEncryptionByDefault struct{ KMSMasterKeyID string }
		}
		s.decode(path.Join(dir, "encryption.json"), id, &rules)
		for _, rule := range rules {
			if key := rule.ApplyServerSideEncryptionByDefault.KMSMasterKeyID; strings.HasPrefix(key, "arn:") {
				res.Attributes.SSEKMSKey = key
			}
		}
	}
	s.b.Resources = append(s.b.Resources, res)
}

// blocked reads settings against public access: on where all four are, off where one is not, "" where they are not known.
func (s *services) blocked(file string) string {
	var b *struct{ BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets bool }
	if _, ok := s.decode(file, s.account.ID, &b); !ok || b == nil {
		return ""
	}
	if b.BlockPublicAcls && b.IgnorePublicAcls && b.BlockPublicPolicy && b.RestrictPublicBuckets {
		return "on"
	}
	return "off"
}

// sending joins the named policies of an SES identity into one document: each of them allows and denies by itself.
func (s *services) sending(subject, file string) (d snapshot.Document, there bool) {
	var named map[string]struct {
		Version   string
		Statement json.RawMessage
	}
	at, ok := s.decode(file, s.account.ID, &named)
	if !ok {
		if s.exists(file) {
			return s.unread("resource policy", subject, s.account.ID, "policies.json could not be read", at), true
		}
		return snapshot.Document{}, false
	}
	joined := struct {
		Version   string `json:",omitempty"`
		Statement []json.RawMessage
	}{}
	for i, name := range sortedKeys(named) {
		p := named[name]
		if i > 0 && p.Version != joined.Version {
			return s.unread("resource policy", subject, s.account.ID, "its policies have different versions of the language", at), true
		}
		joined.Version = p.Version
		var list []json.RawMessage
		if json.Unmarshal(p.Statement, &list) != nil {
			list = []json.RawMessage{p.Statement}
		}
		joined.Statement = append(joined.Statement, list...)
	}
	text, err := json.Marshal(joined)
	if err != nil {
		return s.unread("resource policy", subject, s.account.ID, err.Error(), at), true
	}
	d = s.policy("resource policy", subject, s.account.ID, text, at)
	d.Multiline = false // its statements stand elsewhere in the file
	return d, true
}

// registry reads an account's policy of ECR in one region. It stands for the registry, whose ARN in policies is that of all its repositories.
func (s *services) registry(file string) {
	region := strings.TrimSuffix(strings.TrimPrefix(path.Base(file), "ecr-registry-policy."), ".json")
	name := arn.ARN{Partition: s.account.Partition, Service: "ecr", Region: region, Account: s.account.ID, Resource: "repository/*"}.String()
	d, _ := s.document("resource policy", name, s.account.ID, file)
	s.b.Resources = append(s.b.Resources, snapshot.Resource{ARN: name, Type: "AWS::ECR::RegistryPolicy", Account: s.account.ID, Region: region, Policy: d, Source: d.Source})
}

// readShares reads ram/<region>/<ARN of a resource>.json: the resource, the RAM shares that it is in, and the policy that RAM keeps for it, which is all that says with whom.
func (s *services) readShares(dir string) {
	err := fs.WalkDir(s.fsys, dir, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			s.gap(snapshot.GapFile, file, s.account.ID, "could not be read: "+err.Error(), file)
			return nil
		}
		if !e.IsDir() && path.Ext(file) == ".json" {
			s.readShare(file)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.gap(snapshot.GapFile, dir, s.account.ID, "could not be read: "+err.Error(), dir)
	}
}

func (s *services) readShare(file string) {
	var shared struct {
		ARN    string
		Shares []string
		Policy json.RawMessage
	}
	at, ok := s.decode(file, s.account.ID, &shared)
	if !ok {
		return
	}
	with, why := sharedWith(shared.Policy)
	if why != "" {
		s.b.Gap(snapshot.Gap{Kind: snapshot.GapDocument, Subject: shared.ARN, Account: s.account.ID, Reason: "with whom RAM shares it: " + why, Source: at})
	}
	if len(shared.Shares) == 0 {
		shared.Shares = []string{shared.ARN}
	}
	for _, name := range shared.Shares {
		share := s.shares[name]
		if share == nil {
			share = &snapshot.Share{Kind: "RAM", ARN: name, Owner: s.account.ID, AllowExternal: true, Source: at} // whether it may leave the organisation is not said
			s.shares[name] = share
		}
		share.With = append(share.With, with...)
		share.Resources = append(share.Resources, shared.ARN)
	}
}

// sharedWith are the grantees of a policy of RAM: accounts, principals, an organisation or its units. What cannot be read is taken for everybody, and why says so.
func sharedWith(text json.RawMessage) (with []string, why string) {
	const everybody = "all"
	if len(text) == 0 || string(text) == "null" {
		return []string{everybody}, "there is no policy; it is taken for everybody"
	}
	var quoted string
	if json.Unmarshal(text, &quoted) == nil {
		text = json.RawMessage(quoted)
	}
	var document struct{ Statement oneOrMany[json.RawMessage] }
	if err := json.Unmarshal(text, &document); err != nil {
		return []string{everybody}, err.Error() + "; it is taken for everybody"
	}
	for _, text := range document.Statement {
		var statement struct {
			Effect    string
			Principal json.RawMessage
			Condition map[string]map[string]oneOrMany[string]
		}
		var named struct{ AWS, Service oneOrMany[string] }
		if err := json.Unmarshal(text, &statement); err != nil {
			return []string{everybody}, err.Error() + "; it is taken for everybody"
		}
		if statement.Effect != "Allow" {
			continue
		}
		var anyone string
		if json.Unmarshal(statement.Principal, &anyone) == nil && anyone == "*" {
			named.AWS = []string{"*"}
		} else if err := json.Unmarshal(statement.Principal, &named); err != nil {
			return []string{everybody}, err.Error() + "; it is taken for everybody"
		}
		for _, principal := range slices.Concat(named.AWS, named.Service) {
			if principal != "*" {
				with = append(with, principal)
				continue
			}
			within := organizations(statement.Condition)
			if len(within) == 0 {
				return []string{everybody}, "its policy names everybody under conditions that are not an organisation's; it is taken for everybody"
			}
			with = append(with, within...)
		}
	}
	return with, ""
}

// organizations are the organisations or units that a condition of RAM narrows everybody down to, as ARNs without account; none where it does not or has more than that.
func organizations(condition map[string]map[string]oneOrMany[string]) []string {
	var out []string
	for operator, keys := range condition {
		if operator = strings.TrimPrefix(operator, "ForAnyValue:"); operator != "StringEquals" && operator != "StringLike" {
			return nil
		}
		for key, values := range keys {
			for _, v := range values {
				switch {
				case strings.EqualFold(key, "aws:PrincipalOrgID") && strings.HasPrefix(v, "o-"):
					out = append(out, "arn:aws:organizations:::organization/"+v)
				case strings.EqualFold(key, "aws:PrincipalOrgPaths") && strings.HasPrefix(v, "o-"):
					parts := strings.Split(strings.TrimRight(v, "/*"), "/")
					out = append(out, "arn:aws:organizations:::ou/"+parts[0]+"/"+parts[len(parts)-1])
				default:
					return nil
				}
			}
		}
	}
	return out
}

// oneOrMany is a JSON value that stands alone or in a list.
type oneOrMany[T any] []T

func (o *oneOrMany[T]) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '[' {
		return json.Unmarshal(text, (*[]T)(o))
	}
	var one T
	if err := json.Unmarshal(text, &one); err != nil {
		return err
	}
	*o = []T{one}
	return nil
}
