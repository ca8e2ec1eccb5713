package collect

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// policyBy reads one resource's policy by a call of its own: its form in the snapshot, and why it is not known. The codes say that there is none.
func policyBy[In, Out, Opt any](t *task, call func(context.Context, *In, ...Opt) (*Out, error), in *In, text func(*Out) *string, codes ...string) (any, *string) {
	out, o := ask(t, call, in, codes...)
	if out == nil {
		return policy(nil, o)
	}
	return policy(text(out), o)
}

// turns is a paginator for lists that the SDK has none for.
type turns[Out any] struct {
	service, operation string
	nextToken          *string
	started            bool
	next               func(ctx context.Context, token *string) (out Out, following *string, err error)
}

func (p *turns[Out]) HasMorePages() bool {
	return !p.started || p.nextToken != nil && *p.nextToken != ""
}

func (p *turns[Out]) NextPage(ctx context.Context, _ ...struct{}) (Out, error) {
	out, token, err := p.next(ctx, p.nextToken)
	if err == nil {
		p.started, p.nextToken = true, token
	}
	return out, err
}

func (p *turns[Out]) call() (service, operation string) { return p.service, p.operation }

// documentOf is a document of the SDK as JSON, nil where there is none. One that has no JSON is an error: what it says is not known.
func documentOf(d interface {
	MarshalSmithyDocument() ([]byte, error)
}) (json.RawMessage, error) {
	if d == nil {
		return nil, nil
	}
	text, err := d.MarshalSmithyDocument()
	if err == nil && !json.Valid(text) {
		err = errors.New("a document in the answer is not JSON")
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}

// merged is the one policy that several policies of one resource make together: all their statements.
func merged(texts []*string, o outcome) (any, *string) {
	texts = slices.DeleteFunc(texts, func(s *string) bool { return s == nil || strings.TrimSpace(*s) == "" })
	if o.err != nil || len(texts) < 2 {
		if len(texts) == 1 {
			return policy(texts[0], o)
		}
		return policy(nil, o)
	}
	statements := []json.RawMessage{}
	for _, text := range texts {
		var document struct{ Statement json.RawMessage }
		if err := json.Unmarshal([]byte(*text), &document); err != nil {
			why := "one of several policies of it cannot be read: " + err.Error()
			return nil, &why
		}
		var list []json.RawMessage
		if json.Unmarshal(document.Statement, &list) != nil {
			list = []json.RawMessage{document.Statement}
		}
		statements = append(statements, list...)
	}
	return map[string]any{"Version": "2012-10-17", "Statement": statements}, nil
}

func isARN(s string) bool { return strings.HasPrefix(s, "arn:") }
