package snapshot

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
)

// Write writes the directory form of s, one file at a time: sink gets each file's name, relative to the snapshot's
// directory, and its content. ReadFS of what was written means the same as s, but for the places of facts and the spelling
// of policy documents; writing s twice gives the same bytes. An error is sink's, or names the fact that has no form.
func Write(s *Snapshot, sink func(name string, data []byte) error) error {
	w := &writer{s: s, sink: sink, accounts: make(map[string]bool, len(s.Accounts)), stated: make(map[Gap]bool, len(s.Gaps))}
	for i := range s.Accounts {
		w.accounts[s.Accounts[i].ID] = true
	}
	for _, g := range s.Gaps {
		g.Source = Source{}
		w.stated[g] = true
	}
	w.writeOrganization()
	w.writeCollected()
	w.writeDetails()
	w.writeResources()
	w.writeFacts()
	w.writeGaps()
	return w.err
}

type writer struct {
	s        *Snapshot
	sink     func(string, []byte) error
	accounts map[string]bool
	stated   map[Gap]bool // the gaps of s without their places
	err      error
}

// json writes a file that is one value, indented so that lines are places to point at.
func (w *writer) json(name string, v any) {
	if w.err != nil {
		return
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		w.err = fmt.Errorf("%s: %w", name, err)
		return
	}
	w.err = w.sink(name, b.Bytes())
}

