// Package scenario reads and judges scenario files: an organisation in short notation with the findings, paths and single
// decisions that are expected of it. Users write them as unit tests of their trust policies; the project's own rules are
// tested by them.
//
// A scenario is a notation, not a second model: it is read into the snapshot, the vendors, the registry and the parameters
// that real inputs are read into, and judged by the code that scans. The format is documented in docs/scenarios.md.
package scenario

import (
	"encoding/json"
	"time"
)

// file is the outside form of a scenario.
type file struct {
	ID        string            `json:"id"`
	Title     string            `json:"title"`
	Why       string            `json:"why"`
	Basis     []string          `json:"basis"`
	Now       time.Time         `json:"now"`
	Settings  settings          `json:"settings"`
	Org       orgSection        `json:"org"`
	Roles     []json.RawMessage `json:"roles"`
	Users     []json.RawMessage `json:"users"`
	Providers []provider        `json:"providers"`
	Resources []json.RawMessage `json:"resources"`
	Grants    []grant           `json:"grants"`
	Shares    []share           `json:"shares"`
	Vendors   []json.RawMessage `json:"vendors"`
	Registry  []json.RawMessage `json:"registry"`
	Usage     []map[string]any  `json:"usage"`
	Plan      []map[string]any  `json:"plan"`
	Expect    Expect            `json:"expect"`
	Checks    []Check           `json:"checks"`
}

// settings are the limits of this scenario; a missing one has its default. Those of later rules are read and kept quiet.
type settings struct {
	StaleDays             int            `json:"staleDays"`
	NeverUsedDays         int            `json:"neverUsedDays"`
	ReviewDays            int            `json:"reviewDays"`
	MaxSessionSeconds     int            `json:"maxSessionSeconds"`
	MaxHops               int            `json:"maxHops"`
	ChokePointAccounts    int            `json:"chokePointAccounts"`
	ChainedSessionSeconds int            `json:"chainedSessionSeconds"`
	ExternalIDMinLength   int            `json:"externalIdMinLength"`
	WideOrgMembers        int            `json:"wideOrgMembers"`
	DataDays              int            `json:"dataDays"`
	EnvClass              map[string]int `json:"envClass"`
	CriticalTag           string         `json:"criticalTag"` // key=value
	BreakGlassDrillDays   int            `json:"breakGlassDrillDays"`
	TrailDays             int            `json:"trailDays"`
}

type orgSection struct {
	ID                string            `json:"id"`
	ManagementAccount string            `json:"managementAccount"`
	Accounts          []json.RawMessage `json:"accounts"`
	SCPs              []json.RawMessage `json:"scps"`
	RCPs              []json.RawMessage `json:"rcps"`
}

type account struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Kind string `json:"kind"`
	Env  string `json:"env"`
	OU   string `json:"ou"`
	// Inventoried says whether the account's principals are listed completely; missing: those of members are.
	Inventoried *bool  `json:"inventoried"`
	Note        string `json:"note"`
}

type controlPolicy struct {
	Name    string          `json:"name"`
	Targets []string        `json:"targets"`
	Policy  json.RawMessage `json:"policy"`
}

type principal struct {
	ARN        string                     `json:"arn"`
	UniqueID   string                     `json:"uniqueId"`
	Trust      json.RawMessage            `json:"trust"`
	Policies   map[string]json.RawMessage `json:"policies"`
	Managed    []string                   `json:"managed"`
	Boundary   json.RawMessage            `json:"boundary"`
	MaxSession *int                       `json:"maxSession"`
	Created    time.Time                  `json:"created"`
	LastUsed   *time.Time                 `json:"lastUsed"`
	Tags       map[string]string          `json:"tags"`
	AccessKeys *int                       `json:"accessKeys"` // users: number of active access keys
	Note       string                     `json:"note"`
}

type provider struct {
	ARN        string     `json:"arn"`
	Type       string     `json:"type"`
	URL        string     `json:"url"`
	Audiences  []string   `json:"audiences"`
	Cluster    string     `json:"cluster"`
	Source     string     `json:"source"`
	CRL        *bool      `json:"crl"`
	Registered *bool      `json:"registered"`
	ValidUntil *time.Time `json:"validUntil"`
	Note       string     `json:"note"`
}

