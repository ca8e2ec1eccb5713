package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"drawbridge/internal/access"
)

func newBlast(e *Env) *cobra.Command {
	var format answerFormat
	var now nowFlag
	var options access.PathOptions
	c := &cobra.Command{
		Use:   "blast PATH PRINCIPAL",
		Short: "List what a principal can reach",
		Long: `Blast lists every role that a principal can come to hold, over up to --max-steps steps, and every resource of the input on
which it or one of those roles can act. For each it prints one shortest way.

PRINCIPAL is the ARN of a user, role, session or root; an account id (some principal of it); the host of a service;
oidc:HOST:SUBJECT; * (anyone with an AWS account); or anonymous.`,
		Example: `  drawbridge blast examples/acme arn:aws:iam::111100000011:role/acme/ci/deploy-shop
  drawbridge blast snapshot 999988887777 --format json`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if options.MaxSteps < 1 {
				return usagef("--max-steps must be at least 1")
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
			b, err := graph.Blast(args[1], options)
			if err != nil {
				return err
			}
			answer := blastAnswer{From: b.From, Accounts: b.Accounts, Roles: pathAnswers(b.Roles), Resources: pathAnswers(b.Resources)}
			if answer.Accounts == nil {
				answer.Accounts = []string{}
			}
			return format.print(e, answer, func(w *textWriter) { w.blast(&b) })
		},
	}
	c.Flags().IntVar(&options.MaxSteps, "max-steps", 6, "look for ways of up to this `NUMBER` of steps")
	format.register(c)
	now.register(c)
	identityFlag(c, e)
	codeFlags(c, e)
	return c
}

// blastAnswer is the answer in JSON: one shortest path to each role and resource.
type blastAnswer struct {
	From      string       `json:"from"`
	Accounts  []string     `json:"accounts"` // other than the source's own
	Roles     []pathAnswer `json:"roles"`
	Resources []pathAnswer `json:"resources"`
}

func (w *textWriter) blast(b *access.Blast) {
	if len(b.Roles)+len(b.Resources) == 0 {
		w.line("%s reaches no role and no resource of the input.", b.From)
		return
	}
	w.line("%s reaches %s and %s, in %s beside its own.", b.From,
		counted(len(b.Roles), "role", "roles"), counted(len(b.Resources), "resource", "resources"), counted(len(b.Accounts), "account", "accounts"))
	if len(b.Accounts) > 0 {
		w.line("Accounts: %s", strings.Join(b.Accounts, ", "))
	}
	for _, part := range []struct {
		title string
		paths []access.Path
	}{{"Roles:", b.Roles}, {"Resources:", b.Resources}} {
		if len(part.paths) == 0 {
			continue
		}
		w.line("%s", part.title)
		for i := range part.paths {
			w.path(i+1, &part.paths[i])
		}
	}
}
