package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"drawbridge/internal/ingest"
	"drawbridge/internal/sealed"
	"drawbridge/internal/store"
)

func newSnapshot(e *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "snapshot",
		Short: "List the snapshots of a directory, and delete old ones",
		Long: `A directory of snapshots is what 'drawbridge collect --store DIR' writes into: each is named by the time its collection began. DIR/latest, wherever a
PATH is taken, is the newest complete one.`,
	}
	c.AddCommand(newSnapshotList(e), newSnapshotPrune(e))
	return c
}

func newSnapshotList(e *Env) *cobra.Command {
	var format answerFormat
	c := &cobra.Command{
		Use:   "list DIR",
		Short: "List the snapshots of a directory, with their accounts, gaps and sizes",
		Long: `List says of each snapshot when its collection began, how many accounts were read, how many gaps it has, how large it is, whether it is
encrypted, and whether it is complete. Broken is one that lacks a file or has one that cannot be read; of an encrypted one it is
seen without a key whether parts are missing or cut, and with --identity whether every byte is what was written. Stopped is a run that was stopped
or is at work.`,
		Example: `  drawbridge snapshot list snapshots
  drawbridge snapshot list snapshots --identity key.txt --format json`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			list, err := e.snapshots(args[0])
			if err != nil {
				return err
			}
			return format.print(e, listOf(list), func(w *textWriter) { w.snapshots(list) })
		},
	}
	format.register(c)
	identityFlag(c, e)
	return c
}

// snapshots lists those of a directory. With identities the encrypted ones are read and checked.
func (e *Env) snapshots(dir string) ([]store.Snapshot, error) {
	var ids []age.Identity
	if names := e.identities(); len(names) > 0 {
		var err error
		if ids, err = ingest.Identities(names); err != nil {
			return nil, err
		}
	}
	done := e.progress("reading " + dir)
	defer done()
	root := os.DirFS(dir)
	list, err := store.List(root)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	for i := range list {
		s := &list[i]
		if !s.Encrypted || s.State != store.Complete || len(ids) == 0 {
			continue
		}
		_, err := sealed.Open(os.DirFS(dir+"/"+s.Name), ids)
		switch {
		case errors.Is(err, sealed.ErrIdentity):
			s.Problem = "not checked: the identity does not open it"
		case err != nil:
			s.State, s.Problem = store.Broken, err.Error()
		}
	}
	return list, nil
}

// snapshotList is the answer of snapshot list, in docs/schema/snapshots.schema.json.
type snapshotList struct {
	Version   int            `json:"version"`
	Latest    string         `json:"latest,omitempty"`
	Snapshots []snapshotItem `json:"snapshots"`
}

type snapshotItem struct {
	Name      string      `json:"name"`
	Time      time.Time   `json:"time"`
	State     store.State `json:"state"`
	Problem   string      `json:"problem,omitempty"`
	Encrypted bool        `json:"encrypted"`
	Accounts  *int        `json:"accounts,omitempty"`
	Gaps      *int        `json:"gaps,omitempty"`
	Bytes     int64       `json:"bytes"`
}

func listOf(list []store.Snapshot) snapshotList {
	out := snapshotList{Version: 1, Latest: latestOf(list), Snapshots: []snapshotItem{}}
	for _, s := range list {
		out.Snapshots = append(out.Snapshots, itemOf(s))
	}
	return out
}

func itemOf(s store.Snapshot) snapshotItem {
	known := func(n int) *int {
		if n < 0 {
			return nil
		}
		return &n
	}
	return snapshotItem{s.Name, s.Time, s.State, s.Problem, s.Encrypted, known(s.Accounts), known(s.Gaps), s.Bytes}
}

// latestOf is the name of the newest complete one.
func latestOf(list []store.Snapshot) string {
	latest := ""
	for _, s := range list {
		if s.State == store.Complete {
			latest = s.Name
		}
	}
	return latest
}

func (w *textWriter) snapshots(list []store.Snapshot) {
	if len(list) == 0 {
		w.line("No snapshots.")
		return
	}
	latest := latestOf(list)
	width := 0
	for _, s := range list {
		width = max(width, len(s.Name))
	}
	for _, s := range list {
		line := fmt.Sprintf("%-*s  %-8s  %9s", width, s.Name, s.State, bytesText(s.Bytes))
		if s.Accounts >= 0 {
			line += fmt.Sprintf("  %s, %s", counted(s.Accounts, "account", "accounts"), counted(s.Gaps, "gap", "gaps"))
		}
		if s.Encrypted {
			line += "  encrypted"
		}
		if s.Name == latest {
			line += "  latest"
		}
		w.line("%s", line)
		if s.Problem != "" {
			for _, text := range strings.Split(s.Problem, "\n") {
				w.line("  %s", text)
			}
		}
	}
}

