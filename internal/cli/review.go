package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/iam/ref"
	"drawbridge/internal/catalog"
	"drawbridge/internal/finding"
	"drawbridge/internal/ingest"
	"drawbridge/internal/registry"
	"drawbridge/internal/review"
	"drawbridge/internal/rule"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/usage"
)

func newReview(e *Env) *cobra.Command {
	var now nowFlag
	var by string
	c := &cobra.Command{
		Use:   "review [FILE --as NAME]",
		Short: "Review the entries that are due: open a campaign, decide, report, carry out",
		Long: `Review goes through the items of a campaign in the terminal, one by one, with single keys: k keep, n narrow, r remove, s skip, b back,
? help, q quit. Each decision asks for a reason and is saved at once; several people may decide at the same time.

A campaign is opened by review start, decided here or by review decide, shown by review report, and carried out by review apply.`,
		Example: `  drawbridge review start snapshot --registry registry/ --usage recorded-use.json --id 2026-q4 -o review.json
  drawbridge review review.json --as ben@example.com
  drawbridge review report review.json --format html -o review.html
  drawbridge review apply review.json --registry registry/ --dry-run`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			at, given, err := now.value(e)
			if err != nil {
				return err
			}
			clock := e.Now
			if given {
				clock = func() time.Time { return at }
			}
			return e.reviewInTerminal(args[0], by, clock)
		},
	}
	c.Flags().StringVar(&by, "as", "", "`NAME` of the reviewer")
	now.register(c)
	c.AddCommand(newReviewStart(e), newReviewDecide(e), newReviewReport(e), newReviewApply(e))
	return c
}

