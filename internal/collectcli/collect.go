package collectcli

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"drawbridge/internal/cli"
	"drawbridge/internal/collect"
)

func newCollect(e *cli.Env) *cobra.Command {
	o := collect.Options{Now: e.Now}
	c := &cobra.Command{
		Use:   "collect --out DIR",
		Short: "Read an AWS organisation into a snapshot",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := (&cloud{getenv: e.Getenv}).config(c.Context())
			if err != nil {
				return err
			}
			o.Config = cfg
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			result, err := collect.Run(ctx, o)
			if err != nil {
				return err
			}
			fmt.Fprintf(e.Stdout, "%s: %d accounts, %d calls, %d gaps\n", o.Out, result.Accounts, result.Calls, result.Gaps)
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&o.Out, "out", "", "where the snapshot goes: a `DIR` that does not exist yet")
	f.StringVar(&o.Role, "role", "", "`NAME` of the role that is assumed in every account but the caller's own")
	f.StringVar(&o.RolePath, "role-path", "/", "that role's `PATH`")
	f.StringVar(&o.ExternalID, "external-id", "", "the `ID` that the role's trust policy demands")
	f.StringVar(&o.Session, "session-name", "", "`NAME` of the sessions, for CloudTrail (default drawbridge-collect)")
	f.StringSliceVar(&o.Accounts, "accounts", nil, "read only these `ACCOUNTS`")
	f.StringSliceVar(&o.Regions, "regions", nil, "read only these `REGIONS`")
	_ = c.MarkFlagRequired("out")
	return c
}
