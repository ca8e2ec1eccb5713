package collectcli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awsathena "github.com/aws/aws-sdk-go-v2/service/athena"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/spf13/cobra"

	"drawbridge/internal/cli"
	"drawbridge/internal/cloudtrail"
	"drawbridge/internal/cloudtrail/athena"
	"drawbridge/internal/cloudtrail/s3"
	"drawbridge/internal/cloudtrail/trailsql"
	"drawbridge/internal/usage"
)

func newUsage(e *cli.Env) *cobra.Command {
	c := &cobra.Command{Use: "usage", Short: "Reduce CloudTrail to who used what, and when last"}
	c.AddCommand(cli.NewUsageImport(e, &cloud{getenv: e.Getenv}))
	return c
}

// cloud is cli.Cloud by the AWS SDK.
type cloud struct{ getenv func(string) string }

// config is the SDK's usual chain. Requests are tried 10 times: AWS throttles large listings.
func (c *cloud) config(ctx context.Context) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRetryMaxAttempts(10))
	if err != nil {
		return cfg, fmt.Errorf("credentials and settings of AWS: %w", err)
	}
	if cfg.Region == "" {
		return cfg, fmt.Errorf("no AWS region is set: give AWS_REGION, or a profile with one")
	}
	return cfg, nil
}

// workers is how many objects are fetched, or folders listed, at once.
const workers = 16

// S3 implements cli.Cloud.
func (c *cloud) S3(ctx context.Context, before *usage.Record, o usage.Options, addresses []string, f cli.Filter) (*usage.Record, cloudtrail.Result, error) {
	cfg, err := c.config(ctx)
	if err != nil {
		return nil, cloudtrail.Result{}, err
	}
	client := awss3.NewFromConfig(cfg, func(o *awss3.Options) {
		// Emulators and other stores that speak S3 have no hosts named after buckets.
		o.UsePathStyle = c.getenv("AWS_ENDPOINT_URL") != "" || c.getenv("AWS_ENDPOINT_URL_S3") != ""
		o.DisableLogOutputChecksumValidationSkipped = true // CloudTrail's older files have no checksum
	})
	return importS3(ctx, client, before, o, addresses, f)
}

func importS3(ctx context.Context, client s3.Client, before *usage.Record, o usage.Options, addresses []string, f cli.Filter) (*usage.Record, cloudtrail.Result, error) {
	var objects []s3.Object
	var gaps []s3.Gap
	for _, address := range addresses {
		trail, err := s3.Parse(address)
		if err != nil {
			return nil, cloudtrail.Result{}, err
		}
		trail.Accounts, trail.Regions, trail.From, trail.To = f.Accounts, f.Regions, f.From, f.To
		list, missed, err := s3.List(ctx, client, trail, workers)
		if err != nil {
			return nil, cloudtrail.Result{}, err
		}
		objects, gaps = append(objects, list...), append(gaps, missed...)
	}
	if len(objects) == 0 && len(gaps) == 0 {
		return nil, cloudtrail.Result{}, fmt.Errorf("%w in %s: expected objects that end with .json.gz or .json, of the days, accounts and regions asked for", cloudtrail.ErrNoFiles, strings.Join(addresses, ", "))
	}
	importer, err := cloudtrail.NewImporter(before, o)
	if err != nil {
		return nil, cloudtrail.Result{}, err
	}
	objects = slices.DeleteFunc(objects, func(o s3.Object) bool {
		known := false
		if before != nil {
			_, known = slices.BinarySearch(before.Files, o.Digest())
		}
		if known {
			importer.Skip()
		}
		return known
	})
	// A fault of this machine, of its disk say, ends the import: it is no gap of the trail.
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	missed, err := s3.Each(ctx, client, objects, workers, func(o *s3.Object, in io.ReadSeeker) error {
		err := importer.File(o.Name(), o.Digest(), in)
		if err != nil {
			stop(err)
		}
		return err
	})
	record, result, err2 := importer.Finish()
	if err != nil {
		return nil, result, context.Cause(ctx)
	}
	for _, g := range append(gaps, missed...) {
		result.Gaps = append(result.Gaps, cloudtrail.Gap{File: g.Name, Reason: g.Reason})
	}
	return record, result, err2
}

// Athena implements cli.Cloud.
func (c *cloud) Athena(ctx context.Context, o cli.AthenaOptions) (trailsql.Run, string, error) {
	cfg, err := c.config(ctx)
	if err != nil {
		return nil, "", err
	}
	engine := &athena.Engine{Client: awsathena.NewFromConfig(cfg), Workgroup: o.Workgroup, Output: o.Output, Catalog: o.Catalog, Database: o.Database, Wait: athena.Pause}
	run := func(ctx context.Context, sql string, give func([]string) error) (int64, error) {
		stats, err := engine.Query(ctx, sql, give)
		return stats.Bytes, err
	}
	return run, "athena " + cfg.Region + "/" + o.Catalog + "/" + o.Database, nil
}
