package collect

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
)

// anyAWS answers every operation of every protocol: on the wire with the empty answer of its protocol, which the SDK's own decoder turns into its type, and that is then filled, one item to each list.
// So every row of the table runs as it is, and rows that are added are tried by being there.
type anyAWS struct {
	deny   Call   // answered with AccessDenied in the protocol's form
	broken string // body of every answer instead of its own
	repeat bool   // every list goes on at the same token

	mu   sync.Mutex
	made []Call
}

type operationKey struct{}

func (a *anyAWS) config() aws.Config {
	return aws.Config{
		Region: "eu-west-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "s"}, nil
		}),
		HTTPClient: doer(a.answer),
		APIOptions: []func(*middleware.Stack) error{func(s *middleware.Stack) error {
			return s.Initialize.Add(middleware.InitializeMiddlewareFunc("Fill", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				call := Call{Service: awsmiddleware.GetServiceID(ctx), Operation: awsmiddleware.GetOperationName(ctx)}
				a.mu.Lock()
				a.made = append(a.made, call)
				a.mu.Unlock()
				out, meta, err := next.HandleInitialize(context.WithValue(ctx, operationKey{}, call), in)
				if err == nil {
					a.fill(reflect.ValueOf(out.Result), "", 0)
				}
				return out, meta, err
			}), middleware.After)
		}},
	}
}

