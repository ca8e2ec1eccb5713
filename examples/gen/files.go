package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"slices"
	"strings"
)

// organization is the company, as it is written down.
type organization struct {
	accounts   []*account
	units      []unit
	scps, rcps []controlPolicy
	providers  []provider
	grants     []kmsGrant
	shares     []share
	usage      []map[string]any
	gaps       []gap
}

type account struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Kind        string `json:"kind"`
	OU          string `json:"ou,omitempty"`
	Env         string `json:"env,omitempty"`
	Tags        tags   `json:"tags,omitempty"`
	inventoried bool
	users       []user
	groups      []group
	roles       []role
	policies    []managedPolicy
	resources   []resource
}

type tags map[string]string

type unit struct {
	Path string `json:"path"`
	Name string `json:"name"`
}

type controlPolicy struct {
	Name     string    `json:"name"`
	ARN      string    `json:"arn"`
	Targets  []string  `json:"targets"`
	Document *document `json:"document"`
}

// role is a role as the story tells it. Zero values: path "/", one hour, created with the company, never used, no boundary.
type role struct {
	Path, Name string
	Trust      *document
	Inline     map[string]*document
	Attached   []string // ARNs, or names of policies of AWS or of the account
	Boundary   string   // name of a policy of the account
	Session    int      // seconds
	Created    string
	LastUsed   string
	Tags       tags
}

type user struct {
	Name     string
	Groups   []string
	Inline   map[string]*document
	Attached []string
	Keys     int
	LastUsed string
	Tags     tags
}

type group struct {
	Name     string
	Inline   map[string]*document
	Attached []string
}

type managedPolicy struct {
	Name     string
	Document *document
}

type resource struct {
	ARN        string         `json:"arn"`
	Type       string         `json:"type"`
	Account    string         `json:"account"`
	Region     string         `json:"region,omitempty"`
	Policy     *document      `json:"policy"`
	Error      string         `json:"error,omitempty"`
	Tags       tags           `json:"tags,omitempty"`
	Attributes map[string]any `json:"attributes,omitempty"`
}

type provider struct {
	ARN        string   `json:"arn"`
	Type       string   `json:"type"`
	Account    string   `json:"account"`
	URL        string   `json:"url,omitempty"`
	Audiences  []string `json:"audiences,omitempty"`
	Cluster    string   `json:"cluster,omitempty"`
	Registered *bool    `json:"registered,omitempty"`
	ValidUntil string   `json:"validUntil,omitempty"`
}

type kmsGrant struct {
	Key         string         `json:"keyArn"`
	ID          string         `json:"grantId"`
	Grantee     string         `json:"grantee"`
	Retiring    string         `json:"retiring,omitempty"`
	Operations  []string       `json:"operations"`
	Constraints map[string]any `json:"constraints"`
	Created     string         `json:"created"`
	LastUsed    string         `json:"lastUsed,omitempty"`
}

type share struct {
	Kind          string         `json:"kind"`
	ARN           string         `json:"arn,omitempty"`
	Owner         string         `json:"owner"`
	With          []string       `json:"with"`
	AllowExternal bool           `json:"allowExternal"`
	Resources     []string       `json:"resources,omitempty"`
	Attributes    map[string]any `json:"attributes,omitempty"`
}

type gap struct {
	Kind    string `json:"kind"`
	Subject string `json:"subject"`
	Account string `json:"account"`
	Reason  string `json:"reason"`
}

const (
	region  = "eu-west-1"
	founded = "2023-02-06T09:00:00Z"
)

// iam is the ARN of something in IAM.
func (a *account) iam(name string) string { return "arn:aws:iam::" + a.ID + ":" + name }

func (a *account) root() string { return a.iam("root") }

// arn is the ARN of something in the account's first region.
func (a *account) arn(service, name string) string {
	return "arn:aws:" + service + ":" + region + ":" + a.ID + ":" + name
}

func (a *account) role(r role) { a.roles = append(a.roles, r) }

// bucket adds a bucket; the key encrypts its objects.
func (a *account) bucket(name, key string, p *document, t tags, more ...string) string {
	attributes := map[string]any{"publicAccessBlock": "on"}
	if key != "" {
		attributes["sseKmsKey"] = key
	}
	for _, m := range more {
		k, v, _ := strings.Cut(m, "=")
		attributes[k] = v
	}
	arn := "arn:aws:s3:::" + name
	a.resources = append(a.resources, resource{ARN: arn, Type: "AWS::S3::Bucket", Account: a.ID, Region: region, Policy: p, Tags: t, Attributes: attributes})
	return arn
}

