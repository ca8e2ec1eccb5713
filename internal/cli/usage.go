package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/internal/registry"
	"drawbridge/internal/usage"
)

func newUsage(e *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "usage",
		Short: "Reduce CloudTrail to who used what, and when last",
	}
	c.AddCommand(NewUsageImport(e, nil), newUsageShow(e), newUsageTable(e), newUsageExport(e))
	return c
}

// NewUsageImport is the command usage import. cloud reads what is in AWS; where it is nil, the program that links AWS's clients is run for it.
func NewUsageImport(e *Env, cloud Cloud) *cobra.Command {
	var format answerFormat
	var into string
	var now nowFlag
	var keep privacyFlags
	var source usageSource
	c := &cobra.Command{
		Use:   "import PATH… | s3://BUCKET/PREFIX… | --engine trino|athena",
		Short: "Read CloudTrail into a record of use",
		Long: `Import reads CloudTrail files, plain or gzip, and whole folders of them, and reduces them to a record: who assumed which role and
used which resource of another account, when first and last, how often, and what was refused. The two sides of a call across
accounts become one. A file that was taken in before is passed over, so that an import may be repeated, and go on where the
last one ended. 'drawbridge scan --usage FILE' judges by the record.

With s3://BUCKET/PREFIX the files are read out of the bucket of a trail. With --engine, a table of the trail's events is asked instead of
files, day by day, in Athena or in a Trino: the same record comes of the same events. A day that was taken in before is not asked for
again. Both leave out what is not delivered yet. Reading AWS needs the program drawbridge-collect beside this one or on PATH.

The record holds no session names and no addresses. What else of personal data it keeps is yours to choose; the choice is
written into it.

The exit status is 1 if parts could not be read; what could is in the record all the same.`,
		Example: `  drawbridge usage import AWSLogs/ --into recorded-use.json
  drawbridge usage import AWSLogs/ --users hash --key-file key --keep 180d
  drawbridge usage import s3://trail-bucket/AWSLogs/o-abcdefghij/ --from 2026-09-01
  drawbridge usage import --engine athena --table security.cloudtrail_logs --from 2026-09-01
  drawbridge usage import --engine trino --url https://ana@trino.example.com/hive/security --dry-run
  drawbridge scan snapshot --usage recorded-use.json`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			at, _, err := now.value(e)
			if err != nil {
				return err
			}
			if err := source.check(at, args); err != nil {
				return err
			}
			if source.needsCloud() && cloud == nil && !source.dryRun {
				return e.collector()
			}
			var before *usage.Record
			if data, err := os.ReadFile(into); err == nil {
				if before, err = usage.Unmarshal(data); err != nil {
					return fmt.Errorf("%s: %w", into, err)
				}
			} else if !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("opening the record of use: %w", err)
			}
			options, err := keep.options(at)
			if err != nil {
				return err
			}
			if source.dryRun {
				return source.plan(e, options)
			}
			record, result, err := source.read(c.Context(), e, cloud, before, options, args)
			if err != nil {
				return err
			}
			data, err := usage.Marshal(record)
			if err != nil {
				return err
			}
			if err := replace(into, data); err != nil {
				return fmt.Errorf("writing the record of use: %w", err)
			}
			answer := usageAnswerOf(&result, record, filepath.ToSlash(into))
			if err := format.print(e, answer, func(w *textWriter) { w.imported(&answer) }); err != nil {
				return err
			}
			if len(answer.Gaps) > 0 {
				return errUnwanted
			}
			return nil
		},
	}
	c.Flags().StringVar(&into, "into", "recorded-use.json", "the record: read where the `FILE` is there, and written")
	source.register(c)
	keep.register(c)
	now.register(c)
	format.register(c)
	return c
}

// privacyFlags say what of personal data a record keeps.
type privacyFlags struct {
	policy                      usage.Policy
	users, subjects, identities string
	keyFile, keep               string
}

func (p *privacyFlags) register(c *cobra.Command) {
	p.policy = usage.DefaultPolicy()
	f := c.Flags()
	f.StringVar(&p.users, "users", string(p.policy.Users), "names of IAM users: keep, hash or drop")
	f.StringVar(&p.subjects, "subjects", string(p.policy.Subjects), "subjects of OIDC tokens: keep, workloads (drop those that may be persons), hash or drop")
	f.StringVar(&p.identities, "source-identities", string(p.policy.SourceIdentities), "source identities of sessions: keep, hash or drop")
	f.BoolVar(&p.policy.Networks, "networks", p.policy.Networks, "keep the networks that calls come from, /24 and /48")
	f.StringVar(&p.keyFile, "key-file", "", "the key of hashes: a `FILE` of 16 bytes at least, kept apart from the record")
	f.StringVar(&p.keep, "keep", "400d", "drop what is older than this `TIME` (90d, 52w; 0d: keep all)")
}

// options are the choices, checked.
func (p *privacyFlags) options(now time.Time) (usage.Options, error) {
	p.policy.Users, p.policy.Subjects, p.policy.SourceIdentities = usage.Names(p.users), usage.Names(p.subjects), usage.Names(p.identities)
	if err := p.policy.Check(); err != nil {
		return usage.Options{}, usagef("%v", err)
	}
	kept, err := registry.ParseSpan(p.keep)
	if err != nil || kept%(24*time.Hour) != 0 {
		return usage.Options{}, usagef("--keep %q is no number of days: write it like 400d", p.keep)
	}
	p.policy.KeepDays = int(kept / (24 * time.Hour))
	var key []byte
	if p.keyFile != "" {
		if key, err = os.ReadFile(p.keyFile); err != nil {
			return usage.Options{}, fmt.Errorf("opening the key of hashes: %w", err)
		}
	} else if p.policy.Hashes() {
		return usage.Options{}, usagef("--key-file is missing: hashing names needs a key")
	}
	if p.policy, err = p.policy.WithKey(key); err != nil {
		return usage.Options{}, fmt.Errorf("%s: %w", p.keyFile, err)
	}
	o := usage.Options{Policy: &p.policy}
	if kept > 0 {
		o.Before = now.Add(-kept)
	}
	return o, nil
}

