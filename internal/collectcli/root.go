// Package collectcli is the command line of drawbridge-collect, the program that calls AWS: one file per command, as in package cli, whose commands it shares where both
// programs have them.
package collectcli

import (
	"github.com/spf13/cobra"

	"drawbridge/internal/cli"
)

// commands lists the commands of the program.
var commands = []func(*cli.Env) *cobra.Command{
	newCollect,
	newUsage,
}

// Run runs the program with its arguments (without the program's name) and returns the exit status.
func Run(e *cli.Env, args []string) int {
	root := &cobra.Command{
		Use:   "drawbridge-collect",
		Short: "Read AWS for Drawbridge",
		Long: `Drawbridge-collect is the part of Drawbridge that calls AWS, with credentials by the usual chain of AWS's SDKs (environment, profile, single sign-on,
the role of a machine). 'drawbridge' runs it for the commands that need it.`,
	}
	for _, newCommand := range commands {
		root.AddCommand(newCommand(e))
	}
	cli.Prepare(e, root)
	return cli.Execute(e, root, args)
}