// lines writes a file of one value a line.
func lines[T any](w *writer, name string, values []T) {
	if w.err != nil {
		return
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, v := range values {
		if err := enc.Encode(v); err != nil {
			w.err = fmt.Errorf("%s: %w", name, err)
			return
		}
	}
	w.err = w.sink(name, b.Bytes())
}

// document is the form of a document, and what to say where there is none: null is written then.
func (w *writer) document(d *Document) (form any, problem string) {
	switch {
	case d.State == Read && d.Policy != nil:
		return json.RawMessage(d.Policy.Document.Canonical()), ""
	case d.State == None:
		return nil, ""
	}
	return nil, cmp.Or(d.Problem, "could not be read")
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// The forms of organization.json.
type (
	organizationForm struct {
		Version           int            `json:"version"`
		Collected         string         `json:"collected,omitempty"`
		ID                *string        `json:"id,omitempty"`
		ManagementAccount string         `json:"managementAccount,omitempty"`
		Accounts          []accountForm  `json:"accounts"`
		OUs               []unitForm     `json:"ous,omitempty"`
		SCPs              *[]controlForm `json:"scps,omitempty"`
		RCPs              *[]controlForm `json:"rcps,omitempty"`
	}
	accountForm struct {
		ID          string            `json:"id"`
		Name        string            `json:"name,omitempty"`
		Kind        string            `json:"kind,omitempty"`
		Partition   string            `json:"partition,omitempty"`
		OU          string            `json:"ou,omitempty"`
		Env         string            `json:"env,omitempty"`
		Tags        map[string]string `json:"tags,omitempty"`
		Inventoried bool              `json:"inventoried"`
	}
	unitForm struct {
		Path string `json:"path"`
		Name string `json:"name,omitempty"`
	}
	controlForm struct {
		Name     string   `json:"name"`
		ARN      string   `json:"arn,omitempty"`
		Targets  []string `json:"targets"`
		Document any      `json:"document"`
		Error    string   `json:"error,omitempty"`
	}
)

func (w *writer) writeOrganization() {
	s := w.s
	form := organizationForm{Version: Version, Collected: timeText(s.Collected), Accounts: []accountForm{}}
	for _, a := range s.Accounts {
		form.Accounts = append(form.Accounts, accountForm{a.ID, a.Name, a.Kind.String(), a.Partition, a.UnitPath, a.Environment, a.Tags, a.Inventoried})
	}
	if o := s.Organization; o != nil {
		form.ID, form.ManagementAccount = &o.ID, o.ManagementAccount
		for _, u := range o.Units {
			form.OUs = append(form.OUs, unitForm(u))
		}
		form.SCPs = w.controlPolicies(o.SCPs, Gap{Kind: GapOrganization, Subject: SubjectSCPs, Reason: noSCPs})
		form.RCPs = w.controlPolicies(o.RCPs, Gap{Kind: GapOrganization, Subject: SubjectRCPs, Reason: noRCPs})
	}
	w.json(organizationFile, form)
}

// String is the word of the directory form; "" for UnknownKind.
func (k AccountKind) String() string {
	for name, kind := range accountKinds {
		if kind == k {
			return name
		}
	}
	return ""
}

// controlPolicies is nil, which leaves the field out, only where a gap says that the policies are not known.
func (w *writer) controlPolicies(ps []ControlPolicy, unknown Gap) *[]controlForm {
	if len(ps) == 0 && w.stated[unknown] {
		return nil
	}
	out := make([]controlForm, 0, len(ps))
	for i := range ps {
		p := &ps[i]
		f := controlForm{Name: p.Name, ARN: p.ARN, Targets: append([]string{}, p.Targets...)}
		f.Document, f.Error = w.document(&p.Document)
		out = append(out, f)
	}
	return &out
}

// The forms of iam.json are those of the AWS CLI, with the fields of our own that docs/snapshot.md names.
type (
	detailsForm struct {
		UserDetailList  []userForm   `json:"UserDetailList"`
		GroupDetailList []groupForm  `json:"GroupDetailList"`
		RoleDetailList  []roleForm   `json:"RoleDetailList"`
		Policies        []policyForm `json:"Policies"`
	}
	inlineForm struct {
		PolicyName     string
		PolicyDocument any
		Error          string `json:"PolicyDocumentError,omitempty"`
	}
	attachmentForm struct {
		PolicyName string
		PolicyArn  string
	}
	boundaryForm struct {
		Type     string `json:"PermissionsBoundaryType"`
		ARN      string `json:"PermissionsBoundaryArn,omitempty"`
		Document any    `json:"PolicyDocument,omitempty"`
		Error    string `json:"PolicyDocumentError,omitempty"`
	}
	tagForm  struct{ Key, Value string }
	userForm struct {
		Path                    string `json:",omitempty"`
		UserName                string
		UserID                  string `json:"UserId,omitempty"`
		Arn                     string
		CreateDate              string       `json:",omitempty"`
		UserPolicyList          []inlineForm `json:",omitempty"`
		GroupList               []string
		AttachedManagedPolicies []attachmentForm
		PermissionsBoundary     *boundaryForm `json:",omitempty"`
		Tags                    []tagForm     `json:",omitempty"`
		AccessKeys              *int          `json:",omitempty"`
		LastUsed                string        `json:",omitempty"`
	}
	groupForm struct {
		Path                    string `json:",omitempty"`
		GroupName               string
		GroupID                 string `json:"GroupId,omitempty"`
		Arn                     string
		GroupPolicyList         []inlineForm
		AttachedManagedPolicies []attachmentForm
	}
	roleForm struct {
		Path                    string `json:",omitempty"`
		RoleName                string
		RoleID                  string `json:"RoleId,omitempty"`
		Arn                     string
		CreateDate              string `json:",omitempty"`
		Trust                   any    `json:"AssumeRolePolicyDocument"`
		TrustError              string `json:"AssumeRolePolicyDocumentError,omitempty"`
		InstanceProfileList     []profileForm
		RolePolicyList          []inlineForm
		AttachedManagedPolicies []attachmentForm
		PermissionsBoundary     *boundaryForm `json:",omitempty"`
		MaxSessionDuration      int64         `json:",omitempty"`
		Tags                    []tagForm     `json:",omitempty"`
		RoleLastUsed            *lastUsedForm `json:",omitempty"`
	}
	profileForm  struct{ Arn string }
	lastUsedForm struct{ LastUsedDate string }
	policyForm   struct {
		PolicyName        string
		Arn               string
		DefaultVersionID  string `json:"DefaultVersionId"`
		PolicyVersionList []versionForm
	}
	versionForm struct {
		Document         any
		Error            string `json:"DocumentError,omitempty"`
		VersionID        string `json:"VersionId"`
		IsDefaultVersion bool
	}
)

func (w *writer) writeDetails() {
	s := w.s
	byAccount := make(map[string]*detailsForm)
	of := func(account string) *detailsForm {
		d := byAccount[account]
		if d == nil {
			d = &detailsForm{[]userForm{}, []groupForm{}, []roleForm{}, []policyForm{}}
			byAccount[account] = d
		}
		return d
	}
	// An account that was read and has nothing is not the same as one that was not read.
	for i := range s.Accounts {
		a := &s.Accounts[i]
		outside := a.Kind == Vendor || a.Kind == External
		if a.Inventoried || !outside && !w.stated[Gap{Kind: GapAccount, Subject: a.ID, Account: a.ID, Reason: noDetails}] {
			of(a.ID)
		}
	}
	for i := range s.Users {
		d := of(s.Users[i].Account)
		d.UserDetailList = append(d.UserDetailList, w.user(&s.Users[i]))
	}
	for i := range s.Groups {
		d := of(s.Groups[i].Account)
		d.GroupDetailList = append(d.GroupDetailList, w.group(&s.Groups[i]))
	}
	for i := range s.Roles {
		d := of(s.Roles[i].Account)
		d.RoleDetailList = append(d.RoleDetailList, w.role(&s.Roles[i]))
	}
	var shared []policyForm
	for i := range s.Policies {
		m := &s.Policies[i]
		f := w.policy(m)
		if m.Account == "" || !w.accounts[m.Account] {
			shared = append(shared, f)
			continue
		}
		d := of(m.Account)
		d.Policies = append(d.Policies, f)
	}
	if len(shared) > 0 {
		w.json(policiesFile, struct{ Policies []policyForm }{shared})
	}
	ids := make([]string, 0, len(byAccount))
	for id := range byAccount {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		if !arn.IsAccountID(id) {
			w.err = cmp.Or(w.err, fmt.Errorf("account %s: an account id has 12 digits", quote(id)))
			return
		}
		w.json(path.Join(accountsDir, id, "iam.json"), byAccount[id])
	}
}

func (w *writer) user(u *User) userForm {
	f := userForm{Path: u.Path, UserName: u.Name, UserID: u.UniqueID, Arn: u.ARN, CreateDate: timeText(u.Created),
		UserPolicyList: w.inline(u.Inline), GroupList: append([]string{}, u.Groups...), AttachedManagedPolicies: attachments(u.Attached),
		PermissionsBoundary: w.boundary(&u.Principal), Tags: tags(u.Tags), LastUsed: timeText(u.LastUsed)}
	if u.AccessKeys >= 0 {
		f.AccessKeys = &u.AccessKeys
	}
	return f
}

func (w *writer) group(g *Group) groupForm {
	return groupForm{g.Path, g.Name, g.UniqueID, g.ARN, w.inline(g.Inline), attachments(g.Attached)}
}

func (w *writer) role(r *Role) roleForm {
	f := roleForm{Path: r.Path, RoleName: r.Name, RoleID: r.UniqueID, Arn: r.ARN, CreateDate: timeText(r.Created),
		InstanceProfileList: []profileForm{}, RolePolicyList: w.inline(r.Inline), AttachedManagedPolicies: attachments(r.Attached),
		PermissionsBoundary: w.boundary(&r.Principal), MaxSessionDuration: int64(r.MaxSession / time.Second), Tags: tags(r.Tags)}
	f.Trust, f.TrustError = w.document(&r.Trust)
	for _, p := range r.InstanceProfiles {
		f.InstanceProfileList = append(f.InstanceProfileList, profileForm{p})
	}
	if !r.LastUsed.IsZero() {
		f.RoleLastUsed = &lastUsedForm{timeText(r.LastUsed)}
	}
	return f
}

func (w *writer) policy(m *ManagedPolicy) policyForm {
	v := versionForm{VersionID: "v1", IsDefaultVersion: true}
	v.Document, v.Error = w.document(&m.Document)
	return policyForm{PolicyName: m.ARN[lastSlash(m.ARN)+1:], Arn: m.ARN, DefaultVersionID: "v1", PolicyVersionList: []versionForm{v}}
}

func lastSlash(s string) int { return bytes.LastIndexByte([]byte(s), '/') }

func (w *writer) inline(ds []Document) []inlineForm {
	out := make([]inlineForm, len(ds))
	for i := range ds {
		out[i].PolicyName = ds[i].Name
		out[i].PolicyDocument, out[i].Error = w.document(&ds[i])
	}
	return out
}

func (w *writer) boundary(p *Principal) *boundaryForm {
	if p.Boundary == nil && p.InlineBoundary == nil {
		return nil
	}
	f := &boundaryForm{Type: "Policy"}
	if p.Boundary != nil {
		f.ARN = p.Boundary.ARN
	}
	if p.InlineBoundary != nil {
		f.Document, f.Error = w.document(p.InlineBoundary)
	}
	return f
}

func attachments(as []Attachment) []attachmentForm {
	out := make([]attachmentForm, len(as))
	for i, a := range as {
		out[i] = attachmentForm(struct{ PolicyName, PolicyArn string }{a.Name, a.ARN})
	}
	return out
}

func tags(m map[string]string) []tagForm {
	out := make([]tagForm, 0, len(m))
	for k, v := range m {
		out = append(out, tagForm{k, v})
	}
	slices.SortFunc(out, func(a, b tagForm) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

type resourceForm struct {
	ARN        string            `json:"arn"`
	Type       string            `json:"type"`
	Account    string            `json:"account,omitempty"`
	Region     string            `json:"region,omitempty"`
	Policy     any               `json:"policy"`
	Error      string            `json:"error,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	Attributes map[string]any    `json:"attributes,omitempty"`
}

// writeResources writes each account's resources into its directory, and those of accounts that the snapshot does not list
// beside them.
func (w *writer) writeResources() {
	byAccount := make(map[string][]resourceForm)
	var others []resourceForm
	for i := range w.s.Resources {
		r := &w.s.Resources[i]
		f := w.resource(r)
		if !w.accounts[r.Account] {
			others = append(others, f)
			continue
		}
		byAccount[r.Account] = append(byAccount[r.Account], f)
	}
	const name = "resources.jsonl"
	if len(others) > 0 {
		lines(w, name, others)
	}
	unknown := w.missing(name, "")
	for i := range w.s.Accounts {
		a := &w.s.Accounts[i]
		file := path.Join(accountsDir, a.ID, name)
		if rs := byAccount[a.ID]; len(rs) > 0 || a.Inventoried && !unknown && !w.missing(file, a.ID) {
			lines(w, file, rs)
		}
	}
	if len(w.s.Resources) == 0 && !unknown && !w.anyInventoried() {
		lines(w, name, others)
	}
}

func (w *writer) resource(r *Resource) resourceForm {
	f := resourceForm{ARN: r.ARN, Type: r.Type, Account: r.Account, Region: r.Region, Tags: r.Tags}
	f.Policy, f.Error = w.document(&r.Policy)
	if a := &r.Attributes; a.SSEKMSKey != "" || a.PublicAccessBlock != "" || len(a.Other) > 0 {
		f.Attributes = make(map[string]any, len(a.Other)+2)
		for k, v := range a.Other {
			f.Attributes[k] = v
		}
		if a.SSEKMSKey != "" {
			f.Attributes["sseKmsKey"] = a.SSEKMSKey
		}
		if a.PublicAccessBlock != "" {
			f.Attributes["publicAccessBlock"] = a.PublicAccessBlock
		}
	}
	return f
}

func (w *writer) anyInventoried() bool {
	return slices.ContainsFunc(w.s.Accounts, func(a Account) bool { return a.Inventoried })
}

// missing reports whether a gap says that a file of facts was not there. Such a file is not written empty: an empty file
// says that there is nothing.
func (w *writer) missing(file, account string) bool {
	for _, f := range factFiles {
		if f.name == path.Base(file) {
			return w.stated[Gap{Kind: GapFile, Subject: file, Account: account, Reason: notCollected(f)}]
		}
	}
	return false
}

type (
	providerForm struct {
		ARN        string   `json:"arn"`
		Type       string   `json:"type"`
		Account    string   `json:"account,omitempty"`
		URL        string   `json:"url,omitempty"`
		Audiences  []string `json:"audiences,omitempty"`
		Cluster    string   `json:"cluster,omitempty"`
		Source     string   `json:"source,omitempty"`
		CRL        string   `json:"crl,omitempty"`
		Registered *bool    `json:"registered,omitempty"`
		ValidUntil string   `json:"validUntil,omitempty"`
	}
	grantForm struct {
		Key         string         `json:"keyArn"`
		ID          string         `json:"grantId,omitempty"`
		Grantee     string         `json:"grantee,omitempty"`
		Retiring    string         `json:"retiring,omitempty"`
		Operations  []string       `json:"operations,omitempty"`
		Constraints map[string]any `json:"constraints"`
		Created     string         `json:"created,omitempty"`
		LastUsed    string         `json:"lastUsed,omitempty"`
	}
	shareForm struct {
		Kind          string         `json:"kind"`
		ARN           string         `json:"arn,omitempty"`
		Owner         string         `json:"owner,omitempty"`
		With          []string       `json:"with,omitempty"`
		AllowExternal bool           `json:"allowExternal,omitempty"`
		Resources     []string       `json:"resources,omitempty"`
		Attributes    map[string]any `json:"attributes,omitempty"`
	}
	gapForm struct {
		Kind    GapKind     `json:"kind"`
		Subject string      `json:"subject"`
		Account string      `json:"account,omitempty"`
		Reason  string      `json:"reason"`
		Call    string      `json:"call,omitempty"`
		Code    string      `json:"code,omitempty"`
		Types   []string    `json:"types,omitempty"`
		Source  *sourceForm `json:"source,omitempty"`
	}
	sourceForm struct {
		File   string `json:"file,omitempty"`
		Line   int32  `json:"line,omitempty"`
		Column int32  `json:"column,omitempty"`
	}
)

func (w *writer) writeFacts() {
	s := w.s
	providers := make([]providerForm, len(s.Providers))
	for i := range s.Providers {
		providers[i] = providerOf(&s.Providers[i])
	}
	if len(providers) > 0 || !w.missing("providers.json", "") {
		w.json("providers.json", providers)
	}
	grants := make([]grantForm, len(s.KMSGrants))
	for i := range s.KMSGrants {
		grants[i] = grantOf(&s.KMSGrants[i])
	}
	if len(grants) > 0 || !w.missing("grants.jsonl", "") {
		lines(w, "grants.jsonl", grants)
	}
	shares := make([]shareForm, len(s.Shares))
	for i := range s.Shares {
		shares[i] = shareOf(&s.Shares[i])
	}
	if len(shares) > 0 || !w.missing("shares.jsonl", "") {
		lines(w, "shares.jsonl", shares)
	}
	usage := make([]map[string]any, len(s.Usage))
	for i, u := range s.Usage {
		usage[i] = u.Fields
	}
	if len(usage) > 0 || !w.missing(usageFile, "") {
		w.json(usageFile, usage)
	}
}

func providerOf(p *Provider) providerForm {
	return providerForm{p.ARN, p.Type, p.Account, p.URL, p.Audiences, p.Cluster, p.CASource, p.CRL, p.Registered, timeText(p.ValidUntil)}
}

func grantOf(g *KMSGrant) grantForm {
	return grantForm{g.Key, g.ID, g.Grantee, g.Retiring, g.Operations, g.Constraints, timeText(g.Created), timeText(g.LastUsed)}
}

func shareOf(h *Share) shareForm {
	return shareForm{h.Kind, h.ARN, h.Owner, h.With, h.AllowExternal, h.Resources, h.Attributes}
}

// writeCollected writes when accounts were read. How completely stands in organization.json, where it is for all accounts.
func (w *writer) writeCollected() {
	for _, a := range w.s.Accounts {
		if !a.Collected.IsZero() {
			w.json(path.Join(accountsDir, a.ID, collectedFile), struct {
				At string `json:"at"`
			}{timeText(a.Collected)})
		}
	}
}

func (w *writer) writeGaps() {
	gaps := slices.Clone(w.s.Gaps)
	slices.SortStableFunc(gaps, compareGaps)
	forms := make([]gapForm, len(gaps))
	for i, g := range gaps {
		forms[i] = gapForm{Kind: g.Kind, Subject: g.Subject, Account: g.Account, Reason: g.Reason, Call: g.Call, Code: g.Code, Types: strings.Fields(g.Types)}
		// A gap that is in no file says so by an empty source; else reading would take the place in gaps.json.
		forms[i].Source = &sourceForm{g.Source.File, g.Source.Line, g.Source.Column}
	}
	w.json(gapsFile, forms)
}
