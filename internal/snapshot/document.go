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
	once     sync.Once
	policy   *policy.Policy
	problems []policy.Problem
	unclear  []policy.Problem // statements that cannot be evaluated with certainty, beside those in problems
	fatal    string           // the first problem for which the document cannot be evaluated
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
	d.once.Do(func() {
		document, problems := policy.Parse(text)
		d.problems = problems
		for _, p := range problems {
			if p.Fatal {
				d.fatal = p.Message
				return
			}
		}
		if document == nil {
			d.fatal = "is not a policy document"
			return
		}
		d.policy = policy.Compile(document)
		d.unclear = unclear(d.policy, problems)
	})
	return d
}

// document reads a policy document at the cursor: an object as the AWS CLI prints it, or a string that holds the JSON
// text, plain or URL-encoded, as the API returns it. What is wrong becomes a gap without subject, which the caller fills in.
func (e *element) document(name string) Document {
	c := e.cursor
	kind := c.kind()
	d := Document{Name: name, Source: e.source(c.here())}
	var text []byte
	switch kind {
	case '{':
		d.Multiline = true
		text = c.skip()
	case '"':
		text, _ = c.bytes()
	case 'n':
		c.skip()
		return e.unresolved(d, "the document is null")
	default:
		found := describe(kind)
		c.skip()
		if c.err != nil {
			return d
		}
		return e.unresolved(d, "expected a policy document, found "+found)
	}
	if c.err != nil {
		return d
	}
	parsed := e.documents.parse(text)
	if parsed.policy == nil {
		for _, p := range parsed.problems {
			if p.Fatal {
				return e.unresolvedAt(d, p.Message, d.At(p.Pos))
			}
		}
		return e.unresolved(d, parsed.fatal)
	}
	d.State, d.Policy = Read, parsed.policy
	for _, p := range parsed.problems {
		e.gaps = append(e.gaps, Gap{Kind: GapElement, Reason: name + ": " + p.Message, Source: d.At(p.Pos)})
	}
	for _, n := range parsed.unclear {
		e.gaps = append(e.gaps, Gap{Kind: GapElement, Reason: name + ": " + n.Message, Source: d.At(n.Pos)})
	}
	return d
}

// unclear lists the statements that compiling did not understand and parsing had nothing against.
func unclear(p *policy.Policy, problems []policy.Problem) []policy.Problem {
	var out []policy.Problem
	statements := p.Document.Statements
	for i := range p.Rules {
		if p.Rules[i].NotUnderstood == "" {
			continue
		}
		from, to := statements[i].Pos.Offset, int32(math.MaxInt32)
		if i+1 < len(statements) {
			to = statements[i+1].Pos.Offset
		}
		told := slices.ContainsFunc(problems, func(q policy.Problem) bool { return q.Pos.Offset >= from && q.Pos.Offset < to })
		if !told {
			out = append(out, policy.Problem{Pos: statements[i].Pos, Message: p.Rules[i].NotUnderstood})
		}
	}
	return out
}

// unresolved makes d a document that could not be read, with its gap.
func (e *element) unresolved(d Document, problem string) Document {
	return e.unresolvedAt(d, problem, d.Source)
}

func (e *element) unresolvedAt(d Document, problem string, at Source) Document {
	d.State, d.Policy, d.Problem = Unresolved, nil, problem
	e.gaps = append(e.gaps, Gap{Kind: GapDocument, Reason: d.Name + ": " + problem, Source: at})
	return d
}

// sameMeaning reports whether two documents that were read say the same, however they are spelt.
func sameMeaning(a, b Document) bool {
	return a.Policy == b.Policy || a.Policy.Document.Key() == b.Policy.Document.Key()
}
