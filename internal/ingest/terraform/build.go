package terraform

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/iam/policy"
	"drawbridge/internal/change"
	"drawbridge/internal/snapshot"
)

// builder makes the parts of one object.
type builder struct {
	*world
	o        *object
	row      *row
	standing bool // what does not change: computed attributes count as facts, where in a step only what the code says counts
	before   bool // it is what is there before the plan
	parts    []change.Part
	gaps     []snapshot.Gap
	unknown  []change.Unknown
	secret   bool   // a document is marked as sensitive
	unseen   string // why the resource is not judged, "" where it is
}

func (w *world) build(o *object, standing bool) *builder {
	b := &builder{world: w, o: o, standing: standing}
	if o == nil {
		return b
	}
	b.before = o == o.now && o != o.then
	b.row = byType[o.Type]
	switch {
	case b.row == nil:
		b.notUnderstood()
	case b.row.build != nil:
		b.row.build(b)
	case b.row.Of:
		b.policyOf()
	default:
		b.resource()
	}
	return b
}

func (b *builder) add(p change.Part) { b.parts = append(b.parts, p) }

func (b *builder) gap(kind snapshot.GapKind, format string, args ...any) {
	b.gaps = append(b.gaps, snapshot.Gap{Kind: kind, Subject: b.o.Address, Account: b.accountOf(b.o.instance), Reason: fmt.Sprintf(format, args...), Source: b.o.source})
}

func (b *builder) unseenGap() snapshot.Gap {
	return snapshot.Gap{Kind: snapshot.GapElement, Subject: b.o.Address, Account: b.accountOf(b.o.instance), Reason: b.o.Address + " is not judged: " + b.unseen, Source: b.o.source}
}

// notUnderstood notes types that decide about access, by list or because they hold a policy document.
func (b *builder) notUnderstood() {
	if why := unplaced[b.o.Type]; why != "" {
		switch b.o.Type {
		case "aws_cloudfront_distribution":
			if l, known := b.o.list("trusted_signers"); known && len(l) == 0 {
				return
			}
		case "aws_organizations_organization":
			if !b.changes("enabled_policy_types") && !b.changes("feature_set") {
				return
			}
		case "aws_ssm_document":
			if p := at(b.o.values, "permissions"); p == nil && !marked(b.o.unknown, true, "permissions") {
				return
			}
		case "aws_transfer_user":
			if p, known := b.o.string("policy"); known && p == "" {
				return
			}
		}
		b.unseen = why
		return
	}
	if found := policyValues(b.o.values); len(found) > 0 {
		b.unseen = "the type " + b.o.Type + " is not understood, and " + strings.Join(found, ", ") + " holds a policy document"
		return
	}
	if !strings.HasPrefix(b.o.Type, "aws_") {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(asObject(b.o.unknown))) {
		if looksLikePolicy(name) && marked(b.o.unknown, false, name) {
			if given, sure := b.o.configured(name); given || !sure {
				b.unseen = "the type " + b.o.Type + " is not understood, and " + name + ", which looks like a policy, " + computedFrom(b.o.expression(name))
			}
		}
	}
}

func asObject(v any) map[string]any { m, _ := v.(map[string]any); return m }

// looksLikePolicy reports whether an argument of that name usually holds a policy document.
func looksLikePolicy(name string) bool {
	switch name {
	case "policy", "access_policy", "access_policies", "assume_role_policy", "policy_document", "resource_policy", "inline_policy", "policy_json", "policy_text", "content_policy":
		return true
	}
	return strings.HasSuffix(name, "_resource_policy") || strings.HasSuffix(name, "_access_policy")
}

// policyValues are the paths of texts within a resource that are policy documents.
func policyValues(v any) []string {
	var out []string
	var walk func(v any, path string)
	walk = func(v any, path string) {
		switch v := v.(type) {
		case string:
			if s := strings.TrimSpace(v); strings.HasPrefix(s, "{") && strings.Contains(s, "\"Statement\"") {
				if d, _ := policy.Parse([]byte(s)); d != nil && len(d.Statements) > 0 {
					out = append(out, path)
				}
			}
		case []any:
			for i, e := range v {
				walk(e, path+"["+strconv.Itoa(i)+"]")
			}
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				walk(v[k], strings.TrimPrefix(path+"."+k, "."))
			}
		}
	}
	walk(v, "")
	return out
}

// unknownAt notes a value that decides about access and is not known yet.
func (b *builder) unknownAt(of, why string, path ...any) {
	b.unknown = append(b.unknown, change.Unknown{Attribute: pathText(path), Of: of, Why: why})
}

func pathText(path []any) string {
	var s strings.Builder
	for i, p := range path {
		switch p := p.(type) {
		case string:
			if i > 0 {
				s.WriteByte('.')
			}
			s.WriteString(p)
		case int:
			s.WriteString("[" + strconv.Itoa(p) + "]")
		}
	}
	return s.String()
}

// counts reports whether an attribute that AWS fills in by itself counts in this build.
func (b *builder) counts(argument string) bool {
	given, sure := b.o.configured(argument)
	if given || b.standing {
		return true
	}
	return !sure && !marked(b.o.unknown, false, argument)
}

