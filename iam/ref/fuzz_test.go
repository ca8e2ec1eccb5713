package ref

import (
	"slices"
	"strings"
	"testing"
)

// FuzzNames asks the tables about any name: what is known is found in any case, and has no other that it is taken for.
func FuzzNames(f *testing.F) {
	for _, name := range []string{"s3:GetObject", "s3:Get*", "sts:asumerole", "aws:RequestTag/team", "kms:EncryptionContext:a", "aws:PrincipleOrgID", ":", "*", "a:\xff", "events:Metadata//Matcher"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if a, ok := LookupAction(name); ok {
			if !strings.EqualFold(a.Name, name) || !slices.Equal(Expand(name), []string{a.Name}) || NearestAction(name) != "" {
				t.Errorf("%q is %s, covers %v and resembles %q", name, a.Name, Expand(name), NearestAction(name))
			}
		} else if near := NearestAction(name); near != "" {
			if _, ok := LookupAction(near); !ok {
				t.Errorf("%q resembles %q, which is not known", name, near)
			}
		}
		_, documented := LookupKey(name)
		known, near := ConditionKey(name)
		if documented && !known || known && near != "" {
			t.Errorf("%q: documented %v, known %v, nearest %q", name, documented, known, near)
		}
		if _, ok := LookupKey(near); near != "" && !ok {
			t.Errorf("%q resembles %q, which is not known", name, near)
		}
	})
}
