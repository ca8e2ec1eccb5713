package snapshot

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unique"

	"drawbridge/iam/arn"
)

// part is what one task of a read found: one account's directory, or one file beside the accounts.
type part struct {
	facts Snapshot // Accounts and Organization are not used
	// account whose files these are; "" for files beside the accounts.
	account string
	details details
	stated  []Gap // of gaps.json: what the one who collected could not read
	// collected is when the account was read; unread, that it says itself it was not read to the end.
	collected time.Time
	unread    bool
}

// details is how completely an account's authorization details were read.
type details struct {
	files      int
	lists      map[string]bool // those of the four lists that were there
	lost       bool            // a user, group or role was there and could not be read
	mixed      bool            // principals of other accounts were there too
	truncated  Source          // of an IsTruncated that no page followed yet
	isOpen     bool            // truncated is set
	partitions map[string]bool
}

// The four lists of GetAccountAuthorizationDetails.
var detailLists = []string{"UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"}

// element is one element of a file while it is decoded.
type element struct {
	*cursor
	documents *documents
	file      string
	account   string // of the directory that the file lies in, "" where unknown
	gaps      []Gap  // Subject "" is filled in by finish
}

func (e *element) source(at place) Source {
	return Source{File: e.file, Line: at.line, Column: at.column}
}

// finish closes the element and adds its gaps to the part. subject names the element, or is "" where its name could not
// be read. It reports whether the element is readable.
func (e *element) finish(p *part, subject, account string) bool {
	c := e.cursor
	c.done()
	if subject == "" {
		subject = e.file
	}
	for _, n := range c.problems {
		e.gaps = append(e.gaps, Gap{Kind: GapFile, Reason: n.message, Source: e.source(n.at)})
	}
	if c.err != nil {
		// What was found in a broken element before the break goes with it: one gap stands for all.
		e.gaps = append(e.gaps[:0], Gap{Kind: GapFile, Reason: c.err.message + "; the rest of this element was not read", Source: e.source(c.err.at)})
	}
	for _, g := range e.gaps {
		if g.Subject == "" {
			g.Subject = subject
		}
		if g.Account == "" {
			g.Account = cmp.Or(account, e.account)
		}
		p.facts.Gaps = append(p.facts.Gaps, g)
	}
	return c.err == nil
}

// intern returns one string for equal bytes: names, paths, tags and ARNs of managed policies come thousands of times.
func intern(b []byte) string { return unique.Make(string(b)).Value() }

// quote prints a value found in the input, cut to a length that a message can bear.
func quote(s string) string {
	if len(s) > 120 {
		return strconv.QuoteToASCII(s[:120]) + "…"
	}
	return strconv.QuoteToASCII(s)
}

// readDetails reads one file of authorization details, which may hold several pages one after the other.
func (rd *reader) readDetails(p *part, file string) {
	p.details.files++
	if p.details.lists == nil {
		p.details.lists, p.details.partitions = make(map[string]bool), make(map[string]bool)
	}
	rd.readFile(p, file, func(t *textReader) *syntaxError {
		pages := 0
		for {
			c, ok := t.peek()
			if !ok && t.ioErr == nil && pages > 0 {
				return nil
			}
			if c != '{' {
				p.details.lost = true
				return t.fail("an object with UserDetailList, GroupDetailList, RoleDetailList and Policies")
			}
			pages++
			p.details.isOpen = false // this is the page that the one before announced
			if err := rd.readDetailsPage(p, t, file); err != nil {
				p.details.lost = true
				return err
			}
		}
	})
}

func (rd *reader) readDetailsPage(p *part, t *textReader, file string) *syntaxError {
	found := 0
	begin := t.at
	err := t.object(func(key string, _ place) *syntaxError {
		if key == "IsTruncated" {
			text, at, err := t.value()
			if err == nil && string(text) == "true" {
				p.details.isOpen, p.details.truncated = true, Source{file, at.line, at.column}
			}
			return err
		}
		if !slices.Contains(detailLists, key) {
			_, _, err := t.value() // Marker, ResponseMetadata and whatever AWS adds
			return err
		}
		found++
		if c, _ := t.peek(); c != '[' {
			expected := t.fail("a list")
			if !startsValue(c) {
				return expected
			}
			_, _, err := t.value()
			p.details.lost = true
			p.gap(Gap{Kind: GapFile, Subject: file, Reason: key + ": " + expected.message, Source: Source{file, expected.at.line, expected.at.column}})
			return err
		}
		p.details.lists[key] = true
		return t.list(func() *syntaxError {
			text, at, err := t.value()
			if err != nil {
				return err
			}
			e := &element{cursor: newCursor(text, at), documents: rd.documents, file: file, account: p.account}
			switch key {
			case "UserDetailList":
				p.readUser(e)
			case "GroupDetailList":
				p.readGroup(e)
			case "RoleDetailList":
				p.readRole(e)
			case "Policies":
				p.readManagedPolicy(e)
			}
			return nil
		})
	})
	if err == nil && found == 0 {
		p.gap(Gap{Kind: GapFile, Subject: file, Reason: "expected UserDetailList, GroupDetailList, RoleDetailList and Policies, found none of them",
			Source: Source{file, begin.line, begin.column}})
		p.details.lost = true
	}
	return err
}

