package awsconfig

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/internal/snapshot"
)

// object is a part of an item. Fields are found in any case.
type object map[string]json.RawMessage

// objectOf reads a part that is an object, or the text of one in a string, as the API gives it. nil where there is none; problem where there is something else.
func objectOf(text json.RawMessage) (o object, problem string) {
	text = unquote(text)
	if isNull(text) {
		return nil, ""
	}
	if err := json.Unmarshal(text, &o); err != nil {
		return nil, "expected an object: " + err.Error()
	}
	return o, ""
}

// unquote takes the JSON text out of a string, also out of a string in a string.
func unquote(text json.RawMessage) json.RawMessage {
	for range 3 {
		text = bytes.TrimSpace(text)
		var s string
		if len(text) == 0 || text[0] != '"' || json.Unmarshal(text, &s) != nil {
			return text
		}
		text = json.RawMessage(s)
	}
	return bytes.TrimSpace(text)
}

func isNull(text json.RawMessage) bool {
	return len(text) == 0 || string(text) == "null"
}

// field is the value of a field, nil where there is none.
func (o object) field(name string) (json.RawMessage, bool) {
	if v, ok := o[name]; ok {
		return v, true
	}
	found := ""
	for k := range o {
		if strings.EqualFold(k, name) && (found == "" || k < found) {
			found = k
		}
	}
	v, ok := o[found]
	return v, ok
}

// text is a field that is a string; "" where it is none.
func (o object) text(name string) string {
	v, _ := o.field(name)
	var s string
	_ = json.Unmarshal(v, &s)
	return s
}

// find follows a path of fields. ok is false where one of them is not there; where one is null, the value is null.
func find(o object, path string) (json.RawMessage, bool) {
	for {
		name, rest, more := strings.Cut(path, ".")
		v, ok := o.field(name)
		if !ok || !more {
			return v, ok
		}
		v = unquote(v)
		if isNull(v) {
			return nil, true
		}
		if o = nil; json.Unmarshal(v, &o) != nil {
			return v, true
		}
		path = rest
	}
}

// list is a field that is a list of objects, or one object, as queries give a list of one. ok is false where it is not there, or something else.
func (o object) list(name string) (list []object, ok bool) {
	v, there := o.field(name)
	if !there {
		return nil, false
	}
	v = unquote(v)
	if isNull(v) {
		return nil, true
	}
	if json.Unmarshal(v, &list) == nil {
		return list, true
	}
	var one object
	if json.Unmarshal(v, &one) == nil {
		return []object{one}, true
	}
	return nil, false
}

// value is what the item has at a path that begins with configuration or supplementaryConfiguration.
func (it *item) value(path string) (json.RawMessage, bool) {
	part, rest, _ := strings.Cut(path, ".")
	if part == "supplementaryConfiguration" {
		return find(it.supplementary, rest)
	}
	return find(it.configuration, rest)
}

func (it *item) gap(kind snapshot.GapKind, reason string) {
	it.fact.gaps = append(it.fact.gaps, snapshot.Gap{Kind: kind, Subject: it.ARN, Account: it.account, Reason: reason, Source: it.at})
}

// document reads a policy: an object, JSON in a string, URL-encoded or not.
func (it *item) document(name string, text json.RawMessage) snapshot.Document {
	d, gaps := it.r.b.Document(name, unquote(text), it.at, false)
	for _, g := range gaps {
		g.Subject, g.Account = it.ARN, it.account
		it.fact.gaps = append(it.fact.gaps, g)
	}
	return d
}

// unread is a policy that the input does not tell.
func (it *item) unread(name, problem string) snapshot.Document {
	it.gap(snapshot.GapDocument, name+": "+problem)
	return snapshot.Document{Name: name, Problem: problem, Source: it.at}
}

func (it *item) where(path string) string {
	if it.row {
		return "the row has no " + path + ": select it in the query"
	}
	return "the item has no " + path
}