// replace writes a file as a whole or not at all.
func replace(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".drawbridge-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
	}
	if err := os.Chmod(f.Name(), mode); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// usageAnswer is the answer of usage import.
type usageAnswer struct {
	Files     int             `json:"files"`
	Days      int             `json:"days,omitempty"` // of a table
	Skipped   int             `json:"skipped"`        // files or days, taken in by an earlier import
	Queries   int             `json:"queries,omitempty"`
	Bytes     int64           `json:"bytesScanned,omitempty"` // by queries, as the engine counts
	Events    int             `json:"events"`
	Old       int             `json:"old"` // events that are older than what is kept
	Gaps      []usageGap      `json:"gaps"`
	Record    string          `json:"record"`
	Crossings int             `json:"crossings"`
	Actions   int             `json:"actions"`
	Pending   int             `json:"pending"`
	Evidence  []usageEvidence `json:"evidence"`
	Policies  []usage.Policy  `json:"policies"` // of what was kept; more than one: of parts that were imported differently
}

type usageGap struct {
	File   string `json:"file"`
	Event  int    `json:"event"` // how many events stand in front of it
	Reason string `json:"reason"`
}

// usageEvidence is what the trails of an account hold events of.
type usageEvidence struct {
	Account    string   `json:"account"`
	From       string   `json:"from"`
	To         string   `json:"to"`
	Days       int      `json:"days"`       // with events, of all from the first to the last
	Holes      int      `json:"holes"`      // days without any between them
	Regions    []string `json:"regions"`    // with events
	DataEvents []string `json:"dataEvents"` // services of which there are data events
}

func usageEvidenceOf(s *usage.Seen) usageEvidence {
	e := usageEvidence{Account: s.Account, Days: s.Days.Len(), Regions: []string{}, DataEvents: []string{}}
	s.Days.Ranges(func(first, last int) {
		from := time.Unix(int64(first)*86400, 0).UTC().Format(time.DateOnly)
		if e.From == "" {
			e.From = from
		} else if to, err := time.Parse(time.DateOnly, e.To); err == nil {
			e.Holes += first - usage.Day(to) - 1
		}
		e.To = time.Unix(int64(last)*86400, 0).UTC().Format(time.DateOnly)
	})
	for _, r := range s.Regions {
		e.Regions = append(e.Regions, r.Name)
	}
	for _, d := range s.Data {
		e.DataEvents = append(e.DataEvents, d.Name)
	}
	return e
}

// kinds says of what kind the events are that a trail was told to record.
func (e *usageEvidence) kinds() string {
	if len(e.DataEvents) == 0 {
		return "no data events"
	}
	return "data events of " + strings.Join(e.DataEvents, ", ")
}

func usageAnswerOf(r *usageResult, record *usage.Record, into string) usageAnswer {
	a := usageAnswer{Files: r.Files, Days: r.days, Skipped: r.Skipped, Queries: r.queries, Bytes: r.bytes, Events: r.Events, Old: r.Old, Gaps: []usageGap{}, Policies: record.Policies, Record: into,
		Crossings: len(record.Crossings), Actions: len(record.Actions), Pending: len(record.Pending), Evidence: []usageEvidence{}}
	for _, g := range r.Gaps {
		a.Gaps = append(a.Gaps, usageGap{g.File, g.Event, g.Reason})
	}
	for i := range record.Seen {
		a.Evidence = append(a.Evidence, usageEvidenceOf(&record.Seen[i]))
	}
	return a
}

func (w *textWriter) imported(a *usageAnswer) {
	if a.Days+a.Queries > 0 {
		w.line("%s of %s rolled up by %s, %s passed over; %s scanned", counted(a.Events, "event", "events"), counted(a.Days, "day", "days"), counted(a.Queries, "query", "queries"),
			counted(a.Skipped, "known day", "known days"), size(a.Bytes))
	} else {
		w.line("%s of %s read, %s passed over", counted(a.Events, "event", "events"), counted(a.Files, "file", "files"), counted(a.Skipped, "known file", "known files"))
	}
	w.line("%s now holds %s and %s", a.Record, counted(a.Crossings, "use of trusts by one caller", "uses of trusts, each by one caller"), counted(a.Actions, "action of a caller", "actions of callers"))
	if a.Old > 0 {
		w.line("%s older than what is kept", counted(a.Old, "event was", "events were"))
	}
	if len(a.Policies) > 1 {
		w.line("its parts were imported with %d different choices of what to keep of names and networks: see policies in the record", len(a.Policies))
	}
	for _, v := range a.Evidence {
		holes := ""
		if v.Holes > 0 {
			holes = fmt.Sprintf(" but for %s", counted(v.Holes, "day", "days"))
		}
		w.line("  account %s  %s to %s%s, %s, %s", v.Account, v.From, v.To, holes, regions(v.Regions), v.kinds())
	}
	for _, g := range a.Gaps {
		if g.Event == 0 {
			w.line("gap: %s: %s", g.File, g.Reason)
			continue
		}
		w.line("gap: %s after event %d: %s", g.File, g.Event, g.Reason)
	}
}

// openUsage reads a record of use; nil where none is named.
func openUsage(file string) (*usage.Record, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("opening the record of use: %w", err)
	}
	r, err := usage.Unmarshal(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

func regions(names []string) string {
	if len(names) == 0 {
		return "no region named"
	}
	return strings.Join(names, " ")
}
