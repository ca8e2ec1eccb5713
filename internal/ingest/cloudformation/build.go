package cloudformation

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/internal/change"
	"drawbridge/internal/snapshot"
)

// builder makes the parts of one resource.
type builder struct {
	r       *resource
	row     *row
	parts   []change.Part
	gaps    []snapshot.Gap
	unknown []change.Unknown
	read    map[string]bool // properties whose documents were read
	unseen  string          // why the resource is not judged, "" where it is
}

func build(r *resource) *builder {
	b := &builder{r: r, row: r.row, read: map[string]bool{}}
	b.nulls(r.all(), "")
	switch {
	case b.row == nil:
		b.notUnderstood()
		return b
	case b.row.build != nil:
		b.row.build(b)
	case b.row.Of:
		b.policyOf()
	default:
		b.resource()
	}
	if b.decides() {
		b.named()
		if r.maybe != "" {
			b.unknownAt(r.name(), "Condition", r.maybe+"; the resource is taken as made")
		}
	}
	if r.typ == "AWS::Serverless::Function" { // its role has them
		b.read["Policies"], b.read["AssumeRolePolicyDocument"] = true, true
	}
	for _, path := range documents(r.all(), "") {
		top, _, _ := strings.Cut(path, ".")
		if top, _, _ = strings.Cut(cmp.Or(top, "Statement"), "["); !b.read[top] {
			b.gapAt(r.pos, r.address(), path+" holds a policy document, which is not read of the type "+r.typ)
		}
	}
	return b
}

// nulls tells of values that AWS refuses.
func (b *builder) nulls(n *node, path string) {
	for _, f := range n.fields {
		at := strings.TrimPrefix(path+"."+f.key, ".")
		if f.kind == null {
			b.gapAt(f.pos, b.r.address(), at+" is null, and AWS takes no null in a template")
		}
		if strings.Count(at, ".") < 2 {
			b.nulls(f.node, at)
		}
	}
}

func (b *builder) add(p change.Part) { b.parts = append(b.parts, p) }

func (b *builder) gapAt(at place, subject, reason string) {
	b.gaps = append(b.gaps, snapshot.Gap{Kind: snapshot.GapElement, Subject: cmp.Or(subject, b.r.address()), Account: b.r.s.o.Account, Reason: reason, Source: b.r.s.source(at)})
}

// unknownAt notes a value that decides about access and is not known yet.
func (b *builder) unknownAt(of, attribute, why string) {
	u := change.Unknown{Attribute: attribute, Of: of, Why: why}
	if !slices.Contains(b.unknown, u) {
		b.unknown = append(b.unknown, u)
	}
}

// notUnderstood notes types that decide about access, by list or because they hold a policy document.
func (b *builder) notUnderstood() {
	r := b.r
	switch {
	case unplaced[r.typ] != "":
		b.unseen = unplaced[r.typ]
	case r.typ == "AWS::CloudFormation::Stack" && r.child() == nil:
		b.unseen = "it is a nested stack, and its template is not at hand (" + cmp.Or(r.all().get("TemplateURL").string(), "no TemplateURL") + ")"
	case strings.HasPrefix(r.typ, "AWS::Serverless::") || strings.HasSuffix(r.typ, "::MODULE"):
		b.unseen = "the type " + r.typ + " is written out when the template is processed; give the processed template (aws cloudformation get-template --template-stage Processed)"
	default:
		if found := documents(r.all(), ""); len(found) > 0 {
			b.unseen = "the type " + r.typ + " is not understood, and " + strings.Join(found, ", ") + " holds a policy document"
			return
		}
		for _, f := range r.all().fields {
			if m := f.anyOpen(); m != nil && looksLikePolicy(f.key) && f.node.whole() {
				b.unseen = "the type " + r.typ + " is not understood, and " + f.key + ", which looks like a policy, " + m.why
				return
			}
		}
	}
}

func (b *builder) unseenGap() snapshot.Gap {
	r := b.r
	return snapshot.Gap{Kind: snapshot.GapElement, Subject: r.address(), Account: r.s.o.Account, Reason: r.address() + " is not judged: " + b.unseen, Source: r.s.source(r.pos)}
}

func looksLikePolicy(name string) bool {
	return strings.HasSuffix(name, "Policy") || strings.HasSuffix(name, "PolicyDocument") || strings.HasSuffix(name, "PolicyText") || name == "AccessPolicies"
}

