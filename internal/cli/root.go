// Package cli is the command line: one file per command. A command parses its flags, calls the packages that know the answer,
// and prints; it decides nothing by itself.
//
// Results go to standard output and everything else to standard error, so that a result can be piped. Colours appear
// only on a terminal and never with NO_COLOR; progress appears only on a terminal and only when the work is long. Every exit
// status is a named error of exit.go, documented in docs/reference/exit-codes.md.
package cli

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/internal/ingest"
)

// group is commands that belong together in the help.
type group struct {
	id, title string
	commands  []func(*Env) *cobra.Command
}

// groups list the commands of the program, in the order in which they are used. A new command is a line here and a file beside this one.
var groups = []group{
	{"input", "See what there is:", []func(*Env) *cobra.Command{newCollect, newImport, newSnapshot, newPush, newScan, newRules}},
	{"ask", "Ask single questions:", []func(*Env) *cobra.Command{newCan, newWhoCan, newPaths, newBlast, newDiff}},
	{"judge", "Judge changes and policies:", []func(*Env) *cobra.Command{newGate, newCompare, newLint, newEval, newTest}},
	{"govern", "Govern:", []func(*Env) *cobra.Command{newRegistry, newUsage, newReconcile, newReview, newRemedy, newOffboard}},
	{"cross", "Cross, by a broker:", []func(*Env) *cobra.Command{newLogin, newLogout, newRequest, newCreds, newExec, newAgent}},
	{"decide", "Decide at a broker, and take back:", []func(*Env) *cobra.Command{newApprove, newDeny, newSessions, newRevoke, newLock, newDrill, newKey, newAudit, newSetup}},
}

// Env is what a command may know of the world around it. Tests put their own values here.
type Env struct {
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string
	// Now is the clock. Commands with a --now flag ask it only where the flag is not given.
	Now func() time.Time
	// StdoutTerminal and StderrTerminal say whether a person is reading.
	StdoutTerminal bool
	StderrTerminal bool

	code     ingest.Code // what infrastructure code does not tell of itself, by flags
	identity []string    // files that open encrypted inputs, by the --identity flag

	args []string // of the program, for a program that is run in its place
}

// colours reports whether the result may carry terminal colours.
func (e *Env) colours() bool {
	return e.StdoutTerminal && e.Getenv("NO_COLOR") == "" && e.Getenv("TERM") != "dumb"
}

// Run runs the program with its arguments (without the program's name) and returns the exit status.
func Run(e *Env, args []string) int {
	return Execute(e, newRoot(e), args)
}

// Execute runs a root command, of this program or of another one of the project, and returns the exit status.
func Execute(e *Env, root *cobra.Command, args []string) int {
	e.args = args
	root.SetArgs(args)
	command, err := root.ExecuteC()
	if err == nil {
		return 0
	}
	status := statusOf(err)
	if status.silent {
		return status.code
	}
	fmt.Fprintf(e.Stderr, "%s: %v\n", root.Name(), err)
	if status.code == codeUsage && isUsage(err) {
		fmt.Fprintf(e.Stderr, "Run '%s --help' for how it is called.\n", command.CommandPath())
	}
	return status.code
}

func newRoot(e *Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "drawbridge",
		Short: "Find every cross-account trust, and say who can cross it",
		Long: `Drawbridge is the firewall for cross-account access in AWS organisations. It reads files that describe an
organisation and says which principal may reach what in another account, under which conditions, for how long, and how
far they get from there.

PATH is a snapshot directory, encrypted or not; files written by 'aws iam get-account-authorization-details'; what AWS Config recorded; a folder
of iam-collect; or infrastructure code: a Terraform state or plan in JSON, a CloudFormation template or change set. It is known by its content.`,
	}
	cobra.EnableCommandSorting = false // the groups have an order of their own
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, newCommand := range g.commands {
			c := newCommand(e)
			c.GroupID = g.id
			root.AddCommand(c)
		}
	}
	root.AddCommand(newVersion(e))
	Prepare(e, root)
	return root
}

// Prepare gives a root command, with its commands, the streams and errors of the project's programs.
func Prepare(e *Env, root *cobra.Command) {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.Args = noCommand
	root.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	root.SetIn(e.Stdin)
	root.SetOut(e.Stdout)
	root.SetErr(e.Stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usagef("%w", err) })
	for _, c := range root.Commands() {
		wrapArgs(c)
	}
}

// noCommand refuses a first word that is no command, and names those that are close.
func noCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	c.SuggestionsMinimumDistance = 2
	var hint bytes.Buffer
	for i, s := range c.SuggestionsFor(args[0]) {
		if i == 0 {
			hint.WriteString("; did you mean ")
		} else {
			hint.WriteString(" or ")
		}
		fmt.Fprintf(&hint, "%q", s)
	}
	return usagef("there is no command %q%s", args[0], hint.String())
}

// wrapArgs makes the errors of cobra's argument checks usage errors.
func wrapArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usagef("%w", err)
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		wrapArgs(sub)
	}
}
