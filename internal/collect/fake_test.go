package collect

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// fakeOrganization answers on the wire for an organisation: a tree of units, and in each account roles, by pages of odd sizes, and one queue. Accounts are told apart by the key that AssumeRole gives for them.
type fakeOrganization struct {
	accounts int
	roles    int
	fault    func(w http.ResponseWriter, account int, operation string, q url.Values) bool // answers in place of the fake; may be nil
	calls    atomic.Int64

	mu      sync.Mutex
	assumed map[string]int
}

const (
	management = "100000000000"
	units      = 11
)

func accountID(i int) string { return strconv.Itoa(100000000000 + i) }

// config is a configuration whose calls reach the fake without a network.
func (o *fakeOrganization) config() aws.Config {
	return aws.Config{
		Region: "eu-west-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIA" + management, SecretAccessKey: "s"}, nil
		}),
		HTTPClient: doer(func(q *http.Request) (*http.Response, error) {
			if err := q.Context().Err(); err != nil {
				return nil, err
			}
			w := httptest.NewRecorder()
			if q.Body == nil {
				q.Body = http.NoBody
			}
			o.ServeHTTP(w, q)
			return w.Result(), q.Context().Err()
		}),
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("X-Amzn-Errortype", code)
	w.WriteHeader(status)
	if w.Header().Get("Content-Type") == "text/xml" {
		fmt.Fprintf(w, `<ErrorResponse><Error><Code>%s</Code><Message>refused</Message></Error></ErrorResponse>`, code)
		return
	}
	fmt.Fprintf(w, `{"__type":%q,"message":"refused"}`, code)
}