type resource struct {
	ARN        string            `json:"arn"`
	Type       string            `json:"type"`
	Account    string            `json:"account"`
	Policy     json.RawMessage   `json:"policy"`
	Error      string            `json:"error"`
	Tags       map[string]string `json:"tags"`
	Attributes map[string]any    `json:"attributes"`
	Note       string            `json:"note"`
}

type grant struct {
	KeyARN      string         `json:"keyArn"`
	GrantID     string         `json:"grantId"`
	Grantee     string         `json:"grantee"`
	Retiring    string         `json:"retiring"`
	Operations  []string       `json:"operations"`
	Constraints map[string]any `json:"constraints"`
	Created     *time.Time     `json:"created"`
	LastUsed    *time.Time     `json:"lastUsed"`
}

type share struct {
	Kind          string   `json:"kind"`
	ARN           string   `json:"arn"`
	Owner         string   `json:"owner"`
	With          []string `json:"with"`
	AllowExternal bool     `json:"allowExternal"`
	Resources     []string `json:"resources"`
	Services      []string `json:"services"`
	Permissions   []string `json:"permissions"`
	Grantable     bool     `json:"grantable"`
	Tables        string   `json:"tables"`
	Note          string   `json:"note"`
}

type vendor struct {
	Name     string   `json:"name"`
	Accounts []string `json:"accounts"`
	Status   string   `json:"status"`
	Ended    string   `json:"ended"`
	Source   string   `json:"source"`
}

type entry struct {
	ID             string         `json:"id"`
	Kind           string         `json:"kind"`
	Source         string         `json:"source"`
	Target         string         `json:"target"`
	Owner          string         `json:"owner"`
	Purpose        string         `json:"purpose"`
	Expires        string         `json:"expires"`
	Reviewed       string         `json:"reviewed"`
	SessionSeconds int            `json:"sessionSeconds"`
	CadenceDays    int            `json:"cadenceDays"`
	GraceDays      int            `json:"graceDays"`
	Vendor         string         `json:"vendor"`
	LastDrill      string         `json:"lastDrill"`
	IdentityClass  string         `json:"identityClass"`
	DataClass      string         `json:"dataClass"`
	OwnerStatus    string         `json:"ownerStatus"`
	RequestedBy    string         `json:"requestedBy"`
	ApprovedBy     string         `json:"approvedBy"`
	TrustApproved  map[string]any `json:"trustApproved"`
}

// Expect is what a scenario expects. What it does not mention is not judged.
type Expect struct {
	Findings    []ExpectedFinding `json:"findings"`
	Absent      []ExpectedFinding `json:"absent"`
	NotAssessed []ExpectedFinding `json:"notAssessed"`
	Paths       []ExpectedPath    `json:"paths"`
	NoPaths     []ExpectedPath    `json:"noPaths"`
}

// ExpectedFinding is a rule on a subject.
type ExpectedFinding struct {
	ID      string `json:"id"`
	Subject string `json:"subject"`
	Note    string `json:"note,omitempty"`
}

// ExpectedPath is a path by its ends; Steps, Verdict, MaxSessionSeconds and Conditions are judged where they are given.
type ExpectedPath struct {
	From              string   `json:"from"`
	To                string   `json:"to"`
	Steps             []string `json:"steps"`
	Verdict           string   `json:"verdict"`
	MaxSessionSeconds int      `json:"maxSessionSeconds"`
	Conditions        []string `json:"conditions"`
	Note              string   `json:"note,omitempty"`
	Because           string   `json:"because,omitempty"`
}

// Check is one authorization decision with the answer that AWS gives.
type Check struct {
	Principal       string                     `json:"principal"`
	Action          string                     `json:"action"`
	Resource        string                     `json:"resource"`
	ResourceAccount string                     `json:"resourceAccount"`
	Context         map[string]json.RawMessage `json:"context"`
	Expect          string                     `json:"expect"`
	Note            string                     `json:"note,omitempty"`
}
