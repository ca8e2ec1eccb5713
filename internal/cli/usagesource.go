package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/internal/cloudtrail"
	"drawbridge/internal/cloudtrail/trailsql"
	"drawbridge/internal/cloudtrail/trino"
	"drawbridge/internal/usage"
)

// Cloud reads CloudTrail where it lies in AWS. The program drawbridge has none: it links no AWS service client.
type Cloud interface {
	// S3 takes in the files of a trail below s3://bucket/prefix.
	S3(ctx context.Context, before *usage.Record, o usage.Options, addresses []string, f Filter) (*usage.Record, cloudtrail.Result, error)
	// Athena gives what runs a statement there, and a text that tells its catalog and database from others.
	Athena(ctx context.Context, o AthenaOptions) (trailsql.Run, string, error)
}

// Filter narrows what is read.
type Filter struct {
	From, To          time.Time // first and last day; zero: all
	Accounts, Regions []string
}

// AthenaOptions are where queries run; "" leaves each to its default.
type AthenaOptions struct{ Workgroup, Output, Catalog, Database string }

// usageSource is where usage import reads: files, a bucket, or a table.
type usageSource struct {
	engine, url, table, from, to string
	accounts, regions            []string
	perQuery                     int
	dryRun                       bool
	athena                       AthenaOptions

	filter Filter
	s3     bool
}

// usageResult is what an import read, of whichever kind.
type usageResult struct {
	cloudtrail.Result
	days, queries int
	bytes         int64
}

func (s *usageSource) register(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.engine, "engine", "files", "who reduces the events: `ENGINE` is files, trino or athena")
	f.StringVar(&s.table, "table", "cloudtrail_logs", "the table of events, for trino and athena: `NAME`, schema.name or catalog.schema.name")
	f.StringVar(&s.url, "url", "", "the Trino: `URL` like https://user@host:port/catalog/schema; DRAWBRIDGE_TRINO_PASSWORD or DRAWBRIDGE_TRINO_TOKEN hold its credentials")
	f.StringVar(&s.from, "from", "", "first `DAY`: of events in a table (default: 90 days back), of files in a bucket (default: all)")
	f.StringVar(&s.to, "to", "", "last `DAY`; a table's is at most the last one that is delivered as a whole, which is the default")
	f.StringSliceVar(&s.accounts, "accounts", nil, "only trails of these `ACCOUNTS`, in a table or bucket")
	f.StringSliceVar(&s.regions, "regions", nil, "only files of these `REGIONS`, in a bucket")
	f.IntVar(&s.perQuery, "days-per-query", 7, "how many days a query of a table asks for: each reads one day more, and the more, the more it must hold")
	f.BoolVar(&s.dryRun, "dry-run", false, "print the SQL, and ask nobody")
	f.StringVar(&s.athena.Workgroup, "workgroup", "", "Athena: the `WORKGROUP`, default primary")
	f.StringVar(&s.athena.Output, "output-location", "", "Athena: where answers are laid down, `S3` like s3://bucket/prefix/; default: the workgroup's")
	f.StringVar(&s.athena.Catalog, "catalog", "", "Athena: the data `CATALOG`, default AwsDataCatalog")
	f.StringVar(&s.athena.Database, "database", "", "Athena: the `DATABASE` of a table without one, default default")
	_ = c.RegisterFlagCompletionFunc("engine", cobra.FixedCompletions([]string{"files", "trino", "athena"}, cobra.ShellCompDirectiveNoFileComp))
}

// defaultDays is how far back a table is read: the longest time after which rules call a trust stale.
const defaultDays = 90

