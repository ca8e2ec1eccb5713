package collectcli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/internal/cli"
	"drawbridge/internal/collect"
	"drawbridge/internal/ingest"
)

func newCollect(e *cli.Env) *cobra.Command {
	o := collect.Options{Now: e.Now}
	var only, without, to, identities []string
	var failOnGaps bool
	var since age
	var form string
	c := &cobra.Command{
		Use:   "collect --out DIR | --store DIR",
		Short: "Read an AWS organisation into a snapshot",
		Long: `Collect reads an AWS organisation into a snapshot, with credentials of its management account or of a delegated administrator of AWS Organizations, and
one role in every other account. Without --role only the caller's own account is read.

Whatever is denied or not answered is a gap of the snapshot, and the rest goes on. A run that is stopped (Ctrl-C, credentials that end, a full disk) leaves
what it has in DIR.partial, and the same command goes on from there.

With --encrypt-to nothing of the snapshot reaches the disk in the clear. To go on after a stop no key is needed; to take accounts over from an encrypted snapshot
(--since) one is.`,
		Example: `  drawbridge collect --out snapshot --role DrawbridgeCollector --external-id 5f1d2c9e
  drawbridge collect --out snapshot --role DrawbridgeCollector --external-id 5f1d2c9e --since 24h
  drawbridge collect --store snapshots --role DrawbridgeCollector --external-id 5f1d2c9e --encrypt-to recipients.txt`,
		Args: func(c *cobra.Command, args []string) error {
			if form != "" && len(args) == 1 { // "--print-policy terraform": a flag whose value may be missing takes it only after "="
				form = args[0]
				return nil
			}
			return cobra.NoArgs(c, args)
		},
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if o.Rows, err = chosen(collect.Rows(), only, without); err != nil {
				return err
			}
			if c.Flags().Changed("print-policy") {
				return printPolicy(e.Stdout, form, o.Rows)
			}
			if o.Out == "" && o.Store == "" {
				return errors.New("--out or --store is missing: where the snapshot goes")
			}
			if c.Flags().Changed("since") && since <= 0 {
				return fmt.Errorf("--since %s: expected a duration above zero", since.String())
			}
			o.Since = time.Duration(since)
			for _, id := range o.Accounts {
				if len(id) != 12 || strings.Trim(id, "0123456789") != "" {
					return fmt.Errorf("--accounts: expected the 12 digits of an account, found %q", id)
				}
			}
			if o.EncryptTo, err = ingest.Recipients(to); err != nil {
				return fmt.Errorf("--encrypt-to: %w", err)
			}
			if list := cli.Identities(e, identities); o.Since > 0 && len(list) > 0 {
				if o.Identities, err = ingest.Identities(list); err != nil {
					return err
				}
			}
			cfg, err := (&cloud{getenv: e.Getenv}).config(c.Context())
			if err != nil {
				return err
			}
			o.Config = cfg
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			p := &progress{to: e.Stderr, terminal: e.StderrTerminal, now: time.Now}
			o.Progress = p.show
			result, err := collect.Run(ctx, o)
			p.end()
			if err != nil {
				var path *fs.PathError
				var link *os.LinkError
				switch {
				case errors.Is(err, collect.ErrStopped):
					if result.Out == "" { // before anything was read
						return cli.Stopped(err)
					}
					return cli.Stopped(fmt.Errorf("%w\nWhat was read is in %s.partial: the same command goes on from there", err, result.Out))
				case errors.As(err, &path), errors.As(err, &link), errors.Is(err, syscall.ENOSPC):
					return cli.Unwritten(err)
				}
				return err
			}
			if err := summary(e.Stdout, o, result); err != nil {
				return cli.Unwritten(err)
			}
			if failOnGaps && result.Gaps > 0 {
				return cli.Unwanted()
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&o.Out, "out", "", "where the snapshot goes: a `DIR` that does not exist yet, but with --since and --replace")
	f.StringVar(&o.Store, "store", "", "a `DIR` of snapshots, to which this one is added, named by its time; DIR/latest is the newest complete one")
	f.StringArrayVar(&to, "encrypt-to", nil, "encrypt the snapshot to these `RECIPIENTS`: age1…, an SSH public key, or a file of such lines; may be given several times")
	f.StringArrayVar(&identities, "identity", nil, "opens an encrypted snapshot that --since takes accounts over from: a `FILE` of age identities or an SSH private key; default: $DRAWBRIDGE_IDENTITY")
	f.StringVar(&o.Role, "role", "", "`NAME` of the role that is assumed in every account but the caller's own")
	f.StringVar(&o.RolePath, "role-path", "/", "that role's `PATH`")
	f.StringVar(&o.ExternalID, "external-id", "", "the `ID` that the role's trust policy demands")
	f.StringVar(&o.Session, "session-name", "", "`NAME` of the sessions, for CloudTrail (default drawbridge-collect)")
	f.StringSliceVar(&o.Accounts, "accounts", nil, "read only these `ACCOUNTS`; the others are gaps")
	f.StringSliceVar(&o.Regions, "regions", nil, "read only these `REGIONS`; other enabled ones are gaps")
	f.StringSliceVar(&only, "only", nil, "read only these `SERVICES` or types: kms, AWS::S3::Bucket; IAM is always read, the others are gaps")
	f.StringSliceVar(&without, "without", nil, "leave these `SERVICES` or types out; they are gaps")
	f.BoolVar(&o.LastAccessed, "last-accessed", false, "also ask IAM which services each role used: some calls a role, and minutes an account")
	f.IntVar(&o.Parallel, "parallel", 0, "how many accounts are read at once (default 8)")
	f.DurationVar(&o.Timeout, "timeout", 0, "how `LONG` one type may take in one account and region (default 15m)")
	f.Var(&since, "since", "keep accounts that the snapshot at --out, or the newest of --store, has and that are not older than this `AGE` (24h, 7d), and read the rest; at --out the snapshot is replaced")
	f.BoolVar(&o.Replace, "replace", false, "read everything anew and replace the snapshot at DIR when it is whole")
	f.BoolVar(&o.Restart, "restart", false, "throw away what a run that was stopped has read")
	f.BoolVar(&failOnGaps, "fail-on-gaps", false, "end with status 1 where the snapshot has gaps")
	f.StringVar(&form, "print-policy", "", "do not collect, but print what the role needs, as `FORM`: json, cloudformation or terraform")
	f.Lookup("print-policy").NoOptDefVal = "json"
	c.MarkFlagsMutuallyExclusive("out", "store")
	c.MarkFlagsMutuallyExclusive("store", "replace")
	c.MarkFlagsMutuallyExclusive("since", "replace")
	c.MarkFlagsMutuallyExclusive("only", "without")
	return c
}

// printPolicy prints the policy of the collector's role from the table. Policies that IAM's limit splits follow one another.
func printPolicy(w io.Writer, form string, rows []collect.Row) error {
	text := ""
	switch form {
	case "json":
		text = strings.Join(collect.Policies(rows), "\n") + "\n"
	case "cloudformation":
		text = collect.StackSet(rows)
	case "terraform":
		text = collect.Terraform(rows)
	default:
		return fmt.Errorf("--print-policy %s: expected json, cloudformation or terraform", form)
	}
	if _, err := io.WriteString(w, text); err != nil {
		return cli.Unwritten(err)
	}
	return nil
}

// age is a duration that may be given in days.
type age time.Duration

func (a *age) String() string { return time.Duration(*a).String() }
func (a *age) Type() string   { return "AGE" }
func (a *age) Set(text string) error {
	var days int
	if n, err := fmt.Sscanf(text, "%dd", &days); n == 1 && err == nil && text == fmt.Sprintf("%dd", days) {
		*a = age(time.Duration(days) * 24 * time.Hour)
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("expected a duration such as 24h or 7d")
	}
	*a = age(d)
	return nil
}

// chosen are the rows of the services and types that were asked for. The organisation and IAM are always read: without them nothing could be said of the rest.
func chosen(rows []collect.Row, only, without []string) ([]collect.Row, error) {
	matches := func(r *collect.Row, name string) bool {
		if strings.EqualFold(r.Type, name) || slices.ContainsFunc(r.Others, func(o string) bool { return strings.EqualFold(o, name) }) {
			return true
		}
		return slices.ContainsFunc(r.Calls, func(c collect.Call) bool {
			return strings.EqualFold(strings.ReplaceAll(c.Service, " ", ""), strings.ReplaceAll(name, " ", "")) || slices.ContainsFunc(c.Actions, func(a string) bool { return strings.HasPrefix(a, strings.ToLower(name)+":") })
		})
	}
	for _, name := range slices.Concat(only, without) {
		if !slices.ContainsFunc(rows, func(r collect.Row) bool { return matches(&r, name) }) {
			return nil, fmt.Errorf("%q is no service and no type that is read: the table is in docs/reference/coverage.md", name)
		}
	}
	return slices.DeleteFunc(rows, func(r collect.Row) bool {
		if r.Place == collect.Principal || r.Place == collect.Central {
			return false
		}
		named := func(name string) bool { return matches(&r, name) }
		return len(only) > 0 && !slices.ContainsFunc(only, named) || slices.ContainsFunc(without, named)
	}), nil
}

// summary says what was read and what was not.
func summary(w io.Writer, o collect.Options, r collect.Result) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %s, %s\n", r.Out, count(r.Accounts, "account"), count(int(r.Calls), "call"), count(r.Gaps, "gap"))
	if r.Kept > 0 {
		from := "an earlier snapshot"
		if r.Resumed {
			from = "a run that was stopped"
		}
		if r.Resumed && o.Since > 0 {
			from = "a run that was stopped, or an earlier snapshot"
		}
		fmt.Fprintf(&b, "%s of them taken over from %s\n", count(r.Kept, "account"), from)
	}
	if r.Dropped {
		fmt.Fprintln(&b, "What a run that was stopped had read was read anew: the organisation has other accounts since, and without a key nobody knows which part is whose")
	}
	if n := len(o.EncryptTo); n > 0 {
		fmt.Fprintf(&b, "Encrypted to %s\n", count(n, "recipient"))
	}
	if len(r.Groups) > 0 || r.Hidden > 0 {
		fmt.Fprintln(&b, "\nGaps")
	}
	for i, g := range r.Groups {
		if i == maxGroups {
			fmt.Fprintf(&b, "  and %d more kinds of gaps\n", len(r.Groups)-i)
			break
		}
		in := count(g.Accounts, "account")
		if g.Gaps > g.Accounts {
			in += ", " + count(g.Gaps, "gap")
		}
		what := g.Call + ": " + g.Code
		if g.Call == "" {
			what = g.Reason
		} else if g.Kind == "account" {
			what += " (the role could not be assumed)"
		}
		fmt.Fprintf(&b, "  %s in %s\n", what, in)
		if g.Call != "" {
			fmt.Fprintf(&b, "    %s\n", shorten(g.Reason, 200))
		}
	}
	if r.Hidden > 0 {
		fmt.Fprintf(&b, "  %s in accounts that a stopped run had read: what they are is encrypted\n", count(r.Hidden, "gap"))
	}
	if r.Closed > 0 {
		fmt.Fprintf(&b, "\n%s could not be entered. When the role is there, the same command with --since reads them and keeps the others.\n", count(r.Closed, "account"))
	}
	identity := ""
	if len(o.EncryptTo) > 0 {
		identity = " --identity FILE"
	}
	fmt.Fprintf(&b, "\nNext: drawbridge scan %s%s\n", r.Out, identity)
	_, err := io.WriteString(w, b.String())
	return err
}