func (it *item) readResource() {
	res := &snapshot.Resource{ARN: it.ARN, Type: it.snapshotType(), Account: it.account, Region: it.Region, Tags: it.tags(), Source: it.at}
	if res.Region == "global" {
		res.Region = ""
	}
	const name = "resource policy"
	switch text, there := it.value(it.policy); {
	case it.policy == "":
		res.Policy = it.unread(name, "AWS Config does not record the policy of "+it.Type)
	case !there:
		res.Policy = it.unread(name, it.where(it.policy)+"; whether there is no policy, or it was not recorded, it does not say")
	default:
		switch t := unquote(text); {
		case !isNull(t) && string(t) != "{}":
			res.Policy = it.document(name, text)
		case it.always:
			res.Policy = it.unread(name, "every "+it.Type+" has a policy, and "+it.policy+" is empty")
		default:
			res.Policy = snapshot.Document{Name: name, State: snapshot.None, Source: it.at}
		}
	}
	if it.Type == "AWS::S3::Bucket" {
		if v, there := it.value("supplementaryConfiguration.PublicAccessBlockConfiguration"); there {
			o, _ := objectOf(v)
			it.fact.block = o.block()
			it.fact.block.known = it.fact.block.known || isNull(unquote(v))
		}
		res.Attributes.SSEKMSKey = it.encryption()
	}
	it.fact.resource = res
}

// closed reports whether the item says that the way in it stands for is shut.
func (it *item) closed() bool {
	v, there := it.value(it.policy)
	return it.policy != "" && there && string(unquote(v)) == "false"
}

// block is a public access block.
type block struct{ known, on bool }

// block reads the four settings. What has only some of them is not known.
func (o object) block() block {
	b := block{known: true, on: true}
	for _, name := range []string{"blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"} {
		v, there := o.field(name)
		var on bool
		if !there || json.Unmarshal(unquote(v), &on) != nil {
			return block{}
		}
		b.on = b.on && on
	}
	return b
}

// with is what a bucket's block and its account's make together, in the words of a snapshot.
func (b block) with(account block) string {
	switch {
	case b.on || account.on:
		return "on"
	case b.known && account.known:
		return "off"
	}
	return ""
}

