package snapshot

import (
	"cmp"
	"fmt"
	"strings"

	"drawbridge/iam/arn"
)

// The files of our own making. In AWS's output a field that we do not know is AWS's business; in these files it is
// something that the user meant and that we would lose, so it becomes a gap with its place.

// unknown notes a field that the form does not have, and passes it.
func (e *element) unknown(where string, key []byte) {
	e.note(e.here(), "unknown field "+quote(string(key))+" in "+where+"; it was not read")
	e.skip()
}

// lineElements reads a file of one JSON value a line. A line that cannot be read costs that line.
func (rd *reader) lineElements(p *part, file string, read func(*part, *element)) {
	rd.readFile(p, file, func(t *textReader) *syntaxError {
		for {
			text, at, ok, err := t.line()
			if err != nil || !ok {
				return err
			}
			read(p, &element{cursor: newCursor(text, at), documents: rd.documents, file: file, account: p.account})
		}
	})
}

// listElements reads a file that is one JSON list.
func (rd *reader) listElements(p *part, file string, read func(*part, *element)) {
	rd.readFile(p, file, func(t *textReader) *syntaxError {
		err := t.list(func() *syntaxError {
			text, at, err := t.value()
			if err == nil {
				read(p, &element{cursor: newCursor(text, at), documents: rd.documents, file: file, account: p.account})
			}
			return err
		})
		return t.nothingMore(err)
	})
}

// nothingMore checks the end of a file that was read without error so far.
func (t *textReader) nothingMore(err *syntaxError) *syntaxError {
	if err != nil {
		return err
	}
	if _, ok := t.peek(); ok || t.ioErr != nil {
		return t.fail("the end of the file")
	}
	return nil
}

// inAccount settles the account of a fact: what it says itself, else the directory it lies in, else its ARN. A fact that
// says another account than its directory is kept as it says, with a gap.
func (e *element) inAccount(stated, name string, at place) string {
	switch {
	case stated != "" && !arn.IsAccountID(stated):
		e.note(at, "account: expected 12 digits, found "+quote(stated))
	case stated != "" && e.account != "" && stated != e.account:
		e.note(at, fmt.Sprintf("account: expected %s, which the directory is named after, found %s", e.account, stated))
	case stated == "" && e.account != "":
		return e.account
	case stated == "":
		if a := arn.Account(name); arn.IsAccountID(a) {
			return a
		}
		e.note(at, "expected an account, found none in the element, its ARN or the file's path")
	}
	return stated
}

// named checks that an element carries the name without which it is nothing.
func (e *element) named(field, value string, at place) {
	if value == "" && e.err == nil && !e.told(e.source(at)) {
		e.note(at, "expected "+field+", found none; the element was left out")
	}
}

func (p *part) readResource(e *element) {
	var r Resource
	at := e.here()
	r.Source = e.source(at)
	account, document, problem := "", -1, ""
	e.object("resource", func(key []byte) {
		switch string(key) {
		case "arn":
			r.ARN = e.string("arn")
		case "type":
			r.Type = e.interned("type")
		case "account":
			account = e.interned("account")
		case "region":
			r.Region = e.interned("region")
		case "policy":
			document = e.pass()
		case "error":
			problem = e.string("error")
		case "tags":
			r.Tags = e.tagObject()
		case "attributes":
			r.Attributes = e.attributes()
		default:
			e.unknown("a resource", key)
		}
	})
	e.named("arn", r.ARN, at)
	if r.ARN != "" {
		r.Account = e.inAccount(account, r.ARN, at)
		if r.Type == "" {
			e.note(at, "expected type, a CloudFormation type name such as AWS::S3::Bucket, found none")
		}
		if document >= 0 && problem == "" && e.isNull(document) {
			r.Policy = Document{Name: "resource policy", State: None, Source: e.source(at)}
		} else {
			if document < 0 && problem == "" {
				problem = "there is no field policy; null says that the resource has none"
			}
			r.Policy = e.documentAt("resource policy", document, problem, at)
		}
	}
	if e.finish(p, r.ARN, r.Account) && r.ARN != "" {
		p.facts.Resources = append(p.facts.Resources, r)
	}
}