// documents are the paths of policy documents within properties, as objects or as text.
func documents(n *node, path string) []string {
	if n == nil {
		return nil
	}
	switch n.kind {
	case text:
		if s := strings.TrimSpace(n.text); strings.HasPrefix(s, "{") && strings.Contains(s, `"Statement"`) && strings.Contains(s, `"Effect"`) {
			return []string{path}
		}
	case list:
		var out []string
		for i, e := range n.items {
			out = append(out, documents(e, path+"["+strconv.Itoa(i)+"]")...)
		}
		return out
	case object:
		if l := n.get("Statement").list(); len(l) > 0 && slices.ContainsFunc(l, func(s *node) bool { return s.get("Effect") != nil || s.whole() }) {
			return []string{path}
		}
		var out []string
		for _, f := range n.fields {
			out = append(out, documents(f.node, strings.TrimPrefix(path+"."+f.key, "."))...)
		}
		return out
	}
	return nil
}

// prop is the value at a path of the properties: names, and positions in brackets.
func (b *builder) prop(path string) *node {
	n := b.r.all()
	for _, p := range strings.Split(path, ".") {
		if n != nil && n.kind == text && n.whole() {
			return n // nothing of it is known, and so nothing of what is in it
		}
		name, index, indexed := strings.Cut(p, "[")
		n = n.get(name)
		if indexed {
			i, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
			l := n.list()
			if err != nil || i >= len(l) {
				return nil
			}
			n = l[i]
		}
	}
	return n
}

// value is a property as text; an Unknown is noted where a part of it that decides is not known. of is the ARN that it decides about.
func (b *builder) value(of, path string) string {
	n := b.prop(path)
	if n == nil {
		return ""
	}
	if open := n.hidden(); len(open) > 0 {
		b.unknownAt(of, path, open[0].why)
	}
	if n.octal {
		b.octals(n, of)
	}
	return n.string()
}

// values is a property that is a list of text, complete where every element is known.
func (b *builder) values(of, path string) (out []string, complete bool) {
	complete = true
	for i, n := range b.prop(path).list() {
		if open := n.hidden(); len(open) > 0 {
			complete = false
			b.unknownAt(of, fmt.Sprintf("%s[%d]", path, i), open[0].why)
		}
		if n.kind == text && n.text != "" {
			out = append(out, n.text)
		}
	}
	return out, complete
}

func (b *builder) tags() map[string]string {
	out := map[string]string{}
	tags := b.r.all().get("Tags")
	for _, t := range tags.list() {
		if k := t.get("Key").string(); k != "" {
			out[k] = t.get("Value").string()
		}
	}
	if tags != nil && tags.kind == object {
		for _, f := range tags.fields {
			out[f.key] = f.string()
		}
	}
	delete(out, "")
	if len(out) == 0 {
		return nil
	}
	return out
}

func (b *builder) source() snapshot.Source { return b.r.s.source(b.r.pos) }

// base is the resource with the given ARN, of the row's type, without policy.
func (b *builder) base(name string) snapshot.Resource {
	r := snapshot.Resource{ARN: name, Type: b.row.Snapshot, Account: arn.Account(name), Source: b.source()}
	if !arn.IsAccountID(r.Account) {
		r.Account = b.r.s.o.Account
	}
	if a, err := arn.Parse(name); err == nil {
		r.Region = a.Region
	}
	if r.Region == "" && b.row.Type != "AWS::Organizations::ResourcePolicy" {
		r.Region = b.r.s.o.Region
	}
	r.Policy = snapshot.Document{Name: "resource policy", Source: b.source()}
	return r
}

// resource is a resource with an ARN of its own, and with its policy where the template gives it there.
func (b *builder) resource() {
	r := b.ownResource()
	b.add(change.Resource{Resource: r})
	for _, a := range b.row.Also {
		if b.prop(a.Policy) == nil {
			continue
		}
		o := b.base(b.r.expand(a.ARN).text)
		o.Type, o.Policy = a.Snapshot, b.document("resource policy", o.ARN, a.Policy)
		b.add(change.ResourcePolicy{Resource: o})
	}
}

func (b *builder) ownResource() snapshot.Resource {
	r := b.base(b.r.name())
	r.Tags = b.tags()
	if b.row.Policy != "" && b.prop(b.row.Policy) != nil {
		if doc := b.document("resource policy", r.ARN, b.row.Policy); doc.State != snapshot.None {
			r.Policy = doc
		}
	}
	return r
}