// bytesText is a size as people read it.
func bytesText(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n)/1024, 0
	for size >= 1024 && unit < len(units)-1 {
		size, unit = size/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", size, units[unit])
}

func newSnapshotPrune(e *Env) *cobra.Command {
	var format answerFormat
	var rule store.Rule
	var dry bool
	c := &cobra.Command{
		Use:   "prune DIR --keep N",
		Short: "Delete old snapshots of a directory, and say why the others are kept",
		Long: `Prune deletes the complete snapshots that no rule keeps: --keep the newest, --keep-daily, --keep-weekly and --keep-monthly the newest of
each of the newest days, weeks and months that have one (UTC, weeks from Monday). A snapshot that one rule keeps is kept.

The newest complete snapshot is always kept. So are broken ones and runs that were stopped, which do not count for the rules, and
whatever is no snapshot.`,
		Example: `  drawbridge snapshot prune snapshots --keep 7 --dry-run
  drawbridge snapshot prune snapshots --keep 2 --keep-daily 14 --keep-weekly 8 --keep-monthly 24`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			if min(rule.Last, rule.Daily, rule.Weekly, rule.Monthly) < 0 {
				return usagef("a number to keep is below zero")
			}
			if rule == (store.Rule{}) {
				return usagef("nothing says what to keep: give --keep, --keep-daily, --keep-weekly or --keep-monthly")
			}
			list, err := store.List(os.DirFS(args[0]))
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			answer := pruned{Version: 1, DryRun: dry, Deleted: []snapshotItem{}, Kept: []keptItem{}}
			for _, d := range rule.Decide(list) {
				if d.Keep {
					answer.Kept = append(answer.Kept, keptItem{itemOf(d.Snapshot), d.Reasons})
				} else {
					answer.Deleted = append(answer.Deleted, itemOf(d.Snapshot))
				}
			}
			var failed error
			if !dry {
				var done int
				if done, failed = removeSnapshots(args[0], answer.Deleted); failed != nil {
					answer.Deleted = answer.Deleted[:done]
					failed = fmt.Errorf("%w: %w", errOutput, failed)
				}
			}
			return errors.Join(format.print(e, answer, func(w *textWriter) { w.pruned(&answer) }), failed)
		},
	}
	f := c.Flags()
	f.IntVar(&rule.Last, "keep", 0, "keep the newest `N`")
	f.IntVar(&rule.Daily, "keep-daily", 0, "keep the newest of each of the newest `N` days")
	f.IntVar(&rule.Weekly, "keep-weekly", 0, "keep the newest of each of the newest `N` weeks")
	f.IntVar(&rule.Monthly, "keep-monthly", 0, "keep the newest of each of the newest `N` months")
	f.BoolVar(&dry, "dry-run", false, "say what would be deleted, and delete nothing")
	format.register(c)
	return c
}

// pruned is the answer of snapshot prune.
type pruned struct {
	Version int            `json:"version"`
	DryRun  bool           `json:"dryRun"`
	Deleted []snapshotItem `json:"deleted"`
	Kept    []keptItem     `json:"kept"`
}

type keptItem struct {
	snapshotItem
	Reasons []string `json:"reasons"`
}

// removeSnapshots deletes snapshots, and says how many are gone. Each loses its name first, so that nobody finds a part of it; what a prune that was killed left is deleted too.
func removeSnapshots(dir string, list []snapshotItem) (done int, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	const removed = ".removed"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), removed)
		if _, is := store.ParseName(strings.TrimPrefix(name, ".")); ok && is && name[0] == '.' {
			if err := root.RemoveAll(entry.Name()); err != nil {
				return 0, err
			}
		}
	}
	for i, s := range list {
		gone := "." + s.Name + removed
		if err := root.Rename(s.Name, gone); err != nil {
			return i, err
		}
		if err := root.RemoveAll(gone); err != nil {
			return i + 1, err
		}
	}
	return len(list), nil
}

func (w *textWriter) pruned(p *pruned) {
	verb := "deleted"
	if p.DryRun {
		verb = "would delete"
	}
	var size int64
	for _, s := range p.Deleted {
		size += s.Bytes
		w.line("%s %s (%s)", verb, s.Name, bytesText(s.Bytes))
	}
	for _, s := range p.Kept {
		w.line("kept %s: %s", s.Name, strings.ReplaceAll(strings.Join(s.Reasons, "; "), "\n", ", "))
	}
	if p.DryRun {
		w.line("%s would be deleted (%s), %d kept", counted(len(p.Deleted), "snapshot", "snapshots"), bytesText(size), len(p.Kept))
		return
	}
	w.line("%s deleted (%s), %d kept", counted(len(p.Deleted), "snapshot", "snapshots"), bytesText(size), len(p.Kept))
}