// document reads the policy at a path; of is the ARN that it decides about.
func (b *builder) document(name, of string, path ...any) snapshot.Document {
	secret := marked(b.o.sensitive, true, path...)
	b.secret = b.secret || secret
	doc := snapshot.Document{Name: name, Source: b.o.source}
	s, known := b.o.string(path...)
	if !known {
		r := b.policyText(b.o, path...)
		for _, m := range r.unknown {
			b.unknown = append(b.unknown, change.Unknown{Attribute: m.attribute, Of: of, Why: m.why})
		}
		for _, g := range r.widened {
			b.gap(snapshot.GapElement, "%s: %s", name, g)
		}
		if r.text == "" {
			why := "not known before the plan is applied"
			if len(r.unknown) > 0 {
				why = r.unknown[0].attribute + " is not known before the plan is applied: it " + r.unknown[0].why
			}
			doc.Problem = why
			return doc
		}
		s, secret = r.text, secret || r.secret
		b.secret = b.secret || secret
	}
	if strings.TrimSpace(s) == "" || s == "null" {
		doc.State = snapshot.None
		return doc
	}
	if same, ok := b.read[s]; ok {
		same.Name, same.Source = name, b.o.source
		return same
	}
	doc, gaps := snapshot.NewDocument(name, []byte(s), b.o.source, false)
	if len(gaps) == 0 {
		b.read[s] = doc
	}
	for _, g := range gaps {
		if secret {
			g.Reason = name + ": something in the document is not understood; the code marks it as sensitive, so that it is not repeated here"
		}
		g.Subject, g.Account = cmp.Or(of, b.o.Address), b.accountOf(b.o.instance)
		b.gaps = append(b.gaps, g)
	}
	if secret && doc.State == snapshot.Unresolved {
		doc.Problem = "the document cannot be read; the code marks it as sensitive"
	}
	return doc
}

// target is the ARN that the row's template gives, with an Unknown where the code does not tell it.
func (b *builder) target() string {
	return b.targetOf(b.row.ARN)
}

func (b *builder) targetOf(template string) string {
	if i := strings.LastIndexByte(template, '{'); i >= 0 && strings.HasSuffix(template, "}") {
		name := template[i+1 : len(template)-1]
		if _, known := b.o.string(name); !known && b.row.Snapshot != "" {
			if i, _ := b.targetInstance(name); i != nil && own[i.Type] != nil && own[i.Type].Snapshot == b.row.Snapshot && b.in(i) != nil {
				return b.arn(b.in(i))
			}
		}
		switch v, _ := b.named(b.o, name); {
		case strings.HasPrefix(v, "arn:"):
			return v
		case name == "queue_url" && strings.HasPrefix(v, "http"):
			if p := strings.Split(v, "/"); len(p) >= 5 {
				region := b.regionOf(b.o)
				if h := strings.Split(p[2], "."); len(h) > 2 && h[0] == "sqs" {
					region = h[1]
				}
				return "arn:" + b.partition + ":sqs:" + region + ":" + p[len(p)-2] + ":" + p[len(p)-1]
			}
		case name == "event_bus_name" && strings.HasPrefix(v, "{"):
			if given, sure := b.o.configured(name); sure && !given {
				return b.targetOf(strings.Replace(template, "{event_bus_name}", "default", 1))
			}
			if s, known := b.o.string(name); known && s == "" {
				return b.targetOf(strings.Replace(template, "{event_bus_name}", "default", 1))
			}
		case v == b.o.placeholder(name):
			b.unknownAt("", computedFrom(b.o.expression(name)), name)
		}
	}
	s, _ := b.expand(b.o, template)
	return s
}