var keyID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f-]{27}$|^mrk-[0-9a-f]{32}$`)

// encryption is the key of a bucket's objects.
func (it *item) encryption() string {
	v, _ := it.value("supplementaryConfiguration.ServerSideEncryptionConfiguration")
	o, _ := objectOf(v)
	rules, _ := o.list("rules")
	for _, rule := range rules {
		v, _ := rule.field("applyServerSideEncryptionByDefault")
		def, _ := objectOf(v)
		switch key := def.text("kmsMasterKeyID"); {
		case strings.HasPrefix(key, "arn:"):
			return key
		case keyID.MatchString(key) && it.Region != "":
			return "arn:" + it.partition + ":kms:" + it.Region + ":" + it.account + ":key/" + key
		}
	}
	return ""
}

var hole = regexp.MustCompile(`\{([a-zA-Z.]+)\}`)

// makeARN fills the record's pattern; "" where a part is missing.
func (it *item) makeARN() string {
	whole := true
	out := hole.ReplaceAllStringFunc(it.arn, func(h string) string {
		var v string
		switch h = h[1 : len(h)-1]; h {
		case "partition":
			v = it.partition
		case "region":
			v = it.Region
		case "account":
			v = it.account
		case "id":
			v = it.ID
		case "name":
			v = cmp.Or(it.Name, it.ID)
		default:
			v = it.configuration.text(strings.TrimPrefix(h, "configuration."))
			if v == "" && strings.HasPrefix(it.ID, "arn:") && strings.HasSuffix(h, "Arn") {
				v = it.ID
			}
		}
		whole = whole && v != "" && !strings.ContainsAny(v, " ,")
		return v
	})
	if !whole || it.kind != policies && strings.Contains(strings.TrimPrefix(out, "arn:"), "arn:") {
		return ""
	}
	return out
}

// partition is that of the ARN, else of the region.
func partition(name, region string) string {
	if parts := strings.SplitN(name, ":", 3); len(parts) == 3 && parts[0] == "arn" && strings.HasPrefix(parts[1], "aws") {
		return parts[1]
	}
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// tags reads tags in all their forms: an object, or a list of key and value.
func (it *item) tags() map[string]string {
	text := unquote(it.Tags)
	if isNull(text) {
		text, _ = it.configuration.field("tags")
		text = unquote(text)
	}
	if isNull(text) {
		return nil
	}
	tags := make(map[string]string)
	var list []object
	if json.Unmarshal(text, &list) == nil {
		for _, o := range list {
			if key := o.text("key"); key != "" {
				tags[key] = o.text("value")
			}
		}
	} else if err := json.Unmarshal(text, &tags); err != nil {
		it.gap(snapshot.GapFile, "tags: "+err.Error())
	}
	if len(tags) == 0 {
		return nil
	}
	return tags
}

// parseTime reads a time as AWS Config writes it: text, or seconds or milliseconds since 1970.
func parseTime(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, true
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05-07:00", "2006-01-02 15:04:05.999999-07:00", "2006-01-02T15:04:05.999999-0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

func (it *item) created(o object) time.Time {
	v, there := o.field("createDate")
	if !there || isNull(v) {
		return time.Time{}
	}
	var text string
	var n float64
	if json.Unmarshal(v, &n) == nil && n > 0 && n < 1e14 {
		if n > 1e11 {
			n /= 1000
		}
		return time.Unix(int64(n), 0).UTC()
	}
	if json.Unmarshal(v, &text) == nil {
		if t, ok := parseTime(text); ok {
			return t
		}
	}
	it.gap(snapshot.GapFile, "createDate: expected a time such as 2026-01-31T09:30:00Z, found "+strconv.Quote(string(v[:min(len(v), 60)])))
	return time.Time{}
}

func number(v any) int64 {
	switch v := v.(type) {
	case float64:
		return int64(v)
	case string:
		n, _ := strconv.ParseInt(v, 10, 64)
		return n
	}
	return 0
}

// principal reads what users and roles have in common.
func (it *item) principal(nameField, idField, listField string) snapshot.Principal {
	c := it.configuration
	p := snapshot.Principal{ARN: it.ARN, Account: it.account, Name: cmp.Or(c.text(nameField), it.Name, it.ARN[strings.LastIndexByte(it.ARN, '/')+1:]), UniqueID: cmp.Or(c.text(idField), it.uniqueID()), Path: cmp.Or(c.text("path"), pathOf(it.ARN)),
		Created: it.created(c), Tags: it.tags(), Source: it.at}
	p.Inline = it.inline(listField)
	var unknown *snapshot.Document
	if p.Attached, unknown = it.attached(); unknown != nil {
		p.Inline = append(p.Inline, *unknown)
	}
	it.boundary(&p)
	return p
}

// uniqueID is the item's id: of IAM's items it is the unique id.
func (it *item) uniqueID() string {
	if arn.IsUniqueID(it.ID) {
		return it.ID
	}
	return ""
}

// pathOf is the path in an ARN of IAM.
func pathOf(name string) string {
	_, rest, _ := strings.Cut(name, "/")
	return "/" + rest[:strings.LastIndexByte(rest, '/')+1]
}

// inline reads a list of inline policies. One that is not there stands as a policy that is not known, so that nobody takes the principal for one without permissions.
func (it *item) inline(field string) []snapshot.Document {
	list, ok := it.configuration.list(field)
	if !ok {
		return []snapshot.Document{it.unread(field, it.where("configuration."+field)+": what it allows is not known")}
	}
	var out []snapshot.Document
	for i, o := range list {
		name := cmp.Or(o.text("policyName"), fmt.Sprintf("%s %d", field, i+1))
		if text, there := o.field("policyDocument"); there && !isNull(unquote(text)) {
			out = append(out, it.document(name, text))
		} else {
			out = append(out, it.unread(name, "there is no policyDocument"))
		}
	}
	return out
}

func (it *item) attached() (out []snapshot.Attachment, unknown *snapshot.Document) {
	const field = "attachedManagedPolicies"
	list, ok := it.configuration.list(field)
	whole := ok
	for _, o := range list {
		a := snapshot.Attachment{Name: o.text("policyName"), ARN: o.text("policyArn")}
		if a.ARN == "" {
			whole = false
			continue
		}
		a.Name = cmp.Or(a.Name, a.ARN[strings.LastIndexByte(a.ARN, '/')+1:])
		out = append(out, a)
	}
	switch {
	case !ok:
		d := it.unread(field, it.where("configuration."+field)+": what it allows is not known")
		return out, &d
	case !whole:
		d := it.unread(field, "an element has no policyArn")
		return out, &d
	}
	return out, nil
}

const (
	boundaryField = "configuration.permissionsboundary" // in lower case, as envelope.asked has it
	notAsked      = "the rows have none, and nothing says that the query asked for configuration.permissionsBoundary: select it, and give the whole output with its QueryInfo"
)

// boundary reads the permissions boundary. In a whole item none is none, as in authorization details; a row that has none says so only where it was asked for, which the end of the file may tell.
func (it *item) boundary(p *snapshot.Principal) {
	v, there := it.configuration.field("permissionsBoundary")
	if !there {
		it.fact.unasked = it.row || it.configuration == nil
		return
	}
	o, problem := objectOf(v)
	if o == nil && problem == "" {
		return
	}
	name := o.text("permissionsBoundaryArn")
	if name == "" {
		d := it.unread("permissions boundary", cmp.Or(problem, "expected an object with permissionsBoundaryArn"))
		p.InlineBoundary = &d
		return
	}
	p.Boundary = &snapshot.Attachment{Name: name[strings.LastIndexByte(name, '/')+1:], ARN: name}
}

func principalOf(f *fact) *snapshot.Principal {
	if f.role != nil {
		return &f.role.Principal
	}
	return &f.user.Principal
}

func (it *item) readRole() {
	c := it.configuration
	r := &snapshot.Role{Principal: it.principal("roleName", "roleId", "rolePolicyList")}
	if text, there := it.value(it.policy); there && !isNull(unquote(text)) {
		r.Trust = it.document("trust policy", text)
	} else {
		r.Trust = it.unread("trust policy", it.where(it.policy))
	}
	profiles, _ := c.list("instanceProfileList")
	for _, o := range profiles {
		if name := o.text("arn"); name != "" {
			r.InstanceProfiles = append(r.InstanceProfiles, name)
		}
	}
	var seconds int64
	if v, there := c.field("maxSessionDuration"); there && json.Unmarshal(v, &seconds) == nil && seconds > 0 && seconds <= 1<<31 {
		r.MaxSession = time.Duration(seconds) * time.Second
	}
	v, _ := c.field("roleLastUsed")
	used, _ := objectOf(v)
	if t, ok := parseTime(used.text("lastUsedDate")); ok {
		r.LastUsed = t
	}
	it.fact.role = r
}

func (it *item) readUser() {
	u := &snapshot.User{Principal: it.principal("userName", "userId", "userPolicyList"), AccessKeys: -1}
	v, there := it.configuration.field("groupList")
	if !there || json.Unmarshal(unquote(v), &u.Groups) != nil {
		var one string
		if there && json.Unmarshal(v, &one) == nil {
			u.Groups = []string{one}
		} else {
			u.Inline = append(u.Inline, it.unread("groupList", it.where("configuration.groupList")+": what its groups allow is not known"))
		}
	}
	it.fact.user = u
}

func (it *item) readGroup() {
	c := it.configuration
	g := &snapshot.Group{ARN: it.ARN, Account: it.account, Name: cmp.Or(c.text("groupName"), it.Name, it.ARN[strings.LastIndexByte(it.ARN, '/')+1:]), UniqueID: cmp.Or(c.text("groupId"), it.uniqueID()), Path: cmp.Or(c.text("path"), pathOf(it.ARN)), Source: it.at}
	g.Inline = it.inline("groupPolicyList")
	var unknown *snapshot.Document
	if g.Attached, unknown = it.attached(); unknown != nil {
		g.Inline = append(g.Inline, *unknown)
	}
	it.fact.group = g
}

func (it *item) readManaged() {
	m := &snapshot.ManagedPolicy{ARN: it.ARN, Account: it.account}
	if arn.Account(it.ARN) == "aws" {
		m.Account = ""
	}
	versions, _ := it.configuration.list("policyVersionList")
	standard := it.configuration.text("defaultVersionId")
	chosen := slices.IndexFunc(versions, func(o object) bool {
		v, _ := o.field("isDefaultVersion")
		var yes bool
		return json.Unmarshal(unquote(v), &yes) == nil && yes
	})
	if chosen < 0 && standard != "" {
		chosen = slices.IndexFunc(versions, func(o object) bool { return o.text("versionId") == standard })
	}
	if chosen < 0 {
		m.Document = it.unread(it.ARN, it.where("configuration.policyVersionList with the default version"))
	} else if text, there := versions[chosen].field("document"); there && !isNull(unquote(text)) {
		m.Document = it.document(it.ARN, text)
	} else {
		m.Document = it.unread(it.ARN, "the default version has no document")
	}
	it.fact.policy = m
}

func (it *item) readProvider() {
	p := &snapshot.Provider{ARN: it.ARN, Account: it.account, Type: "saml", Source: it.at}
	if it.kind == oidc {
		p.Type, p.URL = "oidc", it.configuration.text("url")
		if v, there := it.configuration.field("clientIdList"); !there || json.Unmarshal(unquote(v), &p.Audiences) != nil {
			it.gap(snapshot.GapFile, "clientIdList: "+it.where("configuration.ClientIdList")+": its audiences are not known")
		}
		if p.URL == "" {
			_, p.URL, _ = strings.Cut(it.ARN, ":oidc-provider/")
		}
	}
	it.fact.provider = p
}