// check reads the flags and paths.
func (s *usageSource) check(now time.Time, args []string) error {
	var err error
	if s.filter.From, err = dayFlag("--from", s.from); err != nil {
		return err
	}
	if s.filter.To, err = dayFlag("--to", s.to); err != nil {
		return err
	}
	s.filter.Accounts, s.filter.Regions = s.accounts, s.regions
	for _, a := range s.accounts {
		if len(a) != 12 || strings.Trim(a, "0123456789") != "" {
			return usagef("--accounts %q is no account: expected 12 digits", a)
		}
	}
	narrows := s.from != "" || s.to != "" || len(s.accounts) > 0
	switch s.engine {
	case "files":
		for _, a := range args {
			s.s3 = s.s3 || strings.HasPrefix(a, "s3://")
		}
		for _, a := range args {
			if s.s3 && !strings.HasPrefix(a, "s3://") {
				return usagef("files of this machine (%s) and of a bucket are two imports", a)
			}
		}
		switch {
		case len(args) == 0:
			return usagef("what to import is not given: files, folders, s3://bucket/prefix, or --engine trino or athena")
		case s.dryRun:
			return usagef("--dry-run prints SQL, and files are read without: give --engine trino or athena")
		case !s.s3 && (narrows || len(s.regions) > 0):
			return usagef("--from, --to, --accounts and --regions narrow a table or bucket: give the folders of a trail that you mean")
		}
		return nil
	case "trino", "athena":
	default:
		return usagef("--engine %q is not known: use files, trino or athena", s.engine)
	}
	if err := trailsql.CheckTable(s.table); err != nil {
		return usagef("--table: %w", err)
	}
	last := trailsql.Last(now)
	switch {
	case len(args) > 0:
		return usagef("--engine %s asks a table: it takes no files, and got %s", s.engine, args[0])
	case len(s.regions) > 0:
		return usagef("--regions narrows the files of a bucket; a table is read in all regions, so that its days are whole")
	case s.engine == "trino" && s.url == "" && !s.dryRun:
		return usagef("--engine trino needs --url, like https://user@host:port/catalog/schema")
	case s.perQuery < 1 || s.perQuery > 366:
		return usagef("--days-per-query %d is not between 1 and 366", s.perQuery)
	case s.filter.To.After(last):
		return usagef("--to %s is not over, or not all delivered: the last whole day is %s", s.to, last.Format(time.DateOnly))
	}
	if s.filter.To.IsZero() {
		s.filter.To = last
	}
	if s.filter.From.IsZero() {
		s.filter.From = s.filter.To.AddDate(0, 0, 1-defaultDays)
	}
	if s.filter.To.Before(s.filter.From) {
		return usagef("--from %s is after --to %s", s.filter.From.Format(time.DateOnly), s.filter.To.Format(time.DateOnly))
	}
	return nil
}

func dayFlag(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || !usage.InRange(t) {
		return time.Time{}, usagef("%s %q is no day: write it like 2026-01-31", name, text)
	}
	return t, nil
}

// needsCloud reports whether AWS is asked.
func (s *usageSource) needsCloud() bool { return s.s3 || s.engine == "athena" }

func (s *usageSource) window(source string) trailsql.Window {
	return trailsql.Window{Source: source, Table: s.table, From: s.filter.From, To: s.filter.To, Accounts: s.filter.Accounts, PerQuery: s.perQuery}
}

// plan prints the queries. Which days a record has of a table, only its engine tells: all are printed.
func (s *usageSource) plan(e *Env, o usage.Options) error {
	policy := usage.DefaultPolicy()
	if o.Policy != nil {
		policy = *o.Policy
	}
	queries, err := trailsql.Plan(nil, policy, s.window(""))
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(e.Stdout, strings.Join(queries, ";\n\n")+";"); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	return nil
}

