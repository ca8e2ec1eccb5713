// Package athena runs SQL in Amazon Athena: starts a query, waits for its end, and gives the rows of its answer page by page.
package athena

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/athena/types"
	"github.com/aws/smithy-go"
)

// Client is the part of the SDK's client that is used.
type Client interface {
	StartQueryExecution(context.Context, *athena.StartQueryExecutionInput, ...func(*athena.Options)) (*athena.StartQueryExecutionOutput, error)
	GetQueryExecution(context.Context, *athena.GetQueryExecutionInput, ...func(*athena.Options)) (*athena.GetQueryExecutionOutput, error)
	GetQueryResults(context.Context, *athena.GetQueryResultsInput, ...func(*athena.Options)) (*athena.GetQueryResultsOutput, error)
	StopQueryExecution(context.Context, *athena.StopQueryExecutionInput, ...func(*athena.Options)) (*athena.StopQueryExecutionOutput, error)
}

// Engine is where queries run.
type Engine struct {
	Client    Client
	Workgroup string // "": primary
	Output    string // s3://bucket/prefix/ for answers; "": the workgroup's own
	Catalog   string // "": AwsDataCatalog
	Database  string
	// Wait passes the time between two looks at a query.
	Wait func(ctx context.Context, d time.Duration) error
}

// Pause is the Wait of programs.
func Pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Error is a query that did not succeed.
type Error struct {
	ID, State, Reason string
}

func (e *Error) Error() string {
	return fmt.Sprintf("athena: query %s: %s: %s", e.ID, e.State, e.Reason)
}

// Stats is what a query took.
type Stats struct {
	Bytes int64 // scanned, which Athena charges for
	Time  time.Duration
}

// maxSQL is the length that Athena takes ("Service Quotas", query string length).
const maxSQL = 262144

// Query runs a statement and gives each row of its answer, with "" for null. The statistics are of the query also where reading its answer fails. Where ctx ends
// while it runs, the query is stopped in Athena too, which charges for what it has scanned.
func (e *Engine) Query(ctx context.Context, sql string, give func(row []string) error) (Stats, error) {
	if len(sql) > maxSQL {
		return Stats{}, fmt.Errorf("athena: the query has %d bytes and Athena takes %d: name fewer accounts, or none for all of them", len(sql), maxSQL)
	}
	in := &athena.StartQueryExecutionInput{QueryString: &sql}
	if e.Workgroup != "" {
		in.WorkGroup = &e.Workgroup
	}
	if e.Output != "" {
		in.ResultConfiguration = &types.ResultConfiguration{OutputLocation: &e.Output}
	}
	if e.Catalog != "" || e.Database != "" {
		in.QueryExecutionContext = &types.QueryExecutionContext{}
		if e.Catalog != "" {
			in.QueryExecutionContext.Catalog = &e.Catalog
		}
		if e.Database != "" {
			in.QueryExecutionContext.Database = &e.Database
		}
	}
	started, err := e.Client.StartQueryExecution(ctx, in)
	if err != nil {
		return Stats{}, fmt.Errorf("athena: starting a query: %w", said(err))
	}
	id := aws.ToString(started.QueryExecutionId)
	stats, err := e.await(ctx, id)
	if err != nil {
		if ctx.Err() != nil {
			stop, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer done()
			_, err2 := e.Client.StopQueryExecution(stop, &athena.StopQueryExecutionInput{QueryExecutionId: &id})
			if err2 != nil {
				err = fmt.Errorf("%w; query %s goes on in Athena: stopping it: %w", err, id, said(err2))
			}
		}
		return stats, err
	}
	return stats, e.rows(ctx, id, give)
}

// await waits for the end of a query: looks at it after 200 ms, and then less and less often.
func (e *Engine) await(ctx context.Context, id string) (Stats, error) {
	for wait := 200 * time.Millisecond; ; wait = min(wait*3/2, 10*time.Second) {
		if err := e.Wait(ctx, wait); err != nil {
			return Stats{}, fmt.Errorf("athena: waiting for query %s: %w", id, err)
		}
		out, err := e.Client.GetQueryExecution(ctx, &athena.GetQueryExecutionInput{QueryExecutionId: &id})
		if err != nil {
			return Stats{}, fmt.Errorf("athena: asking for query %s: %w", id, said(err))
		}
		if out.QueryExecution == nil || out.QueryExecution.Status == nil {
			return Stats{}, fmt.Errorf("athena: asking for query %s: an answer without a status", id)
		}
		var s Stats
		if x := out.QueryExecution.Statistics; x != nil {
			s = Stats{aws.ToInt64(x.DataScannedInBytes), time.Duration(aws.ToInt64(x.TotalExecutionTimeInMillis)) * time.Millisecond}
		}
		switch status := out.QueryExecution.Status; status.State {
		case types.QueryExecutionStateSucceeded:
			return s, nil
		case types.QueryExecutionStateFailed, types.QueryExecutionStateCancelled:
			return s, &Error{id, string(status.State), aws.ToString(status.StateChangeReason)}
		}
	}
}

// rows gives the answer of a query. Its first row are the names of the columns.
func (e *Engine) rows(ctx context.Context, id string, give func([]string) error) error {
	in := &athena.GetQueryResultsInput{QueryExecutionId: &id, MaxResults: aws.Int32(1000)}
	for first := true; ; {
		out, err := e.Client.GetQueryResults(ctx, in)
		if err != nil {
			return fmt.Errorf("athena: reading the answer of query %s: %w", id, said(err))
		}
		if out.ResultSet != nil {
			for _, r := range out.ResultSet.Rows {
				if first {
					first = false
					continue
				}
				row := make([]string, len(r.Data))
				for i, d := range r.Data {
					row[i] = aws.ToString(d.VarCharValue)
				}
				if err := give(row); err != nil {
					return err
				}
			}
		}
		if aws.ToString(out.NextToken) == "" {
			return nil
		}
		in.NextToken = out.NextToken
	}
}

// said is what Athena said, without the request's ids.
func said(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		return fmt.Errorf("%s: %s", api.ErrorCode(), api.ErrorMessage())
	}
	return err
}