func newReviewStart(e *Env) *cobra.Command {
	var now nowFlag
	var in reviewInputs
	var file, id, since string
	var days int
	var scope review.Scope
	c := &cobra.Command{
		Use:   "start PATH --registry PATH -o FILE",
		Short: "Open a campaign over the entries that are due",
		Long: `Start writes a campaign: an item of every entry that is due by its own rhythm, with what a reviewer must know: who and what, how the
trusts stand to the entry, when each caller came last, what is granted and was never used, open findings, paths to critical things behind
the trust, and with --since what changed since the campaign of the last review. PATH is an input as scan takes it.`,
		Example: `  drawbridge review start snapshot --registry registry/ --usage recorded-use.json --id 2026-q4 --since 2026-q3.json -o 2026-q4.json
  drawbridge review start snapshot --registry registry/ --vendor Watchtower --all -o watchtower.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			at, _, err := now.value(e)
			if err != nil {
				return err
			}
			switch {
			case len(in.registry) == 0:
				return usagef("--registry is missing: where are the entries?")
			case file == "":
				return usagef("-o is missing: where is the campaign kept?")
			}
			if _, err := os.Stat(file); err == nil {
				return usagef("%s is there already: a campaign is not written over", file)
			}
			m, err := e.reviewMaterial(&in, args[0], at)
			if err != nil {
				return err
			}
			if since != "" {
				if m.Since, err = openCampaign(since); err != nil {
					return err
				}
			}
			if id == "" {
				id = at.Format(time.DateOnly)
			}
			campaign := review.Start(id, scope, at.AddDate(0, 0, days), *m)
			if err := writeCampaign(file, campaign); err != nil {
				return err
			}
			_, err = fmt.Fprintf(e.Stdout, "%s: %s, %s, deadline %s\n", file, campaign.Scope, counted(len(campaign.Items), "item", "items"), campaign.Deadline.Format(time.DateOnly))
			return err
		},
	}
	registryFlag(c, &in.registry)
	f := c.Flags()
	f.StringVar(&in.vendors, "vendors", "", "known third parties and their accounts: a YAML `FILE` like the fwd:cloudsec list")
	f.StringVar(&in.exceptions, "exceptions", "", "accepted findings: a YAML `FILE` of exceptions, each with owner, reason and expiry")
	f.StringVar(&in.usage, "usage", "", "a record of use that 'drawbridge usage import' wrote (`FILE`)")
	f.StringVarP(&file, "output", "o", "", "the campaign's `FILE`")
	f.StringVar(&since, "since", "", "the campaign of the last review, to tell what changed (`FILE`)")
	f.StringVar(&id, "id", "", "`NAME` of the campaign; default: the day")
	f.IntVar(&days, "days", 14, "`DAYS` until the deadline")
	f.StringVar(&scope.Vendor, "vendor", "", "only entries of this `VENDOR`")
	f.StringVar(&scope.Account, "account", "", "only entries from or to this `ACCOUNT`")
	f.StringVar(&scope.Owner, "owner", "", "only entries of this `OWNER`")
	f.BoolVar(&scope.All, "all", false, "entries that are not due too")
	now.register(c)
	identityFlag(c, e)
	return c
}

// reviewInputs are the files beside the snapshot that a campaign is made from.
type reviewInputs struct {
	registry                   []string
	usage, vendors, exceptions string
}

// reviewMaterial reads what a campaign is made from.
func (e *Env) reviewMaterial(f *reviewInputs, input string, at time.Time) (*review.Material, error) {
	var vendors []snapshot.KnownVendor
	var exceptions []finding.Exception
	var err error
	if f.vendors != "" {
		if vendors, err = ingest.OpenVendors(f.vendors); err != nil {
			return nil, err
		}
	}
	if f.exceptions != "" {
		data, err := os.ReadFile(f.exceptions)
		if err != nil {
			return nil, fmt.Errorf("opening the exceptions: %w", err)
		}
		if exceptions, err = finding.ReadExceptions(f.exceptions, data); err != nil {
			return nil, err
		}
	}
	declared, err := e.openRegistry(f.registry)
	if err != nil {
		return nil, err
	}
	record, err := openUsage(f.usage)
	if err != nil {
		return nil, err
	}
	graph, err := e.openGraph(input, at)
	if err != nil {
		return nil, err
	}
	facts, err := usage.Merge(usage.Of(graph.Org.Snapshot.Usage), record)
	if err != nil {
		return nil, err
	}
	rules := catalog.Rules()
	findings := rule.Run(rules, &rule.Input{Graph: graph, Org: graph.Org, Vendors: vendors, Registry: declared, Usage: facts, Now: at})
	items := registry.Reconcile(graph, declared, registry.Options{Now: at, Engine: ref.Engine(), Usage: facts})
	return &review.Material{Graph: graph, Registry: declared, Items: items, Usage: facts, Findings: findings, Accepted: finding.Apply(findings, exceptions, at).Accepted,
		Rules: rules, Now: at}, nil
}

func newReviewDecide(e *Env) *cobra.Command {
	var now nowFlag
	var by, reason string
	c := &cobra.Command{
		Use:   "decide FILE ENTRY keep|narrow|remove --as NAME --reason TEXT",
		Short: "Record one person's decision on an entry",
		Long: `Decide records what one person decided on an entry, with the reason. An entry that needs two reviewers is decided when two have
spoken, and one of them is not the owner; where they disagree, the stricter counts.`,
		Example: `  drawbridge review decide review.json ci-deploy keep --as ben@example.com --reason "releases every week"`,
		Args:    cobra.ExactArgs(3),
		RunE: func(_ *cobra.Command, args []string) error {
			at, _, err := now.value(e)
			if err != nil {
				return err
			}
			var campaign *review.Campaign
			err = updateCampaign(args[0], func(c *review.Campaign) error {
				campaign = c
				c.Expire(at)
				return c.Decide(args[1], review.Decision{By: by, Verdict: review.Verdict(args[2]), Reason: reason, At: at})
			})
			if err != nil {
				return err
			}
			w := &textWriter{}
			w.decided(campaign.Item(args[1]))
			_, err = io.WriteString(e.Stdout, w.String())
			return err
		},
	}
	c.Flags().StringVar(&by, "as", "", "`NAME` of the reviewer")
	c.Flags().StringVar(&reason, "reason", "", "why: one sentence (`TEXT`)")
	now.register(c)
	return c
}

func (w *textWriter) decided(i *review.Item) {
	if o := i.Outcome(); o != "" {
		w.line("%s: %s", i.Entry, o)
	} else {
		w.line("%s: waits for %s", i.Entry, i.Waits())
	}
	for _, next := range i.Next() {
		w.line("  next: %s", next)
	}
}

func newReviewReport(e *Env) *cobra.Command {
	var now nowFlag
	var form, file string
	c := &cobra.Command{
		Use:   "report FILE",
		Short: "Show a campaign: what is undecided first",
		Long: `Report shows a campaign, what is undecided first. What was not decided at the deadline is escalated, and quarantined after the time that
its entry gives. The exit status is 1 while anything is not decided.`,
		Example: `  drawbridge review report review.json
  drawbridge review report review.json --format html -o review.html`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			at, _, err := now.value(e)
			if err != nil {
				return err
			}
			campaign, err := openCampaign(args[0])
			if err != nil {
				return err
			}
			campaign.Expire(at)
			var write func(io.Writer) error
			switch form {
			case "text":
				write = func(w io.Writer) error {
					text := &textWriter{}
					text.campaign(campaign)
					_, err := io.WriteString(w, text.String())
					return err
				}
			case "json":
				write = func(w io.Writer) error {
					out, err := marshalCampaign(campaign)
					if err == nil {
						_, err = w.Write(out)
					}
					return err
				}
			case "csv":
				write = campaign.WriteCSV
			case "html":
				write = campaign.WriteHTML
			default:
				return usagef("--format %q is not known: use text, json, csv or html", form)
			}
			if err := output(e, file, write); err != nil {
				return err
			}
			if len(campaign.Open()) > 0 {
				return errUnwanted
			}
			return nil
		},
	}
	c.Flags().StringVar(&form, "format", "text", "`FORMAT` is text, json, csv or html")
	c.Flags().StringVarP(&file, "output", "o", "", "write to this `FILE` instead of standard output")
	completeWords(c, "format", []string{"text", "json", "csv", "html"})
	now.register(c)
	return c
}

func (w *textWriter) campaign(c *review.Campaign) {
	w.line("Review %s: %s, deadline %s", c.ID, c.Scope, c.Deadline.Format(time.DateOnly))
	w.line("%s", strings.Join(c.Counts(), ", "))
	for _, item := range c.Order() {
		w.line("")
		w.line("%s  %s", strings.ToUpper(item.Word()), item.Entry)
		for _, f := range itemFields(c, item) {
			w.line("  %-9s %s", f.name, f.text)
		}
		for _, d := range item.Decisions {
			w.line("  %-9s %s: %s, %s (%s)", "decision", d.By, d.Verdict, d.Reason, d.At.Format(time.DateOnly))
		}
		if standing := c.Standing(item); standing != "" {
			w.line("  %s", standing)
		}
		if item.Applied != "" {
			w.line("  %-9s %s", "applied", item.Applied)
		}
		for _, next := range item.Next() {
			w.line("  %-9s %s", "next", next)
		}
	}
}

// itemField is a line of an item: what it is about, "" where it goes on, and the text.
type itemField struct{ name, text string }

// itemFields is what a reviewer must know of an item.
func itemFields(c *review.Campaign, item *review.Item) []itemField {
	var out []itemField
	add := func(name, text string) {
		if text != "" {
			out = append(out, itemField{name, text})
		}
	}
	add("purpose", item.Purpose+" (owner "+item.Owner+")")
	for _, who := range item.Who {
		add("who", who)
	}
	for _, what := range item.What {
		add("what", what)
	}
	terms := "ends " + item.Expires
	if item.Expires == "" {
		terms = "never ends"
	}
	if item.Session != "" {
		terms += ", sessions up to " + item.Session
	}
	if item.Vendor != "" {
		terms += ", vendor " + item.Vendor
	}
	add("terms", terms)
	for _, s := range item.Stands {
		add("stands", s)
	}
	for _, u := range item.Uses() {
		when := u.When
		if when == "" {
			when = "no use recorded"
		}
		add("last use", u.Who+": "+when)
	}
	out = append(out, itemField{"", item.Evidence})
	for _, g := range item.UnusedWords() {
		add("granted", g.Role+" "+g.Summary)
		for _, line := range g.Lines {
			out = append(out, itemField{"", line})
		}
	}
	for _, p := range item.Paths {
		add("path", p.Words())
	}
	if item.MorePaths > 0 {
		out = append(out, itemField{"", fmt.Sprintf("and %d more", item.MorePaths)})
	}
	for _, f := range item.Findings {
		add("finding", f.Words())
	}
	add("changes", item.ChangesSince)
	for _, change := range item.Changes {
		out = append(out, itemField{"", change})
	}
	if len(item.Changes) == 0 && c.Since != "" {
		out = append(out, itemField{"", "none"})
	}
	return out
}

// readCampaign reads a campaign's text.
func readCampaign(file string, data []byte) (*review.Campaign, error) {
	var c review.Campaign
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	switch {
	case c.ID == "" || c.Revision == 0:
		return nil, fmt.Errorf("%s: %w", file, errors.New("no campaign: it has no id, or no revision"))
	case c.Version != review.Version:
		return nil, fmt.Errorf("%s: a campaign of version %d, and this program knows version %d", file, c.Version, review.Version)
	}
	return &c, nil
}

func openCampaign(file string) (*review.Campaign, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("opening the campaign: %w", err)
	}
	return readCampaign(file, data)
}

// updateCampaign changes a campaign in its file. Whoever else does waits, and reads what this one wrote.
func updateCampaign(file string, do func(*review.Campaign) error) error {
	return change(file, func(old []byte) ([]byte, error) {
		c, err := readCampaign(file, old)
		if err != nil {
			return nil, err
		}
		read := c.Revision
		if err := do(c); err != nil || c.Revision == read {
			return nil, err
		}
		return marshalCampaign(c)
	})
}

func marshalCampaign(c *review.Campaign) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(c); err != nil {
		return nil, fmt.Errorf("writing the campaign: %w", err)
	}
	return out.Bytes(), nil
}

func writeCampaign(file string, c *review.Campaign) error {
	out, err := marshalCampaign(c)
	if err != nil {
		return err
	}
	if err := replace(file, out); err != nil {
		return fmt.Errorf("writing the campaign: %w", err)
	}
	return nil
}

func newReviewApply(e *Env) *cobra.Command {
	var now nowFlag
	var paths []string
	var ticket string
	var dry bool
	c := &cobra.Command{
		Use:   "apply FILE --registry PATH",
		Short: "Write the decisions of a campaign to the registry",
		Long: `Apply carries out what was decided and was not carried out yet. Keep writes the day of the review and its people into the entry; remove
ends the entry today; narrow sets --ticket where it is given. What has to be done in AWS is named as commands and not done. Entries are
edited in place, as registry set does; the campaign notes what was carried out.

A decision to keep is not written to an entry that is wider now than what was reviewed. The exit status is 1 where something of what was
decided could not be carried out.`,
		Example: `  drawbridge review apply review.json --registry registry/ --dry-run
  drawbridge review apply review.json --registry registry/ --ticket SEC-1300`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			at, _, err := now.value(e)
			if err != nil {
				return err
			}
			if len(paths) == 0 {
				return usagef("--registry is missing: where are the entries?")
			}
			files, err := openRegistryFiles(paths, registry.CheckOptions{Now: at})
			if err != nil {
				return err
			}
			var steps []review.Step
			err = updateCampaign(args[0], func(c *review.Campaign) error {
				c.Expire(at)
				r, _ := files.read(files.old)
				steps = c.Steps(r, ticket, at)
				for i := range steps {
					if s := &steps[i]; s.Problem == nil {
						s.Problem = files.edit(registry.TrustKind, s.Entry, s.Changes...)
					}
				}
				if worse := files.worse(); len(worse) > 0 {
					for _, p := range worse {
						fmt.Fprintf(e.Stderr, "%v\n", p)
					}
					return fmt.Errorf("%s would come of it: nothing was written", counted(len(worse), "error", "errors"))
				}
				if _, err := io.WriteString(e.Stdout, files.diff()); err != nil {
					return fmt.Errorf("%w: %w", errOutput, err)
				}
				if dry {
					return errDry
				}
				if err := files.write(); err != nil {
					return err
				}
				for i := range steps {
					c.Apply(&steps[i], at)
				}
				return nil
			})
			if err != nil && !errors.Is(err, errDry) {
				return err
			}
			return e.applied(steps)
		},
	}
	registryFlag(c, &paths)
	c.Flags().StringVar(&ticket, "ticket", "", "the `TICKET` of what is to be narrowed, written to those entries")
	c.Flags().BoolVar(&dry, "dry-run", false, "show what would be written and write nothing")
	now.register(c)
	return c
}

// errDry ends a change of which nothing is to be written.
var errDry = errors.New("nothing is to be written")

// applied says what was done of each step, and what is left for people.
func (e *Env) applied(steps []review.Step) error {
	w := &textWriter{}
	failed := false
	for _, s := range steps {
		if s.Problem != nil {
			failed = true
			fmt.Fprintf(e.Stderr, "drawbridge: %s: %v\n", s.Entry, s.Problem)
			continue
		}
		word := string(s.Outcome)
		if word == "" {
			word = string(review.Quarantined)
		}
		w.line("%s  %s: %s", strings.ToUpper(word), s.Entry, s.Words)
		for _, next := range s.Commands {
			w.line("  next: %s", next)
		}
	}
	if len(steps) == 0 {
		w.line("nothing is left to carry out")
	}
	if _, err := io.WriteString(e.Stdout, w.String()); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	if failed {
		return errUnwanted
	}
	return nil
}
