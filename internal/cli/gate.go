package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"drawbridge/iam/arn"
	"drawbridge/iam/ref"
	"drawbridge/internal/catalog"
	planned "drawbridge/internal/change"
	"drawbridge/internal/finding"
	"drawbridge/internal/gate"
	"drawbridge/internal/ingest"
	"drawbridge/internal/ingest/cloudformation"
	"drawbridge/internal/ingest/terraform"
	"drawbridge/internal/registry"
	"drawbridge/internal/report"
	"drawbridge/internal/snapshot"
)

// gateOptions are the flags of gate.
type gateOptions struct {
	base, source, account, region, format, out string
	template, oldTemplate                      string
	stackResources                             string
	parameters, oldParameters, also            map[string]string
	registries                                 []string
	exceptions, entries                        string
	any, allowUnknown                          bool
	now                                        nowFlag
}

// gateForms are the forms of a judgement.
var gateForms = map[string]func(io.Writer, *report.Gate) error{
	"text": report.WriteGateText, "json": report.WriteGateJSON, "markdown": report.WriteGateMarkdown, "junit": report.WriteGateJUnit,
	"sarif": func(w io.Writer, r *report.Gate) error { return report.WriteGateSARIF(w, r, "") },
}

func newGate(e *Env) *cobra.Command {
	var o gateOptions
	c := &cobra.Command{
		Use:   "gate PLAN",
		Short: "Say what a planned change lets anyone do that they could not do before",
		Long: `Gate judges a change before it exists. PLAN is what 'terraform show -json' prints of a plan, what
'aws cloudformation describe-change-set' prints, or a CloudFormation template ("-" is standard input). With --base it is judged over the whole organisation: a change
in one account may complete a way in another. With --registry a trust that an entry declares passes, and one that no entry declares, or that is wider than its entry, is refused.

What stays inside one account passes and is told; with --any it is refused too. What is computed when the change is applied cannot be judged, and does not pass unless --allow-unknown says so.
With --exceptions a finding that somebody answers for passes until its exception expires.

The exit status is 0 where the change passes, 1 where something is refused, and 5 where nothing is and something cannot be judged. docs/gate.md tells how it is used in a pull request.`,
		Example: `  terraform plan -out plan.bin && terraform show -json plan.bin > plan.json
  drawbridge gate plan.json --base snapshot --registry registry --source .
  drawbridge gate plan.json --format markdown --out comment.md
  drawbridge gate change-set.json --base snapshot --registry registry
  drawbridge gate new.yaml --old-template old.yaml --base snapshot --account 111122223333 --region eu-west-1`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runGate(e, &o, args[0]) },
	}
	f := c.Flags()
	f.StringVar(&o.base, "base", "", "the organisation as it is: a `PATH` as scan takes it")
	f.StringSliceVar(&o.registries, "registry", nil, "the registry: a `FILE` or folder; may be given several times")
	f.StringVar(&o.exceptions, "exceptions", "", "accepted findings: a YAML `FILE` of exceptions, each with owner, reason and expiry")
	f.StringVar(&o.source, "source", "", "the code that was planned, a `DIR`: places in it, and values that the plan does not have")
	f.StringVar(&o.account, "account", "", "account `ID` of the default provider, where the plan does not say")
	f.StringVar(&o.region, "region", "", "`REGION` of the default provider, where the plan does not say")
	f.StringVar(&o.oldTemplate, "old-template", "", "the CloudFormation template as it is: a `FILE`; PLAN is then the new one, or a change set")
	f.StringVar(&o.template, "template", "", "the new CloudFormation template of a change set: a `FILE`")
	f.Var((*assignments)(&o.parameters), "parameter", "a parameter of the CloudFormation template: `NAME=VALUE`; may be given several times")
	f.Var((*assignments)(&o.oldParameters), "old-parameter", "a value that a parameter has in the deployed stack: `NAME=VALUE`; may be given several times")
	f.StringVar(&o.stackResources, "stack-resources", "", "what 'aws cloudformation describe-stack-resources' prints of the deployed stack: a `FILE`; tells the names that AWS gave")
	f.BoolVar(&o.any, "any", false, "refuse also what stays inside one account")
	f.BoolVar(&o.allowUnknown, "allow-unknown", false, "let pass what cannot be judged")
	f.StringVar(&o.format, "format", "text", "form of the answer: `FORMAT` is text, json, markdown, sarif or junit")
	f.StringVar(&o.entries, "entries", "", "write the entries that would let pass what is refused to a `FILE`, for the registry")
	f.StringVarP(&o.out, "out", "o", "", "write to a `FILE` instead of standard output")
	f.StringToStringVar(&o.also, "also", nil, "write another form of the same judgement to a file: `FORMAT=FILE`; may be given several times")
	o.now.register(c)
	identityFlag(c, e)
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json", "markdown", "sarif", "junit"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func runGate(e *Env, o *gateOptions, plan string) error {
	write, ok := gateForms[o.format]
	if !ok {
		return usagef("--format %q is not known: use text, json, markdown, sarif or junit", o.format)
	}
	for form := range o.also {
		if gateForms[form] == nil {
			return usagef("--also %q is not known: use text, json, markdown, sarif or junit, as in sarif=FILE", form)
		}
	}
	if o.account != "" && !arn.IsAccountID(o.account) {
		return usagef("--account %q is no account id: expected 12 digits", o.account)
	}
	at, _, err := o.now.value(e)
	if err != nil {
		return err
	}
	var exceptions []finding.Exception
	if o.exceptions != "" {
		data, err := os.ReadFile(o.exceptions)
		if err != nil {
			return fmt.Errorf("opening the exceptions: %w", err)
		}
		if exceptions, err = finding.ReadExceptions(o.exceptions, data); err != nil {
			return err
		}
	}
	p, err := readPlan(e, o, plan)
	if err != nil {
		return err
	}
	var base *snapshot.Snapshot
	if o.base != "" {
		done := e.progress("reading " + o.base)
		base, err = ingest.OpenWith(o.base, ingest.Code{}, e.identities()...)
		done()
		if err != nil {
			return err
		}
	}
	var declared *registry.Registry
	if len(o.registries) > 0 {
		var problems []registry.Problem
		if declared, problems, err = ingest.OpenRegistry(o.registries...); err != nil {
			return err
		}
		if len(problems) > 0 {
			return fmt.Errorf("%w: the first of %d: %s", ingest.ErrRegistry, len(problems), problems[0])
		}
	}
	done := e.progress("judging")
	result := gate.Judge(base, p, gate.Options{Now: at, Engine: ref.Engine(), Registry: declared, Any: o.any, AllowUnknown: o.allowUnknown, Exceptions: exceptions})
	done()
	answer, err := gateReport(result, filepath.ToSlash(plan), filepath.ToSlash(o.base))
	if err != nil {
		return err
	}
	if err := output(e, o.out, func(w io.Writer) error { return write(w, answer) }); err != nil {
		return err
	}
	for _, form := range slices.Sorted(maps.Keys(o.also)) {
		if err := output(e, o.also[form], func(w io.Writer) error { return gateForms[form](w, answer) }); err != nil {
			return err
		}
	}
	if o.entries != "" {
		drafts := &registry.Registry{}
		for i := range result.Entries {
			drafts.Entries = append(drafts.Entries, result.Entries[i].Entry)
		}
		if err := output(e, o.entries, func(w io.Writer) error { return registry.Write(w, drafts) }); err != nil {
			return err
		}
	}
	switch {
	case answer.Passes:
		return nil
	case answer.Refused():
		return errUnwanted
	}
	return errUnknown
}

