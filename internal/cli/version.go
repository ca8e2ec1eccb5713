package cli

import (
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"

	"drawbridge/iam/ref"
)

// version is set by the release build (-ldflags "-X drawbridge/internal/cli.version=1.2.3"). Without it the program is a
// development build.
var version = ""

// programVersion is the version that reports carry. It does not depend on when or where the program was built.
func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version[0] == 'v' && info.Main.Sum != "" {
		return info.Main.Version
	}
	return "development"
}

func newVersion(e *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, and of when the reference tables are",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text := fmt.Sprintf("drawbridge %s\n", programVersion())
			for _, table := range ref.Tables() {
				text += fmt.Sprintf("  %s: as of %s (%s)\n", table.What, table.AsOf, table.Source)
			}
			if _, err := io.WriteString(e.Stdout, text); err != nil {
				return fmt.Errorf("%w: %w", errOutput, err)
			}
			return nil
		},
	}
}
