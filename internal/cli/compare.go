package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"drawbridge/iam/arn"
	"drawbridge/iam/compare"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
	"drawbridge/internal/decision"
	"drawbridge/internal/report"
)

// compareOptions are the flags of compare.
type compareOptions struct {
	kind    string
	account string
	format  string
	equal   bool
}

func newCompare(e *Env) *cobra.Command {
	var o compareOptions
	c := &cobra.Command{
		Use:   "compare OLD NEW",
		Short: "Say whether a policy change gives anybody anything new",
		Long: `Compare reads two versions of a policy and says whether NEW allows a request that OLD does not. Each difference comes with such
a request, which the evaluator was asked about. OLD and NEW are files with a policy document, or with a JSON list of documents
that are attached together; "-" is standard input.

The exit status is 0 only where it is proven that NEW allows nothing new. With --equal, NEW must allow no less either. What is
counted as a request, and what is taken for the policies that are not compared, is told in docs/compare.md.`,
		Example: `  drawbridge compare main/policy.json policy.json
  git show main:trust.json | drawbridge compare - trust.json --account 111122223333
  drawbridge compare old.json new.json --format eval | drawbridge eval -`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error { return runCompare(e, &o, args[0], args[1]) },
	}
	f := c.Flags()
	f.StringVar(&o.kind, "type", "auto", "what the policies are: `TYPE` is identity, resource, trust or auto")
	f.StringVar(&o.account, "account", "", "the account `ID` that owns the role or resource, or the identity")
	f.StringVar(&o.format, "format", "text", "form of the answer: `FORMAT` is text, json, or eval (requests for 'drawbridge eval')")
	f.BoolVar(&o.equal, "equal", false, "demand that both allow the same")
	_ = c.RegisterFlagCompletionFunc("type", cobra.FixedCompletions([]string{"auto", "identity", "resource", "trust"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json", "eval"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func runCompare(e *Env, o *compareOptions, oldFile, newFile string) error {
	if o.format != "text" && o.format != "json" && o.format != "eval" {
		return usagef("--format %q is not known: use text, json or eval", o.format)
	}
	if o.account != "" && !arn.IsAccountID(o.account) {
		return usagef("--account %q is no account id: expected 12 digits", o.account)
	}
	if oldFile == "-" && newFile == "-" {
		return usagef("only one of OLD and NEW can be standard input")
	}
	old, err := openPolicies(e, oldFile)
	if err != nil {
		return err
	}
	current, err := openPolicies(e, newFile)
	if err != nil {
		return err
	}
	kind, err := kindOf(o.kind, old, current)
	if err != nil {
		return err
	}
	result := compare.Policies(kind, old.policies, current.policies, compare.Options{Engine: ref.Engine(), Account: o.account})
	answer := compareAnswer{
		Old: old.name, New: current.name, Type: kindNames[kind], Relation: result.Relation.String(), NothingNew: result.NothingNew,
		Gained: differencesOf(result.Gained, current, old), Lost: differencesOf(result.Lost, old, current), Undecided: result.Undecided,
	}
	if o.format == "eval" {
		err = answer.requests(e.Stdout)
	} else {
		err = (&answerFormat{o.format}).print(e, answer, func(w *textWriter) { w.comparison(&answer) })
	}
	if err != nil {
		return err
	}
	if !result.NothingNew || o.equal && result.Relation != compare.Equal {
		return errUnwanted
	}
	return nil
}

// policyFile is one side of a comparison.
type policyFile struct {
	name     string
	policies []*policy.Policy
	lines    []int // lines before each document
}

// openPolicies reads one document, or a JSON list of them.
func openPolicies(e *Env, name string) (*policyFile, error) {
	data, err := e.readFile(name)
	if err != nil {
		return nil, fmt.Errorf("opening the input: %w", err)
	}
	f := &policyFile{name: filepath.ToSlash(name)}
	if name == "-" {
		f.name = "standard input"
	}
	list, offsets := [][]byte{data}, []int{0}
	if bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("[")) {
		if list, offsets, err = elements(data); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	for i, text := range list {
		before := bytes.Count(data[:offsets[i]], []byte("\n"))
		d, problems := policy.Parse(text)
		for _, p := range problems {
			if p.Fatal || d == nil {
				return nil, fmt.Errorf("%s:%d:%d: %s", f.name, before+int(p.Pos.Line), p.Pos.Column, p.Message)
			}
		}
		f.policies = append(f.policies, policy.Compile(d))
		f.lines = append(f.lines, before)
	}
	return f, nil
}

// elements cuts a JSON list into its elements, with the offset of each.
func elements(data []byte) (list [][]byte, offsets []int, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if _, err := d.Token(); err != nil {
		return nil, nil, err
	}
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, nil, err
		}
		list, offsets = append(list, raw), append(offsets, int(d.InputOffset())-len(raw))
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, err
	}
	return list, offsets, nil
}

var kindNames = map[policy.Kind]string{policy.Identity: "identity", policy.Resource: "resource", policy.Trust: "trust"}

// kindOf is the type that was asked for, or that which both files show.
func kindOf(asked string, old, current *policyFile) (policy.Kind, error) {
	for kind, name := range kindNames {
		if asked == name {
			return kind, nil
		}
	}
	if asked != "auto" {
		return policy.AnyKind, usagef("--type %q is not known: use identity, resource, trust or auto", asked)
	}
	a, b := old.kind(), current.kind()
	switch {
	case a == policy.AnyKind && b == policy.AnyKind:
		return policy.AnyKind, usagef("neither file has a statement that shows its type: say it with --type")
	case a == policy.AnyKind || a == b:
		return b, nil
	case b == policy.AnyKind:
		return a, nil
	}
	return policy.AnyKind, usagef("%s and %s look like policies of two types: %s and %s; say what they are with --type", old.name, current.name, kindNames[a], kindNames[b])
}

// kind is what the documents look like: who has a Principal and no Resource, and is about assuming roles alone, is a trust policy.
func (f *policyFile) kind() policy.Kind {
	kind := policy.AnyKind
	for _, p := range f.policies {
		for i := range p.Document.Statements {
			s := &p.Document.Statements[i]
			found := policy.Identity
			switch {
			case s.Principal.Present && !s.Resource.Present && assumesOnly(&s.Action):
				found = policy.Trust
			case s.Principal.Present:
				found = policy.Resource
			}
			if kind == policy.AnyKind || found == policy.Resource {
				kind = found
			}
		}
	}
	return kind
}

func assumesOnly(e *policy.Element) bool {
	for _, v := range e.Values {
		if !strings.HasPrefix(strings.ToLower(v.Value), "sts:") && v.Value != "*" {
			return false
		}
	}
	return true
}

// compareAnswer is the answer in JSON.
type compareAnswer struct {
	Old        string             `json:"old"`
	New        string             `json:"new"`
	Type       string             `json:"type"`
	Relation   string             `json:"relation"` // of NEW to OLD: equal, wider, narrower, incomparable or undecided
	NothingNew bool               `json:"nothingNew"`
	Gained     []differenceAnswer `json:"gained"`
	Lost       []differenceAnswer `json:"lost"`
	Undecided  []string           `json:"undecided,omitempty"`
}

// differenceAnswer is one thing that one side allows and the other does not.
type differenceAnswer struct {
	Allows     *placeAnswer       `json:"allows,omitempty"` // missing: an identity policy may allow it, once nothing denies it
	Denies     *placeAnswer       `json:"denies,omitempty"` // missing: nothing allows it on the other side
	Actions    []string           `json:"actions"`
	Resource   string             `json:"resource"`
	Unusual    bool               `json:"unusual,omitempty"` // the action takes no such resource, as far as AWS's tables say
	Who        []string           `json:"who"`
	Conditions *report.Conditions `json:"conditions,omitempty"`
	// Request and Counter are the request as `drawbridge eval` reads it, with the policies of the side that allows it and of
	// the other.
	Request *requestAnswer `json:"request"`
	Counter *requestAnswer `json:"counter"`
}

// placeAnswer is a statement of a file.
type placeAnswer struct {
	File      string `json:"file"`
	Document  int    `json:"document"`
	Statement int    `json:"statement"` // from 0
	Sid       string `json:"sid,omitempty"`
	Line      int    `json:"line"`
	Column    int    `json:"column"`
}

// requestAnswer is a request in the notation of docs/eval.md.
type requestAnswer struct {
	Name            string             `json:"name"`
	Principal       string             `json:"principal"`
	PrincipalRole   string             `json:"principalRole,omitempty"`
	Action          string             `json:"action"`
	Resource        string             `json:"resource"`
	ResourceAccount string             `json:"resourceAccount,omitempty"`
	Context         map[string]any     `json:"context,omitempty"`
	Identity        []*policy.Document `json:"identity,omitempty"`
	ResourcePolicy  []*policy.Document `json:"resourcePolicy,omitempty"`
	Boundary        []*policy.Document `json:"boundary,omitzero"` // an empty list is a boundary that allows nothing
	Expect          string             `json:"expect"`
}

func differencesOf(all []compare.Difference, allowing, other *policyFile) []differenceAnswer {
	out := []differenceAnswer{}
	for i := range all {
		d := &all[i]
		a := differenceAnswer{
			Allows: allowing.place(d.Allows), Denies: other.place(d.Denies), Actions: d.Actions, Resource: d.Resource, Unusual: d.Unusual, Who: d.Who,
			Request: requestOf(&d.Witness, d.Witness.Allowing, allowing.name), Counter: requestOf(&d.Witness, d.Witness.Denying, other.name),
		}
		if !d.Conditions.IsAlways() {
			a.Conditions = conditionsOf(eval.Unknown, d.Conditions)
		}
		out = append(out, a)
	}
	return out
}

func (f *policyFile) place(p compare.Place) *placeAnswer {
	if !p.Found() {
		return nil
	}
	return &placeAnswer{f.name, p.Document, p.Statement, p.Sid, f.lines[p.Document] + int(p.Pos.Line), int(p.Pos.Column)}
}

func requestOf(w *compare.Witness, p *eval.Policies, name string) *requestAnswer {
	engine := ref.Engine()
	d := engine.Decide(w.Request(p))
	r := &requestAnswer{
		Name: name, Principal: callerName(w.Caller), Action: w.Action.String(), Resource: w.Resource, ResourceAccount: w.ResourceAccount,
		Identity: documentsOf(p.Identity.Policies), Expect: decision.Verdict(&d),
	}
	if w.Caller.Session != "" && w.Caller.Kind == eval.Role {
		r.PrincipalRole = w.Caller.ARN
	}
	if p.Resource != nil {
		r.ResourcePolicy = documentsOf(p.Resource.Policies)
	}
	if p.Boundary != nil {
		r.Boundary = append([]*policy.Document{}, documentsOf(p.Boundary.Policies)...)
	}
	for key, values := range w.Context {
		if r.Context == nil {
			r.Context = map[string]any{}
		}
		r.Context[key] = values
		if len(values) == 1 {
			r.Context[key] = values[0]
		}
	}
	return r
}

// callerName is the caller as the notation of requests names it.
func callerName(c *eval.Caller) string {
	switch {
	case c.Kind == eval.Service:
		return c.Service
	case c.Kind == eval.Anonymous:
		return "anonymous"
	case c.Session != "":
		return c.Session
	}
	return c.ARN
}

func documentsOf(policies []*policy.Policy) []*policy.Document {
	var all []*policy.Document
	for _, p := range policies {
		all = append(all, p.Document)
	}
	return all
}

// requests writes each difference as two lines: the request by the side that allows it, and by the other.
func (a *compareAnswer) requests(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for _, list := range [][]differenceAnswer{a.Gained, a.Lost} {
		for i := range list {
			for _, r := range []*requestAnswer{list[i].Request, list[i].Counter} {
				if err := out.Encode(r); err != nil {
					return fmt.Errorf("%w: %w", errOutput, err)
				}
			}
		}
	}
	return nil
}

// comparison prints an answer.
func (w *textWriter) comparison(a *compareAnswer) {
	switch a.Relation {
	case "equal":
		w.line("Equal: %s and %s allow the same.", a.New, a.Old)
	case "wider":
		w.line("Wider: %s allows all that %s does, and more.", a.New, a.Old)
	case "narrower":
		w.line("Narrower: %s allows nothing that %s does not, and less.", a.New, a.Old)
	case "incomparable":
		w.line("Incomparable: %s and %s each allow something that the other does not.", a.New, a.Old)
	default:
		known := "whether " + a.New + " allows anything new could not be decided"
		switch {
		case len(a.Gained) > 0:
			known = a.New + " allows something new; what else differs could not be decided in full"
		case a.NothingNew:
			known = a.New + " allows nothing new; what it has lost could not be decided in full"
		}
		w.line("Undecided: %s.", known)
	}
	w.differences(a.Gained, a.New, a.Old)
	w.differences(a.Lost, a.Old, a.New)
	if len(a.Undecided) > 0 {
		w.line("")
		w.line("Undecided")
		for _, u := range a.Undecided {
			w.line("  %s", u)
		}
	}
	if len(a.Gained)+len(a.Lost) > 0 {
		w.line("")
		w.line("Each request can be checked: drawbridge compare … --format eval | drawbridge eval -")
	}
}

// shownActions is how many actions of a difference are written out.
const shownActions = 6

func (w *textWriter) differences(all []differenceAnswer, allowing, other string) {
	for i := range all {
		d := &all[i]
		if i == 0 {
			w.line("")
			w.line("%s allows what %s does not", allowing, other)
		} else {
			w.line("")
		}
		allows, denies := "what the account's identity policies allow", "nothing there allows it"
		if d.Allows != nil {
			allows = d.Allows.String()
		}
		if d.Denies != nil {
			denies = "denied by " + d.Denies.String()
		}
		w.line("  by         %s", allows)
		w.line("  not by     %s: %s", other, denies)
		actions := strings.Join(d.Actions, ", ")
		if len(d.Actions) > shownActions {
			actions = fmt.Sprintf("%s and %d more", strings.Join(d.Actions[:shownActions], ", "), len(d.Actions)-shownActions)
		}
		w.line("  actions    %s", actions)
		w.line("  for        %s", strings.Join(d.Who, "; "))
		if d.Conditions != nil {
			w.line("  if         %s", d.Conditions.Text)
		}
		r := d.Request
		w.line("  request    %s by %s", r.Action, r.Principal)
		w.line("             on %s", r.Resource)
		if d.Unusual {
			w.line("             (as far as AWS's tables say, the action takes no such resource)")
		}
		if len(r.Context) > 0 {
			values := map[string][]string{}
			for key, v := range r.Context {
				switch v := v.(type) {
				case string:
					values[key] = []string{v}
				case []string:
					values[key] = v
				}
			}
			w.line("             with %s", contextText(values))
		}
	}
}

// String is the statement in words.
func (p *placeAnswer) String() string {
	s := fmt.Sprintf("%s:%d, statement %d", p.File, p.Line, p.Statement+1)
	if p.Sid != "" {
		s += " (" + p.Sid + ")"
	}
	return s
}
