package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/iam/compare"
	"drawbridge/internal/access"
	"drawbridge/internal/catalog"
	"drawbridge/internal/finding"
	"drawbridge/internal/ingest"
	"drawbridge/internal/registry"
	"drawbridge/internal/remedy"
	"drawbridge/internal/rule"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/usage"
)

// remedyForms are the forms in which a proposal is printed.
var remedyForms = []string{"text", "policy", "diff", "terraform", "cloudformation", "cli", "restore"}

// remedyKinds are what --as may say: what of a role is narrowed.
var remedyKinds = []string{"trust", "policies", "boundary", "session", "source"}

// remedyOptions are the flags of remedy.
type remedyOptions struct {
	registry                   []string
	usage, vendors, check      string // files
	form, as, grain, perimeter string
	days                       int
	remove, everyone           bool
	quarantine                 string
	now                        nowFlag
}

func newRemedy(e *Env) *cobra.Command {
	var o remedyOptions
	c := &cobra.Command{
		Use:   "remedy FINDING|ARN PATH",
		Short: "Propose the smallest change that cures a finding or narrows a trust, and prove it",
		Long: `Remedy proposes a change and proves it: every declared need and every recorded use is decided against it, what it would break is
printed first, and what it takes away from whom is shown by a request.

FINDING is a finding's fingerprint, or the beginning of one: the change that cures it, and whether its rule still finds it in the
changed organisation. ARN is a role or a resource: who is let in, narrowed to those whom the registry declares or who were seen.
With --as, of a role: trust (who is let in), policies (what it may do), boundary (the same, as a permissions boundary), session
(how long), source (for whom services act).

With --remove, the plan by which those from elsewhere are taken out of a role's trust policy or a resource's policy in steps that can be
taken back: shut by an explicit deny, watched, removed.
With --perimeter, a guard around the organisation, and PATH alone.

PATH is an input as scan takes it. Without an entry and without recorded use there is no proposal: it would be a guess. The exit
status is 1 if the proposal would break a declared or recorded use, or does not cure the finding.`,
		Example: `  drawbridge remedy arn:aws:iam::444455556666:role/deploy snapshot --registry registry/ --usage recorded-use.json
  drawbridge remedy 3f2a9c snapshot --usage recorded-use.json --form diff
  drawbridge remedy arn:aws:iam::444455556666:role/deploy snapshot --usage recorded-use.json --as policies --grain resource
  drawbridge remedy arn:aws:iam::444455556666:role/old snapshot --remove --quarantine 14d
  drawbridge remedy --perimeter rcp snapshot --registry registry/ --usage recorded-use.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if o.perimeter != "" && len(args) == 1 || o.perimeter == "" && len(args) == 2 {
				return nil
			}
			return usagef("remedy takes a finding or an ARN, and an input; with --perimeter, an input alone")
		},
		RunE: func(_ *cobra.Command, args []string) error { return o.run(e, args) },
	}
	registryFlag(c, &o.registry)
	f := c.Flags()
	f.StringVar(&o.usage, "usage", "", "a record of use that 'drawbridge usage import' wrote (`FILE`)")
	f.StringVar(&o.vendors, "vendors", "", "known third parties and their accounts, for findings about them: a YAML `FILE`")
	f.StringVar(&o.form, "form", "text", "what is printed: `FORM` is "+strings.Join(remedyForms, ", "))
	f.StringVar(&o.as, "as", "", "what of a role is narrowed: `KIND` is "+strings.Join(remedyKinds, ", ")+"; default: trust")
	f.StringVar(&o.grain, "grain", "action", "how finely permissions are narrowed: `GRAIN` is service, action or resource")
	f.IntVar(&o.days, "days", 0, "count only uses of the last so many `DAYS`; 0: all that are recorded")
	f.StringVar(&o.perimeter, "perimeter", "", "propose a perimeter around the organisation: `KIND` is rcp or scp")
	f.BoolVar(&o.remove, "remove", false, "plan the removal of those from elsewhere in steps: shut, watch, remove")
	f.StringVar(&o.quarantine, "quarantine", "14d", "with --remove, how long the role is watched while it is shut: `TIME` in days, like 14d")
	f.BoolVar(&o.everyone, "everyone", false, "with --remove, keep out the role's own account and AWS's services too")
	f.StringVar(&o.check, "check", "", "with --remove, a record of use made since the role was shut (`FILE`): who tried to come in")
	o.now.register(c)
	identityFlag(c, e)
	completeWords(c, "form", remedyForms)
	completeWords(c, "as", remedyKinds)
	completeWords(c, "grain", []string{"service", "action", "resource"})
	completeWords(c, "perimeter", []string{"rcp", "scp"})
	return c
}

// checkWords refuses words that are not known before the long work.
func (o *remedyOptions) checkWords() (quarantine time.Duration, err error) {
	if !slices.Contains(remedyForms, o.form) {
		return 0, usagef("--form %q is not known: use %s", o.form, strings.Join(remedyForms, ", "))
	}
	if o.as != "" && !slices.Contains(remedyKinds, o.as) {
		return 0, usagef("--as %q is not known: use %s", o.as, strings.Join(remedyKinds, ", "))
	}
	if !slices.Contains(remedy.Grains, remedy.Grain(o.grain)) {
		return 0, usagef("--grain %q is not known: use service, action or resource", o.grain)
	}
	if o.perimeter != "" && o.perimeter != "rcp" && o.perimeter != "scp" {
		return 0, usagef("--perimeter %q is not known: use rcp or scp", o.perimeter)
	}
	if o.check != "" && !o.remove {
		return 0, usagef("--check belongs to --remove")
	}
	days, err := strconv.Atoi(strings.TrimSuffix(o.quarantine, "d"))
	if err != nil || days < 1 || !strings.HasSuffix(o.quarantine, "d") {
		return 0, usagef("--quarantine %q is no number of days: write it like 14d", o.quarantine)
	}
	return time.Duration(days) * 24 * time.Hour, nil
}

func (o *remedyOptions) run(e *Env, args []string) error {
	quarantine, err := o.checkWords()
	if err != nil {
		return err
	}
	at, _, err := o.now.value(e)
	if err != nil {
		return err
	}
	fresh, err := openUsage(o.check)
	if err != nil {
		return err
	}
	in, about, err := o.inputs(e, args[len(args)-1], at)
	if err != nil {
		return err
	}
	if o.remove {
		plan, err := remedy.Remove(args[0], in, quarantine, o.everyone, fresh)
		if err != nil {
			return err
		}
		return o.printRemoval(e, plan, at)
	}
	var p *remedy.Proposal
	verdict := &remedyVerdict{}
	switch {
	case o.perimeter != "":
		p, err = remedy.Perimeter(map[string]remedy.Kind{"rcp": remedy.RCP, "scp": remedy.SCP}[o.perimeter], in)
		if err == nil {
			verdict.compare(about, &in, p)
		}
	case strings.HasPrefix(args[0], "arn:"):
		p, err = o.about(args[0], in)
	default:
		p, err = verdict.cure(args[0], about, in)
	}
	if f := verdict.finding; f != nil && err != nil {
		w := &textWriter{}
		w.line("%s %s: %s", f.Rule, f.Title, f.Subject)
		w.line("  %s", f.Reason)
		w.line("  no change is proposed: %v", err)
		w.line("  the remedy in words: %s", f.Remedy)
		if f.Rule == "ORG-001" {
			w.line("  'drawbridge remedy --perimeter rcp' and '--perimeter scp' propose one")
		}
		if _, err := io.WriteString(e.Stdout, w.String()); err != nil {
			return fmt.Errorf("%w: %w", errOutput, err)
		}
		return errUnwanted
	}
	if errors.Is(err, remedy.ErrNothing) {
		_, err = fmt.Fprintln(e.Stderr, "drawbridge: nothing to change:", err)
		return err
	}
	if err != nil {
		return err
	}
	w := &textWriter{}
	if o.form == "text" {
		w.breaks(p)
		w.verdict(verdict)
		w.proposal(p)
		w.disappearing(verdict)
	} else {
		w.WriteString(proposalIn(o.form, p))
	}
	if _, err := io.WriteString(e.Stdout, w.String()); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	if len(p.Breaks) > 0 || verdict.finding != nil && verdict.state != remedy.Cured && verdict.state != remedy.Lowered {
		return errUnwanted
	}
	return nil
}

// inputs reads everything that the flags name.
func (o *remedyOptions) inputs(e *Env, path string, at time.Time) (remedy.Inputs, *rule.Input, error) {
	var vendors []snapshot.KnownVendor
	var err error
	if o.vendors != "" {
		if vendors, err = ingest.OpenVendors(o.vendors); err != nil {
			return remedy.Inputs{}, nil, err
		}
	}
	var declared *registry.Registry
	if declared, err = e.openRegistry(o.registry); err != nil {
		return remedy.Inputs{}, nil, err
	}
	record, err := openUsage(o.usage)
	if err != nil {
		return remedy.Inputs{}, nil, err
	}
	graph, err := e.openGraph(path, at)
	if err != nil {
		return remedy.Inputs{}, nil, err
	}
	facts, err := usage.Merge(usage.Of(graph.Org.Snapshot.Usage), record)
	if err != nil {
		return remedy.Inputs{}, nil, err
	}
	in := remedy.Inputs{Graph: graph, Registry: declared, Usage: facts, Now: at}
	if o.usage == "" && len(facts.Crossings)+len(facts.Actions)+len(facts.Coverage) == 0 {
		in.Usage = nil
	}
	if o.days > 0 {
		in.Since = at.Add(-time.Duration(o.days) * 24 * time.Hour)
	}
	return in, &rule.Input{Graph: graph, Org: graph.Org, Vendors: vendors, Registry: declared, Usage: facts, Now: at}, nil
}

// about is the proposal for a role or a resource.
func (o *remedyOptions) about(name string, in remedy.Inputs) (*remedy.Proposal, error) {
	role, isPrincipal := in.Graph.Org.Principal(name)
	if o.as == "source" {
		return remedy.Source(name, in)
	}
	if !isPrincipal {
		r, found := in.Graph.Org.Resource(name)
		switch {
		case !found && strings.Contains(name, ":role/"):
			return nil, fmt.Errorf("role %s: %w in the input", name, access.ErrNotFound)
		case !found:
			return nil, fmt.Errorf("resource %s: %w in the input", name, access.ErrNotFound)
		case o.as != "":
			return nil, usagef("--as %s is for roles, and %s is none", o.as, name)
		}
		return remedy.Resource(r, in)
	}
	switch o.as {
	case "policies", "boundary":
		return remedy.Permissions(role, in, remedy.Grain(o.grain), o.as == "boundary")
	case "session":
		return remedy.Session(role, in)
	}
	if role.Role == nil {
		return nil, fmt.Errorf("%s is a user: nobody else comes in as one. Remedies are for roles and resources", name)
	}
	return remedy.Trust(role, in)
}

// remedyVerdict is what becomes of a finding, or with a perimeter of all of them.
type remedyVerdict struct {
	finding       *finding.Finding
	state         remedy.State
	reason        string
	perimeter     bool
	gone, lowered []finding.Finding
}

// cure finds a finding by its fingerprint, its remedy, and whether the rule still finds it.
func (v *remedyVerdict) cure(fingerprint string, about *rule.Input, in remedy.Inputs) (*remedy.Proposal, error) {
	if len(fingerprint) < 4 {
		return nil, usagef("%q is neither an ARN nor a fingerprint: give at least its first 4 digits", fingerprint)
	}
	var found []finding.Finding
	for _, f := range rule.Run(catalog.Rules(), about) {
		if strings.HasPrefix(f.Fingerprint, strings.ToLower(fingerprint)) && f.Status == finding.Confirmed {
			found = append(found, f)
		}
	}
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("finding %s: %w: 'drawbridge scan' prints fingerprints in its JSON, CSV and SARIF, and depends on the same --registry, --usage and --vendors", fingerprint, access.ErrNotFound)
	case len(found) > 1:
		return nil, usagef("%s is the beginning of %d fingerprints, %s (%s) and %s (%s) among them: give more of it", fingerprint, len(found),
			found[0].Fingerprint, found[0].Rule, found[1].Fingerprint, found[1].Rule)
	}
	f := &found[0]
	v.finding = f
	p, err := remedy.For(f, in)
	if err != nil {
		return nil, err
	}
	v.state, v.reason = remedy.Recheck(catalog.Rule(f.Rule), about, f, in, p.Changes)
	return p, nil
}

// compare runs all rules before and after a perimeter.
func (v *remedyVerdict) compare(about *rule.Input, in *remedy.Inputs, p *remedy.Proposal) {
	after := *about
	after.Graph = in.Rebuilt(p.Changes)
	after.Org = after.Graph.Org
	rules := catalog.Rules()
	v.perimeter = true
	v.gone, v.lowered = remedy.Disappear(rule.Run(rules, about), rule.Run(rules, &after))
}

// proposalIn is a proposal in one of the forms that programs read.
func proposalIn(form string, p *remedy.Proposal) string {
	switch form {
	case "policy":
		return string(p.JSON())
	case "diff":
		return p.Diff()
	case "terraform":
		return p.Terraform()
	case "cloudformation":
		return p.CloudFormation()
	case "cli":
		return p.CLI()
	}
	return string(p.Restore())
}

// verdict prints what becomes of the finding.
func (w *textWriter) verdict(v *remedyVerdict) {
	if v.finding == nil {
		return
	}
	w.line("%s %s: %s", v.finding.Rule, v.finding.Title, v.finding.Subject)
	w.line("  %s", v.finding.Reason)
	switch v.state {
	case remedy.Cured:
		w.line("  cured: after the change the rule finds nothing here any more")
	case remedy.Lowered:
		w.line("  lowered: the rule still finds it, and %s", v.reason)
	case remedy.NotSaid:
		w.line("  not assessed after the change: %s", v.reason)
	default:
		w.line("  still found after the change: %s", v.reason)
		w.line("  what remains to be done: %s", v.finding.Remedy)
	}
	w.line("")
}

// breaks prints what a proposal would break, which is said first.
func (w *textWriter) breaks(p *remedy.Proposal) {
	for _, b := range p.Breaks {
		w.line("BREAKS %s: %s; %s", b.Caller, b.What, b.Why)
	}
	if len(p.Breaks) > 0 {
		w.line("")
	}
}

// proposal prints a proposal for people.
func (w *textWriter) proposal(p *remedy.Proposal) {
	if len(p.Notes) > 0 {
		w.line("Evidence")
		for _, n := range p.Notes {
			w.line("  %s", n)
		}
		w.line("")
	}
	for i := range p.Changes {
		w.line("%s", p.Changes[i].Title())
		w.line("")
		for _, l := range p.Changes[i].Lines() {
			w.line("%s", l)
		}
		w.line("")
	}
	if len(p.Reasons) > 0 || len(p.Breaks) == 0 {
		w.line("Why")
		for _, r := range p.Reasons {
			w.line("  %s", r)
		}
		if len(p.Breaks) == 0 {
			w.line("  nothing that is declared or recorded is refused by it")
		}
		w.line("")
	}
	w.line("What it takes away")
	for i := range p.Taken {
		// Trusts and permissions are compared by themselves: the only role, as target and as caller, is the one that changes.
		caller, resource := callerName(p.Taken[i].Witness.Caller), p.Taken[i].Witness.Resource
		switch p.Changes[0].Kind {
		case remedy.TrustPolicy:
			resource = p.Subject
		case remedy.InlinePolicy, remedy.AttachedPolicy, remedy.BoundaryPolicy:
			caller = p.Subject
		}
		w.taken(&p.Taken[i], caller, resource)
	}
	for _, c := range p.Closes {
		w.line("  %s by %s on %s", c.Action, c.Who, c.Target)
	}
	for _, u := range p.NotDecided {
		w.line("  not decided: %s", u)
	}
	if len(p.Taken)+len(p.NotDecided)+len(p.Closes) == 0 {
		w.line("  nothing")
	}
}

func (w *textWriter) taken(d *compare.Difference, caller, resource string) {
	actions := strings.Join(d.Actions, ", ")
	if len(d.Actions) > 6 {
		actions = fmt.Sprintf("%s and %d more", strings.Join(d.Actions[:6], ", "), len(d.Actions)-6)
	}
	line := "  " + actions
	if len(d.Who) > 0 {
		line += " by " + strings.Join(d.Who, ", ")
	}
	if !d.Conditions.IsAlways() {
		line += " if " + d.Conditions.String()
	}
	w.line("%s", line)
	w.line("    for instance %s by %s on %s", d.Witness.Action, caller, resource)
}

// disappearing lists the findings that a perimeter does away with.
func (w *textWriter) disappearing(v *remedyVerdict) {
	if !v.perimeter {
		return
	}
	w.line("")
	w.line("Findings that disappear: %d; that it lowers: %d", len(v.gone), len(v.lowered))
	for _, f := range v.gone {
		w.line("  gone     %s %s: %s", f.Rule, f.Subject, f.Reason)
	}
	for _, f := range v.lowered {
		w.line("  lowered  %s %s: %s", f.Rule, f.Subject, f.Lowered)
	}
}

// printRemoval prints the plan of a removal.
func (o *remedyOptions) printRemoval(e *Env, r *remedy.Removal, now time.Time) error {
	w := &textWriter{}
	switch o.form {
	case "text":
		w.removal(r, now)
	case "policy":
		w.Write(remedy.JSON(r.Shut))
	case "restore":
		w.Write(r.Restore())
	case "cli":
		if r.Next(now) == 2 {
			fmt.Fprintf(e.Stderr, "drawbridge: nothing to do yet: %s is watched until %s\n", r.Target, r.Ends.Format(time.DateOnly))
		}
		w.WriteString(r.Script(now))
	default:
		change := remedy.Proposal{Subject: r.Target, Changes: []remedy.Change{r.Shutting()}}
		w.WriteString(proposalIn(o.form, &change))
	}
	if _, err := io.WriteString(e.Stdout, w.String()); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	if len(r.StillOpen)+len(r.Attempts) > 0 {
		return errUnwanted
	}
	return nil
}

func (w *textWriter) removal(r *remedy.Removal, now time.Time) {
	for _, s := range r.StillOpen {
		w.line("STILL OPEN for %s", s)
	}
	next := r.Next(now)
	state := func(step int) string {
		switch {
		case step < next:
			return "done"
		case step == next:
			return "next"
		}
		return "later"
	}
	w.line("Removal of those from elsewhere from %s", r.Target)
	w.line("")
	w.line("1. Shut (%s): an explicit deny, beside what is there", state(1))
	w.line("   keeps out  %s", orNobody(r.Outside))
	if len(r.Cut) > 0 {
		w.line("   cuts too   %s", strings.Join(r.Cut, ", "))
	}
	for _, l := range strings.Split(strings.TrimSuffix(string(remedy.JSON(r.Shut)), "\n"), "\n") {
		w.line("   %s", l)
	}
	for _, c := range r.Commands(1) {
		w.line("   do         %s", c)
	}
	if r.OfRole() {
		w.line("   sessions that are open go on until they end: 'drawbridge offboard' ends them")
	}
	w.line("")
	w.line("2. Watch (%s): until %s", state(2), r.Ends.Format(time.DateOnly))
	switch {
	case r.Watched && len(r.Attempts) == 0:
		w.line("   nobody tried to come in")
	case !r.Watched:
		w.line("   do         drawbridge usage import AWSLogs/ --into since.json, and this command again with --check since.json and a new snapshot")
	}
	for _, a := range r.Attempts {
		if a.CameIn > 0 {
			w.line("   CAME IN    %s, last on %s: the deny is not in force", a.Caller, a.Last.Format(time.DateOnly))
			continue
		}
		w.line("   refused    %s, %d times, last on %s: somebody needs it", a.Caller, a.Refused, a.Last.Format(time.DateOnly))
	}
	w.line("")
	if r.After != nil {
		w.line("3. Remove (%s): those from elsewhere go from the policy; the own account and services stay", state(3))
		for _, l := range strings.Split(strings.TrimSuffix(string(remedy.JSON(r.After)), "\n"), "\n") {
			w.line("   %s", l)
		}
	} else if !r.OfRole() {
		w.line("3. Remove (%s): nobody else is let in, so the resource needs no policy any more", state(3))
	} else {
		w.line("3. Remove (%s): the role is deleted; save its policies first ('aws iam get-account-authorization-details', or the snapshot)", state(3))
	}
	for _, c := range r.Commands(3) {
		w.line("   do         %s", c)
	}
	w.line("")
	w.line("To go back: take the statement %s out, or set the policy as it was (--form restore)", r.Statement.Sid.Value)
}

func orNobody(list []string) string {
	if len(list) == 0 {
		return "nobody: nobody from elsewhere is let in today"
	}
	return strings.Join(list, ", ")
}