// read imports.
func (s *usageSource) read(ctx context.Context, e *Env, cloud Cloud, before *usage.Record, o usage.Options, args []string) (*usage.Record, usageResult, error) {
	// An interrupt ends a query in its engine too.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	var r usageResult
	var record *usage.Record
	var err error
	if s.engine == "files" {
		done := e.progress("reading " + strings.Join(args, ", "))
		defer done()
		if s.s3 {
			record, r.Result, err = cloud.S3(ctx, before, o, args, s.filter)
		} else {
			record, r.Result, err = cloudtrail.Import(before, o, args)
		}
		return record, r, err
	}
	var run trailsql.Run
	var source string
	if s.engine == "athena" {
		run, source, err = cloud.Athena(ctx, s.athena)
	} else {
		run, source, err = s.trino(e)
	}
	if err != nil {
		return nil, r, err
	}
	progress := func(done, all int) {
		if e.StderrTerminal {
			fmt.Fprintf(e.Stderr, "query %d of %d …\n", done+1, all)
		}
	}
	record, result, err := trailsql.Import(ctx, before, o, s.window(source), run, progress)
	if err != nil {
		return nil, r, err
	}
	r.days, r.queries, r.bytes = result.Days, result.Queries, result.Bytes
	r.Events, r.Skipped = result.Events, result.Skipped
	for _, g := range result.Gaps {
		r.Gaps = append(r.Gaps, cloudtrail.Gap{File: g.What, Reason: g.Reason})
	}
	return record, r, nil
}

func (s *usageSource) trino(e *Env) (trailsql.Run, string, error) {
	client, err := trino.New(s.url, e.Getenv("DRAWBRIDGE_TRINO_PASSWORD"), e.Getenv("DRAWBRIDGE_TRINO_TOKEN"))
	if err != nil {
		return nil, "", usagef("--url: %w", err)
	}
	return func(ctx context.Context, sql string, give func([]string) error) (int64, error) {
		stats, err := client.Query(ctx, sql, give)
		return stats.Bytes, err
	}, "trino " + client.Source(), nil
}

// collectorName is the program that links the AWS service clients.
const collectorName = "drawbridge-collect"

// collector runs the same command in the program that may call AWS.
func (e *Env) collector() error {
	program, err := collectorProgram()
	if err != nil {
		return err
	}
	child := exec.Command(program, e.args...)
	child.Stdin, child.Stdout, child.Stderr = e.Stdin, e.Stdout, e.Stderr
	// The terminal sends an interrupt to both programs: this one waits for what the other says. Who ends this one by its id means both.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err = child.Start(); err == nil {
		done := make(chan struct{})
		go func() {
			for {
				select {
				case <-done:
					return
				case s := <-signals:
					if s == syscall.SIGTERM {
						_ = child.Process.Signal(s)
					}
				}
			}
		}()
		err = child.Wait()
		close(done)
	}
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.ExitCode() > 0 {
		return childStatus(ended.ExitCode())
	}
	if err != nil {
		return fmt.Errorf("running %s: %w", program, err)
	}
	return nil
}

// collectorProgram is that program's path: beside this program, else from PATH.
func collectorProgram() (string, error) {
	name := collectorName
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	program, err := os.Executable()
	if err == nil {
		program = filepath.Join(filepath.Dir(program), name)
		_, err = os.Stat(program)
	}
	if err != nil {
		if program, err = exec.LookPath(name); err != nil {
			return "", fmt.Errorf("reading AWS needs the program %s, which links AWS's clients; it is neither beside this program nor on PATH: install it from the same release", collectorName)
		}
	}
	return program, nil
}

// size is a number of bytes for people.
func size(n int64) string {
	units := []string{"bytes", "kB", "MB", "GB", "TB"}
	f, u := float64(n), 0
	for f >= 1000 && u < len(units)-1 {
		f, u = f/1000, u+1
	}
	if u == 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[u])
}

// bucketOf reads s3://bucket/prefix.
func bucketOf(address string) (bucket, prefix string, err error) {
	rest, ok := strings.CutPrefix(address, "s3://")
	bucket, prefix, _ = strings.Cut(rest, "/")
	if !ok || bucket == "" {
		return "", "", usagef("%q is not formed like s3://bucket/prefix", address)
	}
	return bucket, prefix, nil
}