func (o *fakeOrganization) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.calls.Add(1)
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	account, _ := strconv.Atoi(strings.TrimLeft(strings.SplitN(credential, "/", 2)[0], "AKISV"))
	account -= 100000000000
	var q url.Values
	operation := ""
	var in map[string]any
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		operation = target[strings.LastIndexByte(target, '.')+1:]
		_ = json.NewDecoder(r.Body).Decode(&in)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	} else {
		_ = r.ParseForm()
		q, operation = r.Form, r.Form.Get("Action")
		w.Header().Set("Content-Type", "text/xml")
	}
	if o.fault != nil && o.fault(w, account, operation, q) {
		return
	}
	text := func(name string) string { s, _ := in[name].(string); return s }
	result := func(format string, args ...any) {
		fmt.Fprintf(w, "<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>", operation, fmt.Sprintf(format, args...))
	}
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	switch operation {
	case "GetCallerIdentity":
		result("<Account>%s</Account><Arn>arn:aws:iam::%s:user/x</Arn><UserId>x</UserId>", accountID(account), accountID(account))
	case "AssumeRole":
		id := strings.Split(q.Get("RoleArn"), ":")[4]
		o.mu.Lock()
		if o.assumed == nil {
			o.assumed = make(map[string]int)
		}
		o.assumed[id]++
		o.mu.Unlock()
		result("<Credentials><AccessKeyId>ASIA%s</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials>", id, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	case "DescribeRegions":
		fmt.Fprint(w, "<DescribeRegionsResponse><regionInfo><item><regionName>eu-west-1</regionName></item></regionInfo></DescribeRegionsResponse>")
	case "DescribeOrganization":
		answer(map[string]any{"Organization": map[string]any{"Id": "o-exampleorg1", "MasterAccountId": management}})
	case "ListRoots":
		answer(map[string]any{"Roots": []any{map[string]any{"Id": "r-root", "Name": "Root"}}})
	case "ListOrganizationalUnitsForParent":
		var list []any
		if text("ParentId") == "r-root" {
			for i := 1; i < units; i++ {
				list = append(list, map[string]any{"Id": fmt.Sprintf("ou-%d", i), "Name": fmt.Sprintf("unit %d", i)})
			}
		}
		o.page(answer, "OrganizationalUnits", list, 3, text("NextToken"))
	case "ListAccountsForParent":
		unit := 0
		if text("ParentId") != "r-root" {
			unit, _ = strconv.Atoi(strings.TrimPrefix(text("ParentId"), "ou-"))
		}
		var list []any
		for i := unit; i < o.accounts; i += units {
			state := "ACTIVE"
			if i%100 == 5 {
				state = "SUSPENDED"
			}
			list = append(list, map[string]any{"Id": accountID(i), "Name": "account " + strconv.Itoa(i), "State": state})
		}
		o.page(answer, "Accounts", list, 13, text("NextToken"))
	case "ListPolicies":
		if text("Filter") == "RESOURCE_CONTROL_POLICY" {
			answer(map[string]any{})
			return
		}
		o.page(answer, "Policies", []any{map[string]any{"Id": "p-1", "Name": "one", "Arn": "arn:aws:organizations::" + management + ":policy/o-exampleorg1/service_control_policy/p-1"}, map[string]any{"Id": "p-2", "Name": "two", "Arn": "arn:aws:organizations::" + management + ":policy/o-exampleorg1/service_control_policy/p-2"}}, 1, text("NextToken"))
	case "ListTargetsForPolicy":
		o.page(answer, "Targets", []any{map[string]any{"TargetId": "r-root"}, map[string]any{"TargetId": "ou-1"}}, 1, text("NextToken"))
	case "DescribePolicy":
		answer(map[string]any{"Policy": map[string]any{"Content": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`}})
	case "ListDelegatedAdministrators":
		answer(map[string]any{"DelegatedAdministrators": []any{map[string]any{"Id": accountID(1)}}})
	case "ListDelegatedServicesForAccount":
		answer(map[string]any{"DelegatedServices": []any{map[string]any{"ServicePrincipal": "guardduty.amazonaws.com"}}})
	case "DescribeResourcePolicy":
		refuse(w, 400, "ResourcePolicyNotFoundException")
	case "GetAccountAuthorizationDetails":
		from, _ := strconv.Atoi(q.Get("Marker"))
		to := min(from+7, o.roles)
		var b strings.Builder
		for n := from; n < to; n++ {
			fmt.Fprintf(&b, "<member><Path>/</Path><RoleName>role-%[2]d</RoleName><RoleId>AROA%[1]s%[2]d</RoleId><Arn>arn:aws:iam::%[1]s:role/role-%[2]d</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate><AssumeRolePolicyDocument>%[3]s</AssumeRolePolicyDocument></member>",
				accountID(account), n, url.QueryEscape(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+accountID((account+1)%o.accounts)+`"},"Action":"sts:AssumeRole"}]}`))
		}
		more := ""
		if to < o.roles {
			more = fmt.Sprintf("<Marker>%d</Marker>", to)
		}
		result("<UserDetailList/><GroupDetailList/><RoleDetailList>%s</RoleDetailList><Policies/><IsTruncated>%t</IsTruncated>%s", b.String(), to < o.roles, more)
	case "ListRoles":
		from, _ := strconv.Atoi(q.Get("Marker"))
		to := min(from+5, o.roles)
		var b strings.Builder
		for n := from; n < to; n++ {
			fmt.Fprintf(&b, "<member><RoleName>role-%[2]d</RoleName><Arn>arn:aws:iam::%[1]s:role/role-%[2]d</Arn><MaxSessionDuration>7200</MaxSessionDuration></member>", accountID(account), n)
		}
		more := ""
		if to < o.roles {
			more = fmt.Sprintf("<Marker>%d</Marker>", to)
		}
		result("<Roles>%s</Roles><IsTruncated>%t</IsTruncated>%s", b.String(), to < o.roles, more)
	case "GenerateCredentialReport":
		result("<State>COMPLETE</State>")
	case "GetCredentialReport":
		result("<Content>%s</Content>", base64.StdEncoding.EncodeToString([]byte("user,arn\n")))
	case "ListOpenIDConnectProviders", "ListSAMLProviders":
		result("")
	case "ListQueues":
		answer(map[string]any{"QueueUrls": []string{"https://sqs.eu-west-1.amazonaws.com/" + accountID(account) + "/orders"}})
	case "GetQueueAttributes":
		answer(map[string]any{"Attributes": map[string]string{"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:SendMessage","Resource":"*"}]}`}})
	default:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "<!doctype html><title>404</title>")
	}
}

// page answers with a part of a list.
func (o *fakeOrganization) page(answer func(any), name string, list []any, size int, token string) {
	from, _ := strconv.Atoi(token)
	to := min(from+size, len(list))
	out := map[string]any{name: list[from:to]}
	if to < len(list) {
		out["NextToken"] = strconv.Itoa(to)
	}
	answer(out)
}

// fakeRows are the rows that the fake has something for.
func fakeRows() []Row {
	return slices.DeleteFunc(Rows(), func(r Row) bool { return r.Place != Principal && r.Place != Central && r.Type != "AWS::SQS::Queue" })
}
