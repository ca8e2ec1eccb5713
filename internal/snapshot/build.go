package snapshot

import (
	"errors"
	"io"
	"slices"
)

// Builder makes a snapshot out of an input that has another form than the directory form. The facts are appended to its Snapshot; equal texts of policies share one Policy.
// It is for one goroutine.
type Builder struct {
	Snapshot
	documents *documents
}

// NewBuilder begins with nothing.
func NewBuilder() *Builder { return &Builder{documents: newDocuments()} }

// Document is NewDocument with shared policies.
func (b *Builder) Document(name string, text []byte, at Source, multiline bool) (Document, []Gap) {
	return b.documents.parse(text).in(name, at, multiline)
}

// Gap adds a gap.
func (b *Builder) Gap(g Gap) { b.gap(g) }

// Done puts everything in order: the first of equal names stays, with a gap for the others, and gaps say which managed policies are named without a document, that no organisation is known where there is none, and which of
// the files of facts (resources.jsonl, providers.json, …) the input can say nothing about: all but those in carries. A nil list of SCPs or RCPs is one that is not known.
func (b *Builder) Done(carries ...string) *Snapshot {
	s := &b.Snapshot
	s.Version = Version
	s.unknownOrganization()
	for _, f := range factFiles {
		if f.what != "" && !slices.Contains(carries, f.name) {
			s.gap(Gap{Kind: GapFile, Subject: f.name, Reason: notCollected(f)})
		}
	}
	s.order()
	s.checkPolicies()
	s.settleGaps(nil)
	return s
}

func (s *Snapshot) unknownOrganization() {
	o := s.Organization
	switch {
	case o == nil:
		s.gap(Gap{Kind: GapOrganization, Subject: SubjectOrganization, Reason: noOrganization})
	case o.ID == "":
		s.gap(Gap{Kind: GapOrganization, Subject: SubjectOrganization, Reason: noOrganizationID})
	}
	if o == nil || o.SCPs == nil {
		s.gap(Gap{Kind: GapOrganization, Subject: SubjectSCPs, Reason: noSCPs})
	}
	if o == nil || o.RCPs == nil {
		s.gap(Gap{Kind: GapOrganization, Subject: SubjectRCPs, Reason: noRCPs})
	}
}

// Text walks a JSON text of any size, or several one behind the other, and holds one value of it at a time. Its errors carry their place; Gap makes a gap of one.
type Text struct {
	t    *textReader
	file string
}

// NewText begins to read a file.
func NewText(file string, r io.Reader) *Text { return &Text{newTextReader(r), file} }

// Peek is the first byte of what comes next, 0 at the end of the file and where it cannot be read further.
func (t *Text) Peek() byte {
	c, _ := t.t.peek()
	return c
}

// Here is the place of what comes next.
func (t *Text) Here() Source {
	t.t.peek()
	return t.source(t.t.at)
}

func (t *Text) source(p place) Source { return Source{t.file, p.line, p.column} }

// End is the error that kept the file from being read to its end, nil at the end.
func (t *Text) End() error {
	if _, ok := t.t.peek(); ok || t.t.ioErr != nil {
		return t.t.fail("the end of the file")
	}
	return nil
}

// Object walks the object that comes next: visit is called in front of each value and must consume it.
func (t *Text) Object(visit func(key string) error) error {
	return plainError(t.t.object(func(key string, _ place) *syntaxError { return t.placed(visit(key)) }))
}

// List walks the list that comes next: visit is called in front of each element and must consume it.
func (t *Text) List(visit func() error) error {
	return plainError(t.t.list(func() *syntaxError { return t.placed(visit()) }))
}

// Value reads the value that comes next. The text is valid until the next call, and is only known to be balanced.
func (t *Text) Value() ([]byte, Source, error) {
	text, at, err := t.t.value()
	return text, t.source(at), plainError(err)
}

func (t *Text) placed(err error) *syntaxError {
	var known *syntaxError
	if err == nil || errors.As(err, &known) {
		return known
	}
	return &syntaxError{t.t.at, err.Error()}
}

// plainError keeps a nil pointer from becoming an error.
func plainError(err *syntaxError) error {
	if err == nil {
		return nil
	}
	return err
}

// Gap is what an error of t leaves unread.
func (t *Text) Gap(err error) Gap {
	e := t.placed(err)
	return Gap{Kind: GapFile, Subject: t.file, Reason: e.message + "; nothing after this place was read", Source: t.source(e.at)}
}