func (e *element) isNull(offset int) bool { return e.err == nil && e.text[offset] == 'n' }

// tagObject reads tags as our own files write them: an object of strings.
func (e *element) tagObject() map[string]string {
	if e.null() {
		return nil
	}
	out := make(map[string]string)
	e.object("tags", func(key []byte) {
		k := intern(key)
		out[k] = e.interned("tags." + k)
	})
	if len(out) == 0 {
		return nil
	}
	return out
}

func (e *element) attributes() Attributes {
	var a Attributes
	if e.null() {
		return a
	}
	e.object("attributes", func(key []byte) {
		switch string(key) {
		case "sseKmsKey":
			a.SSEKMSKey = e.interned("attributes.sseKmsKey")
		case "publicAccessBlock":
			at := e.here()
			a.PublicAccessBlock = e.interned("attributes.publicAccessBlock")
			if a.PublicAccessBlock != "" && a.PublicAccessBlock != "on" && a.PublicAccessBlock != "off" {
				e.note(at, "attributes.publicAccessBlock: expected \"on\" or \"off\", found "+quote(a.PublicAccessBlock))
				a.PublicAccessBlock = ""
			}
		default:
			if a.Other == nil {
				a.Other = make(map[string]any)
			}
			k := intern(key)
			a.Other[k] = e.any("attributes." + k)
		}
	})
	return a
}

// objectOfAny reads an object of any shape; nil for null.
func (e *element) objectOfAny(field string) map[string]any {
	if e.null() {
		return nil
	}
	if e.kind() != '{' {
		e.mismatch(field, "an object")
		return nil
	}
	m, _ := e.any(field).(map[string]any)
	return m
}

func (p *part) readProvider(e *element) {
	var v Provider
	at := e.here()
	v.Source = e.source(at)
	account := ""
	e.object("provider", func(key []byte) {
		switch string(key) {
		case "arn":
			v.ARN = e.string("arn")
		case "type":
			at := e.here()
			switch v.Type = e.interned("type"); v.Type {
			case "oidc", "saml", "rolesanywhere", "eks", "cognito":
			default:
				e.note(at, "type: expected oidc, saml, rolesanywhere, eks or cognito, found "+quote(v.Type))
			}
		case "account":
			account = e.interned("account")
		case "url":
			v.URL = e.string("url")
		case "audiences":
			v.Audiences = e.strings("audiences")
		case "cluster":
			v.Cluster = e.string("cluster")
		case "source":
			v.CASource = e.string("source")
		case "crl":
			v.CRL = e.string("crl")
		case "registered":
			if e.null() {
				return
			}
			if b, ok := e.bool("registered"); ok {
				v.Registered = &b
			}
		case "validUntil":
			v.ValidUntil = e.time("validUntil")
		default:
			e.unknown("a provider", key)
		}
	})
	e.named("arn", v.ARN, at)
	if v.ARN != "" {
		v.Account = e.inAccount(account, v.ARN, at)
	}
	if e.finish(p, v.ARN, v.Account) && v.ARN != "" {
		p.facts.Providers = append(p.facts.Providers, v)
	}
}

func (p *part) readKMSGrant(e *element) {
	var g KMSGrant
	at := e.here()
	g.Source = e.source(at)
	e.object("KMS grant", func(key []byte) {
		switch string(key) {
		case "keyArn":
			g.Key = e.interned("keyArn")
		case "grantId":
			g.ID = e.string("grantId")
		case "grantee":
			g.Grantee = e.interned("grantee")
		case "retiring":
			g.Retiring = e.interned("retiring")
		case "operations":
			g.Operations = e.strings("operations")
		case "constraints":
			g.Constraints = e.objectOfAny("constraints")
		case "created":
			g.Created = e.time("created")
		case "lastUsed":
			g.LastUsed = e.time("lastUsed")
		default:
			e.unknown("a KMS grant", key)
		}
	})
	e.named("keyArn", g.Key, at)
	if e.finish(p, g.Key, arn.Account(g.Key)) && g.Key != "" {
		p.facts.KMSGrants = append(p.facts.KMSGrants, g)
	}
}