const maxGroups = 30

func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// progress shows how far a run is: one line that is written again and again at a terminal, else one a minute.
type progress struct {
	to       io.Writer
	terminal bool
	now      func() time.Time

	mu      sync.Mutex
	started time.Time
	last    time.Time
	width   int
}

func (p *progress) show(at collect.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if p.started.IsZero() {
		p.started = now
		if !p.terminal {
			p.last = now
		}
	}
	every := time.Minute
	if p.terminal {
		every = 200 * time.Millisecond
	}
	if now.Sub(p.last) < every {
		return
	}
	p.last = now
	line := progressLine(at, now.Sub(p.started))
	if !p.terminal {
		fmt.Fprintln(p.to, line)
		return
	}
	fmt.Fprintf(p.to, "\r%-*s", p.width, line)
	p.width = len(line)
}

// end leaves the line.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal && p.width > 0 {
		fmt.Fprintf(p.to, "\r%*s\r", p.width, "")
	}
}

// progressLine says how many accounts are done, how fast, and how long the rest takes at that rate. Accounts that were taken over took no time.
func progressLine(at collect.Progress, took time.Duration) string {
	line := fmt.Sprintf("%d of %s, %s, %s", at.Done, count(at.Total, "account"), count(int(at.Calls), "call"), count(at.Gaps, "gap"))
	if seconds := took.Seconds(); seconds >= 1 {
		line += fmt.Sprintf(", %.0f calls a second", float64(at.Calls)/seconds)
	}
	if read := at.Done - at.Kept; read > 0 && at.Done < at.Total {
		left := took / time.Duration(read) * time.Duration(at.Total-at.Done)
		line += ", " + cmp.Or(rounded(left), "0s") + " left"
	}
	return line
}

func rounded(d time.Duration) string {
	if d >= time.Minute {
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return d.Round(time.Second).String()
}