// decides reports whether the resource decides about access: a bucket without policy does not.
func (b *builder) decides() bool {
	return slices.ContainsFunc(b.parts, func(p change.Part) bool {
		r, ok := p.(change.Resource)
		return !ok || r.Policy.State == snapshot.Read || r.Policy.Problem != "" || r.Attributes.Other != nil
	})
}

// named tells where the name of what is made depends on something that is not known.
func (b *builder) named() {
	if b.r.physical != "" || b.row.ARN == "" || b.row.Of {
		return
	}
	for _, m := range b.r.expand(b.row.ARN).hidden() {
		b.unknownAt(b.r.name(), "the name", m.why)
	}
}

// target is the ARN of the resource whose part this is, as a property names it.
func (b *builder) target(n *node, property string) string {
	switch {
	case n == nil || n.kind != text:
		b.unknownAt("", property, "does not name a resource")
		return b.r.mark(property)
	case n.of != nil && n.of.row != nil && !n.of.row.Of:
		return n.of.name()
	case len(n.hidden()) > 0:
		b.unknownAt("", property, n.hidden()[0].why)
	}
	if strings.HasPrefix(n.text, "arn:") {
		return n.text
	}
	if p := strings.Split(n.text, "/"); strings.HasPrefix(n.text, "http") && len(p) >= 5 && b.row.Snapshot == "AWS::SQS::Queue" {
		region := b.r.s.o.Region
		if h := strings.Split(p[2], "."); len(h) > 2 && h[0] == "sqs" {
			region = h[1]
		}
		return "arn:" + b.r.s.o.partition() + ":sqs:" + region + ":" + p[len(p)-2] + ":" + p[len(p)-1]
	}
	// A name: the resource of the template with that name, else one of that name elsewhere.
	before, _, _ := strings.Cut(b.row.ARN, "{"+property)
	if i := strings.Index(b.row.ARN, "{"+property); i < 0 || before == "" {
		return n.text
	}
	v := b.r.expand(before).text + n.text
	if end := strings.Index(b.row.ARN[len(before):], "}"); end >= 0 {
		v += b.r.expand(b.row.ARN[len(before)+end+1:]).text
	}
	return v
}

// targetProperty is the property that names the resource whose part this is.
func (b *builder) targetProperty() (string, bool) {
	if b.row.Each != "" {
		return b.row.Each, true
	}
	open := strings.LastIndexByte(b.row.ARN, '{')
	name := strings.Trim(b.row.ARN[max(open, 0):], "{}")
	switch name {
	case "account", "region", "partition":
		return "", false
	}
	if open < 0 || !strings.HasSuffix(b.row.ARN, "}") {
		return "", false
	}
	for _, one := range strings.Split(name, "|") {
		if b.prop(one) != nil {
			return one, true
		}
	}
	name, _, _ = strings.Cut(name, "|")
	return name, true
}

func (b *builder) oneTarget() string {
	property, ok := b.targetProperty()
	if !ok {
		return b.r.expand(b.row.ARN).text
	}
	return b.target(b.prop(property), property)
}

// policyOf is the policy of another resource, or of several.
func (b *builder) policyOf() {
	targets := []string{""}
	if b.row.Each != "" {
		targets = nil
		for _, n := range b.prop(b.row.Each).list() {
			targets = append(targets, b.target(n, b.row.Each))
		}
		if len(targets) == 0 {
			b.unknownAt("", b.row.Each, "names no resource")
		}
	} else {
		targets[0] = b.oneTarget()
	}
	for _, name := range targets {
		r := b.base(name)
		r.Policy = b.document("resource policy", name, b.row.Policy)
		if r.Policy.State == snapshot.None {
			b.unknownAt(name, b.row.Policy, "is not given, and the type needs it")
			r.Policy.State, r.Policy.Problem = snapshot.Unresolved, b.row.Policy+" is not given"
		}
		if b.row.Several != "" {
			id := cmp.Or(b.prop(b.row.Several).string(), b.r.mark(b.row.Several))
			r.Policy.Name = "policy " + id
			b.add(change.ResourceStatement{Resource: r, ID: id})
			continue
		}
		b.add(change.ResourcePolicy{Resource: r})
	}
}

func (b *builder) ignored() {}

// IAM

