package access

import (
	"slices"
	"strings"
	"testing"

	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/internal/org"
)

func TestGranted(t *testing.T) {
	const read, all = `{"Effect":"Allow","Action":["sqs:SendMessage","sqs:receive*"],"Resource":"arn:aws:sqs:eu-west-1:111122223333:q"}`, `{"Effect":"Allow","Action":"sqs:*","Resource":"*"}`
	for name, c := range map[string]struct{ identity, boundary, want, not string }{
		"named":                          {read, "", "sqs:ReceiveMessage sqs:SendMessage", "sqs:DeleteMessage"},
		"denied always and everywhere":   {all + `,{"Effect":"Deny","Action":"sqs:Delete*","Resource":"*"}`, "", "sqs:SendMessage", "sqs:DeleteMessage"},
		"denied here":                    {all + `,{"Effect":"Deny","Action":"sqs:Delete*","Resource":"arn:aws:sqs:eu-west-1:111122223333:q"}`, "", "sqs:DeleteMessage", "s3:GetObject"},
		"denied sometimes":               {all + `,{"Effect":"Deny","Action":"sqs:Delete*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`, "", "sqs:DeleteMessage", "s3:GetObject"},
		"all but":                        {`{"Effect":"Allow","NotAction":"sqs:*","Resource":"*"}`, "", "s3:GetObject", "sqs:SendMessage"},
		"within the boundary":            {all, read, "sqs:ReceiveMessage sqs:SendMessage", "sqs:DeleteMessage"},
		"nothing":                        {"", "", "", "sqs:SendMessage"},
		"a boundary gives nothing":       {"", all, "", "sqs:SendMessage"},
		"a denial of a boundary, always": {all, all + `,{"Effect":"Deny","Action":"sqs:*","Resource":"*"}`, "", "sqs:SendMessage"},
	} {
		t.Run(name, func(t *testing.T) {
			set := func(statements string) eval.Set {
				return eval.Set{Policies: []*policy.Policy{policy.MustParse(`{"Version":"2012-10-17","Statement":[` + statements + `]}`)}}
			}
			p := &org.Principal{Identity: set(c.identity)}
			if c.boundary != "" {
				b := set(c.boundary)
				p.Boundary = &b
			}
			got, unread := Granted(p)
			for _, want := range strings.Fields(c.want) {
				if !slices.Contains(got, want) {
					t.Errorf("%s is missing", want)
				}
			}
			if slices.Contains(got, c.not) || len(unread) > 0 || c.want == "" && len(got) > 0 {
				t.Errorf("%s is there: %v, %q", c.not, got[:min(len(got), 9)], unread)
			}
		})
	}
	if _, unread := Granted(&org.Principal{Identity: eval.Set{Unresolved: []string{"policy x"}}, Boundary: &eval.Set{Unresolved: []string{"boundary y"}}}); len(unread) != 2 {
		t.Errorf("unread %q", unread)
	}
}