func (p *part) gap(g Gap) {
	if g.Account == "" {
		g.Account = p.account
	}
	p.facts.Gaps = append(p.facts.Gaps, g)
}

// identify checks the ARN of an element and returns the account it lies in. An element without a usable ARN is nobody: it
// cannot be kept, and where it is a principal the account is not completely read.
func (p *part) identify(e *element, what, text string, at Source) (account string, ok bool) {
	a, err := arn.Parse(text)
	amazons := a.Account == "aws" && strings.HasPrefix(what, "policy ")
	if err != nil || !arn.IsAccountID(a.Account) && !amazons {
		if e.told(at) {
			return p.account, false
		}
		e.gaps = append(e.gaps, Gap{Kind: GapFile, Subject: e.file, Source: at,
			Reason: fmt.Sprintf("%s: expected an Arn that names its account, found %s; the element was left out", what, quote(text))})
		return p.account, false
	}
	if amazons {
		return p.account, true
	}
	if isPartition(a.Partition) {
		p.details.partitions[a.Partition] = true
	}
	return a.Account, true
}

// told reports whether it is already noted that an element is not even an object.
func (e *element) told(at Source) bool {
	return slices.ContainsFunc(e.problems, func(p problem) bool { return e.source(p.at) == at })
}

// unreadable stands for a list of policies or groups that could not be read: the principal then holds a document that is
// not resolved, so that nobody takes it for a principal without permissions.
func (e *element) unreadable(list string, at place) Document {
	return e.unresolved(Document{Name: list, Source: e.source(at)}, "the list could not be read")
}

// principalField reads the fields that users and roles share. It reports whether the key was one of them.
func (e *element) principalField(key []byte, u *Principal) bool {
	switch string(key) {
	case "Arn":
		u.ARN = e.string("Arn")
	case "Path":
		u.Path = e.interned("Path")
	case "CreateDate":
		u.Created = e.time("CreateDate")
	case "AttachedManagedPolicies":
		at := e.here()
		var ok bool
		if u.Attached, ok = e.attachments(); !ok {
			u.Inline = append(u.Inline, e.unreadable("AttachedManagedPolicies", at))
		}
	case "PermissionsBoundary":
		e.boundary(u)
	case "Tags":
		u.Tags = e.tags()
	default:
		return false
	}
	return true
}

func (e *element) interned(field string) string {
	if e.kind() != '"' {
		return e.string(field)
	}
	b, _ := e.bytes()
	return intern(b)
}

// timeLayouts are those of the API (RFC 3339) and of tools that print Python's times.
var timeLayouts = []string{time.RFC3339, "2006-01-02 15:04:05-07:00", "2006-01-02 15:04:05.999999-07:00"}

func (e *element) time(field string) time.Time {
	if e.null() {
		return time.Time{}
	}
	at := e.here()
	text := e.string(field)
	if e.err != nil || text == "" {
		return time.Time{}
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC()
		}
	}
	e.note(at, field+": expected a time such as 2026-01-31T09:30:00Z, found "+quote(text))
	return time.Time{}
}

// attachments reads AttachedManagedPolicies. An attachment without its ARN makes the list unreadable.
func (e *element) attachments() (out []Attachment, ok bool) {
	complete := true
	ok = e.list("AttachedManagedPolicies", func() {
		var a Attachment
		at := e.here()
		complete = e.object("AttachedManagedPolicies", func(key []byte) {
			switch string(key) {
			case "PolicyName":
				a.Name = e.interned("PolicyName")
			case "PolicyArn":
				a.ARN = e.interned("PolicyArn")
			default:
				e.skip()
			}
		}) && complete
		if e.err == nil && a.ARN == "" {
			complete = false
			e.note(at, "AttachedManagedPolicies: expected a PolicyArn in each element")
			return
		}
		out = append(out, a)
	})
	return out, ok && complete
}

// inline reads a list of inline policies: RolePolicyList, UserPolicyList, GroupPolicyList.
func (e *element) inline(field string) []Document {
	var out []Document
	begin := e.here()
	ok := e.list(field, func() {
		at := e.here()
		name, document, problem := "", -1, ""
		complete := e.object(field, func(key []byte) {
			switch string(key) {
			case "PolicyName":
				name = e.interned("PolicyName")
			case "PolicyDocument":
				document = e.pass()
			case "PolicyDocumentError": // written by us, where a document could not be read
				problem = e.string("PolicyDocumentError")
			default:
				e.skip()
			}
		})
		if !complete {
			out = append(out, e.unreadable(field, at))
			return
		}
		out = append(out, e.documentAt(name, document, problem, at))
	})
	if !ok && e.err == nil {
		out = append(out, e.unreadable(field, begin))
	}
	return out
}

