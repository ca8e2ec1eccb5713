package collect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
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
	self    string // who reads: role/NAME or user/NAME
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

// isOne reports whether who reads is among roles and users, by their ARNs.
func (t *task) isOne(arns []string) bool {
	return slices.ContainsFunc(arns, func(a string) bool { return accountOf(a) == t.account && selfOf(a) == t.self })
}

// selfOf is the role or user of an ARN of IAM or STS, without its path and session: role/NAME. "" where it is neither.
func selfOf(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return ""
	}
	kind, name, _ := strings.Cut(parts[5], "/")
	switch kind {
	case "assumed-role":
		name, _, _ = strings.Cut(name, "/")
		return "role/" + name
	case "role", "user":
		return kind + "/" + last(name)
	}
	return ""
}

// pager is any of the SDK's paginators.
type pager[Out, Opt any] interface {
	HasMorePages() bool
	NextPage(context.Context, ...Opt) (Out, error)
}

// maxPages is where a list is given up that goes on for ever with other tokens. At 50 things a page it is half a million.
const maxPages = 10_000

// errRepeated says that a list gives a token that it gave before: it would be read for ever, and what follows is not known.
var errRepeated = errors.New("the list gave the same token twice")

// tokenOf is where a paginator goes on: all of the SDK's keep it in the field nextToken. "" where it has none that is a text.
func tokenOf(p any) string {
	v := reflect.ValueOf(p)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return ""
	}
	if v = v.Elem().FieldByName("nextToken"); v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.String {
		return v.Elem().String()
	}
	return ""
}

// pages reads a list to its end. It reports whether the end was reached; what stopped it is a gap.
func pages[Out, Opt any](t *task, p pager[Out, Opt], each func(Out)) bool {
	return pagesOf(t, "", p, each)
}

// pagesOf is pages for a list that belongs to one thing, by its ARN.
func pagesOf[Out, Opt any](t *task, subject string, p pager[Out, Opt], each func(Out)) bool {
	err := walk(t, p, each)
	if err != nil {
		t.fail(subject, err)
	}
	return err == nil
}

// walk reads a list to its end, or returns what stopped it.
func walk[Out, Opt any](t *task, p pager[Out, Opt], each func(Out)) error {
	seen := make(map[string]bool)
	for n := 0; p.HasMorePages(); n++ {
		token := tokenOf(p)
		if n == maxPages {
			return fmt.Errorf("the list did not end after %d pages", maxPages)
		}
		if token != "" && seen[token] {
			return &rowError{&smithy.OperationError{ServiceID: serviceOf(p), OperationName: operationOf(p), Err: errRepeated}, t.row}
		}
		seen[token] = true
		out, err := p.NextPage(t.ctx)
		if err != nil {
			return &rowError{err, t.row}
		}
		each(out)
	}
	return nil
}

// serviceOf and operationOf say which call a paginator makes, by its type: *kms.ListKeysPaginator.
func operationOf(p any) string {
	if own, ok := p.(interface{ call() (string, string) }); ok {
		_, operation := own.call()
		return operation
	}
	return strings.TrimSuffix(reflect.Indirect(reflect.ValueOf(p)).Type().Name(), "Paginator")
}

func serviceOf(p any) string {
	if own, ok := p.(interface{ call() (string, string) }); ok {
		service, _ := own.call()
		return service
	}
	of := reflect.Indirect(reflect.ValueOf(p)).Type().PkgPath()
	operation := operationOf(p)
	for i := range rows {
		for _, c := range rows[i].Calls {
			if c.Operation == operation && strings.EqualFold(strings.ReplaceAll(c.Service, " ", ""), last(of)) {
				return c.Service
			}
		}
	}
	return last(of)
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
	return nil, outcome{err: &rowError{err, t.row}}
}

// rowError is an error with the row that it came up in.
type rowError struct {
	error
	row *Row
}

func (e *rowError) Unwrap() error { return e.error }

// unreadable is the error of an answer that came and has something in it that cannot be read.
func unreadable(service, operation string, err error) error {
	return &smithy.OperationError{ServiceID: service, OperationName: operation, Err: &smithy.DeserializationError{Err: err}}
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
		g.Go(func() error {
			defer func() {
				if fault := recover(); fault != nil {
					t.fault(fault)
				}
			}()
			do(item)
			return nil
		})
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
	c, code, message := describe(&rowError{err, t.row})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, failure{c, code, message, subject})
}

// fatal reports whether an error ends the whole run: nobody may call anything any more, or the run was stopped.
func (t *task) fatal(err error) bool {
	return t.ctx.Err() != nil && errors.Is(context.Cause(t.ctx), ErrStopped) || errors.Is(err, ErrStopped) || errors.Is(err, errLost)
}

// ErrStopped is the cause of a run that was ended from outside: a signal, or the loss of its own credentials.
var ErrStopped = errors.New("the collection was stopped")

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
		var in *rowError
		var row *Row
		if errors.As(err, &in) {
			row = in.row
		}
		c, _ = callOf(row, operation.ServiceID, operation.OperationName)
	}
	var api smithy.APIError
	switch {
	case errors.As(err, &api):
		code, message = api.ErrorCode(), api.ErrorMessage()
	case errors.Is(err, context.DeadlineExceeded):
		code, message = "Timeout", "no answer in time"
	case errors.Is(err, errPage), errors.Is(err, errLong), errors.Is(err, errNoXML), errors.As(err, new(*smithy.DeserializationError)):
		code, message = "UnreadableAnswer", root(err)
	case errors.Is(err, errEmpty), errors.Is(err, io.ErrUnexpectedEOF):
		code, message = "TruncatedAnswer", root(err)
	case errors.Is(err, errRepeated):
		code, message = "RepeatedToken", root(err)
	default:
		code, message = "NoAnswer", err.Error()
		if operation != nil {
			message = operation.Err.Error()
		}
	}
	return c, code, strings.Join(strings.Fields(message), " ")
}

// root is the innermost error in words: what stands around it is the SDK's.
func root(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
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
			g.Reason, g.Types = t.row.Name+": "+g.Reason, t.row.types()
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
