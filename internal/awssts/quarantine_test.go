package awssts

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"

	"drawbridge/iam/arn"
	"drawbridge/internal/broker"
)

// fakeOrganization is an organisation with one policy: root r-abcd, unit ou-abcd-11111111 in it, account 222222222222 in that, 333333333333 at the root, and the management account 111111111111.
type fakeOrganization struct {
	*httptest.Server
	mu       sync.Mutex
	text     string
	attached []string
	writes   int
	refuse   string // an operation
	keep     bool   // what is written is not kept
}

func newOrganization(t *testing.T) *fakeOrganization {
	f := &fakeOrganization{text: QuarantinePolicy(nil), attached: []string{"ou-abcd-11111111"}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeOrganization) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var in struct {
		Content string
		Child   string `json:"ChildId"`
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	type object = map[string]any
	switch {
	case operation == f.refuse:
		w.WriteHeader(http.StatusBadRequest)
		answer(object{"__type": "AccessDeniedException", "Message": "no"})
	case operation == "DescribeOrganization":
		answer(object{"Organization": object{"MasterAccountId": "111111111111"}})
	case operation == "ListTargetsForPolicy":
		var list []object
		for _, a := range f.attached {
			list = append(list, object{"TargetId": a})
		}
		answer(object{"Targets": list})
	case operation == "ListParents":
		parent := map[string]object{"222222222222": {"Id": "ou-abcd-11111111", "Type": "ORGANIZATIONAL_UNIT"}}[in.Child]
		if parent == nil {
			parent = object{"Id": "r-abcd", "Type": "ROOT"}
		}
		answer(object{"Parents": []object{parent}})
	case operation == "DescribePolicy":
		answer(object{"Policy": object{"Content": f.text}})
	case operation == "UpdatePolicy":
		f.writes++
		if !f.keep {
			f.text = in.Content
		}
		answer(object{"Policy": object{"Content": in.Content}})
	default:
		w.WriteHeader(http.StatusNotImplemented)
	}
}

func (f *fakeOrganization) revoker() *Revoker {
	var one sync.Mutex
	return &Revoker{Now: func() time.Time { return noon }, Quarantine: &Quarantine{Policy: "p-quarantine1", Now: func() time.Time { return noon },
		Client: organizations.New(organizations.Options{Region: "us-east-1", BaseEndpoint: &f.URL, Credentials: credentials.NewStaticCredentialsProvider("AKIA", "x", ""), RetryMaxAttempts: 1}),
		Alone: func(ctx context.Context, do func(context.Context) error) error {
			one.Lock()
			defer one.Unlock()
			return do(ctx)
		}}}
}

func isolate(source, account string) broker.Effect {
	return broker.Effect{ID: "e", Kind: broker.Quarantine, Source: source, Role: "arn:aws:iam::" + account + ":role/deploy"}
}

// TestQuarantine: source identities come onto the list and off it, at once and again, and nothing else changes; what binds nothing, or is somebody else's, is an error and not done.
func TestQuarantine(t *testing.T) {
	f := newOrganization(t)
	r := f.revoker()
	ctx := t.Context()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if c, err := r.Carry(ctx, isolate(fmt.Sprintf("r-%d.1", i%4), "222222222222")); err != nil || !c.At.Equal(noon) || !c.Older.IsZero() {
				t.Errorf("%+v, error %v", c, err)
			}
		})
	}
	all.Wait()
	list, err := quarantined(f.text)
	slices.Sort(list)
	if err != nil || fmt.Sprint(list) != "[r-0.1 r-1.1 r-2.1 r-3.1]" || f.writes != 4 {
		t.Errorf("%v after %d writes, error %v: each once", list, f.writes, err)
	}
	for range 2 {
		if err := r.Lift(ctx, isolate("r-1.1", "222222222222")); err != nil || strings.Contains(f.text, "r-1.1") || !strings.Contains(f.text, "r-2.1") {
			t.Errorf("lifted: %v, %s", err, f.text)
		}
	}

	for name, tt := range map[string]struct {
		spoil   func()
		account string
		want    string
	}{
		"the management account":     {func() {}, "111111111111", "management account"},
		"an account beside the unit": {func() {}, "333333333333", "not attached"},
		"attached to nothing":        {func() { f.attached = nil }, "222222222222", "not attached"},
		"AWS refuses":                {func() { f.refuse = "UpdatePolicy" }, "222222222222", "AccessDenied"},
		"not known what it binds":    {func() { f.refuse = "ListParents" }, "222222222222", "AccessDenied"},
		"not kept":                   {func() { f.keep = true }, "222222222222", "not what was written"},
		"another's policy":           {func() { f.text = strings.Replace(f.text, "Deny", "Allow", 1) }, "222222222222", "not the quarantine"},
		"another statement":          {func() { f.text = strings.Replace(f.text, `"Resource":"*"`, `"Resource":"arn:aws:s3:::x"`, 1) }, "222222222222", "not the quarantine"},
		"no room":                    {func() { f.text = QuarantinePolicy(slices.Repeat([]string{"r-3k9aaaaaaaaaaaaaaaaa.1"}, 183)) }, "222222222222", "no room"},
	} {
		f.mu.Lock()
		f.text, f.attached, f.refuse, f.keep, f.writes = QuarantinePolicy([]string{"r-1.1"}), []string{"ou-abcd-11111111"}, "", false, 0
		tt.spoil()
		before := f.text
		f.mu.Unlock()
		if _, err := r.Carry(ctx, isolate("r-9.1", tt.account)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if f.text != before {
			t.Errorf("%s: the policy was changed to %s", name, f.text)
		}
	}
	for _, attached := range []string{"r-abcd", "ou-abcd-11111111", "222222222222"} {
		f.text, f.attached, f.refuse, f.keep = QuarantinePolicy(nil), []string{"333333333333", attached}, "", false
		if _, err := r.Carry(ctx, isolate("r-9.1", "222222222222")); err != nil {
			t.Errorf("attached to %s: %v", attached, err)
		}
	}
	if _, err := (&Revoker{}).Carry(ctx, isolate("r-9.1", "222222222222")); err == nil {
		t.Error("without a quarantine something was done")
	}
	if text := QuarantinePolicy(nil); len(text) > MaxSCP || !strings.Contains(text, QuarantineNobody) {
		t.Errorf("empty: %s", text)
	}
}

