package compare

import (
	"reflect"
	"strings"
	"testing"

	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
)

// What cannot be decided is said, with its reason, and nothing is proven then.
func TestUndecided(t *testing.T) {
	sounds := `{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": {"StringSoundsLike": {"aws:PrincipalTag/team": "shop"}}}`
	for _, tt := range []struct {
		name     string
		kind     policy.Kind
		old, new string
		options  Options
		reason   string
	}{
		{"a condition that is not known", policy.Identity, `{"Effect": "Deny", "Action": "*", "Resource": "*"}`, sounds, Options{}, "StringSoundsLike"},
		{"the same condition that is not known, now as a Deny too", policy.Identity, sounds + "," + getData,
			sounds + "," + getData + "," + strings.Replace(sounds, "Allow", "Deny", 1) + "," + strings.Replace(getData, "data", "other", 1), Options{}, "StringSoundsLike"},
		{"another kind of policy", policy.SCP, all, all, Options{}, "not compared"},
		{"more questions than may be asked", policy.Identity, `{"Effect": "Deny", "Action": "*", "Resource": "*"}`,
			`{"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::a"}, {"Effect": "Deny", "Action": "*", "Resource": "*"}`, Options{Questions: 1}, "more combinations"},
		{"NotPrincipal against a list", policy.Resource,
			`{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}, {"Effect": "Deny", "NotPrincipal": {"AWS": ["777788889999", "arn:aws:iam::777788889999:role/app"]}, "Action": "*", "Resource": "*"}`,
			bucket(`{"AWS": "arn:aws:iam::777788889999:role/app"}`, ""), Options{}, "NotPrincipal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.options.Engine = ref.Engine()
			r := Policies(tt.kind, read(t, tt.old), read(t, tt.new), tt.options)
			if r.NothingNew || r.Relation == Equal || r.Relation == Narrower || r.Relation == Wider {
				t.Errorf("%v, and nothing new is %v\n%s", r.Relation, r.NothingNew, print(&r))
			}
			if !strings.Contains(strings.Join(r.Undecided, "\n"), tt.reason) {
				t.Errorf("undecided: %q, want the reason %q", r.Undecided, tt.reason)
			}
		})
	}
}

// The same comparison answers the same, in the same order.
func TestDeterministic(t *testing.T) {
	for _, tt := range changes {
		var answers []Result
		for range 2 {
			r := Policies(tt.kind, read(t, tt.old), read(t, tt.new), Options{Engine: ref.Engine(), Account: home})
			for _, list := range [][]Difference{r.Gained, r.Lost} {
				for i := range list {
					list[i].Witness = Witness{Context: list[i].Witness.Context} // callers and policies are made anew
				}
			}
			answers = append(answers, r)
		}
		if !reflect.DeepEqual(print(&answers[0]), print(&answers[1])) {
			t.Errorf("%s: two answers:\n%s\n%s", tt.name, print(&answers[0]), print(&answers[1]))
		}
	}
}

// The lines of a difference: what allows it, what denied it, which actions, who.
func TestDifference(t *testing.T) {
	old := read(t, getData+`, {"Sid": "Tls", "Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}`)
	r := Policies(policy.Identity, old, read(t, getData+","+`{"Sid": "Queue", "Effect": "Allow", "Action": ["sqs:SendMessage", "sqs:ReceiveMessage"], "Resource": "arn:aws:sqs:*:*:orders"}`), Options{Engine: ref.Engine()})
	if r.Relation != Wider || len(r.Gained) != 2 {
		t.Fatalf("%v\n%s", r.Relation, print(&r))
	}
	tls, queue := r.Gained[0], r.Gained[1]
	if tls.Allows.Statement != 0 || tls.Denies.Sid != "Tls" || tls.Conditions.String() != "aws:SecureTransport is false" || tls.Witness.Context["aws:SecureTransport"][0] != "false" {
		t.Errorf("without TLS: %+v", tls)
	}
	if queue.Allows.Sid != "Queue" || queue.Denies.Found() || !reflect.DeepEqual(queue.Actions, []string{"sqs:ReceiveMessage", "sqs:SendMessage"}) || !queue.Conditions.IsAlways() || queue.Unusual {
		t.Errorf("the queue: %+v", queue)
	}
	if queue.Witness.Resource != queue.Resource || !matches("arn:aws:sqs:*:*:orders", queue.Resource) {
		t.Errorf("the queue's resource is %s", queue.Resource)
	}
}

// FuzzPolicies: no documents make a comparison panic, contradict the evaluator, or find a difference between a policy and itself.
func FuzzPolicies(f *testing.F) {
	for _, tt := range changes {
		f.Add(`{"Version": "2012-10-17", "Statement": [`+tt.old+`]}`, `{"Version": "2012-10-17", "Statement": [`+tt.new+`]}`)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a)+len(b) > 2000 {
			return
		}
		old, new := readable(a), readable(b)
		if old == nil || new == nil {
			return
		}
		for _, kind := range []policy.Kind{policy.Identity, policy.Resource, policy.Trust} {
			r := Policies(kind, old, new, Options{Engine: ref.Engine(), Account: home, Questions: 500})
			confirmed(t, r.Gained)
			confirmed(t, r.Lost)
			if r = Policies(kind, old, old, Options{Engine: ref.Engine(), Account: home, Questions: 500}); len(r.Gained)+len(r.Lost) > 0 {
				t.Errorf("a policy differs from itself: %s\n%s", a, print(&r))
			}
		}
	})
}

// readable compiles a document; nil where it cannot be read.
func readable(text string) []*policy.Policy {
	d, problems := policy.Parse([]byte(text))
	for _, p := range problems {
		if p.Fatal {
			return nil
		}
	}
	if d == nil {
		return nil
	}
	return []*policy.Policy{policy.Compile(d)}
}