// holds adds any other resource.
func (a *account) holds(kind, arn string, p *document, t tags) {
	a.resources = append(a.resources, resource{ARN: arn, Type: kind, Account: a.ID, Region: region, Policy: p, Tags: t})
}

// key adds a KMS key that its own account administers, and whatever else the statements allow.
func (a *account) key(id string, t tags, statements ...statement) string {
	arn := a.arn("kms", "key/"+id)
	own := allow("kms:*").by("AWS", a.root()).on("*").named("EnableIAMPolicies")
	a.holds("AWS::KMS::Key", arn, policy(append([]statement{own}, statements...)...), t)
	return arn
}

// uniqueID is what IAM would have given: the prefix of the kind, and characters that depend on the ARN alone.
func uniqueID(prefix, arn string) string {
	sum := sha256.Sum256([]byte(arn))
	return prefix + base32.StdEncoding.EncodeToString(sum[:])[:17]
}

// hexID is a stable made-up hexadecimal id.
func hexID(of string, length int) string {
	const digits = "0123456789abcdef"
	sum := sha256.Sum256([]byte(of))
	id := make([]byte, length)
	for i := range id {
		id[i] = digits[sum[i]&15]
	}
	return string(id)
}

// uuid is a stable made-up UUID.
func uuid(of string) string {
	h := hexID(of, 32)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:32]
}

// files is the directory form: every file of examples/acme but what people wrote.
func (o *organization) files() map[string][]byte {
	files := map[string][]byte{}
	slices.SortFunc(o.accounts, func(a, b *account) int { return strings.Compare(a.ID, b.ID) })
	files["organization.json"] = pretty(struct {
		Version    int             `json:"version"`
		Collected  string          `json:"collected"`
		ID         string          `json:"id"`
		Management string          `json:"managementAccount"`
		Accounts   []*account      `json:"accounts"`
		OUs        []unit          `json:"ous"`
		SCPs       []controlPolicy `json:"scps"`
		RCPs       []controlPolicy `json:"rcps"`
	}{1, collected, organizationID, o.accounts[0].ID, o.accounts, o.units, o.scps, o.rcps})
	files["policies.json"] = pretty(map[string]any{"Policies": awsPolicies()})
	files["providers.json"] = pretty(o.providers)
	files["grants.jsonl"] = lines(o.grants)
	files["shares.jsonl"] = lines(o.shares)
	files["usage.json"] = pretty(o.usage)
	files["gaps.json"] = pretty(o.gaps)
	for _, a := range o.accounts {
		if a.inventoried {
			files["accounts/"+a.ID+"/iam.json"] = pretty(a.authorizationDetails())
			files["accounts/"+a.ID+"/resources.jsonl"] = lines(a.resources)
		}
	}
	return files
}

func pretty(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(err) // values of this program only
	}
	return b.Bytes()
}