// pass passes the next value, to be read later: its name may stand behind it.
func (e *element) pass() int {
	e.kind()
	from := e.i
	e.skip()
	return from
}

// documentAt reads the document at an offset that was passed before; -1 where the input has none. problem is what the
// writer of the input had to say about a document that it could not read.
func (e *element) documentAt(name string, offset int, problem string, owner place) Document {
	if e.err != nil {
		return Document{Name: name}
	}
	missing := Document{Name: name, Source: e.source(owner)}
	if offset < 0 {
		if problem == "" {
			problem = "there is no document here"
		}
		return e.unresolved(missing, problem)
	}
	back := e.i
	e.i = offset
	defer func() {
		if e.err == nil {
			e.i = back
		}
	}()
	if problem != "" && e.kind() == 'n' {
		missing.Source = e.source(e.here())
		return e.unresolved(missing, problem)
	}
	return e.document(name)
}

// boundary reads PermissionsBoundary. One that cannot be read is a boundary that is not resolved, never none.
func (e *element) boundary(u *Principal) {
	if e.null() {
		return
	}
	at := e.here()
	var a Attachment
	document, problem := -1, ""
	ok := e.object("PermissionsBoundary", func(key []byte) {
		switch string(key) {
		case "PermissionsBoundaryArn":
			a.ARN = e.interned("PermissionsBoundaryArn")
		case "PolicyDocument": // ours: where the boundary's document is known and its policy's ARN is not
			document = e.pass()
		case "PolicyDocumentError":
			problem = e.string("PolicyDocumentError")
		default:
			e.skip()
		}
	})
	if e.err != nil {
		return
	}
	if a.ARN != "" {
		a.Name = a.ARN[strings.LastIndexByte(a.ARN, '/')+1:]
		u.Boundary = &a
	}
	switch {
	case document >= 0 || problem != "":
		d := e.documentAt("permissions boundary", document, problem, at)
		u.InlineBoundary = &d
	case !ok || a.ARN == "":
		d := e.unresolved(Document{Name: "permissions boundary", Source: e.source(at)}, "expected an object with PermissionsBoundaryArn")
		u.InlineBoundary = &d
	}
}

// tags reads the list of Key and Value in which AWS writes tags.
func (e *element) tags() map[string]string {
	var out map[string]string
	e.list("Tags", func() {
		at := e.here()
		var key, value string
		e.object("Tags", func(k []byte) {
			switch string(k) {
			case "Key":
				key = e.interned("Key")
			case "Value":
				value = e.interned("Value")
			default:
				e.skip()
			}
		})
		if e.err != nil {
			return
		}
		if _, twice := out[key]; twice {
			e.note(at, "Tags: the tag "+quote(key)+" comes twice; the first is used")
			return
		}
		if out == nil {
			out = make(map[string]string)
		}
		out[key] = value
	})
	return out
}

func (p *part) readUser(e *element) {
	u := User{AccessKeys: -1}
	u.Source = e.source(e.here())
	e.object("UserDetailList", func(key []byte) {
		switch string(key) {
		case "UserName":
			u.Name = e.string("UserName")
		case "UserId":
			u.UniqueID = e.string("UserId")
		case "UserPolicyList":
			u.Inline = append(u.Inline, e.inline("UserPolicyList")...)
		case "GroupList":
			at, problems := e.here(), len(e.problems)
			u.Groups = e.strings("GroupList")
			if len(e.problems) > problems {
				u.Inline = append(u.Inline, e.unreadable("GroupList", at))
			}
		case "AccessKeys": // ours
			if n, ok := e.integer("AccessKeys"); ok {
				u.AccessKeys = int(n)
			}
		case "LastUsed": // ours
			u.LastUsed = e.time("LastUsed")
		default:
			if !e.principalField(key, &u.Principal) {
				e.skip()
			}
		}
	})
	var ok bool
	u.Account, ok = p.identify(e, "user "+quote(u.Name), u.ARN, u.Source)
	if !e.finish(p, u.ARN, u.Account) || !ok {
		p.details.lost = true
		return
	}
	p.facts.Users = append(p.facts.Users, u)
}

