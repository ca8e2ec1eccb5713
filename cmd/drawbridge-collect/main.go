// Command drawbridge-collect reads AWS for Drawbridge: it alone links the AWS service clients. People run `drawbridge`, which runs it where it is needed.
package main

import (
	"os"
	"time"

	"golang.org/x/term"

	"drawbridge/internal/cli"
	"drawbridge/internal/collectcli"
)

func main() {
	os.Exit(collectcli.Run(&cli.Env{
		Stdin:          os.Stdin,
		Stdout:         os.Stdout,
		Stderr:         os.Stderr,
		Getenv:         os.Getenv,
		Now:            time.Now,
		StdoutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		StderrTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}, os.Args[1:]))
}
