package cli

import (
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the program callable from the transcripts as "drawbridge".
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"drawbridge": func() {
			os.Exit(Run(&Env{
				Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
				Now: func() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) },
				// A transcript has no terminal; the variables play one.
				StdoutTerminal: os.Getenv("STDOUT_TERMINAL") != "",
				StderrTerminal: os.Getenv("STDERR_TERMINAL") != "",
			}, os.Args[1:]))
		},
	})
}

// TestScript runs the transcripts of testdata/script: whole commands with their output and exit status.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true, UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != ""})
}
