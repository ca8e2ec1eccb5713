package collect

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"
)

// facts are what was read of one account, in the shapes of docs/snapshot.md. Nothing is put into them but what these fields hold: no environment of a function, no secret, no user data.
type facts struct {
	mu        sync.Mutex
	resources []resource
	providers []provider
	grants    []grant
	shares    []share
	usage     []map[string]any
	gaps      []gap
	roles     []string // ARNs, for what is asked of each role
	absent    []string // "CodeArtifact in eu-north-1": services that are not offered there
}

type resource struct {
	ARN        string            `json:"arn"`
	Type       string            `json:"type"`
	Account    string            `json:"account,omitempty"`
	Region     string            `json:"region,omitempty"`
	Policy     any               `json:"policy"`
	Error      *string           `json:"error,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	Attributes map[string]any    `json:"attributes,omitempty"`
}

type provider struct {
	ARN        string     `json:"arn"`
	Type       string     `json:"type"`
	Account    string     `json:"account,omitempty"`
	URL        string     `json:"url,omitempty"`
	Audiences  []string   `json:"audiences,omitempty"`
	Cluster    string     `json:"cluster,omitempty"`
	Source     string     `json:"source,omitempty"`
	CRL        string     `json:"crl,omitempty"`
	Registered *bool      `json:"registered,omitempty"`
	ValidUntil *time.Time `json:"validUntil,omitempty"`
}

type grant struct {
	KeyARN      string         `json:"keyArn"`
	GrantID     string         `json:"grantId,omitempty"`
	Grantee     string         `json:"grantee,omitempty"`
	Retiring    string         `json:"retiring,omitempty"`
	Operations  []string       `json:"operations,omitempty"`
	Constraints map[string]any `json:"constraints"`
	Created     *time.Time     `json:"created,omitempty"`
}

type share struct {
	Kind          string         `json:"kind"`
	ARN           string         `json:"arn,omitempty"`
	Owner         string         `json:"owner,omitempty"`
	With          []string       `json:"with"`
	AllowExternal bool           `json:"allowExternal,omitempty"`
	Resources     []string       `json:"resources,omitempty"`
	Attributes    map[string]any `json:"attributes,omitempty"`
}

type gap struct {
	Kind    string `json:"kind"`
	Subject string `json:"subject"`
	Account string `json:"account,omitempty"`
	Call    string `json:"call,omitempty"`
	Code    string `json:"code,omitempty"`
	Reason  string `json:"reason"`
	// Types are those of the row whose call was not answered: what of them is there and not listed is not known.
	Types []string `json:"types,omitempty"`
}

// everything is hidden in an account that was not read at all.
var everything = []string{"*"}

// sort brings what was read into an order that does not depend on who answered first.
func (f *facts) sort() {
	slices.SortFunc(f.resources, func(a, b resource) int { return cmp.Or(cmp.Compare(a.ARN, b.ARN), cmp.Compare(a.Type, b.Type)) })
	slices.SortFunc(f.providers, func(a, b provider) int { return cmp.Compare(a.ARN, b.ARN) })
	slices.SortFunc(f.grants, func(a, b grant) int {
		return cmp.Or(cmp.Compare(a.KeyARN, b.KeyARN), cmp.Compare(a.GrantID, b.GrantID))
	})
	slices.SortFunc(f.shares, func(a, b share) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ARN, b.ARN)) })
	slices.SortFunc(f.gaps, func(a, b gap) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Call, b.Call), cmp.Compare(a.Reason, b.Reason))
	})
	slices.SortFunc(f.usage, func(a, b map[string]any) int {
		return cmp.Compare(fmt.Sprint(a["accessAdvisor"]), fmt.Sprint(b["accessAdvisor"]))
	})
	slices.Sort(f.absent)
}
