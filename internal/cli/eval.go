package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"drawbridge/iam/ref"
	"drawbridge/internal/decision"
)

func newEval(e *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "eval FILE",
		Short: "Decide single requests that carry all their policies",
		Long: `Eval decides single requests, each with the policies that bear on it, and prints a JSON line for each: the verdict, what
must still be true where it is Unknown, and what decided. FILE holds a JSON array, one object, or JSON lines; "-" is
standard input. Where requests say what they expect, the last line counts those that passed and failed. The format is
documented in docs/eval.md.`,
		Example: `  drawbridge eval decisions.json
  echo '{"name":"a","principal":"arn:aws:iam::111122223333:role/app","action":"s3:GetObject","resource":"arn:aws:s3:::b/k",
    "resourceAccount":"111122223333","identity":[{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}]}' | drawbridge eval -`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runEval(e, args[0]) },
	}
}

func runEval(e *Env, file string) error {
	data, err := e.readFile(file)
	if err != nil {
		return err
	}
	decisions, problems := decision.Read(data, file)
	engine := ref.Engine()
	passed, failed := 0, 0
	out := json.NewEncoder(e.Stdout)
	out.SetEscapeHTML(false)
	for i := range decisions {
		a := decisions[i].Answer(&engine)
		if a.Passed != nil {
			if *a.Passed {
				passed++
			} else {
				failed++
			}
		}
		if err := out.Encode(a); err != nil {
			return fmt.Errorf("%w: %w", errOutput, err)
		}
	}
	for _, p := range problems {
		fmt.Fprintf(e.Stderr, "drawbridge: %v\n", p)
	}
	if passed+failed > 0 {
		if _, err := fmt.Fprintf(e.Stdout, "%d passed, %d failed\n", passed, failed); err != nil {
			return fmt.Errorf("%w: %w", errOutput, err)
		}
	}
	switch {
	case len(problems) > 0:
		return fmt.Errorf("%d of %d requests could not be read", len(problems), len(problems)+len(decisions))
	case failed > 0:
		return errUnwanted
	}
	return nil
}

// readFile reads a file, or standard input for "-".
func (e *Env) readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(e.Stdin)
	}
	return os.ReadFile(name)
}
