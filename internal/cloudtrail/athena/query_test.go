package athena

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/athena"
)

// fake speaks Athena's JSON 1.1 protocol: one query, which is done after some looks at it, with pages of its answer.
type fake struct {
	t        *testing.T
	looks    int // before the query ends
	state    string
	reason   string
	rows     [][]any
	page     int
	throttle int            // how many requests are refused first
	denied   string         // an operation
	asked    []string       // operations
	started  map[string]any // the input of the query
	stopped  bool
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonAthena.")
	if r.Header.Get("Content-Type") != "application/x-amz-json-1.1" || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
		f.t.Errorf("%s is not signed or no JSON 1.1: %v", op, r.Header)
	}
	var in map[string]any
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		f.t.Error(err)
	}
	f.asked = append(f.asked, op)
	refuse := func(code, message string) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"__type":"%s","Message":"%s"}`, code, message)
	}
	answer := func(v any) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			f.t.Error(err)
		}
	}
	if f.throttle > 0 {
		f.throttle--
		refuse("TooManyRequestsException", "Rate exceeded")
		return
	}
	if op == f.denied {
		refuse("AccessDeniedException", "not authorized to perform athena:"+op)
		return
	}
	switch op {
	case "StartQueryExecution":
		f.started = in
		answer(map[string]any{"QueryExecutionId": "q-1"})
	case "GetQueryExecution":
		state := "RUNNING"
		if f.looks--; f.looks < 0 {
			state = f.state
		}
		answer(map[string]any{"QueryExecution": map[string]any{"QueryExecutionId": in["QueryExecutionId"], "Status": map[string]any{"State": state, "StateChangeReason": f.reason},
			"Statistics": map[string]any{"DataScannedInBytes": 123456, "TotalExecutionTimeInMillis": 1500}}})
	case "GetQueryResults":
		from := 0
		if token, ok := in["NextToken"].(string); ok {
			from, _ = strconv.Atoi(token)
		}
		to := min(from+f.page, len(f.rows))
		var rows []any
		for _, r := range f.rows[from:to] {
			var data []any
			for _, v := range r {
				if v == nil {
					data = append(data, map[string]any{})
				} else {
					data = append(data, map[string]any{"VarCharValue": v})
				}
			}
			rows = append(rows, map[string]any{"Data": data})
		}
		out := map[string]any{"ResultSet": map[string]any{"Rows": rows}}
		if to < len(f.rows) {
			out["NextToken"] = strconv.Itoa(to)
		}
		answer(out)
	case "StopQueryExecution":
		f.stopped = true
		answer(map[string]any{})
	default:
		refuse("InvalidRequestException", "unknown operation "+op)
	}
}

func engine(t *testing.T, f *fake) *Engine {
	t.Helper()
	f.t = t
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return &Engine{Client: athena.New(athena.Options{Region: "eu-west-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("x", "y", ""),
		Retryer: quick{}}), Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
}

// quick tries again at once.
type quick struct{ aws.NopRetryer }

func (quick) MaxAttempts() int { return 4 }
func (quick) IsErrorRetryable(err error) bool {
	return strings.Contains(err.Error(), "TooManyRequests")
}
func (quick) RetryDelay(int, error) (time.Duration, error) { return 0, nil }

func TestQuery(t *testing.T) {
	f := &fake{looks: 3, state: "SUCCEEDED", page: 2, throttle: 2, rows: [][]any{{"a", "b"}, {"1", nil}, {"2", "x"}, {"3", ""}, {"4", "y"}, {"5", "z"}}}
	e := engine(t, f)
	e.Workgroup, e.Output, e.Catalog, e.Database = "security", "s3://answers/x/", "AwsDataCatalog", "trails"
	var got []string
	stats, err := e.Query(context.Background(), "SELECT 1", func(row []string) error { got = append(got, strings.Join(row, "|")); return nil })
	if err != nil || stats.Bytes != 123456 || stats.Time != 1500*time.Millisecond {
		t.Fatalf("%+v, %v", stats, err)
	}
	if want := []string{"1|", "2|x", "3|", "4|y", "5|z"}; !slices.Equal(got, want) {
		t.Errorf("rows %q, expected %q", got, want)
	}
	for name, want := range map[string]any{"QueryString": "SELECT 1", "WorkGroup": "security", "ResultConfiguration": map[string]any{"OutputLocation": "s3://answers/x/"},
		"QueryExecutionContext": map[string]any{"Catalog": "AwsDataCatalog", "Database": "trails"}} {
		if fmt.Sprint(f.started[name]) != fmt.Sprint(want) {
			t.Errorf("%s is %v, expected %v", name, f.started[name], want)
		}
	}
	if token, _ := f.started["ClientRequestToken"].(string); token == "" {
		t.Error("no ClientRequestToken: a request that is tried again would start, and pay for, a second query")
	}
}

func TestQueryThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		fake fake
		want string
	}{
		"failed":         {fake{state: "FAILED", reason: "COLUMN_NOT_FOUND: line 1:8: Column 'x' cannot be resolved"}, "athena: query q-1: FAILED: COLUMN_NOT_FOUND"},
		"cancelled":      {fake{state: "CANCELLED", reason: "Bytes scanned limit was exceeded"}, "CANCELLED: Bytes scanned limit was exceeded"},
		"start denied":   {fake{denied: "StartQueryExecution"}, "athena: starting a query: AccessDeniedException: not authorized to perform athena:StartQueryExecution"},
		"look denied":    {fake{denied: "GetQueryExecution"}, "athena: asking for query q-1: AccessDeniedException"},
		"results denied": {fake{state: "SUCCEEDED", denied: "GetQueryResults"}, "athena: reading the answer of query q-1: AccessDeniedException"},
		"busy":           {fake{throttle: 99}, "TooManyRequestsException"},
	} {
		t.Run(name, func(t *testing.T) {
			f := c.fake
			_, err := engine(t, &f).Query(context.Background(), "SELECT 1", func([]string) error { return nil })
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, expected %q", err, c.want)
			}
			var failed *Error
			if isState := f.state == "FAILED" || f.state == "CANCELLED"; errors.As(err, &failed) != isState {
				t.Errorf("%v is of type %T", err, err)
			}
		})
	}
	f := &fake{state: "SUCCEEDED", page: 10, rows: [][]any{{"a"}, {"1"}}}
	stop := errors.New("stop")
	if _, err := engine(t, f).Query(context.Background(), "SELECT 1", func([]string) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	if _, err := engine(t, &fake{}).Query(context.Background(), strings.Repeat("x", maxSQL+1), nil); err == nil || !strings.Contains(err.Error(), "fewer accounts") {
		t.Errorf("%v", err)
	}
}

// A query is stopped in Athena too where nobody waits for it any more.
func TestQueryIsStopped(t *testing.T) {
	f := &fake{looks: 1 << 30, state: "SUCCEEDED"}
	e := engine(t, f)
	ctx, stop := context.WithCancel(context.Background())
	looks := 0
	e.Wait = func(ctx context.Context, _ time.Duration) error {
		if looks++; looks == 3 {
			stop()
		}
		return ctx.Err()
	}
	if _, err := e.Query(ctx, "SELECT 1", nil); !errors.Is(err, context.Canceled) || !f.stopped {
		t.Errorf("%v, stopped %v", err, f.stopped)
	}
}