func (b *builder) principal(property string, boundary bool) snapshot.Principal {
	r := b.r
	p := snapshot.Principal{ARN: r.name(), Name: r.token(property).text, Path: r.token("path").text, Tags: b.tags(), Source: b.source(), Account: r.s.o.Account}
	if a := arn.Account(p.ARN); arn.IsAccountID(a) {
		p.Account = a
	}
	if boundary {
		if n := b.prop("PermissionsBoundary"); n != nil && n.kind != null {
			p.Boundary = &snapshot.Attachment{ARN: n.text, Name: policyName(n.text)}
			if open := n.hidden(); len(open) > 0 {
				// A boundary that is not known is a boundary whose document is not known: it never becomes none.
				p.Boundary = &snapshot.Attachment{ARN: r.mark("PermissionsBoundary")}
				b.unknownAt(p.ARN, "PermissionsBoundary", open[0].why)
			}
		}
	}
	return p
}

func policyName(policy string) string { return policy[strings.LastIndexByte(policy, '/')+1:] }

// policies are the inline policies and attachments that the template writes into a principal.
func (b *builder) policies(owner string) {
	b.read["Policies"] = true
	for i, n := range b.prop("Policies").list() {
		path := fmt.Sprintf("Policies[%d]", i)
		if open := n.hidden(); len(open) > 0 && n.kind == text {
			b.unknownAt(owner, path, open[0].why)
			b.add(change.Inline{Owner: owner, Document: snapshot.Document{Name: b.r.mark(path), Problem: path + " is not known before the change is applied: it " + open[0].why, Source: b.r.s.source(n.pos)}})
			continue
		}
		name := cmp.Or(n.get("PolicyName").string(), b.r.mark(path))
		doc := b.documentOf(n.get("PolicyDocument"), name, owner, path+".PolicyDocument")
		if doc.State != snapshot.None {
			b.add(change.Inline{Owner: owner, Document: doc})
		}
	}
	b.attachments(owner, "ManagedPolicyArns")
}

func (b *builder) attachments(owner, property string) {
	for i, n := range b.prop(property).list() {
		name := n.text
		if open := n.hidden(); n.kind != text || len(open) > 0 {
			path := fmt.Sprintf("%s[%d]", property, i)
			why := "is no text"
			if len(open) > 0 {
				why = open[0].why
			}
			b.unknownAt(owner, path, why)
			name = b.r.mark(path)
		}
		b.add(change.Attached{Owner: owner, Policy: snapshot.Attachment{Name: policyName(name), ARN: name}})
	}
}

func (b *builder) role() {
	r := snapshot.Role{Principal: b.principal("RoleName", true)}
	r.Trust = b.document("trust policy", r.ARN, "AssumeRolePolicyDocument")
	if r.Trust.State == snapshot.None {
		r.Trust.State, r.Trust.Problem = snapshot.Unresolved, "AssumeRolePolicyDocument is not given, and a role needs it"
		b.unknownAt(r.ARN, "AssumeRolePolicyDocument", "is not given, and a role needs it")
	}
	if b.prop("MaxSessionDuration") == nil {
		r.MaxSession = time.Hour // by default (AWS::IAM::Role, MaxSessionDuration)
	} else if n, err := strconv.Atoi(b.value(r.ARN, "MaxSessionDuration")); err == nil && n > 0 && n <= 43200 {
		r.MaxSession = time.Duration(n) * time.Second
	}
	for _, p := range b.r.s.ofType("AWS::IAM::InstanceProfile") {
		if slices.ContainsFunc(p.property("Roles").list(), func(n *node) bool { return n.of == b.r || n.text == r.Name }) {
			r.InstanceProfiles = append(r.InstanceProfiles, p.name())
		}
	}
	b.add(change.Role{Role: r})
	b.policies(r.ARN)
}

func (b *builder) user() {
	u := snapshot.User{Principal: b.principal("UserName", true), AccessKeys: -1}
	b.add(change.User{User: u})
	b.policies(u.ARN)
	for i, n := range b.prop("Groups").list() {
		b.add(change.Membership{User: u.ARN, Group: b.owner(n, "group", u.ARN, fmt.Sprintf("Groups[%d]", i))})
	}
}

func (b *builder) group() {
	p := b.principal("GroupName", false)
	b.add(change.Group{Group: snapshot.Group{ARN: p.ARN, Account: p.Account, Name: p.Name, Path: p.Path, Source: p.Source}})
	b.policies(p.ARN)
}

func (b *builder) managedPolicy() {
	name := b.r.name()
	doc := b.document(name, name, "PolicyDocument")
	b.add(change.ManagedPolicy{ManagedPolicy: snapshot.ManagedPolicy{ARN: name, Account: cmp.Or(arn.Account(name), b.r.s.o.Account), Document: doc}})
	for _, owner := range b.owners(name) {
		b.add(change.Attached{Owner: owner, Policy: snapshot.Attachment{Name: policyName(name), ARN: name}})
	}
}

