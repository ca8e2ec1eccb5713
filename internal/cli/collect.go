package cli

import (
	"slices"

	"github.com/spf13/cobra"
)

// newCollect is the face of drawbridge-collect's command: flags and help are that program's.
func newCollect(e *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "collect --out DIR | --store DIR",
		Short: "Read an AWS organisation into a snapshot",
		Long: `Reads the organisation, its accounts and everything in them that can let another account in, from AWS, and writes a snapshot directory. It is done by the program drawbridge-collect, beside this one or on
PATH, which says more about it: 'drawbridge-collect collect --help'.`,
		DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := collectorProgram(); err != nil && (slices.Contains(args, "--help") || slices.Contains(args, "-h")) {
				return c.Help()
			}
			return e.collector()
		},
	}
}
