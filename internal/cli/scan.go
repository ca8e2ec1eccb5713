package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/internal/catalog"
	"drawbridge/internal/finding"
	"drawbridge/internal/ingest"
	"drawbridge/internal/report"
	"drawbridge/internal/rule"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/usage"
)

// scanFormats are the forms of a report, in the order in which help names them.
var scanFormats = []string{"text", "json", "sarif", "markdown", "html", "csv"}

// scanOptions are the flags of scan.
type scanOptions struct {
	path       string
	format     string
	output     string // file; "" or "-": standard output
	failOn     string // name of a severity; "": findings do not fail
	vendors    string // file
	exceptions string // file
	registry   []string
	usage      string // file
	baseline   string // file: an earlier report in JSON
	all        bool
	now        nowFlag
}

// textFindings is how many findings the text shows without --all.
const textFindings = 20

func newScan(e *Env) *cobra.Command {
	var o scanOptions
	c := &cobra.Command{
		Use:   "scan PATH",
		Short: "Find every cross-account trust, what is dangerous, and the ways from outside",
		Long: `Scan reads the files at PATH and reports every trust, the dangerous ones with reason, evidence and remedy, the ways that
lead from outside to what is tagged as critical, and the gaps: what could not be read.

PATH is a snapshot directory, a file written by 'aws iam get-account-authorization-details', a folder of such files, or infrastructure code:
a Terraform state or plan in JSON, a CloudFormation template or change set.`,
		Example: `  drawbridge scan examples/acme
  drawbridge scan examples/acme --format html -o acme.html
  drawbridge scan template.yaml --account 111122223333 --region eu-west-1 --parameter Stage=prod
  drawbridge scan snapshot --format sarif --fail-on high --baseline last.json > drawbridge.sarif`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			o.path = args[0]
			return scan(e, &o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.format, "format", "text", "form of the report: `FORMAT` is "+strings.Join(scanFormats, ", "))
	f.StringVarP(&o.output, "output", "o", "", "write the report to this `FILE` instead of standard output")
	f.StringVar(&o.failOn, "fail-on", "", "exit with status 1 if there are open findings of this `SEVERITY` or worse: info, low, medium, high, critical")
	f.StringVar(&o.vendors, "vendors", "", "known third parties and their accounts: a YAML `FILE` like the fwd:cloudsec list")
	f.StringVar(&o.exceptions, "exceptions", "", "accepted findings: a YAML `FILE` of exceptions, each with owner, reason and expiry")
	registryFlag(c, &o.registry)
	f.StringVar(&o.usage, "usage", "", "a record of use that 'drawbridge usage import' wrote (`FILE`)")
	f.StringVar(&o.baseline, "baseline", "", "an earlier report in JSON (`FILE`): what it has is known, and only what is new fails")
	f.BoolVar(&o.all, "all", false, fmt.Sprintf("print all findings as text, not only the worst %d", textFindings))
	o.now.register(c)
	identityFlag(c, e)
	codeFlags(c, e)
	completeWords(c, "format", scanFormats)
	completeWords(c, "fail-on", []string{"info", "low", "medium", "high", "critical"})
	return c
}

// completeWords lets the shell complete the values of a flag.
func completeWords(c *cobra.Command, flag string, words []string) {
	if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is not there: a mistake in this package
	}
}

func scan(e *Env, o *scanOptions) error {
	write, err := reportWriter(e, o)
	if err != nil {
		return err
	}
	failOn := finding.Critical + 1
	if o.failOn != "" {
		s, ok := report.ParseSeverity(o.failOn)
		if !ok {
			return usagef("--fail-on %q is no severity: use info, low, medium, high or critical", o.failOn)
		}
		failOn = s
	}
	now, given, err := o.now.value(e)
	if err != nil {
		return err
	}
	r, err := o.analyse(e, now, given)
	if err != nil {
		return err
	}
	if err := output(e, o.output, func(w io.Writer) error { return write(w, r) }); err != nil {
		return err
	}
	if failOn <= finding.Critical && r.AtLeast(failOn) > 0 {
		return errUnwanted
	}
	return nil
}