// owner is the ARN of the user, group or role that a value names.
func (b *builder) owner(n *node, kind, of, path string) string {
	switch {
	case n == nil || n.kind != text || n.text == "":
		b.unknownAt(of, path, "names nobody")
		n = literal(b.r.mark(path), b.r.pos)
	case n.of != nil && strings.EqualFold(n.of.typ, "AWS::IAM::"+kind):
		return n.of.name()
	case len(n.hidden()) > 0:
		b.unknownAt(of, path, n.hidden()[0].why)
	}
	if strings.HasPrefix(n.text, "arn:") {
		return n.text
	}
	s := b.r.s
	for _, r := range s.ofType("AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group") {
		if strings.EqualFold(r.typ, "AWS::IAM::"+kind) && r.token(r.typ[len("AWS::IAM::"):]+"Name").text == n.text {
			return r.name()
		}
	}
	return "arn:" + s.o.partition() + ":iam::" + s.o.Account + ":" + kind + "/" + n.text
}

// owners are those whom Roles, Users and Groups name.
func (b *builder) owners(of string) (out []string) {
	for _, kind := range []string{"role", "user", "group"} {
		property := strings.ToUpper(kind[:1]) + kind[1:] + "s"
		for i, n := range b.prop(property).list() {
			out = append(out, b.owner(n, kind, of, fmt.Sprintf("%s[%d]", property, i)))
		}
	}
	return out
}

func (b *builder) inline(owner string) {
	name := cmp.Or(b.prop("PolicyName").string(), b.r.mark("PolicyName"))
	doc := b.document(name, owner, "PolicyDocument")
	if doc.State == snapshot.None && b.row.Type == "AWS::IAM::Policy" {
		doc.State, doc.Problem = snapshot.Unresolved, "PolicyDocument is not given"
		b.unknownAt(owner, "PolicyDocument", "is not given, and the type needs it")
	}
	if doc.State != snapshot.None {
		b.add(change.Inline{Owner: owner, Document: doc})
	}
}

func (b *builder) inlineOfMany() {
	owners := b.owners("")
	for _, owner := range owners {
		b.inline(owner)
	}
	if len(owners) == 0 {
		b.unknownAt("", "Roles", "names nobody, and neither do Users and Groups")
		b.read["PolicyDocument"] = true
	}
}

func (b *builder) inlineOfOne() {
	kind := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(b.row.Type, "AWS::IAM::"), "Policy"))
	property := strings.ToUpper(kind[:1]) + kind[1:] + "Name"
	b.inline(b.owner(b.prop(property), kind, "", property))
}

func (b *builder) membership() {
	group := b.owner(b.prop("GroupName"), "group", "", "GroupName")
	for i, n := range b.prop("Users").list() {
		b.add(change.Membership{User: b.owner(n, "user", group, fmt.Sprintf("Users[%d]", i)), Group: group})
	}
}

func (b *builder) provider(kind string) snapshot.Provider {
	p := snapshot.Provider{ARN: b.r.name(), Type: kind, Source: b.source()}
	p.Account = cmp.Or(arn.Account(p.ARN), b.r.s.o.Account)
	return p
}

func (b *builder) oidcProvider() {
	p := b.provider("oidc")
	p.URL = b.value(p.ARN, "Url")
	if p.URL == "" && b.r.arn != "" {
		_, p.URL, _ = strings.Cut(b.r.arn, "oidc-provider/")
	}
	if p.URL != "" && !strings.Contains(p.URL, "://") {
		p.URL = "https://" + p.URL
	}
	p.Audiences, _ = b.values(p.ARN, "ClientIdList")
	b.add(change.Provider{Provider: p})
}

func (b *builder) samlProvider() { b.add(change.Provider{Provider: b.provider("saml")}) }

func (b *builder) trustAnchor() {
	p := b.provider("rolesanywhere")
	p.CASource = b.value(p.ARN, "Source.SourceType")
	b.add(change.Provider{Provider: p})
}

func (b *builder) cluster() {
	p := b.provider("eks")
	p.Cluster = b.r.token("Name").text
	b.add(change.Provider{Provider: p})
	if n := b.prop("AccessConfig.BootstrapClusterCreatorAdminPermissions"); n.string() == "true" {
		b.gapAt(n.pos, p.ARN, "who creates the cluster becomes its administrator; that is not judged")
	}
}