// TestDrill: a revoker as setup makes it is found good, and one that may more, or cannot take back, is not; a drill leaves nothing behind.
func TestDrill(t *testing.T) {
	const refused = `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`
	for name, tt := range map[string]struct {
		spoil func(*fakeAWS)
		may   string // an action that is not refused
		want  []string
	}{
		"as it should be":         {func(*fakeAWS) {}, "", nil},
		"it may attach":           {func(*fakeAWS) {}, "AttachRolePolicy", []string{"may iam:AttachRolePolicy"}},
		"it may change the trust": {func(*fakeAWS) {}, "UpdateAssumeRolePolicy", []string{"may iam:UpdateAssumeRolePolicy"}},
		"it may make keys":        {func(*fakeAWS) {}, "CreateAccessKey", []string{"may iam:CreateAccessKey"}},
		"no room":                 {func(f *fakeAWS) { f.room = 0 }, "", []string{"no room"}},
		"nothing is kept":         {func(f *fakeAWS) { f.forget = true }, "", []string{"could not be taken back"}},
		"nothing is allowed":      {func(f *fakeAWS) { f.status, f.code = 403, "AccessDenied" }, "", []string{"could not be taken back", "stays"}},
	} {
		f := newAWS(t)
		tt.spoil(f)
		var asked []string
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			action := r.PostForm.Get("Action")
			asked = append(asked, action)
			other := action == "AttachRolePolicy" || action == "UpdateAssumeRolePolicy" || action == "CreateAccessKey" || action == "PutRolePolicy" && r.PostForm.Get("RoleName") != "deploy"
			switch {
			case other && action == tt.may:
				w.WriteHeader(http.StatusNotFound)
				fmt.Fprint(w, strings.Replace(refused, "AccessDenied", "NoSuchEntity", 1))
			case other:
				w.WriteHeader(http.StatusForbidden)
				fmt.Fprint(w, refused)
			default:
				f.ServeHTTP(w, r)
			}
		}))
		r := &Revoker{Now: func() time.Time { return noon }, IAM: func(context.Context, arn.ARN) (*iam.Client, error) {
			return iam.New(iam.Options{Region: "us-east-1", BaseEndpoint: &front.URL, Credentials: credentials.NewStaticCredentialsProvider("AKIA", "x", ""), RetryMaxAttempts: 1}), nil
		}}
		found := r.Drill(t.Context(), role, "r-7")
		front.Close()
		if len(found) != len(tt.want) {
			t.Errorf("%s: found %q", name, found)
			continue
		}
		for i, want := range tt.want {
			if !strings.Contains(found[i], want) {
				t.Errorf("%s: found %q, want %q", name, found[i], want)
			}
		}
		if f.status == 0 && !f.forget && len(f.policies) != 0 {
			t.Errorf("%s: left behind %v", name, f.policies)
		}
		if len(asked) < 6 {
			t.Errorf("%s: only %v was asked", name, asked)
		}
	}
	f := newOrganization(t)
	f.attached = nil
	r := f.revoker()
	aws := newAWS(t)
	r.IAM = func(context.Context, arn.ARN) (*iam.Client, error) {
		return iam.New(iam.Options{Region: "us-east-1", BaseEndpoint: &aws.URL, Credentials: credentials.NewStaticCredentialsProvider("AKIA", "x", ""), RetryMaxAttempts: 1}), nil
	}
	if found := r.Drill(t.Context(), role, "r-7"); !strings.Contains(strings.Join(found, "; "), "a quarantine would not work: the policy p-quarantine1 is not attached") {
		t.Errorf("a quarantine that binds nothing: %q", found)
	}
}