func (p *part) readShare(e *element) {
	var s Share
	at := e.here()
	s.Source = e.source(at)
	e.object("share", func(key []byte) {
		switch string(key) {
		case "kind":
			s.Kind = e.interned("kind")
		case "arn":
			s.ARN = e.string("arn")
		case "owner":
			s.Owner = e.interned("owner")
		case "with":
			s.With = e.strings("with")
		case "allowExternal":
			s.AllowExternal, _ = e.bool("allowExternal")
		case "resources":
			s.Resources = e.strings("resources")
		case "attributes":
			s.Attributes = e.objectOfAny("attributes")
		default:
			e.unknown("a share", key)
		}
	})
	e.named("kind", s.Kind, at)
	if e.err == nil && s.Kind != "" && s.Owner == "" {
		if s.Owner = e.account; s.Owner == "" {
			e.note(at, "expected owner, the account that shares, found none")
		}
	}
	if e.finish(p, s.ARN, s.Owner) && s.Kind != "" {
		p.facts.Shares = append(p.facts.Shares, s)
	}
}

func (p *part) readUsage(e *element) {
	u := Usage{Source: e.source(e.here())}
	u.Fields = e.objectOfAny("usage")
	if e.finish(p, "", e.account) && u.Fields != nil {
		p.facts.Usage = append(p.facts.Usage, u)
	}
}

// readCollected reads when an account was read. Without it, or where it says nothing of it, the account counts as read to its end as far as its other files go.
func (rd *reader) readCollected(p *part, file string) {
	rd.readFile(p, file, func(t *textReader) *syntaxError {
		text, at, err := t.value()
		if err != nil {
			return err
		}
		e := &element{cursor: newCursor(text, at), documents: rd.documents, file: file, account: p.account}
		start := e.here()
		e.object("collected", func(key []byte) {
			switch string(key) {
			case "at":
				p.collected = e.time("at")
			case "complete":
				complete, ok := e.bool("complete")
				p.unread = ok && !complete
			case "scope":
				_ = e.string("scope")
			case "gaps":
				_, _ = e.integer("gaps")
			case "notOffered":
				_ = e.strings("notOffered")
			default:
				e.unknown("collected.json", key)
			}
		})
		if e.err == nil && p.collected.IsZero() && !e.told(e.source(start)) {
			e.note(start, "expected at, the time when the account was read, found none")
		}
		e.finish(p, "", p.account)
		return t.nothingMore(nil)
	})
}

func (p *part) readGap(e *element) {
	var g Gap
	at := e.here()
	stated := false
	e.object("gap", func(key []byte) {
		switch string(key) {
		case "kind":
			g.Kind = GapKind(e.interned("kind"))
		case "subject":
			g.Subject = e.string("subject")
		case "account":
			g.Account = e.interned("account")
		case "reason":
			g.Reason = e.string("reason")
		case "call":
			g.Call = e.interned("call")
		case "code":
			g.Code = e.interned("code")
		case "types":
			g.Types = intern([]byte(strings.Join(e.strings("types"), " ")))
		case "source":
			stated = true
			e.object("source", func(key []byte) {
				switch string(key) {
				case "file":
					g.Source.File = e.interned("file")
				case "line":
					n, _ := e.integer("line")
					g.Source.Line = clampPlace(max(n, 0))
				case "column":
					n, _ := e.integer("column")
					g.Source.Column = clampPlace(max(n, 0))
				default:
					e.unknown("source", key)
				}
			})
		default:
			e.unknown("a gap", key)
		}
	})
	// Whatever is wrong with it, a gap is kept: it says that something was not seen.
	switch g.Kind {
	case GapFile, GapDocument, GapPolicy, GapAccount, GapRegion, GapCall, GapOrganization, GapElement:
	default:
		e.note(at, "kind: expected file, document, policy, account, region, call, organization or element, found "+quote(string(g.Kind)))
		g.Kind = GapFile
	}
	g.Subject = cmp.Or(g.Subject, e.file)
	g.Reason = cmp.Or(g.Reason, "no reason is given")
	if !stated {
		g.Source = e.source(at)
	}
	if g.Account == "" {
		g.Account = e.account
	}
	if e.finish(p, "", e.account) {
		p.stated = append(p.stated, g)
	}
}