func (b *builder) identityPool() {
	b.add(change.Provider{Provider: b.provider("cognito")})
}

// The organisation

func (b *builder) controlPolicy() {
	kind := b.value(b.r.name(), "Type")
	if kind != "SERVICE_CONTROL_POLICY" && kind != "RESOURCE_CONTROL_POLICY" {
		b.read["Content"] = true
		return // backup, tag and chat policies decide about other things
	}
	p := snapshot.ControlPolicy{Name: b.prop("Name").string(), ARN: b.r.name()}
	p.Document = b.document(cmp.Or(p.Name, p.ARN), p.ARN, "Content")
	b.add(change.ControlPolicy{ControlPolicy: p, RCP: kind == "RESOURCE_CONTROL_POLICY"})
	targets, _ := b.values(p.ARN, "TargetIds")
	for _, t := range targets {
		b.add(change.ControlTarget{Policy: p.ARN, Target: t})
	}
}

// Storage, keys

func (b *builder) bucket() {
	r := b.ownResource()
	if n := b.prop("PublicAccessBlockConfiguration"); n != nil && n.kind == object {
		r.Attributes.PublicAccessBlock = "on"
		for _, name := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
			if b.value(r.ARN, "PublicAccessBlockConfiguration."+name) != "true" {
				r.Attributes.PublicAccessBlock = "off"
			}
		}
	}
	key := b.prop("BucketEncryption.ServerSideEncryptionConfiguration[0].ServerSideEncryptionByDefault.KMSMasterKeyID")
	if key.string() != "" && !strings.HasPrefix(key.text, "alias/") {
		switch o := b.r.s.o; {
		case key.of != nil && key.of.row != nil && key.of.row.Snapshot == "AWS::KMS::Key":
			r.Attributes.SSEKMSKey = key.of.name()
		case strings.HasPrefix(key.text, "arn:"):
			r.Attributes.SSEKMSKey = key.text
		case len(key.hidden()) == 0:
			r.Attributes.SSEKMSKey = "arn:" + o.partition() + ":kms:" + o.Region + ":" + o.Account + ":key/" + key.text
		}
	}
	b.add(change.Resource{Resource: r})
	if n := b.prop("AccessControl").string(); n != "" && n != "Private" && n != "BucketOwnerFullControl" && n != "BucketOwnerRead" {
		b.gapAt(b.prop("AccessControl").pos, r.ARN, "AccessControl is "+n+"; access control lists are not judged")
	}
	if n := b.prop("ReplicationConfiguration"); n != nil {
		b.gapAt(n.pos, r.ARN, "ReplicationConfiguration copies objects elsewhere; that is not judged")
	}
}

func (b *builder) key() {
	r := b.ownResource()
	if r.Policy.State == snapshot.Unresolved && r.Policy.Problem == "" && b.r.physical == "" {
		// AWS gives a key without policy its default policy (KMS developer guide, "Default key policy").
		if account := b.r.s.o.Account; account == "" {
			r.Policy.Problem = "AWS gives the key a policy that lets in its account, which is not known"
		} else {
			r.Policy, _ = snapshot.NewDocument("resource policy", []byte(`{"Version":"2012-10-17","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"`+
				arn.AccountRoot(b.r.s.o.partition(), account)+`"},"Action":"kms:*","Resource":"*"}]}`), b.source(), false)
		}
	}
	b.add(change.Resource{Resource: r})
}

func (b *builder) globalTable() {
	r := b.ownResource()
	b.read["Replicas"] = true
	own := b.r.s.o.Region
	for i, n := range b.prop("Replicas").list() {
		path := fmt.Sprintf("Replicas[%d].ResourcePolicy.PolicyDocument", i)
		if n.get("ResourcePolicy") == nil && n.kind == object {
			continue
		}
		region := n.get("Region").string()
		o := b.base(r.ARN)
		if region != "" && region != own {
			o.ARN = strings.Replace(r.ARN, ":dynamodb:"+own+":", ":dynamodb:"+region+":", 1)
			o.Region = region
		}
		o.Policy = b.document("resource policy", o.ARN, path)
		b.add(change.ResourcePolicy{Resource: o})
	}
	b.parts = append([]change.Part{change.Resource{Resource: r}}, b.parts...)
}

// Statements that are made of properties