func (a *anyAWS) answer(q *http.Request) (*http.Response, error) {
	call, _ := q.Context().Value(operationKey{}).(Call)
	denied := call.Service == a.deny.Service && call.Operation == a.deny.Operation
	form, operation := "json", ""
	header := http.Header{}
	switch content := q.Header.Get("Content-Type"); {
	case strings.Contains(q.Header.Get("Smithy-Protocol"), "cbor"):
		form = "cbor"
		header.Set("Smithy-Protocol", "rpc-v2-cbor")
		header.Set("Content-Type", "application/cbor")
	case strings.HasPrefix(content, "application/x-www-form-urlencoded"):
		text, err := io.ReadAll(q.Body)
		if err != nil {
			return nil, err
		}
		values, _ := url.ParseQuery(string(text))
		form, operation = "query", values.Get("Action")
	case call.Service == "S3" || call.Service == "S3 Control" || call.Service == "CloudFront" || call.Service == "Route 53":
		form = "xml"
	}
	status, body := 200, ""
	switch {
	case denied && form == "json":
		status, body = 403, `{"__type":"AccessDeniedException","message":"no"}`
		header.Set("X-Amzn-Errortype", "AccessDeniedException")
	case denied && form == "cbor":
		status, body = 403, "\xa1\x66__type\x75AccessDeniedException"
	case denied && call.Service == "EC2":
		status, body = 403, `<Response><Errors><Error><Code>AccessDenied</Code><Message>no</Message></Error></Errors></Response>`
	case denied && call.Service == "S3":
		status, body = 403, `<Error><Code>AccessDenied</Code><Message>no</Message></Error>`
	case denied:
		status, body = 403, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`
	case a.broken != "":
		body = a.broken
	case form == "query":
		body = "<" + operation + "Response><" + operation + "Result></" + operation + "Result></" + operation + "Response>"
	case form == "xml":
		body = "<Answer></Answer>"
	case form == "cbor":
		body = "\xa0"
	default:
		body = "{}"
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader([]byte(body))), Request: q}, nil
}

// tokens are the names under which lists say where they go on.
var tokens = []string{"NextToken", "Marker", "NextMarker", "ContinuationToken", "NextContinuationToken", "Position", "PaginationToken", "NextPageToken", "LastEvaluatedTableName", "LastEvaluatedStreamArn"}

// fill gives every field of an answer something to be read.
func (a *anyAWS) fill(v reflect.Value, name string, depth int) {
	if depth > 12 {
		return
	}
	if values := v.MethodByName("Values"); v.Kind() == reflect.String && values.IsValid() {
		all := values.Call(nil)[0]
		if all.Len() == 0 {
			return
		}
		v.Set(all.Index(all.Len() - 1))
		for i := range all.Len() {
			for _, good := range []string{"COMPLETE", "SUCCEEDED", "ACTIVE", "MICROSOFT", "AVAILABLE", "ENABLED", "CUSTOMER", "TRAINED"} {
				if strings.HasPrefix(strings.ToUpper(all.Index(i).String()), good) {
					v.Set(all.Index(i))
				}
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		switch {
		case slices.Contains(tokens, name) && depth <= 2, name == "NextMarker": // CloudFront's is inside its list
			if a.repeat {
				again := "again"
				if v.Type().Elem().Kind() == reflect.String {
					v.Set(reflect.ValueOf(&again))
				}
			}
			return
		case v.IsNil() && v.CanSet():
			v.Set(reflect.New(v.Type().Elem()))
		}
		a.fill(v.Elem(), name, depth+1)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "ResultMetadata" {
				a.fill(v.Field(i), f.Name, depth+1)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte("user,arn\nx,arn:aws:iam::111122223333:user/x\n"))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		a.fill(v.Index(0), name, depth+1)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		if v.Type().Key().Kind() != reflect.String {
			return
		}
		item := reflect.New(v.Type().Elem()).Elem()
		a.fill(item, "Policy", depth+1)
		v.SetMapIndex(reflect.ValueOf("Policy").Convert(v.Type().Key()), item)
	case reflect.String:
		text := "name-" + strings.ToLower(name)
		switch low := strings.ToLower(name); {
		case low == "attributename":
			text = "restore" // of a database snapshot, the one that there is
		case low == "datalakeprincipalidentifier":
			text = "arn:aws:iam::111122223333:role/a" // who reads: an administrator of the data lake
		case strings.HasSuffix(low, "account") || strings.HasSuffix(low, "accountid") || low == "owner" || low == "ownerid":
			text = "111122223333"
		case strings.HasSuffix(low, "arn") && (strings.HasPrefix(low, "stream") || strings.HasPrefix(low, "consumer")):
			text = "arn:aws:kinesis:eu-west-1:111122223333:" + strings.TrimSuffix(low, "arn") + "/a" // whose client looks at it to choose its host
		case strings.HasSuffix(low, "arn"):
			text = "arn:aws:service:eu-west-1:111122223333:" + low + "/a"
		case strings.Contains(low, "region"):
			text = "eu-west-1"
		case strings.Contains(low, "policy") || strings.Contains(low, "document") || low == "content":
			text = `{"Version":"2012-10-17","Statement":[]}`
		case strings.Contains(low, "url"):
			text = "https://example.com/111122223333/" + low
		}
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(name == "IsTruncated" && a.repeat)
	case reflect.Int32, reflect.Int64, reflect.Int:
		v.SetInt(1)
	}
}

// readOne reads one row of one account by itself.
func readOne(t *testing.T, a *anyAWS, row *Row) *facts {
	t.Helper()
	r := &run{Options: Options{Attempts: 1, LastAccessed: true}.withDefaults(), caller: "111122223333", self: "role/a", part: "aws"}
	r.slots = make(chan struct{}, 64)
	ctx, stop := context.WithCancelCause(context.Background())
	r.stop = stop
	defer stop(nil)
	f := &facts{}
	if row.Name == lastAccessedRow {
		f.roles = []string{"arn:aws:iam::111122223333:role/a"}
	}
	region := ""
	if row.Place == Regional {
		region = "eu-west-1"
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	task := r.task(ctx, r.instrument(a.config()), row, "111122223333", region, f)
	task.guard(func() {
		switch {
		case row.read != nil:
			row.read(task)
		case row.Place == Principal:
			if err := readIAM(task, func(int, detailsPage) error { return nil }); err != nil {
				t.Error(err)
			}
		case row.Place == Central && row.Type == "AWS::Organizations::Policy":
			readOrganization(task)
		}
	})
	f.add(task)
	f.sort()
	return f
}

// endless are rows that a fake which fills everything cannot run to an end.
func endless(row *Row) bool { return row.Place == Central }

// notMade are declared calls that a row makes only where something is as the filled answers do not have it, with the reason.
var notMade = map[string]string{}

// TestRowsMakeTheCallsTheyDeclare: the policy of the collector's role is printed from what rows declare. What they call beyond it would be denied, what they do not call is a right too many.
func TestRowsMakeTheCallsTheyDeclare(t *testing.T) {
	for _, row := range Rows() {
		if endless(&row) {
			continue
		}
		t.Run(row.Name, func(t *testing.T) {
			a := &anyAWS{}
			f := readOne(t, a, &row)
			for _, g := range f.gaps {
				t.Errorf("a gap where all was answered: %+v", g)
			}
			if n := len(f.resources) + len(f.providers) + len(f.grants) + len(f.shares) + len(f.usage) + len(f.roles); n == 0 {
				t.Error("nothing was read")
			}
			made, declared := map[string]bool{}, map[string]bool{}
			for _, c := range a.made {
				made[c.String()] = true
			}
			for _, c := range row.Calls {
				declared[c.String()] = true
			}
			for c := range made {
				if !declared[c] {
					t.Errorf("calls %s and does not declare it", c)
				}
			}
			for c := range declared {
				if !made[c] && notMade[row.Name+": "+c] == "" {
					t.Errorf("declares %s and does not call it", c)
				}
			}
		})
	}
}

// TestDenialIsExactlyItsGap: for each call of the table, its denial is a gap or an unreadable policy with that call and code, and everything else is as it was.
func TestDenialIsExactlyItsGap(t *testing.T) {
	for _, row := range Rows() {
		if endless(&row) {
			continue
		}
		whole := readOne(t, &anyAWS{}, &row)
		for _, call := range row.Calls {
			if notMade[row.Name+": "+call.String()] != "" {
				continue
			}
			t.Run(row.Name+"/"+call.String(), func(t *testing.T) {
				f := readOne(t, &anyAWS{deny: call}, &row)
				named := 0
				for _, g := range f.gaps {
					if g.Kind != "call" || g.Call != call.String() || !denied(g.Code) || !strings.Contains(g.Reason, call.Actions[0]) {
						t.Errorf("not the gap of this call: %+v", g)
					}
					named++
				}
				for _, r := range f.resources {
					if r.Error != nil {
						if !strings.Contains(*r.Error, call.String()) {
							t.Errorf("the policy of %s: %s", r.ARN, *r.Error)
						}
						named++
					}
					if !slices.ContainsFunc(whole.resources, func(w resource) bool { return w.ARN == r.ARN }) {
						t.Errorf("%s is there only when %s is denied", r.ARN, call)
					}
				}
				if named == 0 {
					t.Errorf("%s was denied in silence: %d resources", call, len(f.resources))
				}
			})
		}
	}
}

// TestNoAnswerIsNoEmptyList: an answer without content, of another kind, or cut in the middle is a gap for every list; a token that comes twice ends the list with one.
func TestNoAnswerIsNoEmptyList(t *testing.T) {
	for name, broken := range map[string]string{"page of HTML": "<html><body>Sign in</body></html>", "nothing but space": " ", "cut": `{"Que`, "cut XML": `<Answer><Buck`} {
		for _, row := range Rows() {
			if endless(&row) {
				continue
			}
			t.Run(name+"/"+row.Name, func(t *testing.T) {
				a := &anyAWS{broken: broken}
				f := readOne(t, a, &row)
				if len(f.gaps) == 0 {
					t.Errorf("no gap; %d resources, calls %v", len(f.resources), a.made)
				}
			})
		}
	}
}

func TestRepeatedToken(t *testing.T) {
	for _, row := range Rows() {
		if endless(&row) {
			continue
		}
		t.Run(row.Name, func(t *testing.T) {
			a := &anyAWS{repeat: true}
			f := readOne(t, a, &row)
			for _, g := range f.gaps {
				if g.Code != "RepeatedToken" || g.Call == "" {
					t.Errorf("%+v", g)
				}
			}
			if len(a.made) > 100 {
				t.Errorf("%d calls", len(a.made))
			}
			if len(f.gaps) == 0 {
				t.Log(fmt.Sprint("no list with a token: ", a.made))
			}
		})
	}
}
