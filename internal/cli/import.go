package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"drawbridge/internal/ingest"
	"drawbridge/internal/snapshot"
)

func newImport(e *Env) *cobra.Command {
	var out string
	var replace bool
	c := &cobra.Command{
		Use:   "import INPUT... --out DIR",
		Short: "Make one snapshot of files from elsewhere",
		Long: `Import reads each INPUT as scan reads its PATH, puts them together, and writes one snapshot directory. What an input cannot say is a gap of the snapshot, and is closed by another input that says it.

Where two inputs have the same thing differently, the one that is named first is believed, and a gap says which two differ: name the newest or most trusted first. The snapshot is written beside DIR and put in its place when
it is whole; a directory that is there is only replaced with --replace, and only where it is a snapshot.`,
		Example: `  drawbridge import config/ --out snapshot
  drawbridge import iam-data terraform.tfstate partner-account.json --out snapshot --replace`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if out == "" {
				return usagef("--out is missing: name the directory of the snapshot")
			}
			if err := ingest.CheckOut(out, replace); err != nil {
				return usagef("%w", err)
			}
			inputs := make([]snapshot.Input, len(args))
			for i, name := range args {
				done := e.progress("reading " + name)
				s, err := ingest.Open(name)
				done()
				if err != nil {
					return err
				}
				inputs[i] = snapshot.Input{Name: filepath.ToSlash(filepath.Clean(name)), Snapshot: s}
			}
			merged, err := snapshot.Merge(inputs)
			if err != nil {
				return err
			}
			done := e.progress("writing " + out)
			defer done()
			if err := ingest.Write(merged, out, replace); err != nil {
				return Unwritten(err)
			}
			fmt.Fprint(e.Stdout, importSummary(merged, filepath.ToSlash(out)))
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", "", "write the snapshot to this `DIR`")
	c.Flags().BoolVar(&replace, "replace", false, "replace the snapshot that is there")
	return c
}

// importSummary says what a snapshot holds, and how much is not known.
func importSummary(s *snapshot.Snapshot, out string) string {
	complete := 0
	for _, a := range s.Accounts {
		if a.Inventoried {
			complete++
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d accounts, %d of them read completely\n", out, len(s.Accounts), complete)
	for _, n := range []struct {
		count int
		what  string
	}{
		{len(s.Roles), "roles"}, {len(s.Users), "users"}, {len(s.Groups), "groups"}, {len(s.Policies), "managed policies"}, {len(s.Resources), "resources"},
		{len(s.Providers), "identity providers"}, {len(s.KMSGrants), "KMS grants"}, {len(s.Shares), "shares"}, {len(s.Usage), "facts about use"}, {len(s.Gaps), "gaps: what is not known, in gaps.json"},
	} {
		if n.count > 0 {
			fmt.Fprintf(&b, "  %6d  %s\n", n.count, n.what)
		}
	}
	return b.String()
}
