package collect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"
)

// task is one row that is read in one account and region.
type task struct {
	ctx     context.Context
	row     *Row
	cfg     aws.Config // the account's session, in the region
	account string
	part    string // the partition: aws, aws-cn, …
	region  string // "" for what is global
	facts   *facts // of the account; safe for concurrent use

	mu       sync.Mutex
	failures []failure
	unlisted bool // the service is not offered in this region
}

// failure is one call that was not answered.
type failure struct {
	call    Call
	code    string
	message string
	subject string // ARN of what it was about; "" where it was a list
}

// arn is the ARN of a resource of the task's account and region.
func (t *task) arn(service, resource string) string {
	return "arn:" + t.part + ":" + service + ":" + t.region + ":" + t.account + ":" + resource
}

// globalARN is the ARN of a resource without region.
func (t *task) globalARN(service, resource string) string {
	return "arn:" + t.part + ":" + service + "::" + t.account + ":" + resource
}

// pager is any of the SDK's paginators.
type pager[Out, Opt any] interface {
	HasMorePages() bool
	NextPage(context.Context, ...Opt) (Out, error)
}

// maxPages is where a list is given up: a service that gives the same token again and again would be asked for ever. At 50 things a page it is half a million.
const maxPages = 10_000

// pages reads a list to its end. It reports whether the end was reached; what stopped it is a gap.
func pages[Out, Opt any](t *task, p pager[Out, Opt], each func(Out)) bool {
	return pagesOf(t, "", p, each)
}

// pagesOf is pages for a list that belongs to one thing, by its ARN.
func pagesOf[Out, Opt any](t *task, subject string, p pager[Out, Opt], each func(Out)) bool {
	for n := 0; p.HasMorePages(); n++ {
		if n == maxPages {
			t.fail(subject, fmt.Errorf("the list did not end after %d pages", maxPages))
			return false
		}
		out, err := p.NextPage(t.ctx)
		if err != nil {
			t.fail(subject, err)
			return false
		}
		each(out)
	}
	return true
}

// listed is pages for lists of one kind of thing.
func listed[Out, Opt, Item any](t *task, p pager[Out, Opt], items func(Out) []Item) []Item {
	var all []Item
	pages(t, p, func(out Out) { all = append(all, items(out)...) })
	return all
}

// outcome is what an answer is worth. The zero value: there is one.
type outcome struct {
	absent bool  // there is none: the service said so by one of the codes that mean it
	err    error // it is not known
}

// ask makes one call. The codes say that there is none. A failure is not yet a gap: where the answer is a resource's policy it goes to the resource, elsewhere to fail.
func ask[In, Out, Opt any](t *task, call func(context.Context, *In, ...Opt) (*Out, error), in *In, codes ...string) (*Out, outcome) {
	out, err := call(t.ctx, in)
	switch {
	case err == nil:
		return out, outcome{}
	case slices.Contains(codes, codeOf(err)):
		return nil, outcome{absent: true}
	}
	return nil, outcome{err: err}
}

// must makes one call about subject, an ARN, or "" where it is about the account. What goes wrong is a gap. It returns nil where there is no answer, or none there.
func must[In, Out, Opt any](t *task, subject string, call func(context.Context, *In, ...Opt) (*Out, error), in *In, codes ...string) *Out {
	out, o := ask(t, call, in, codes...)
	if o.err != nil {
		t.fail(subject, o.err)
	}
	return out
}

// inParallel is how many resources of one row are asked about at once. What is in flight over all is bounded by the run.
const inParallel = 8

// each does something for every item, several at once.
func each[Item any](t *task, items []Item, do func(Item)) {
	var g errgroup.Group
	g.SetLimit(inParallel)
	for _, item := range items {
		if t.ctx.Err() != nil {
			break
		}
		g.Go(func() error { do(item); return nil })
	}
	_ = g.Wait()
}

// fail notes a failure; fold makes gaps of all of them.
func (t *task) fail(subject string, err error) {
	if t.fatal(err) {
		return
	}
	var dns *net.DNSError
	if subject == "" && t.region != "" && errors.As(err, &dns) && dns.IsNotFound {
		t.mu.Lock()
		t.unlisted = true
		t.mu.Unlock()
		return
	}
	c, code, message := describe(err)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, failure{c, code, message, subject})
}

