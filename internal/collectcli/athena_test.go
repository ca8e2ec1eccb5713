package collectcli

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

var (
	queriesMu sync.Mutex
	queries   []string
)

// athenaFake answers the questions of an import: the columns of a table, and the roll-up of a week with one action. The table "refused" cannot be asked. Its
// wire shapes are held by package athena's own tests.
func athenaFake(t *testing.T, w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	var in struct {
		QueryString      string
		QueryExecutionID string `json:"QueryExecutionId"`
	}
	// An id is the query's number.
	if err := json.Unmarshal(text, &in); err != nil {
		t.Error(err)
	}
	answer := func(v any) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	queriesMu.Lock()
	defer queriesMu.Unlock()
	asked := ""
	if n, err := strconv.Atoi(in.QueryExecutionID); err == nil {
		asked = queries[n]
	}
	switch strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonAthena.") {
	case "StartQueryExecution":
		queries = append(queries, in.QueryString)
		answer(map[string]any{"QueryExecutionId": strconv.Itoa(len(queries) - 1)})
	case "GetQueryExecution":
		status := map[string]any{"State": "SUCCEEDED"}
		if strings.Contains(asked, `FROM "refused"`) {
			status = map[string]any{"State": "FAILED", "StateChangeReason": "Access Denied when scanning the bucket"}
		}
		answer(map[string]any{"QueryExecution": map[string]any{"Status": status, "Statistics": map[string]any{"DataScannedInBytes": 2500000}}})
	case "GetQueryResults":
		var rows [][]string
		switch {
		case strings.Contains(asked, "information_schema") && !strings.Contains(asked, "'nowhere'"):
			rows = [][]string{{"column_name", "data_type"}, {"useridentity", "row(type varchar, identityprovider varchar, sessioncontext row(sourceidentity varchar))"}}
			for _, name := range strings.Fields("eventtime eventsource eventname awsregion sourceipaddress errorcode requestparameters eventid recipientaccountid sharedeventid eventcategory managementevent account timestamp") {
				rows = append(rows, []string{name, "varchar"})
			}
			rows = append(rows, []string{"resources", "array(row(arn varchar))"})
		case strings.Contains(asked, "information_schema"):
			rows = [][]string{{"column_name", "data_type"}}
		default:
			rows = [][]string{strings.Fields("what a b c n used denied first_at last_at last_denied days sessions networks identities half"),
				{"seen", "111122223333", "eu-west-1", "", "3", "3", "0", "1792800000", "1792800000", "", "[20750]", "", "", "", ""},
				{"action", "arn:aws:iam::111122223333:role/ci", "s3:ListBuckets", "111122223333", "3", "2", "1", "1792800000", "1792800060", "1792800000", "[20750]", "", "", "", ""},
			}
		}
		var out []any
		for _, r := range rows {
			var data []any
			for _, v := range r {
				data = append(data, map[string]any{"VarCharValue": v})
			}
			out = append(out, map[string]any{"Data": data})
		}
		answer(map[string]any{"ResultSet": map[string]any{"Rows": out}})
	}
}