// readPlan reads a Terraform plan, with its code where that is at hand.
func readPlan(e *Env, o *gateOptions, name string) (*planned.Plan, error) {
	var code *terraform.Code
	var err error
	if o.source != "" {
		if code, err = terraform.ReadCode(os.DirFS(o.source), "."); err != nil {
			return nil, fmt.Errorf("reading the code: %w", err)
		}
	}
	data, err := e.readFile(name)
	if err != nil {
		return nil, fmt.Errorf("opening the plan: %w", err)
	}
	file := filepath.ToSlash(name)
	if name == "-" {
		file = "standard input"
	}
	p, err := terraform.ReadPlan(bytes.NewReader(data), terraform.Options{File: file, Account: o.account, Region: o.region, Code: code})
	if errors.Is(err, terraform.ErrNotPlan) {
		return o.stack(e, cloudformation.File{Name: file, Data: data}, err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	if code != nil {
		if err := code.Locate(p); err != nil {
			return nil, fmt.Errorf("finding the plan's resources in the code: %w", err)
		}
	}
	return p, nil
}

// stack reads a CloudFormation change set, or a template: beside the old one as a change, alone as what is made anew. notPlan is why it is no Terraform plan.
func (o *gateOptions) stack(e *Env, file cloudformation.File, notPlan error) (*planned.Plan, error) {
	templates := make([]*cloudformation.File, 2)
	for i, name := range []string{o.oldTemplate, o.template} {
		if name == "" {
			continue
		}
		data, err := e.readFile(name)
		if err != nil {
			return nil, fmt.Errorf("opening the template: %w", err)
		}
		templates[i] = &cloudformation.File{Name: filepath.ToSlash(name), Data: data}
	}
	options := cloudformation.Options{Account: o.account, Region: o.region, Parameters: o.parameters, OldParameters: o.oldParameters, Nested: ingest.NestedTemplates()}
	if o.stackResources != "" {
		data, err := e.readFile(o.stackResources)
		if err != nil {
			return nil, fmt.Errorf("opening the resources of the stack: %w", err)
		}
		if options.Physical, err = cloudformation.ReadPhysical(cloudformation.File{Name: filepath.ToSlash(o.stackResources), Data: data}); err != nil {
			return nil, fmt.Errorf("reading the resources of the stack: %w", err)
		}
	}
	p, err := cloudformation.ReadChange(templates[0], templates[1], &file, options)
	if errors.Is(err, cloudformation.ErrNotChangeSet) {
		if templates[0] != nil {
			p, err = cloudformation.ReadChange(templates[0], &file, nil, options)
		} else {
			p, err = cloudformation.Read(file.Name, file.Data, options)
		}
	}
	if errors.Is(err, cloudformation.ErrNotTemplate) {
		return nil, fmt.Errorf("reading the plan: %w; nor is it a CloudFormation change set or template", notPlan)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	return p, nil
}

// The rules that the gate judges by.
var widens, hides = catalog.Rule(gate.Widens), catalog.Rule(gate.Hides)

// gateReport is a judgement in the form that is written.
func gateReport(r *gate.Result, plan, base string) (*report.Gate, error) {
	out := &report.Gate{Schema: report.GateSchema, Tool: report.Tool{Name: "drawbridge", Version: programVersion()}, Plan: plan, Base: base, Status: r.Status(), Passes: r.Passes(), Changes: r.Changed, Narrowed: r.Lost, Gains: []report.GateGain{}, Unjudged: []report.GateUnjudged{}}
	for _, rule := range catalog.Planned() {
		out.Rules = append(out.Rules, report.RuleOf(rule))
	}
	for i := range r.Gains {
		g := &r.Gains[i]
		a := report.GateGain{Rule: widens.ID, Severity: widens.Severity.String(), Kind: string(g.Kind), Refused: r.Refuses(g), Within: g.Within, Who: append([]string{}, g.Who...), Target: g.What, Actions: append([]string{}, g.Actions...), How: g.How, Steps: g.Steps, Reach: g.Reach,
			Entry: g.Registered, Registry: g.Registry, File: g.Source.File, Line: int(g.Source.Line), Column: int(g.Source.Column)}
		if !a.Refused && g.Accepted == nil {
			a.Severity = "info"
		}
		if g.Conditions != "always" {
			a.Conditions = g.Conditions
		}
		if s := g.Step; s != nil {
			a.Address, a.Action = s.Address, s.Action.String()
			a.File, a.Line, a.Column = s.Source.File, int(s.Source.Line), int(s.Source.Column)
		}
		if w := g.Witness; w != nil && (g.Step == nil || !g.Step.Sensitive) {
			q := requestOf(w, w.Allowing, plan)
			text, err := json.Marshal(q)
			if err != nil {
				return nil, fmt.Errorf("writing the request that shows a gain: %w", err)
			}
			a.Request, a.RequestText = text, q.Action+" by "+q.Principal+" on "+q.Resource
			if len(w.Context) > 0 {
				a.RequestText += " with " + contextText(w.Context)
			}
		}
		a.Fingerprint, a.Accepted, a.Expired = g.Fingerprint, acceptance(g.Accepted), acceptance(g.Expired)
		out.Gains = append(out.Gains, a)
	}
	for i := range r.Entries {
		e := &r.Entries[i]
		var text strings.Builder
		if err := registry.Write(&text, &registry.Registry{Entries: []registry.Entry{e.Entry}}); err != nil {
			return nil, err
		}
		out.Entries = append(out.Entries, report.GateEntry{Name: e.Name, Replaces: e.Replaces, Text: text.String(), Missing: e.Missing(), Findings: e.Lets})
	}
	for i := range r.Unjudged {
		u := &r.Unjudged[i]
		a := report.GateUnjudged{Rule: hides.ID, Severity: hides.Severity.String(), What: u.What, Why: u.Why, File: u.Source.File, Line: int(u.Source.Line), Column: int(u.Source.Column), Fingerprint: u.Fingerprint, Accepted: acceptance(u.Accepted), Expired: acceptance(u.Expired)}
		if u.Step != nil {
			a.Address = u.Step.Address
			a.File, a.Line, a.Column = u.Step.Source.File, int(u.Step.Source.Line), int(u.Step.Source.Column)
		}
		out.Unjudged = append(out.Unjudged, a)
	}
	return out, nil
}