func lines[T any](values []T) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, v := range values {
		if err := e.Encode(v); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// The output of aws iam get-account-authorization-details.
type (
	named struct {
		Key   string
		Value string
	}
	inline struct {
		PolicyName     string
		PolicyDocument *document
	}
	attached struct {
		PolicyName string
		PolicyArn  string
	}
	boundary struct {
		PermissionsBoundaryType string
		PermissionsBoundaryArn  string
	}
	lastUsed struct {
		LastUsedDate string `json:",omitempty"`
		Region       string `json:",omitempty"`
	}
	roleDetail struct {
		Path                     string
		RoleName                 string
		RoleID                   string `json:"RoleId"`
		Arn                      string
		CreateDate               string
		AssumeRolePolicyDocument *document
		InstanceProfileList      []string
		RolePolicyList           []inline
		AttachedManagedPolicies  []attached
		PermissionsBoundary      *boundary `json:",omitempty"`
		Tags                     []named
		RoleLastUsed             lastUsed
		MaxSessionDuration       int
	}
	userDetail struct {
		Path                    string
		UserName                string
		UserID                  string `json:"UserId"`
		Arn                     string
		CreateDate              string
		UserPolicyList          []inline
		GroupList               []string
		AttachedManagedPolicies []attached
		Tags                    []named
		AccessKeys              int
		LastUsed                string `json:",omitempty"`
	}
	groupDetail struct {
		Path                    string
		GroupName               string
		GroupID                 string `json:"GroupId"`
		Arn                     string
		CreateDate              string
		GroupPolicyList         []inline
		AttachedManagedPolicies []attached
	}
	policyVersion struct {
		Document         *document
		VersionID        string `json:"VersionId"`
		IsDefaultVersion bool
		CreateDate       string
	}
	policyDetail struct {
		PolicyName        string
		PolicyID          string `json:"PolicyId"`
		Arn               string
		DefaultVersionID  string `json:"DefaultVersionId"`
		CreateDate        string
		PolicyVersionList []policyVersion
	}
)

func (a *account) authorizationDetails() any {
	details := struct {
		UserDetailList  []userDetail
		GroupDetailList []groupDetail
		RoleDetailList  []roleDetail
		Policies        []policyDetail
	}{[]userDetail{}, []groupDetail{}, []roleDetail{}, []policyDetail{}}
	for _, u := range a.users {
		arn := a.iam("user/" + u.Name)
		details.UserDetailList = append(details.UserDetailList, userDetail{
			"/", u.Name, uniqueID("AIDA", arn), arn, founded, inlineList(u.Inline), append([]string{}, u.Groups...), a.attachedList(u.Attached),
			tagList(u.Tags), u.Keys, u.LastUsed,
		})
	}
	for _, g := range a.groups {
		arn := a.iam("group/" + g.Name)
		details.GroupDetailList = append(details.GroupDetailList, groupDetail{"/", g.Name, uniqueID("AGPA", arn), arn, founded, inlineList(g.Inline), a.attachedList(g.Attached)})
	}
	slices.SortStableFunc(a.roles, func(x, y role) int { return strings.Compare(x.Path+x.Name, y.Path+y.Name) })
	for _, r := range a.roles {
		details.RoleDetailList = append(details.RoleDetailList, a.roleDetail(r))
	}
	for _, p := range a.policies {
		arn := a.iam("policy/" + p.Name)
		details.Policies = append(details.Policies, policyDetail{p.Name, uniqueID("ANPA", arn), arn, "v1", founded, []policyVersion{{p.Document, "v1", true, founded}}})
	}
	return details
}

func (a *account) roleDetail(r role) roleDetail {
	path, created, session := r.Path, r.Created, r.Session
	if path == "" {
		path = "/"
	}
	if created == "" {
		created = founded
	} else {
		created += "T10:00:00Z"
	}
	if session == 0 {
		session = 3600
	}
	arn := a.iam("role" + path + r.Name)
	d := roleDetail{
		Path: path, RoleName: r.Name, RoleID: uniqueID("AROA", arn), Arn: arn, CreateDate: created, AssumeRolePolicyDocument: r.Trust,
		InstanceProfileList: []string{}, RolePolicyList: inlineList(r.Inline), AttachedManagedPolicies: a.attachedList(r.Attached),
		Tags: tagList(r.Tags), MaxSessionDuration: session,
	}
	if r.Boundary != "" {
		d.PermissionsBoundary = &boundary{"Policy", a.iam("policy/" + r.Boundary)}
	}
	if r.LastUsed != "" {
		d.RoleLastUsed = lastUsed{r.LastUsed + "T05:30:00Z", region}
	}
	return d
}

func inlineList(documents map[string]*document) []inline {
	list := []inline{}
	for name, d := range documents {
		list = append(list, inline{name, d})
	}
	slices.SortFunc(list, func(x, y inline) int { return strings.Compare(x.PolicyName, y.PolicyName) })
	return list
}

// attachedList resolves names: a policy of the account, else one of AWS.
func (a *account) attachedList(names []string) []attached {
	list := []attached{}
	for _, name := range names {
		arn := "arn:aws:iam::aws:policy/" + name
		if slices.ContainsFunc(a.policies, func(p managedPolicy) bool { return p.Name == name }) {
			arn = a.iam("policy/" + name)
		}
		list = append(list, attached{name[strings.LastIndexByte(name, '/')+1:], arn})
	}
	return list
}

func tagList(t tags) []named {
	list := []named{}
	for k, v := range t {
		list = append(list, named{k, v})
	}
	slices.SortFunc(list, func(x, y named) int { return strings.Compare(x.Key, y.Key) })
	return list
}