// analyse reads everything that the flags name and runs all rules. The files are read before the long work, so that a
// mistyped name is known at once.
func (o *scanOptions) analyse(e *Env, now time.Time, given bool) (*report.Report, error) {
	var vendors []snapshot.KnownVendor
	var exceptions []finding.Exception
	var baseline *finding.Baseline
	var err error
	if o.vendors != "" {
		if vendors, err = ingest.OpenVendors(o.vendors); err != nil {
			return nil, err
		}
	}
	if o.exceptions != "" {
		data, err := os.ReadFile(o.exceptions)
		if err != nil {
			return nil, fmt.Errorf("opening the exceptions: %w", err)
		}
		if exceptions, err = finding.ReadExceptions(o.exceptions, data); err != nil {
			return nil, err
		}
	}
	if o.baseline != "" {
		data, err := os.ReadFile(o.baseline)
		if err != nil {
			return nil, fmt.Errorf("opening the baseline: %w", err)
		}
		if baseline, err = finding.ReadBaseline(o.baseline, data); err != nil {
			return nil, err
		}
	}
	declared, err := e.openRegistry(o.registry)
	if err != nil {
		return nil, err
	}
	used, err := openUsage(o.usage)
	if err != nil {
		return nil, err
	}
	graph, err := e.openGraph(o.path, now)
	if err != nil {
		return nil, err
	}
	if used != nil {
		if used, err = usage.Merge(usage.Of(graph.Org.Snapshot.Usage), used); err != nil {
			return nil, err
		}
	}
	rules := catalog.Rules()
	in := &rule.Input{Graph: graph, Org: graph.Org, Vendors: vendors, Registry: declared, Usage: used, Now: now}
	done := e.progress("checking the rules")
	findings := rule.Run(rules, in)
	done()
	options := report.Options{Input: filepath.ToSlash(o.path), Version: programVersion(), Rules: rules, Baseline: baseline}
	if given {
		options.Now = now
	}
	judged := finding.Apply(findings, exceptions, now)
	options.Accepted, options.Expired = acceptances(judged.Accepted), acceptances(judged.Expired)
	for _, x := range judged.Unused {
		options.UnusedExceptions = append(options.UnusedExceptions, x.Fingerprint)
	}
	return report.New(in, findings, options), nil
}

// acceptances are exceptions as a report shows them, by fingerprint.
func acceptances(list []finding.Accepted) map[string]report.Acceptance {
	out := make(map[string]report.Acceptance, len(list))
	for _, a := range list {
		out[a.Exception.Fingerprint] = *acceptance(&a.Exception)
	}
	return out
}

// acceptance is an exception as a report shows it; nil of nil.
func acceptance(x *finding.Exception) *report.Acceptance {
	if x == nil {
		return nil
	}
	return &report.Acceptance{Owner: x.Owner, Reason: x.Reason, Expires: x.Expires.UTC().Format(time.RFC3339)}
}

// reportWriter is the writer of the wished form.
func reportWriter(e *Env, o *scanOptions) (func(io.Writer, *report.Report) error, error) {
	switch o.format {
	case "text":
		options := report.TextOptions{Colours: e.colours() && (o.output == "" || o.output == "-"), Limit: textFindings}
		if o.all {
			options.Limit = 0
		}
		return func(w io.Writer, r *report.Report) error { return report.WriteText(w, r, options) }, nil
	case "json":
		return report.WriteJSON, nil
	case "sarif":
		base := evidenceBase(o.path)
		return func(w io.Writer, r *report.Report) error { return report.WriteSARIF(w, r, base) }, nil
	case "markdown":
		return report.WriteMarkdown, nil
	case "html":
		return report.WriteHTML, nil
	case "csv":
		return report.WriteCSV, nil
	}
	return nil, usagef("--format %q is not known: use %s", o.format, strings.Join(scanFormats, ", "))
}

// evidenceBase is the folder of the evidence's files, relative to where the program runs: the root of the repository, for
// those who upload SARIF. A path that leads out of it is left as it is.
func evidenceBase(input string) string {
	if info, err := os.Stat(input); err == nil && !info.IsDir() {
		input = filepath.Dir(input)
	}
	base := path.Clean(filepath.ToSlash(input))
	if base == "." {
		return ""
	}
	return base
}

// output writes a result to a file or to standard output, as it is made: large reports are not held in memory. A regular
// file is written beside its place and then moved there, so that it is there completely or as it was before.
func output(e *Env, file string, write func(io.Writer) error) error {
	var err error
	if file == "" || file == "-" {
		err = buffered(e.Stdout, write)
	} else {
		err = outputFile(file, write)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	return nil
}

func outputFile(name string, write func(io.Writer) error) error {
	part := name + ".part"
	if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
		part = name // a device, a pipe or a link: written where it is
	}
	f, err := os.Create(part)
	if err != nil {
		return err
	}
	err = errors.Join(buffered(f, write), f.Close())
	if part == name {
		return err
	}
	if err == nil {
		err = os.Rename(part, name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return nil
}

// buffered lets write make its small writes in memory.
func buffered(w io.Writer, write func(io.Writer) error) error {
	b := bufio.NewWriterSize(w, 1<<16)
	if err := write(b); err != nil {
		return err
	}
	return b.Flush()
}