// tags are the tags that the resource will have, those of the provider included.
func (b *builder) tags() map[string]string {
	out := map[string]string{}
	for _, name := range []string{"tags", "tags_all"} {
		for k, v := range asObject(at(b.o.values, name)) {
			if !marked(b.o.unknown, false, name, k) {
				out[k] = text(v)
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// base is the resource with the given ARN, of the row's type, without policy.
func (b *builder) base(name string) snapshot.Resource {
	r := snapshot.Resource{ARN: name, Type: b.row.Snapshot, Account: arn.Account(name), Source: b.o.source}
	if !arn.IsAccountID(r.Account) {
		r.Account = b.accountOf(b.o.instance)
	}
	if a, err := arn.Parse(name); err == nil {
		r.Region = a.Region
	}
	if r.Region == "" && b.row.Type != "aws_organizations_resource_policy" {
		r.Region = b.regionOf(b.o)
	}
	return r
}

// resource is a resource with an ARN of its own, and with its policy where the code gives it there.
func (b *builder) resource() { b.add(change.Resource{Resource: b.ownResource()}) }

func (b *builder) ownResource() snapshot.Resource {
	r := b.base(b.arn(b.o))
	r.Tags = b.tags()
	r.Policy = snapshot.Document{Name: "resource policy", Source: b.o.source}
	if b.row.Policy != "" && b.counts(b.row.Policy) {
		if doc := b.document("resource policy", r.ARN, b.row.Policy); doc.State != snapshot.None {
			r.Policy = doc
		}
	}
	if r.Policy.State == snapshot.Unresolved && r.Policy.Problem == "" && b.row.Snapshot == "AWS::KMS::Key" && !b.standing && b.o.now == nil && r.Account != "" {
		// AWS gives a key without policy its default policy (KMS developer guide, "Default key policy").
		r.Policy, _ = snapshot.NewDocument("resource policy", []byte(`{"Version":"2012-10-17","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"`+
			arn.AccountRoot(b.partition, r.Account)+`"},"Action":"kms:*","Resource":"*"}]}`), b.o.source, false)
	}
	return r
}

// policyOf is the policy of another resource.
func (b *builder) policyOf() {
	r := b.base(b.target())
	var path []any
	for _, p := range strings.Split(b.row.Policy, ".") {
		if n, err := strconv.Atoi(p); err == nil {
			path = append(path, n)
		} else {
			path = append(path, p)
		}
	}
	r.Policy = b.document("resource policy", r.ARN, path...)
	if b.row.Several != "" {
		name, _ := b.named(b.o, b.row.Several)
		r.Policy.Name = "policy " + name
		b.add(change.ResourceStatement{Resource: r, ID: name})
		return
	}
	b.add(change.ResourcePolicy{Resource: r})
}

func (b *builder) principal(boundary bool) snapshot.Principal {
	name, _ := b.named(b.o, "name")
	if s, _ := b.o.string("name"); s == "" {
		if given, _ := b.o.configured("name"); given {
			b.unknownAt(b.arn(b.o), computedFrom(b.o.expression("name")), "name")
		}
	}
	id, _ := b.o.string("unique_id")
	p := snapshot.Principal{ARN: b.arn(b.o), UniqueID: id, Name: name, Path: b.path(), Tags: b.tags(), Source: b.o.source, Account: b.accountOf(b.o.instance)}
	if s, _ := b.o.string("create_date"); s != "" {
		p.Created, _ = time.Parse(time.RFC3339, s)
	}
	if boundary {
		switch s, known := b.value(b.o, "permissions_boundary"); {
		case s != "":
			p.Boundary = &snapshot.Attachment{ARN: s, Name: policyName(s)}
		case !known:
			if given, sure := b.o.configured("permissions_boundary"); given || !sure {
				// A boundary that is not known is a boundary whose document is not known: it never becomes none.
				p.Boundary = &snapshot.Attachment{ARN: b.o.placeholder("permissions_boundary")}
				b.unknownAt(p.ARN, computedFrom(b.o.expression("permissions_boundary")), "permissions_boundary")
			}
		}
	}
	return p
}

func (b *builder) path() string {
	if s, known := b.o.string("path"); known && s != "" {
		return s
	}
	return "/"
}

func policyName(policy string) string { return policy[strings.LastIndexByte(policy, '/')+1:] }

func (b *builder) role() {
	r := snapshot.Role{Principal: b.principal(true)}
	r.Trust = b.document("trust policy", r.ARN, "assume_role_policy")
	if n := number(at(b.o.values, "max_session_duration")); n > 0 {
		r.MaxSession = time.Duration(n) * time.Second
	}
	b.add(change.Role{Role: r})
	if b.counts("inline_policy") {
		list, known := b.o.list("inline_policy")
		keep, complete := []string{}, known
		if !known {
			b.unknownAt(r.ARN, computedFrom(b.o.expression("inline_policy")), "inline_policy")
			b.add(change.Inline{Owner: r.ARN, Document: snapshot.Document{Name: "inline_policy", Problem: "not known before the plan is applied", Source: b.o.source}})
		}
		for n := range list {
			name, named := b.o.string("inline_policy", n, "name")
			doc, given := b.o.string("inline_policy", n, "policy")
			if named && name == "" && given && doc == "" {
				continue // an empty block, which says that there are none
			}
			if !named {
				name, complete = b.o.placeholder(fmt.Sprintf("inline_policy[%d]", n)), false
			}
			keep = append(keep, name)
			b.add(change.Inline{Owner: r.ARN, Document: b.document(name, r.ARN, "inline_policy", n, "policy")})
		}
		if given, _ := b.o.configured("inline_policy"); given && !b.standing && !b.before {
			b.add(change.Exclusive{Owner: r.ARN, Inline: true, Keep: keep, Complete: complete})
		}
	}
	if b.counts("managed_policy_arns") {
		keep, complete := b.names("managed_policy_arns")
		for _, p := range keep {
			b.attach(r.ARN, p)
		}
		if !complete {
			b.attach(r.ARN, b.o.placeholder("managed_policy_arns"))
			b.unknownAt(r.ARN, computedFrom(b.o.expression("managed_policy_arns")), "managed_policy_arns")
		}
		if given, _ := b.o.configured("managed_policy_arns"); given && !b.standing && !b.before {
			b.add(change.Exclusive{Owner: r.ARN, Keep: keep, Complete: complete})
		}
	}
}

func (b *builder) attach(owner, policy string) {
	b.add(change.Attached{Owner: owner, Policy: snapshot.Attachment{Name: policyName(policy), ARN: policy}})
}

// names is a list of names or ARNs. Elements that are computed later are what the expression refers to, where it refers to as many
// things as elements are missing.
func (b *builder) names(path ...any) (out []string, complete bool) {
	l, known := b.o.list(path...)
	out, complete = b.o.strings(path...)
	if complete {
		return out, true
	}
	missing := 0
	for i := range l {
		if marked(b.o.unknown, false, append(slices.Clone(path), i)...) {
			missing++
		}
	}
	if l, ok := b.evaluatedList(b.o, path...); ok {
		return l, true
	}
	refs := b.open(b.o, b.o.expression(path...))
	if known && missing != len(refs) {
		return out, false
	}
	if !known && len(refs) == 0 {
		return out, false
	}
	for _, ref := range refs {
		s, ok := b.reference(b.o.scope, indexIn(b.o.expression(path...), b.o.Index), false, ref)
		if !ok {
			return out, false
		}
		out = append(out, s)
	}
	// A list that is unknown as a whole may hold more than it refers to, so that it is never complete.
	return out, known
}

func (b *builder) user() {
	u := snapshot.User{Principal: b.principal(true), AccessKeys: -1}
	b.add(change.User{User: u})
}

func (b *builder) group() {
	p := b.principal(false)
	b.add(change.Group{Group: snapshot.Group{ARN: p.ARN, UniqueID: p.UniqueID, Account: p.Account, Name: p.Name, Path: p.Path, Source: p.Source}})
}

func (b *builder) managedPolicy() {
	name := b.arn(b.o)
	b.add(change.ManagedPolicy{ManagedPolicy: snapshot.ManagedPolicy{ARN: name, Account: b.accountOf(b.o.instance), Document: b.document(name, name, "policy")}})
}

// owner is the ARN of the user, group or role that an argument names; kind is role, user or group.
func (b *builder) owner(kind, argument string) string {
	s, known := b.o.string(argument)
	if !known {
		if i, _ := b.targetInstance(argument); i != nil && i.Type == "aws_iam_"+kind && b.in(i) != nil {
			return b.arn(b.in(i))
		}
		s, known = b.value(b.o, argument)
	}
	if !known || s == "" {
		b.unknownAt("", computedFrom(b.o.expression(argument)), argument)
		s = b.o.placeholder(argument)
	}
	return b.iam(kind, s)
}

// iam is the ARN of the principal with a name in the account of the object: with its path where the file has the principal.
func (b *builder) iam(kind, name string) string {
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	account := b.accountOf(b.o.instance)
	if found := b.principalNamed(kind, account, name); found != "" {
		return found
	}
	return "arn:" + b.partition + ":iam::" + account + ":" + kind + "/" + name
}

// principalNamed is the ARN of a principal of the file by account and name.
func (w *world) principalNamed(kind, account, name string) string {
	if w.principals == nil {
		w.principals = map[string]string{}
		for _, i := range slices.Concat(w.ofType["aws_iam_role"], w.ofType["aws_iam_user"], w.ofType["aws_iam_group"]) {
			if i.Mode != "managed" {
				continue
			}
			for _, o := range []*object{i.now, i.then} { // what will be there comes last and stays
				if o != nil {
					n, _ := w.named(o, "name")
					w.principals[strings.TrimPrefix(i.Type, "aws_iam_")+" "+w.accountOf(i)+" "+n] = w.arn(o)
				}
			}
		}
	}
	return w.principals[kind+" "+account+" "+name]
}

// kind is role, user or group by the type's name.
func (b *builder) kind() string {
	for _, k := range []string{"role", "user", "group"} {
		if strings.HasPrefix(b.o.Type, "aws_iam_"+k) {
			return k
		}
	}
	return "role"
}

func (b *builder) inlinePolicy() {
	owner := b.owner(b.kind(), b.kind())
	name, known := b.o.string("name")
	if !known || name == "" {
		name, _ = b.named(b.o, "name")
	}
	b.add(change.Inline{Owner: owner, Document: b.document(name, owner, "policy")})
}

// policyARN is the managed policy that an argument names.
func (b *builder) policyARN(owner, argument string) string {
	s, known := b.value(b.o, argument)
	if !known || s == "" {
		b.unknownAt(owner, computedFrom(b.o.expression(argument)), argument)
		return b.o.placeholder(argument)
	}
	return s
}

func (b *builder) attachment() {
	owner := b.owner(b.kind(), b.kind())
	b.attach(owner, b.policyARN(owner, "policy_arn"))
}

func (b *builder) exclusive() {
	kind := b.kind()
	owner := b.owner(kind, kind+"_name")
	argument := "policy_names"
	if strings.Contains(b.o.Type, "attachments") {
		argument = "policy_arns"
	}
	keep, complete := b.names(argument)
	if !b.before {
		b.add(change.Exclusive{Owner: owner, Inline: argument == "policy_names", Keep: keep, Complete: complete})
	}
	if argument == "policy_arns" {
		for _, p := range keep {
			b.attach(owner, p) // the resource attaches what is missing
		}
		if !complete {
			b.unknownAt(owner, computedFrom(b.o.expression(argument)), argument)
		}
	}
}

func (b *builder) policyAttachment() {
	p := b.policyARN("", "policy_arn")
	for _, kind := range []string{"role", "user", "group"} {
		names, complete := b.names(kind + "s")
		for _, n := range names {
			b.attach(b.iam(kind, n), p)
		}
		if !complete {
			b.unknownAt("", computedFrom(b.o.expression(kind+"s")), kind+"s")
		}
	}
	if !b.standing {
		b.gap(snapshot.GapElement, "aws_iam_policy_attachment takes the policy %s from everybody whom it does not name; that is not followed, so that more access is assumed than there will be", p)
	}
}

func (b *builder) userGroups() {
	user := b.owner("user", "user")
	groups, complete := b.names("groups")
	for _, g := range groups {
		b.add(change.Membership{User: user, Group: b.iam("group", g)})
	}
	if !complete {
		b.unknownAt(user, computedFrom(b.o.expression("groups")), "groups")
	}
}

func (b *builder) groupUsers() {
	group := b.owner("group", "group")
	users, complete := b.names("users")
	for _, u := range users {
		b.add(change.Membership{User: b.iam("user", u), Group: group})
	}
	if !complete {
		b.unknownAt(group, computedFrom(b.o.expression("users")), "users")
	}
}

func (b *builder) provider(typ string) snapshot.Provider {
	return snapshot.Provider{ARN: b.arn(b.o), Type: typ, Account: b.accountOf(b.o.instance), Source: b.o.source}
}

func (b *builder) oidcProvider() {
	p := b.provider("oidc")
	url, known := b.value(b.o, "url")
	if !known {
		b.unknownAt(p.ARN, computedFrom(b.o.expression("url")), "url")
	}
	p.URL = url
	if url != "" && !strings.Contains(url, "://") {
		p.URL = "https://" + url
	}
	p.ARN = strings.Replace(p.ARN, "oidc-provider/https://", "oidc-provider/", 1)
	audiences, complete := b.names("client_id_list")
	if p.Audiences = audiences; !complete {
		b.unknownAt(p.ARN, computedFrom(b.o.expression("client_id_list")), "client_id_list")
	}
	if _, issuer, _ := strings.Cut(p.ARN, ":oidc-provider/"); !certified(issuer) {
		b.vouches(p.ARN, "thumbprint_list")
	}
	b.add(change.Provider{Provider: p})
}

// placed is where an account or a unit stands in the organisation.
func (b *builder) placed() {
	id, known := b.o.string("id")
	if !known || id == "" {
		return // it is made anew: nothing is in it yet
	}
	parent, known := b.value(b.o, "parent_id")
	if !known {
		b.unknownAt(id, computedFrom(b.o.expression("parent_id")), "parent_id")
	}
	b.add(change.Placed{ID: id, Parent: parent})
}

// changes reports whether the plan changes an argument, or may: one of what is there before and after.
func (b *builder) changes(path ...any) bool {
	now, then := b.o.now, b.o.then
	if now == nil || then == nil {
		return true
	}
	return marked(then.unknown, true, path...) || !reflect.DeepEqual(at(now.values, path...), at(then.values, path...))
}

// vouches notes that an identity provider is to vouch for others than before: whom, the plan does not say.
func (b *builder) vouches(of string, path ...any) {
	if b.o.now != nil && b.o == b.o.then && b.changes(path...) {
		b.unknownAt(of, "changes: whom the provider vouches for from then on is not in the plan", path...)
	}
}

// certified reports whether AWS checks an issuer by the authorities that it knows itself, and never by the thumbprints of its certificates.
func certified(issuer string) bool {
	return slices.Contains([]string{"token.actions.githubusercontent.com", "gitlab.com", "accounts.google.com"}, issuer) || strings.HasSuffix(issuer, ".auth0.com")
}

func (b *builder) samlProvider() {
	p := b.provider("saml")
	b.vouches(p.ARN, "saml_metadata_document")
	if s, _ := b.o.string("valid_until"); s != "" {
		p.ValidUntil, _ = time.Parse(time.RFC3339, s)
	}
	b.add(change.Provider{Provider: p})
}

func (b *builder) trustAnchor() {
	p := b.provider("rolesanywhere")
	p.CASource, _ = b.o.string("source", 0, "source_type")
	b.vouches(p.ARN, "source")
	if s, known := b.o.string("enabled"); !known || s == "true" {
		b.vouches(p.ARN, "enabled")
	}
	b.add(change.Provider{Provider: p})
}

func (b *builder) cluster() {
	p := b.provider("eks")
	p.Cluster, _ = b.named(b.o, "name")
	p.URL, _ = b.o.string("identity", 0, "oidc", 0, "issuer")
	b.add(change.Provider{Provider: p})
}

func (b *builder) identityPool() { b.add(change.Provider{Provider: b.provider("cognito")}) }

func (b *builder) publicAccessBlock() {
	r := b.base(b.target())
	r.Policy = snapshot.Document{Name: "resource policy", Source: b.o.source}
	r.Attributes.PublicAccessBlock = "on"
	for _, name := range []string{"block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"} {
		s, known := b.o.string(name)
		if !known {
			b.unknownAt(r.ARN, computedFrom(b.o.expression(name)), name)
		}
		if s != "true" {
			r.Attributes.PublicAccessBlock = "off"
		}
	}
	b.add(change.Resource{Resource: r, Part: true})
}

func (b *builder) bucketEncryption() {
	r := b.base(b.target())
	r.Policy = snapshot.Document{Name: "resource policy", Source: b.o.source}
	path := []any{"rule", 0, "apply_server_side_encryption_by_default", 0, "kms_master_key_id"}
	key, known := b.value(b.o, path...)
	if !known {
		key = ""
	}
	if key == "" {
		return
	}
	if !strings.HasPrefix(key, "arn:") {
		key = "arn:" + b.partition + ":kms:" + b.regionOf(b.o) + ":" + b.accountOf(b.o.instance) + ":key/" + key
	}
	r.Attributes.SSEKMSKey = key
	b.add(change.Resource{Resource: r, Part: true})
}

func (b *builder) kmsGrant() {
	g := snapshot.KMSGrant{Key: b.target(), ID: b.o.Address, Source: b.o.source}
	if s, _ := b.o.string("grant_id"); s != "" {
		g.ID = s
	}
	g.Grantee, g.Retiring = b.shared(g.Key, "grantee_principal"), b.shared(g.Key, "retiring_principal")
	ops, complete := b.o.strings("operations")
	if g.Operations = ops; !complete {
		b.unknownAt(g.Key, computedFrom(b.o.expression("operations")), "operations")
	}
	for from, to := range map[string]string{"encryption_context_equals": "EncryptionContextEquals", "encryption_context_subset": "EncryptionContextSubset"} {
		if m := asObject(at(b.o.values, "constraints", 0, from)); len(m) > 0 {
			if g.Constraints == nil {
				g.Constraints = map[string]any{}
			}
			g.Constraints[to] = m
		}
	}
	b.add(change.KMSGrant{KMSGrant: g})
}

// statement is a policy of one statement, made of arguments.
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
	text, _ := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []statement{s}})
	name := "statement " + s.Sid
	if len(b.unknown) > 0 {
		r.Policy = snapshot.Document{Name: name, Source: b.o.source, Problem: b.unknown[0].Attribute + " is not known before the plan is applied: it " + b.unknown[0].Why}
	} else {
		r.Policy, _ = snapshot.NewDocument(name, text, b.o.source, false)
	}
	b.add(change.ResourceStatement{Resource: r, ID: s.Sid})
}

// argument is an argument of a statement: its value, "" where it is not given, and an Unknown where it is computed later.
func (b *builder) argument(of, name string) string {
	s, known := b.value(b.o, name)
	if !known {
		if given, sure := b.o.configured(name); given || !sure {
			b.unknownAt(of, computedFrom(b.o.expression(name)), name)
		}
	}
	return s
}

// condition adds a condition where the argument is given.
func condition(to map[string]map[string]string, operator, key, value string) {
	if value == "" {
		return
	}
	if to[operator] == nil {
		to[operator] = map[string]string{}
	}
	to[operator][key] = value
}

func (b *builder) statementID(argument string) string {
	s, _ := b.o.string(argument)
	if s == "" {
		s = b.o.Address
	}
	return s
}

// lambdaPermission writes the statement that AddPermission writes.
func (b *builder) lambdaPermission() {
	r := b.base(b.target())
	s := statement{Sid: b.statementID("statement_id"), Action: b.argument(r.ARN, "action"), Resource: r.ARN, Condition: map[string]map[string]string{}}
	if q := b.argument(r.ARN, "qualifier"); q != "" {
		s.Resource = r.ARN + ":" + q
	}
	principal := b.argument(r.ARN, "principal")
	switch {
	case strings.Contains(principal, ".amazon"):
		s.Principal = map[string]string{"Service": principal}
	case principal == "*":
		s.Principal = "*"
	default:
		s.Principal = map[string]string{"AWS": principal}
	}
	source := b.argument(r.ARN, "source_arn")
	_, known := b.o.string("source_arn")
	if _, told := b.evaluatedText(b.o, "source_arn"); !known && !told && source != "" {
		source += "*" // the expression may say more than what it refers to
		b.gap(snapshot.GapElement, "source_arn %s and is taken as %s, at least as wide as it will be", computedFrom(b.o.expression("source_arn")), source)
	}
	condition(s.Condition, "ArnLike", "AWS:SourceArn", source)
	condition(s.Condition, "StringEquals", "AWS:SourceAccount", b.argument(r.ARN, "source_account"))
	condition(s.Condition, "StringEquals", "aws:PrincipalOrgID", b.argument(r.ARN, "principal_org_id"))
	condition(s.Condition, "StringEquals", "lambda:FunctionUrlAuthType", b.argument(r.ARN, "function_url_auth_type"))
	condition(s.Condition, "StringEquals", "lambda:EventSourceToken", b.argument(r.ARN, "event_source_token"))
	b.statement(r, s)
}

// functionURL is the permission that the provider adds for URLs that anybody may call.
func (b *builder) functionURL() {
	r := b.base(b.target())
	switch b.argument(r.ARN, "authorization_type") {
	case "NONE":
		b.statement(r, statement{Sid: "FunctionURLAllowPublicAccess", Principal: "*", Action: "lambda:InvokeFunctionUrl", Resource: r.ARN,
			Condition: map[string]map[string]string{"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}}})
	case "":
		b.statement(r, statement{Sid: "FunctionURLAllowPublicAccess"})
	}
}

func (b *builder) layerPermission() {
	layer := b.targetOf("{layer_name}")
	if !strings.HasPrefix(layer, "arn:") {
		layer, _ = b.expand(b.o, "arn:{partition}:lambda:{region}:{account}:layer:{layer_name}")
	}
	if v := b.argument(layer, "version_number"); v != "" && strings.Count(layer, ":") < 7 {
		layer += ":" + v
	}
	r := b.base(layer)
	s := statement{Sid: b.statementID("statement_id"), Action: b.argument(r.ARN, "action"), Resource: r.ARN, Condition: map[string]map[string]string{}}
	if p := b.argument(r.ARN, "principal"); p == "*" {
		s.Principal = "*"
	} else {
		s.Principal = map[string]string{"AWS": p}
	}
	condition(s.Condition, "StringEquals", "aws:PrincipalOrgID", b.argument(r.ARN, "organization_id"))
	b.statement(r, s)
}

func (b *builder) eventPermission() {
	r := b.base(b.target())
	s := statement{Sid: b.statementID("statement_id"), Action: "events:PutEvents", Resource: r.ARN, Condition: map[string]map[string]string{}}
	if a := b.argument(r.ARN, "action"); a != "" {
		s.Action = a
	}
	if p := b.argument(r.ARN, "principal"); p == "*" {
		s.Principal = "*"
	} else {
		s.Principal = map[string]string{"AWS": p}
	}
	if l, known := b.o.list("condition"); !known || len(l) > 0 {
		kind, key := b.conditionArgument(r.ARN, "type"), b.conditionArgument(r.ARN, "key")
		condition(s.Condition, kind, key, b.conditionArgument(r.ARN, "value"))
	}
	b.statement(r, s)
}

func (b *builder) conditionArgument(of, name string) string {
	s, known := b.value(b.o, "condition", 0, name)
	if !known {
		b.unknownAt(of, computedFrom(b.o.expression("condition", 0, name)), "condition", 0, name)
	}
	return s
}

func (b *builder) controlPolicy() {
	kind, _ := b.o.string("type")
	if kind == "" {
		kind = "SERVICE_CONTROL_POLICY"
	}
	if kind != "SERVICE_CONTROL_POLICY" && kind != "RESOURCE_CONTROL_POLICY" {
		return // backup, tag and chat policies decide about other things
	}
	name, _ := b.o.string("name")
	p := snapshot.ControlPolicy{Name: name, ARN: b.arn(b.o)}
	p.Document = b.document(cmp.Or(name, p.ARN), p.ARN, "content")
	b.add(change.ControlPolicy{ControlPolicy: p, RCP: kind == "RESOURCE_CONTROL_POLICY"})
}

func (b *builder) controlTarget() {
	policy := ""
	if i, _ := b.targetInstance("policy_id"); i != nil && i.Type == "aws_organizations_policy" && i.then != nil {
		policy = b.arn(i.then)
	} else if s, known := b.o.string("policy_id"); known {
		policy = s
		for _, i := range b.ofType["aws_organizations_policy"] {
			if o := i.then; o != nil {
				if id, _ := o.string("id"); id == s {
					policy = b.arn(o)
				}
			}
		}
	}
	target, known := b.value(b.o, "target_id")
	if policy == "" {
		b.unknownAt(target, computedFrom(b.o.expression("policy_id")), "policy_id")
		policy = b.o.placeholder("policy_id")
	}
	if !known {
		b.unknownAt(policy, computedFrom(b.o.expression("target_id")), "target_id")
		target = b.o.placeholder("target_id")
	}
	b.add(change.ControlTarget{Policy: policy, Target: target})
}

func (b *builder) share(s snapshot.Share) {
	if s.Owner == "" {
		s.Owner = b.accountOf(b.o.instance)
	}
	s.Source = b.o.source
	b.add(change.Share{Share: s})
}

func (b *builder) delegatedAdministrator() {
	account := b.argument("", "account_id")
	service := b.argument(account, "service_principal")
	b.share(snapshot.Share{Kind: "DelegatedAdministrator", With: []string{account}, Attributes: map[string]any{"services": []any{service}}})
}

func (b *builder) ramShare() {
	s, known := b.o.string("allow_external_principals")
	if !known {
		b.unknownAt(b.arn(b.o), computedFrom(b.o.expression("allow_external_principals")), "allow_external_principals")
	}
	b.share(snapshot.Share{Kind: "RAM", ARN: b.arn(b.o), AllowExternal: s != "false"})
}

// ramTo is the share that an association belongs to, with what the share itself says.
func (b *builder) ramTo() snapshot.Share {
	s := snapshot.Share{Kind: "RAM", ARN: b.target(), AllowExternal: true}
	s.Owner = arn.Account(s.ARN)
	for _, i := range b.ofType["aws_ram_resource_share"] {
		if i.then != nil && b.arn(i.then) == s.ARN {
			external, _ := i.then.string("allow_external_principals")
			s.AllowExternal = external != "false"
		}
	}
	return s
}

func (b *builder) ramPrincipal() {
	s := b.ramTo()
	s.With = []string{b.shared(s.ARN, "principal")}
	b.share(s)
}

func (b *builder) ramResource() {
	s := b.ramTo()
	s.Resources = []string{b.shared(s.ARN, "resource_arn")}
	b.share(s)
}

// shared is an argument that names whom or what is shared; a placeholder stands for what is not known.
func (b *builder) shared(of, argument string) string {
	before := len(b.unknown)
	s := b.argument(of, argument)
	if len(b.unknown) > before {
		return b.o.placeholder(argument)
	}
	return s
}

func (b *builder) imagePermission() {
	s := snapshot.Share{Kind: "AMI", ARN: b.target()}
	for _, argument := range []string{"account_id", "group", "organization_arn", "organizational_unit_arn"} {
		if to := b.shared(s.ARN, argument); to != "" {
			s.With = append(s.With, to)
		}
	}
	b.share(s)
}

func (b *builder) snapshotPermission() {
	s := snapshot.Share{Kind: "EBSSnapshot", ARN: b.target()}
	s.With = []string{b.shared(s.ARN, "account_id")}
	b.share(s)
}

func (b *builder) dbSnapshot() {
	s := snapshot.Share{Kind: "RDSSnapshot", ARN: b.arn(b.o)}
	if s.ARN == "" || strings.HasPrefix(s.ARN, "{") {
		s.ARN, _ = b.expand(b.o, b.row.ARN)
	}
	with, complete := b.o.strings("shared_accounts")
	if given, sure := b.o.configured("shared_accounts"); !complete && (given || !sure) {
		b.unknownAt(s.ARN, computedFrom(b.o.expression("shared_accounts")), "shared_accounts")
		with = append(with, b.o.placeholder("shared_accounts"))
	}
	if s.With = with; len(with) > 0 {
		b.share(s)
	}
}

// ignored are read for their ARNs only.
func (b *builder) ignored() {}

// allowedPrincipals are those whom a service of an endpoint lets in, by its own list and by the resources that add to it.
func (b *builder) allowedPrincipals(r snapshot.Resource, own *object) {
	set := map[string]bool{}
	if own != nil {
		l, complete := own.strings("allowed_principals")
		for _, s := range l {
			set[s] = true
		}
		if given, sure := own.configured("allowed_principals"); !complete && (given || !sure) {
			b.unknownAt(r.ARN, computedFrom(own.expression("allowed_principals")), "allowed_principals")
		}
	}
	for _, i := range b.ofType["aws_vpc_endpoint_service_allowed_principal"] {
		o := i.then
		if b.before {
			o = i.now
		}
		if o == nil {
			continue
		}
		service, _ := b.value(o, "vpc_endpoint_service_id")
		if p, known := b.value(o, "principal_arn"); known && strings.HasSuffix(r.ARN, "/"+service) {
			set[p] = true
		}
	}
	list := make([]any, 0, len(set))
	for _, s := range slices.Sorted(maps.Keys(set)) {
		list = append(list, s)
	}
	r.Policy = snapshot.Document{Name: "resource policy", Source: b.o.source}
	r.Attributes.Other = map[string]any{"allowedPrincipals": list}
	b.add(change.Resource{Resource: r, Part: true})
}

func (b *builder) endpointService() {
	r := b.base(b.arn(b.o))
	r.Tags = b.tags()
	b.allowedPrincipals(r, b.o)
}

func (b *builder) endpointPrincipal() {
	r := b.base(b.target())
	b.argument(r.ARN, "principal_arn")
	var service *object
	for _, i := range b.ofType["aws_vpc_endpoint_service"] {
		if i.then != nil && b.arn(i.then) == r.ARN {
			service = i.then
		}
	}
	b.allowedPrincipals(r, service)
}

func (b *builder) lakeFormation() {
	s := snapshot.Share{Kind: "LakeFormation", ARN: b.o.Address}
	s.With = []string{b.shared("", "principal")}
	s.Attributes = map[string]any{}
	for _, argument := range []string{"permissions", "permissions_with_grant_option"} {
		l, complete := b.o.strings(argument)
		if !complete {
			if given, sure := b.o.configured(argument); given || !sure {
				b.unknownAt("", computedFrom(b.o.expression(argument)), argument)
			}
		}
		if argument == "permissions" {
			s.Attributes["permissions"] = anys(l)
		} else if len(l) > 0 {
			s.Attributes["grantable"] = anys(l)
		}
	}
	var tables []any
	for _, block := range []string{"table", "table_with_columns", "database", "data_location", "lf_tag", "lf_tag_policy", "data_cells_filter"} {
		l, _ := b.o.list(block)
		for n := range l {
			database, _ := b.o.string(block, n, "database_name")
			name, _ := b.o.string(block, n, "name")
			if location, _ := b.o.string(block, n, "arn"); location != "" {
				s.Resources = append(s.Resources, location)
			}
			if database+name != "" {
				tables = append(tables, strings.Trim(database+"."+name, "."))
			}
		}
	}
	if len(tables) > 0 {
		s.Attributes["tables"] = tables
	}
	if id, _ := b.o.string("catalog_id"); arn.IsAccountID(id) {
		s.Owner = id
	}
	b.share(s)
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
