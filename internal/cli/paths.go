package cli

import (
	"github.com/spf13/cobra"

	"drawbridge/internal/access"
)

func newPaths(e *Env) *cobra.Command {
	var format answerFormat
	var now nowFlag
	var from, to string
	var options access.PathOptions
	c := &cobra.Command{
		Use:   "paths PATH --from PRINCIPAL --to ARN",
		Short: "Find the ways from a principal to a role or resource",
		Long: `Paths finds the ways from a principal to a role or a resource, shortest first: each step with the statements that let it
through, what must still be true, and an example of a request context with which AWS would allow it. The session time is
that of the last session: one hour at most from the second role on.

PRINCIPAL is the ARN of a user, role, session or root; an account id (some principal of it); the host of a service;
oidc:HOST:SUBJECT; * (anyone with an AWS account); or anonymous.`,
		Example: `  drawbridge paths examples/acme --from 999900000001 --to arn:aws:iam::111100000002:role/acme/vendor/Skywatch
  drawbridge paths snapshot --from oidc:token.actions.githubusercontent.com:repo:acme/app:ref:refs/heads/main --to 'arn:aws:s3:::reports/*'`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if from == "" || to == "" {
				return usagef("--from and --to are needed: who starts, and what is to be reached")
			}
			if options.MaxSteps < 1 || options.Limit < 1 {
				return usagef("--max-steps and --limit must be at least 1")
			}
			if err := format.check(); err != nil {
				return err
			}
			at, _, err := now.value(e)
			if err != nil {
				return err
			}
			graph, err := e.openGraph(args[0], at)
			if err != nil {
				return err
			}
			paths, err := graph.Paths(from, to, options)
			if err != nil {
				return err
			}
			answer := pathsAnswer{From: from, To: to, Paths: pathAnswers(paths)}
			return format.print(e, answer, func(w *textWriter) { w.paths(from, to, paths, options) })
		},
	}
	f := c.Flags()
	f.StringVar(&from, "from", "", "the `PRINCIPAL` at which the ways begin")
	f.StringVar(&to, "to", "", "the `ARN` of the role or resource to be reached")
	f.IntVar(&options.MaxSteps, "max-steps", 6, "look for ways of up to this `NUMBER` of steps")
	f.IntVar(&options.Limit, "limit", 20, "print up to this `NUMBER` of ways")
	format.register(c)
	now.register(c)
	identityFlag(c, e)
	codeFlags(c, e)
	return c
}

// pathsAnswer is the answer in JSON.
type pathsAnswer struct {
	From  string       `json:"from"`
	To    string       `json:"to"`
	Paths []pathAnswer `json:"paths"`
}

func pathAnswers(paths []access.Path) []pathAnswer {
	out := make([]pathAnswer, len(paths))
	for i := range paths {
		out[i] = pathAnswerOf(&paths[i])
	}
	return out
}

func (w *textWriter) paths(from, to string, paths []access.Path, options access.PathOptions) {
	if len(paths) == 0 {
		w.line("No way of up to %d steps leads from %s to %s.", options.MaxSteps, from, to)
		return
	}
	w.line("%s from %s to %s:", counted(len(paths), "way leads", "ways lead"), from, to)
	for i := range paths {
		w.path(i+1, &paths[i])
	}
	if len(paths) == options.Limit {
		w.line("There may be more: see --limit.")
	}
}
