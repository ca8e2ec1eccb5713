package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"drawbridge/internal/cloudtrail/trailsql"
)

func newUsageTable(e *Env) *cobra.Command {
	var t trailsql.Table
	var address, from string
	c := &cobra.Command{
		Use:   "table s3://BUCKET/PREFIX",
		Short: "Print the SQL that makes a table of a trail in Athena",
		Long: `Table prints the statement that makes the table of an organisation's trail in Athena: that of AWS's documentation, with partitions by account,
region and day that need no loading, and with the fields beside it that 'drawbridge usage import --engine athena' reads. It calls nothing. PREFIX is what stands in
front of AWSLogs in the bucket.`,
		Example: `  drawbridge usage table s3://trail-bucket --organization o-abcdefghij --accounts 111122223333,444455556666 --regions eu-west-1,us-east-1 --from 2026-01-01`,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			address = args[0]
			var err error
			if t.Bucket, t.Prefix, err = bucketOf(address); err != nil {
				return err
			}
			if t.From, err = dayFlag("--from", from); err != nil {
				return err
			}
			sql, err := t.SQL()
			if err != nil {
				return usagef("%w", err)
			}
			if _, err := fmt.Fprint(e.Stdout, sql); err != nil {
				return fmt.Errorf("%w: %w", errOutput, err)
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&t.Name, "table", "cloudtrail_logs", "`NAME` of the table, or schema.name")
	f.StringVar(&t.Organisation, "organization", "", "`ID` of the organisation whose trail it is, o-…; a trail of one account has none")
	f.StringSliceVar(&t.Accounts, "accounts", nil, "the `ACCOUNTS` whose files are there")
	f.StringSliceVar(&t.Regions, "regions", nil, "the `REGIONS` whose files are there")
	f.StringVar(&from, "from", "2024-01-01", "first `DAY` of which there are files")
	return c
}
