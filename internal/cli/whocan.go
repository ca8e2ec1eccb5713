package cli

import (
	"github.com/spf13/cobra"

	"drawbridge/iam/eval"
	"drawbridge/internal/access"
	"drawbridge/internal/report"
)

func newWhoCan(e *Env) *cobra.Command {
	var format answerFormat
	var now nowFlag
	c := &cobra.Command{
		Use:   "who-can PATH ACTION RESOURCE",
		Short: "List who may do an action on a resource",
		Long: `Who-can lists the users and roles of the input that may do an action on a resource by all policies that bear on it, and
beside them whom the resource's policy lets in from elsewhere: accounts, services, issuers of tokens, anyone.`,
		Example: `  drawbridge who-can examples/acme s3:GetObject 'arn:aws:s3:::acme-payments-ledger/*'
  drawbridge who-can snapshot s3:GetObject 'arn:aws:s3:::reports/*'`,
		Args: cobra.ExactArgs(3),
		RunE: func(_ *cobra.Command, args []string) error {
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
			edges, err := graph.WhoCan(args[1], args[2])
			if err != nil {
				return err
			}
			return format.print(e, whoCanAnswerOf(args[1], args[2], edges), func(w *textWriter) { w.whoCan(args[1], args[2], edges) })
		},
	}
	format.register(c)
	now.register(c)
	identityFlag(c, e)
	codeFlags(c, e)
	return c
}

// whoCanAnswer is the answer in JSON.
type whoCanAnswer struct {
	Action   string          `json:"action"`
	Resource string          `json:"resource"`
	Grantees []granteeAnswer `json:"grantees"`
}

// granteeAnswer is one that may.
type granteeAnswer struct {
	Kind          string             `json:"kind"`
	ID            string             `json:"id"`
	Account       string             `json:"account,omitempty"`
	Relation      string             `json:"relation"`
	Verdict       string             `json:"verdict"`
	Conditions    *report.Conditions `json:"conditions,omitempty"`
	CallerAssumed bool               `json:"callerAssumed"`
	Evidence      []*report.Evidence `json:"evidence"`
}

func whoCanAnswerOf(action, resource string, edges []*access.Edge) whoCanAnswer {
	out := whoCanAnswer{Action: action, Resource: resource, Grantees: []granteeAnswer{}}
	for _, edge := range edges {
		g := granteeAnswer{
			Kind: string(edge.Grantee.Kind), ID: edge.Grantee.ID, Account: edge.Grantee.Account, Relation: string(edge.Grantee.Relation),
			Verdict: edge.Verdict.String(), Conditions: conditionsOf(edge.Verdict, edge.LeftOver), CallerAssumed: edge.CallerAssumed,
			Evidence: []*report.Evidence{},
		}
		for _, x := range stepEvidence(edge) {
			g.Evidence = append(g.Evidence, evidenceOf(x))
		}
		out.Grantees = append(out.Grantees, g)
	}
	return out
}

func (w *textWriter) whoCan(action, resource string, edges []*access.Edge) {
	if len(edges) == 0 {
		w.line("Nobody is known who may %s on %s: no user or role of the input, and nobody whom a policy in it names.", action, resource)
		return
	}
	w.line("%d may %s on %s:", len(edges), action, resource)
	for _, edge := range edges {
		w.line("%s %s (%s): %s", edge.Grantee.Kind, edge.Grantee.ID, edge.Grantee.Relation, verdictText(edge.Verdict))
		if edge.Verdict == eval.Unknown {
			w.line("    if %s", edge.LeftOver)
		}
		if edge.CallerAssumed {
			w.line("    its side was not seen: it is taken at its worst")
		}
		for _, x := range stepEvidence(edge) {
			w.line("    by %s", place(x))
		}
	}
}
