package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"drawbridge/iam/arn"
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
it is whole; a directory that is there is only replaced with --replace, and only where it is a snapshot. It is not encrypted, also where an input is.`,
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
			inputs, err := e.openInputs(args)
			if err != nil {
				return err
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
	codeFlags(c, e)
	identityFlag(c, e)
	return c
}

// openInputs reads the inputs. What is told about infrastructure code goes to those that are code.
func (e *Env) openInputs(names []string) ([]snapshot.Input, error) {
	inputs := make([]snapshot.Input, len(names))
	var noCode error
	codes := 0
	for i, name := range names {
		done := e.progress("reading " + name)
		s, err := ingest.OpenWith(name, e.code, e.identities()...)
		if errors.Is(err, ingest.ErrNoCode) {
			noCode = err
			s, err = ingest.OpenWith(name, ingest.Code{}, e.identities()...)
		} else {
			codes++
		}
		done()
		if err != nil {
			return nil, err
		}
		if name := unplaced(s); name != "" {
			return nil, fmt.Errorf("%s does not say in which account %s is, and a snapshot needs it: give --account", names[i], name)
		}
		inputs[i] = snapshot.Input{Name: filepath.ToSlash(filepath.Clean(name)), Snapshot: s}
	}
	if noCode != nil && codes == 0 {
		return nil, noCode
	}
	return inputs, nil
}

// unplaced is the name of a user, group or role of which it is not known in which account it is, "" where there is none.
func unplaced(s *snapshot.Snapshot) string {
	for i := range s.Users {
		if !arn.IsAccountID(s.Users[i].Account) {
			return s.Users[i].Name
		}
	}
	for i := range s.Groups {
		if !arn.IsAccountID(s.Groups[i].Account) {
			return s.Groups[i].Name
		}
	}
	for i := range s.Roles {
		if !arn.IsAccountID(s.Roles[i].Account) {
			return s.Roles[i].Name
		}
	}
	return ""
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
	fmt.Fprintf(&b, "%s: %s, %d of them read completely\n", out, counted(len(s.Accounts), "account", "accounts"), complete)
	for _, n := range []struct {
		count     int
		one, many string
	}{
		{len(s.Roles), "role", "roles"}, {len(s.Users), "user", "users"}, {len(s.Groups), "group", "groups"}, {len(s.Policies), "managed policy", "managed policies"},
		{len(s.Resources), "resource", "resources"}, {len(s.Providers), "identity provider", "identity providers"}, {len(s.KMSGrants), "KMS grant", "KMS grants"},
		{len(s.Shares), "share", "shares"}, {len(s.Usage), "fact about use", "facts about use"}, {len(s.Gaps), "gap: what is not known, in gaps.json", "gaps: what is not known, in gaps.json"},
	} {
		if n.count > 0 {
			fmt.Fprintf(&b, "  %s\n", counted(n.count, n.one, n.many))
		}
	}
	return b.String()
}