// statement is a policy of one statement.
type statement struct {
	Sid       string                       `json:",omitempty"`
	Effect    string                       `json:",omitempty"`
	Principal any                          `json:",omitempty"`
	Action    any                          `json:",omitempty"`
	Resource  any                          `json:",omitempty"`
	Condition map[string]map[string]string `json:",omitempty"`
}

func (b *builder) statement(r snapshot.Resource, s statement) {
	s.Effect = "Allow"
	if len(s.Condition) == 0 {
		s.Condition = nil
	}
	text, _ := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []statement{s}}) // text and maps of text can always be written
	name := "statement " + s.Sid
	if len(b.unknown) > 0 {
		u := b.unknown[0]
		r.Policy = snapshot.Document{Name: name, Source: b.source(), Problem: u.Attribute + " is not known before the change is applied: it " + u.Why}
	} else {
		var gaps []snapshot.Gap
		r.Policy, gaps = snapshot.NewDocument(name, text, b.source(), false)
		b.documentGaps(r.ARN, gaps)
	}
	b.add(change.ResourceStatement{Resource: r, ID: s.Sid})
}

// condition adds a condition where the property is given.
func condition(to map[string]map[string]string, operator, key, value string) {
	if value == "" {
		return
	}
	if to[operator] == nil {
		to[operator] = map[string]string{}
	}
	to[operator][key] = value
}

// principalOf writes who is let in as AWS writes it into the policy.
func principalOf(name string) any {
	switch {
	case name == "*":
		return "*"
	case strings.Contains(name, ".amazon") && !strings.HasPrefix(name, "arn:"):
		return map[string]string{"Service": name}
	}
	return map[string]string{"AWS": name}
}

// function is the function that a property names: by name, ARN or part of one, with a qualifier.
func (b *builder) function(property string) (name, qualified string) {
	n := b.prop(property)
	if n != nil && n.of != nil && (n.of.typ == "AWS::Lambda::Version" || n.of.typ == "AWS::Lambda::Alias") {
		fn := n.of.property("FunctionName")
		if fn != nil && fn.of != nil && fn.of.row != nil {
			name = fn.of.name()
			return name, name + strings.TrimPrefix(n.of.name(), fn.string())
		}
	}
	name = b.target(n, property)
	if before, after, ok := strings.Cut(name, ":function:"); ok {
		after = after[strings.LastIndex(after, ":function:")+1:]
		fn, qualifier, has := strings.Cut(strings.TrimPrefix(after, "function:"), ":")
		if has {
			return before + ":function:" + fn, before + ":function:" + fn + ":" + qualifier
		}
	}
	return name, name
}

// lambdaPermission writes the statement that AddPermission writes.
func (b *builder) lambdaPermission() {
	name, qualified := b.function("FunctionName")
	r := b.base(name)
	s := statement{Sid: b.r.logical, Action: b.value(name, "Action"), Resource: qualified, Condition: map[string]map[string]string{}}
	if b.r.physical != "" {
		s.Sid = b.r.physical
	}
	s.Principal = principalOf(b.value(name, "Principal"))
	condition(s.Condition, "ArnLike", "AWS:SourceArn", b.value(name, "SourceArn"))
	condition(s.Condition, "StringEquals", "AWS:SourceAccount", b.value(name, "SourceAccount"))
	condition(s.Condition, "StringEquals", "aws:PrincipalOrgID", b.value(name, "PrincipalOrgID"))
	condition(s.Condition, "StringEquals", "lambda:FunctionUrlAuthType", b.value(name, "FunctionUrlAuthType"))
	condition(s.Condition, "StringEquals", "lambda:EventSourceToken", b.value(name, "EventSourceToken"))
	if via := b.value(name, "InvokedViaFunctionUrl"); via == "true" {
		condition(s.Condition, "Bool", "lambda:InvokedViaFunctionUrl", via)
	}
	b.statement(r, s)
}

func (b *builder) layerPermission() {
	layer := b.target(b.prop("LayerVersionArn"), "LayerVersionArn")
	r := b.base(layer)
	s := statement{Sid: b.r.logical, Action: b.value(layer, "Action"), Resource: layer, Condition: map[string]map[string]string{}, Principal: principalOf(b.value(layer, "Principal"))}
	condition(s.Condition, "StringEquals", "aws:PrincipalOrgID", b.value(layer, "OrganizationId"))
	b.statement(r, s)
}

