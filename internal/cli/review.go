package cli

import (
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
	"drawbridge/internal/registry"
	"drawbridge/internal/review"
	"drawbridge/internal/rule"
	"drawbridge/internal/usage"
)

func newReview(e *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "review",
		Short: "Review the entries that are due: open a campaign, decide, report",
	}
	c.AddCommand(newReviewStart(e), newReviewDecide(e), newReviewReport(e))
	return c
}

func newReviewStart(e *Env) *cobra.Command {
	var now nowFlag
	var paths []string
	var used, file, id string
	var days int
	var scope review.Scope
	c := &cobra.Command{
		Use:   "start PATH --registry PATH -o FILE",
		Short: "Open a campaign over the entries that are due",
		Long: `Start writes a campaign: an item of every entry that is due by its own rhythm, with what a reviewer must know: who and what, how the
trusts stand to the entry, when each caller came last, open findings. PATH is an input as scan takes it.`,
		Example: `  drawbridge review start snapshot --registry registry/ --usage recorded-use.json --id 2026-q4 -o review.json
  drawbridge review start snapshot --registry registry/ --vendor Watchtower --all -o watchtower.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			at, _, err := now.value(e)
			if err != nil {
				return err
			}
			switch {
			case len(paths) == 0:
				return usagef("--registry is missing: where are the entries?")
			case file == "":
				return usagef("-o is missing: where is the campaign kept?")
			}
			if _, err := os.Stat(file); err == nil {
				return usagef("%s is there already: a campaign is not written over", file)
			}
			m, err := e.reviewMaterial(args[0], paths, used, at)
			if err != nil {
				return err
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
	registryFlag(c, &paths)
	f := c.Flags()
	f.StringVar(&used, "usage", "", "a record of use that 'drawbridge usage import' wrote (`FILE`)")
	f.StringVarP(&file, "output", "o", "", "the campaign's `FILE`")
	f.StringVar(&id, "id", "", "`NAME` of the campaign; default: the day")
	f.IntVar(&days, "days", 14, "`DAYS` until the deadline")
	f.StringVar(&scope.Vendor, "vendor", "", "only entries of this `VENDOR`")
	f.StringVar(&scope.Account, "account", "", "only entries from or to this `ACCOUNT`")
	f.StringVar(&scope.Owner, "owner", "", "only entries of this `OWNER`")
	f.BoolVar(&scope.All, "all", false, "entries that are not due too")
	now.register(c)
	return c
}

// reviewMaterial reads what a campaign is made from.
func (e *Env) reviewMaterial(input string, paths []string, used string, at time.Time) (*review.Material, error) {
	declared, err := e.openRegistry(paths)
	if err != nil {
		return nil, err
	}
	record, err := openUsage(used)
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
	findings := rule.Run(catalog.Rules(), &rule.Input{Graph: graph, Org: graph.Org, Registry: declared, Usage: facts, Now: at})
	items := registry.Reconcile(graph, declared, registry.Options{Now: at, Engine: ref.Engine()})
	return &review.Material{Registry: declared, Items: items, Usage: facts, Findings: findings, Now: at}, nil
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
			campaign, err := openCampaign(args[0])
			if err != nil {
				return err
			}
			read := campaign.Revision
			if err := campaign.Decide(args[1], review.Decision{By: by, Verdict: review.Verdict(args[2]), Reason: reason, At: at}); err != nil {
				return err
			}
			// Somebody else may have decided since the file was read.
			if latest, err := openCampaign(args[0]); err != nil || latest.Revision != read {
				return fmt.Errorf("%s was changed by somebody else: decide again", args[0])
			}
			if err := writeCampaign(args[0], campaign); err != nil {
				return err
			}
			for i := range campaign.Items {
				if item := &campaign.Items[i]; item.Entry == args[1] {
					w := &textWriter{}
					w.decided(item)
					_, err = io.WriteString(e.Stdout, w.String())
				}
			}
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
		Long: `Report shows a campaign, what is undecided first. What was not decided at the deadline is escalated. The exit status is 1 while
anything is not decided.`,
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
			for i := range campaign.Items {
				if campaign.Items[i].State != review.Decided {
					return errUnwanted
				}
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
		state := string(item.State)
		if o := item.Outcome(); o != "" {
			state = string(o)
		}
		w.line("%s  %s", strings.ToUpper(state), item.Entry)
		w.line("  purpose   %s (owner %s)", item.Purpose, item.Owner)
		w.line("  who       %s", strings.Join(item.Who, ", "))
		w.line("  what      %s", strings.Join(item.What, ", "))
		for _, s := range item.Stands {
			w.line("  stands    %s", s)
		}
		for _, who := range item.Who {
			last := item.LastUsed[who]
			if last == "" {
				last = "no use recorded"
			}
			w.line("  last use  %s: %s", who, last)
		}
		w.line("            %s", item.Evidence)
		for _, f := range item.Findings {
			w.line("  finding   %s", f)
		}
		for _, d := range item.Decisions {
			w.line("  decision  %s: %s, %s (%s)", d.By, d.Verdict, d.Reason, d.At.Format(time.DateOnly))
		}
		if waits := item.Waits(); waits != "" {
			w.line("  waits for %s", waits)
		}
		for _, next := range item.Next() {
			w.line("  next      %s", next)
		}
	}
}

// openCampaign reads a campaign.
func openCampaign(file string) (*review.Campaign, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("opening the campaign: %w", err)
	}
	var c review.Campaign
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if c.ID == "" || c.Revision == 0 {
		return nil, fmt.Errorf("%s: %w", file, errors.New("no campaign: it has no id, or no revision"))
	}
	return &c, nil
}

func marshalCampaign(c *review.Campaign) ([]byte, error) {
	out, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the campaign: %w", err)
	}
	return append(out, '\n'), nil
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
