package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the program callable from the transcripts as "drawbridge", what plays the AWS CLI as "aws", what plays a broker as "broker", a client of Go's SDK as "gosdk", and for the walkthroughs a browser as "browser", and the daemon with a clock that can be moved as "drawbridged".
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"drawbridge": func() {
			os.Exit(Run(&Env{
				Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
				Now: func() time.Time {
					if at, err := time.Parse(time.RFC3339, os.Getenv("TEST_NOW")); err == nil {
						return at
					}
					return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
				},
				// A transcript has no terminal; the variables play one.
				StdoutTerminal: os.Getenv("STDOUT_TERMINAL") != "",
				StderrTerminal: os.Getenv("STDERR_TERMINAL") != "",
			}, os.Args[1:]))
		},
		"broker": func() {
			if err := playBroker(); err != nil {
				fmt.Fprintln(os.Stderr, "broker:", err)
				os.Exit(1)
			}
		},
		"gosdk": func() {
			if err := goSDK(context.Background(), os.Args[1]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		},
		"drawbridged": func() {
			if err := serve(os.Args[1:]); err != nil {
				fmt.Fprintln(os.Stderr, "drawbridged:", err)
				os.Exit(1)
			}
		},
		"browser": func() {
			if err := browse(os.Args[1]); err != nil {
				fmt.Fprintln(os.Stderr, "browser:", err)
				os.Exit(1)
			}
		},
		"aws": func() {
			if err := playAWS(os.Args[1:]); err != nil {
				fmt.Fprintln(os.Stderr, "aws:", err)
				os.Exit(254)
			}
		},
	})
}

// TestScript runs the transcripts of testdata/script: whole commands with their output and exit status.
func TestScript(t *testing.T) {
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true, UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error { return os.Symlink(examples, filepath.Join(e.WorkDir, "examples")) }})
}