func (b *builder) eventBusPolicy() {
	bus := b.prop("EventBusName")
	if bus == nil {
		bus = literal("default", b.r.pos)
	}
	r := b.base(b.target(bus, "EventBusName"))
	id := cmp.Or(b.prop("StatementId").string(), b.r.mark("StatementId"))
	if n := b.prop("Statement"); n != nil {
		b.read["Statement"] = true
		whole := &node{kind: object, pos: n.pos, fields: []field{{"Version", n.pos, literal("2012-10-17", n.pos)}, {"Statement", n.pos, n}}}
		// AWS gives the statement its id.
		if n.kind == object && n.get("Sid") == nil && b.prop("StatementId").string() != "" {
			v := *n
			v.fields = append([]field{{"Sid", n.pos, literal(id, n.pos)}}, n.fields...)
			whole.fields[1].node = &v
		}
		r.Policy = b.documentOf(whole, "statement "+id, r.ARN, "Statement")
		b.add(change.ResourceStatement{Resource: r, ID: id})
		return
	}
	s := statement{Sid: id, Action: b.value(r.ARN, "Action"), Resource: r.ARN, Principal: principalOf(b.value(r.ARN, "Principal")), Condition: map[string]map[string]string{}}
	if b.prop("Condition") != nil {
		kind, key := b.value(r.ARN, "Condition.Type"), b.value(r.ARN, "Condition.Key")
		condition(s.Condition, kind, key, b.value(r.ARN, "Condition.Value"))
	}
	b.statement(r, s)
}

// Shares

func (b *builder) share(s snapshot.Share) {
	s.Owner = cmp.Or(s.Owner, b.r.s.o.Account)
	s.Source = b.source()
	b.add(change.Share{Share: s})
}

// shared is a list of whom or what is shared; a placeholder stands for what is not known.
func (b *builder) shared(of, property string) (out []string) {
	for i, n := range b.prop(property).list() {
		path := fmt.Sprintf("%s[%d]", property, i)
		if open := n.hidden(); len(open) > 0 {
			b.unknownAt(of, path, open[0].why)
			out = append(out, b.r.mark(path))
		} else if n.string() != "" {
			out = append(out, n.text)
		}
	}
	return out
}

func (b *builder) ramShare() {
	s := snapshot.Share{Kind: "RAM", ARN: b.r.name(), AllowExternal: b.value(b.r.name(), "AllowExternalPrincipals") != "false"}
	s.With, s.Resources = b.shared(s.ARN, "Principals"), b.shared(s.ARN, "ResourceArns")
	b.share(s)
}

func (b *builder) endpointPermissions() {
	r := b.base(b.oneTarget())
	var with []any
	for _, p := range b.shared(r.ARN, "AllowedPrincipals") {
		with = append(with, p)
	}
	r.Attributes.Other = map[string]any{"allowedPrincipals": with}
	b.add(change.Resource{Resource: r})
}

func (b *builder) lakeFormation() {
	who := "Principal.DataLakePrincipalIdentifier"
	if b.row.Type == "AWS::LakeFormation::Permissions" {
		who = "DataLakePrincipal.DataLakePrincipalIdentifier"
	}
	s := snapshot.Share{Kind: "LakeFormation", ARN: b.r.address(), With: b.shared("", who), Attributes: map[string]any{}}
	for _, p := range [][2]string{{"Permissions", "permissions"}, {"PermissionsWithGrantOption", "grantable"}} {
		if l, _ := b.values("", p[0]); len(l) > 0 {
			out := make([]any, len(l))
			for i, v := range l {
				out[i] = v
			}
			s.Attributes[p[1]] = out
		}
	}
	if n := b.prop("Resource"); n != nil {
		if m := n.anyOpen(); m != nil {
			b.unknownAt("", "Resource", m.why)
		}
		s.Attributes["resource"] = n.canonical()
	}
	if id := b.prop("Catalog").string(); arn.IsAccountID(id) {
		s.Owner = id
	}
	b.share(s)
}

func (b *builder) distribution() {
	for _, path := range documentsOfSigners(b.r.all(), "") {
		b.gapAt(b.r.pos, b.r.address(), path+" names accounts that may sign URLs; that is not judged")
	}
}

func documentsOfSigners(n *node, path string) (out []string) {
	for i, e := range n.items {
		out = append(out, documentsOfSigners(e, path+"["+strconv.Itoa(i)+"]")...)
	}
	for _, f := range n.fields {
		at := strings.TrimPrefix(path+"."+f.key, ".")
		if f.key == "TrustedSigners" && len(f.list()) > 0 {
			out = append(out, at)
		}
		out = append(out, documentsOfSigners(f.node, at)...)
	}
	return out
}