// fatal reports whether an error ends the whole run: nobody may call anything any more, or the run was stopped.
func (t *task) fatal(err error) bool {
	return t.ctx.Err() != nil && errors.Is(context.Cause(t.ctx), errStopped) || errors.Is(err, errStopped)
}

// errStopped is the cause of a run that was ended from outside: a signal, or the loss of its own credentials.
var errStopped = errors.New("the collection was stopped")

// codeOf is the service's error code, "" where no service answered.
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// describe says which call failed, by which code, and what the service said.
func describe(err error) (c Call, code, message string) {
	var operation *smithy.OperationError
	if errors.As(err, &operation) {
		c, _ = callOf(operation.ServiceID, operation.OperationName)
	}
	var api smithy.APIError
	switch {
	case errors.As(err, &api):
		code, message = api.ErrorCode(), api.ErrorMessage()
	case errors.Is(err, context.DeadlineExceeded):
		code, message = "Timeout", "no answer in time"
	default:
		code, message = "NoAnswer", err.Error()
		if operation != nil {
			message = operation.Err.Error()
		}
	}
	return c, code, strings.Join(strings.Fields(message), " ")
}

// reason is a failure in words.
func reason(c Call, code, message string) string {
	out := code
	if c.Operation != "" {
		out = c.String() + ": " + code
	}
	if message != "" && message != code {
		out += ": " + message
	}
	if denied(code) && len(c.Actions) > 0 {
		out += " (needs " + strings.Join(c.Actions, ", ") + ")"
	}
	return out
}

// denied reports whether a code says that the caller may not.
func denied(code string) bool {
	return strings.Contains(code, "AccessDenied") || strings.Contains(code, "Unauthorized") || code == "AuthorizationError" || code == "AuthorizationErrorException" || code == "Forbidden" || code == "ForbiddenException"
}

// fold makes gaps of the failures: one for each call and code, which names the first subjects.
func (t *task) fold() []gap {
	type key struct{ call, code string }
	var order []key
	groups := make(map[key][]failure)
	for _, f := range t.failures {
		k := key{f.call.String(), f.code}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], f)
	}
	var out []gap
	for _, k := range order {
		fs := groups[k]
		slices.SortFunc(fs, func(a, b failure) int { return strings.Compare(a.subject, b.subject) })
		g := gap{Kind: "call", Subject: t.account, Account: t.account, Call: k.call, Code: k.code, Reason: reason(fs[0].call, fs[0].code, fs[0].message)}
		if t.region != "" {
			g.Subject += "/" + t.region
		}
		if t.row != nil {
			g.Reason = t.row.Name + ": " + g.Reason
		}
		switch n := len(fs); {
		case fs[n-1].subject == "":
		case n == 1:
			g.Subject = fs[0].subject
		default:
			g.Reason += fmt.Sprintf("; of %d, the first is %s", n, fs[0].subject)
		}
		out = append(out, g)
	}
	return out
}

// resource adds a resource. policy is its policy's text and what is known of it; see withPolicy and withoutPolicy.
func (t *task) resource(r resource) {
	if r.Account == "" {
		r.Account = t.account
	}
	if r.Region == "" {
		r.Region = t.region
	}
	if r.Type == "" {
		r.Type = t.row.Type
	}
	t.facts.mu.Lock()
	defer t.facts.mu.Unlock()
	t.facts.resources = append(t.facts.resources, r)
}

// policy is the form of a resource's policy: its text, that there is none, or why it is not known.
func policy(text *string, o outcome) (any, *string) {
	switch {
	case o.err != nil:
		why := explain(o.err)
		return nil, &why
	case o.absent, text == nil, strings.TrimSpace(*text) == "":
		return nil, nil
	case json.Valid([]byte(*text)):
		return json.RawMessage(*text), nil
	}
	return *text, nil // URL-encoded, or broken: the reader of the snapshot says which
}

// explain is an error in words: the call, the code, what the service said and what would be needed.
func explain(err error) string { return reason(describe(err)) }

// last is what stands behind the last slash.
func last(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// pause waits, and reports whether the task goes on.
func (t *task) pause(d time.Duration) bool {
	select {
	case <-t.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
