package snapshot

import (
	"crypto/sha256"
	"math"
	"slices"
	"sync"

	"drawbridge/iam/policy"
)

// documents shares the policies of one read: equal texts are parsed and compiled once. Most roles of a large
// organisation are copies of a few hundred templates, so memory follows the distinct policies. The texts themselves are
// not kept; a text is known by its SHA-256. Safe for concurrent use.
type documents struct {
	mu     sync.Mutex
	parsed map[[sha256.Size]byte]*parsedDocument
}

// parsedDocument is the result for one text. Its fields are set by the first to ask and not changed after it.
type parsedDocument struct {
	once    sync.Once
	policy  *policy.Policy   // nil where the document cannot be evaluated
	fatal   policy.Problem   // why it cannot
	unclear []policy.Problem // what of it is not understood, and therefore Unknown in a verdict
}

func newDocuments() *documents {
	return &documents{parsed: make(map[[sha256.Size]byte]*parsedDocument)}
}

func (ds *documents) parse(text []byte) *parsedDocument {
	key := sha256.Sum256(text)
	ds.mu.Lock()
	d := ds.parsed[key]
	if d == nil {
		d = new(parsedDocument)
		ds.parsed[key] = d
	}
	ds.mu.Unlock()
	d.once.Do(func() { d.parse(text) })
	return d
}

func (d *parsedDocument) parse(text []byte) {
	document, problems := policy.Parse(text)
	for _, p := range problems {
		if p.Fatal {
			d.fatal = p
			return
		}
	}
	if document == nil {
		d.fatal.Message = "expected a policy document"
		return
	}
	d.policy = policy.Compile(document)
	d.unclear = append(problems, notUnderstood(d.policy, problems)...)
}

// notUnderstood lists the statements and conditions that compiling did not understand and parsing had nothing against.
func notUnderstood(p *policy.Policy, told []policy.Problem) []policy.Problem {
	var out []policy.Problem
	statements := p.Document.Statements
	for i := range p.Rules {
		rule, from, to := &p.Rules[i], statements[i].Pos.Offset, int32(math.MaxInt32)
		if i+1 < len(statements) {
			to = statements[i+1].Pos.Offset
		}
		if slices.ContainsFunc(told, func(q policy.Problem) bool { return q.Pos.Offset >= from && q.Pos.Offset < to }) {
			continue
		}
		if rule.NotUnderstood != "" {
			out = append(out, policy.Problem{Pos: statements[i].Pos, Message: rule.NotUnderstood})
		}
		for j := range rule.Condition {
			if why := rule.Condition[j].NotUnderstood; why != "" && j < len(statements[i].Condition) {
				out = append(out, policy.Problem{Pos: statements[i].Condition[j].Pos, Message: why})
			}
		}
	}
	return out
}

// in is the document where it is used, at a place of a file, with a gap for what is wrong with it there. The gaps have no
// subject yet.
func (d *parsedDocument) in(name string, at Source, multiline bool) (Document, []Gap) {
	out := Document{Name: name, State: Read, Policy: d.policy, Source: at, Multiline: multiline}
	if d.policy == nil {
		out.State, out.Problem = Unresolved, d.fatal.Message
		return out, []Gap{{Kind: GapDocument, Reason: name + ": " + out.Problem, Source: out.At(d.fatal.Pos)}}
	}
	var gaps []Gap
	for _, p := range d.unclear {
		gaps = append(gaps, Gap{Kind: GapElement, Reason: name + ": " + p.Message, Source: out.At(p.Pos)})
	}
	return out, gaps
}

// NewDocument reads a policy document that stands at a place of a file, for inputs other than the directory form. multiline
// says that the text stands there as it is given, line breaks included. The gaps tell what could not be read or is not
// understood; their Subject and Account are the caller's to fill in.
func NewDocument(name string, text []byte, at Source, multiline bool) (Document, []Gap) {
	var d parsedDocument
	d.parse(text)
	return d.in(name, at, multiline)
}

// document reads a policy document at the cursor: an object as the AWS CLI prints it, or a string that holds the JSON
// text, plain or URL-encoded, as the API returns it. What is wrong becomes a gap without subject, which finish fills in.
func (e *element) document(name string) Document {
	c := e.cursor
	kind := c.kind()
	at := e.source(c.here())
	var text []byte
	switch kind {
	case '{':
		text = c.skip()
	case '"':
		text, _ = c.bytes()
	case 'n':
		c.skip()
		return e.unresolved(Document{Name: name, Source: at}, "the document is null")
	default:
		c.skip()
		return e.unresolved(Document{Name: name, Source: at}, "expected a policy document, found "+describe(kind))
	}
	if c.err != nil {
		return Document{Name: name, Source: at}
	}
	d, gaps := e.documents.parse(text).in(name, at, kind == '{')
	e.gaps = append(e.gaps, gaps...)
	return d
}

// unresolved makes d a document that could not be read, with its gap.
func (e *element) unresolved(d Document, problem string) Document {
	d.State, d.Policy, d.Problem = Unresolved, nil, problem
	e.gaps = append(e.gaps, Gap{Kind: GapDocument, Reason: d.Name + ": " + problem, Source: d.Source})
	return d
}

// sameMeaning reports whether two documents that were read say the same, however they are spelt.
func sameMeaning(a, b Document) bool {
	return a.Policy == b.Policy || a.Policy.Document.Key() == b.Policy.Document.Key()
}
