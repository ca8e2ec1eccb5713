// Command drawbridge is the firewall for cross-account access: it finds every trust between AWS accounts, says who can cross
// it under which conditions, and how far they get from there. `drawbridge help` lists the commands.
package main

import (
	"os"
	"time"

	"golang.org/x/term"

	"drawbridge/internal/cli"
)

func main() {
	os.Exit(cli.Run(&cli.Env{
		Stdin:          os.Stdin,
		Stdout:         os.Stdout,
		Stderr:         os.Stderr,
		Getenv:         os.Getenv,
		Now:            time.Now,
		StdoutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		StderrTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}, os.Args[1:]))
}