func (p *part) readGroup(e *element) {
	g := Group{Source: e.source(e.here())}
	e.object("GroupDetailList", func(key []byte) {
		switch string(key) {
		case "Arn":
			g.ARN = e.string("Arn")
		case "GroupName":
			g.Name = e.string("GroupName")
		case "GroupId":
			g.UniqueID = e.string("GroupId")
		case "Path":
			g.Path = e.interned("Path")
		case "GroupPolicyList":
			g.Inline = append(g.Inline, e.inline("GroupPolicyList")...)
		case "AttachedManagedPolicies":
			at := e.here()
			var ok bool
			if g.Attached, ok = e.attachments(); !ok {
				g.Inline = append(g.Inline, e.unreadable("AttachedManagedPolicies", at))
			}
		default:
			e.skip()
		}
	})
	var ok bool
	g.Account, ok = p.identify(e, "group "+quote(g.Name), g.ARN, g.Source)
	if !e.finish(p, g.ARN, g.Account) || !ok {
		p.details.lost = true
		return
	}
	p.facts.Groups = append(p.facts.Groups, g)
}

func (p *part) readRole(e *element) {
	var r Role
	at := e.here()
	r.Source = e.source(at)
	trust, problem := -1, ""
	e.object("RoleDetailList", func(key []byte) {
		switch string(key) {
		case "RoleName":
			r.Name = e.string("RoleName")
		case "RoleId":
			r.UniqueID = e.string("RoleId")
		case "AssumeRolePolicyDocument":
			trust = e.pass()
		case "AssumeRolePolicyDocumentError": // ours
			problem = e.string("AssumeRolePolicyDocumentError")
		case "RolePolicyList":
			r.Inline = append(r.Inline, e.inline("RolePolicyList")...)
		case "MaxSessionDuration": // of GetRole; authorization details lack it
			if n, ok := e.integer("MaxSessionDuration"); ok && n >= 0 && n <= 1<<31 {
				r.MaxSession = time.Duration(n) * time.Second
			}
		case "RoleLastUsed":
			if e.null() {
				return
			}
			e.object("RoleLastUsed", func(key []byte) {
				if string(key) == "LastUsedDate" {
					r.LastUsed = e.time("LastUsedDate")
				} else {
					e.skip()
				}
			})
		case "InstanceProfileList":
			e.list("InstanceProfileList", func() {
				e.object("InstanceProfileList", func(key []byte) {
					if string(key) == "Arn" {
						r.InstanceProfiles = append(r.InstanceProfiles, e.string("Arn"))
					} else {
						e.skip() // the roles in it repeat this role
					}
				})
			})
		default:
			if !e.principalField(key, &r.Principal) {
				e.skip()
			}
		}
	})
	var ok bool
	r.Account, ok = p.identify(e, "role "+quote(r.Name), r.ARN, r.Source)
	if ok {
		r.Trust = e.documentAt("trust policy", trust, problem, at)
	}
	if !e.finish(p, r.ARN, r.Account) || !ok {
		p.details.lost = true
		return
	}
	p.facts.Roles = append(p.facts.Roles, r)
}

func (p *part) readManagedPolicy(e *element) {
	type version struct {
		id        string
		isDefault bool
		document  int
		problem   string
		at        place
	}
	var m ManagedPolicy
	var name, defaultID string
	var versions []version
	at := e.here()
	e.object("Policies", func(key []byte) {
		switch string(key) {
		case "Arn":
			m.ARN = e.interned("Arn")
		case "PolicyName":
			name = e.string("PolicyName")
		case "DefaultVersionId":
			defaultID = e.string("DefaultVersionId")
		case "PolicyVersionList":
			e.list("PolicyVersionList", func() {
				v := version{document: -1, at: e.here()}
				e.object("PolicyVersionList", func(key []byte) {
					switch string(key) {
					case "VersionId":
						v.id = e.string("VersionId")
					case "IsDefaultVersion":
						v.isDefault, _ = e.bool("IsDefaultVersion")
					case "Document":
						v.document = e.pass()
					case "DocumentError": // ours
						v.problem = e.string("DocumentError")
					default:
						e.skip()
					}
				})
				versions = append(versions, v)
			})
		default:
			e.skip()
		}
	})
	account, ok := p.identify(e, "policy "+quote(name), m.ARN, e.source(at))
	m.Account = account
	if strings.HasPrefix(m.ARN, "arn:") && arn.Account(m.ARN) == "aws" {
		m.Account = ""
	}
	chosen := slices.IndexFunc(versions, func(v version) bool { return v.isDefault })
	if chosen < 0 && defaultID != "" {
		chosen = slices.IndexFunc(versions, func(v version) bool { return v.id == defaultID })
	}
	if chosen >= 0 && ok {
		v := versions[chosen]
		m.Document = e.documentAt(m.ARN, v.document, v.problem, v.at)
	} else if ok {
		m.Document = e.unresolved(Document{Name: m.ARN, Source: e.source(at)}, "expected the default version in PolicyVersionList, found none")
	}
	if !e.finish(p, m.ARN, account) || !ok {
		return
	}
	p.facts.Policies = append(p.facts.Policies, m)
}
