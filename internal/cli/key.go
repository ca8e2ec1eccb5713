package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/internal/api/wire"
)

// newKey is for machines that have no identity of their own.
func newKey(e *Env) *cobra.Command {
	var broker brokerFlags
	c := &cobra.Command{
		Use:   "key",
		Short: "Keys of the broker's own, for machines without an identity",
		Long: `For machines that no platform gives an identity: a vendor's server, an old client. Each has keys of the broker's, with which it signs as AWS's clients do: set its STS endpoint to the broker (AWS_ENDPOINT_URL_STS), and give it the key
as any AWS key. What it may do the registry says: an entry lets it in by 'principals: [broker:NAME]'.

An administrator registers the machine and names its sponsors; a sponsor makes its keys. So nobody can do both, and whoever has seen a key never approves for it.`,
		Example: `  drawbridge key register acme-backup --sponsor ann@example.com --until 2027-06-30    # an administrator
  drawbridge key create acme-backup                                                  # ann: shown once
  drawbridge key list
  drawbridge key revoke acme-backup DBRKEXAMPLE --reason "the new one is in use"
  drawbridge key end acme-backup --reason "the contract is over"`,
	}
	broker.register(c)
	c.AddCommand(newKeyRegister(e, &broker), newKeyCreate(e, &broker), newKeyList(e, &broker), newKeyRevoke(e, &broker), newKeyEnd(e, &broker))
	return c
}

func newKeyRegister(e *Env, broker *brokerFlags) *cobra.Command {
	var sponsors []string
	var until string
	c := &cobra.Command{
		Use:   "register NAME --sponsor PERSON --until DAY",
		Short: "Register a machine, with the people who make its keys",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			end, err := time.Parse(time.DateOnly, until)
			if err != nil {
				return usagef("--until %q is no day: write it like 2027-06-30", until)
			}
			if len(sponsors) == 0 {
				return usagef("--sponsor is missing: who makes its keys and answers for it?")
			}
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			s, err := b.RegisterService(c.Context(), wire.RegisterService{Name: args[0], Sponsors: sponsors, Until: end.AddDate(0, 0, 1)})
			if err != nil {
				return e.refused(err)
			}
			fmt.Fprintf(e.Stdout, "registered: %s, until %s\n", s.Name, s.Until.UTC().Format(minute))
			fmt.Fprintf(e.Stderr, "entries let it in by 'principals: [broker:%s]'. %s may now make its key:\n  drawbridge key create %s\n", s.Name, strings.Join(s.Sponsors, " or "), s.Name)
			return nil
		},
	}
	c.Flags().StringSliceVar(&sponsors, "sponsor", nil, "the `PERSON` who makes its keys, as entries name people; several are allowed")
	c.Flags().StringVar(&until, "until", "", "the last `DAY` on which it is needed, at most a year ahead")
	return c
}

func newKeyCreate(e *Env, broker *brokerFlags) *cobra.Command {
	var life time.Duration
	var format string
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a key of a machine that you sponsor; it is shown once",
		Long: `Makes a key of a machine that you sponsor. Its secret is shown this once, and nobody can read it again. Two keys live at once: make the new one, take it into use, and revoke the old one.

The form profile is for the file of AWS's credentials, env for a file of variables, json for programs.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "profile" && format != "json" && format != "env" {
				return usagef("--format %q: expected profile, env or json", format)
			}
			k := wire.MakeKey{}
			if c.Flags().Changed("for") {
				if life <= 0 {
					return usagef("--for: expected a time above zero")
				}
				k.Life = life.String()
			}
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			made, err := b.MakeKey(c.Context(), args[0], k)
			if err != nil {
				return e.refused(err)
			}
			switch format {
			case "json":
				w := json.NewEncoder(e.Stdout)
				w.SetIndent("", "  ")
				err = w.Encode(made)
			case "env":
				_, err = fmt.Fprintf(e.Stdout, "AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\nAWS_ENDPOINT_URL_STS=%s\n", made.AccessKeyID, made.SecretAccessKey, b.URL)
			default:
				_, err = fmt.Fprintf(e.Stdout, "[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", args[0], made.AccessKeyID, made.SecretAccessKey)
			}
			fmt.Fprintf(e.Stderr, "it lives until %s, and is not shown again; it is of use at %s alone\n", made.Expires.UTC().Format(minute), b.URL)
			return written(err)
		},
	}
	c.Flags().DurationVar(&life, "for", 0, "how long it lives, such as 720h; default and most: 90 days")
	c.Flags().StringVar(&format, "format", "profile", "profile, for the file of AWS's credentials; env; or json")
	return c
}

func newKeyList(e *Env, broker *brokerFlags) *cobra.Command {
	var format string
	var all bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the machines with keys, and when each key signed last",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return usagef("--format %q: expected text or json", format)
			}
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			list, err := b.Services(c.Context())
			if err != nil {
				return e.refused(err)
			}
			if format == "json" {
				w := json.NewEncoder(e.Stdout)
				w.SetIndent("", "  ")
				return written(w.Encode(wire.Services{Services: append([]wire.Service{}, list...)}))
			}
			w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tKEY\tSTATE\tUNTIL\tSIGNED LAST\tSPONSORS")
			n := 0
			for _, s := range list {
				if s.State != "live" && !all {
					continue
				}
				shown := 0
				for _, k := range s.Keys {
					if k.State != "live" && !all {
						continue
					}
					used := "never"
					if k.Used != nil {
						used = k.Used.UTC().Format(minute)
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, k.ID, k.State, k.Expires.UTC().Format(minute), used, strings.Join(s.Sponsors, ", "))
					shown++
				}
				if shown == 0 {
					fmt.Fprintf(w, "%s\tnone\t%s\t%s\t\t%s\n", s.Name, s.State, s.Until.UTC().Format(minute), strings.Join(s.Sponsors, ", "))
				}
				n++
			}
			if n == 0 {
				fmt.Fprintln(e.Stderr, "no machine is registered that you may see")
				return nil
			}
			return written(w.Flush())
		},
	}
	c.Flags().BoolVar(&all, "all", false, "also what is over")
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

func newKeyRevoke(e *Env, broker *brokerFlags) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "revoke NAME KEY --reason TEXT",
		Short: "End a key at once",
		Long: `Ends a key at once: nothing that it signs is taken any more. Sessions that it has got live on, and the machine's other key may ask for more: where the key was stolen, also 'drawbridge lock key KEY' (which suspends and cuts what was asked
for with it) or 'drawbridge revoke REQUEST'.`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usagef("--reason is missing: the record needs it")
			}
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			if _, err := b.RevokeKey(c.Context(), args[0], args[1], reason); err != nil {
				return e.refused(err)
			}
			fmt.Fprintf(e.Stdout, "revoked: %s\n", args[1])
			return nil
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, in a `SENTENCE`")
	return c
}

func newKeyEnd(e *Env, broker *brokerFlags) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "end NAME --reason TEXT",
		Short: "End a machine's keys, and take back what it may do",
		Long:  `Ends a machine: its keys are of no use any more, its requests in force are revoked and their sessions cut. Registered again under its name it is another one, whom no older request lets in.`,
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usagef("--reason is missing: the record needs it")
			}
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			got, err := b.EndService(c.Context(), args[0], reason)
			if err != nil {
				return e.refused(err)
			}
			fmt.Fprintf(e.Stdout, "ended: %s\n", args[0])
			for _, id := range got.Revoked {
				fmt.Fprintf(e.Stdout, "revoking: %s\n", id)
			}
			return nil
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, in a `SENTENCE`")
	return c
}
