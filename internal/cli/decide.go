package cli

import (
	"bufio"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"drawbridge/internal/api/wire"
)

// newApprove says yes to a request.
func newApprove(e *Env) *cobra.Command {
	return newDecide(e, true, &cobra.Command{
		Use:   "approve [REQUEST]",
		Short: "Approve a request, or list those that wait",
		Long: `Shows a request and approves it as it was shown: where it changed meanwhile nothing is approved. At a terminal it asks first; elsewhere --yes says that you know what you approve. Without a request it lists those that wait.

Who may approve, the entry says; nobody approves their own request, nor one of a workload that they own.`,
	})
}

// newDeny says no to a request.
func newDeny(e *Env) *cobra.Command {
	return newDecide(e, false, &cobra.Command{
		Use:   "deny REQUEST --reason TEXT",
		Short: "Deny a request",
		Long:  `Shows a request and denies it. The reason is told to the one who asked.`,
	})
}

func newDecide(e *Env, approve bool, c *cobra.Command) *cobra.Command {
	var broker brokerFlags
	var reason, hash string
	var yes bool
	c.Args = cobra.MaximumNArgs(1)
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == 0 && !approve:
			return usagef("which request? 'drawbridge approve' without one lists those that wait")
		case !approve && reason == "":
			return usagef("--reason is missing: say why, to the one who asked")
		}
		b, err := broker.client(e)
		if err != nil {
			return err
		}
		if len(args) == 0 {
			list, err := b.Requests(c.Context(), url.Values{"state": {"awaiting", "suspended"}})
			if err != nil {
				return e.refused(err)
			}
			if len(list) == 0 {
				fmt.Fprintln(e.Stderr, "nothing waits for approval")
			}
			for i := range list {
				if err := written(showRequest(e.Stdout, &list[i])); err != nil {
					return err
				}
			}
			return nil
		}
		r, err := b.Request(c.Context(), args[0])
		if err != nil {
			return e.refused(err)
		}
		if hash != "" && hash != r.Hash {
			fmt.Fprintf(e.Stderr, "refused: the request is not the one with the hash %s\n", hash)
			return errUnwanted
		}
		if !yes && hash == "" {
			if err := showRequest(e.Stderr, r); err != nil {
				return err
			}
			if !e.StderrTerminal {
				return usagef("nobody is at the terminal to be asked: --yes decides about the request as it is, --hash about one that was seen before")
			}
			word := "deny"
			if approve {
				word = "approve"
			}
			fmt.Fprintf(e.Stderr, "Type %q to go on: ", word)
			text, _ := bufio.NewReader(e.Stdin).ReadString('\n')
			if strings.TrimSpace(text) != word {
				fmt.Fprintln(e.Stderr, "nothing was decided")
				return errUnwanted
			}
		}
		if r, err = b.Decide(c.Context(), r.ID, wire.Decide{Approve: approve, Hash: r.Hash, Reason: reason}); err != nil {
			return e.refused(err)
		}
		return written(showRequest(e.Stdout, r))
	}
	broker.register(c)
	c.Flags().StringVar(&reason, "reason", "", "why, in a `SENTENCE`")
	c.Flags().StringVar(&hash, "hash", "", "decide without asking, if the request has this `HASH` still")
	c.Flags().BoolVar(&yes, "yes", false, "decide without asking")
	return c
}
