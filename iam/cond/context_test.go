package cond

import (
	"slices"
	"testing"
)

// TestKeysKeepTheirSpelling: names are compared without case and shown as they were first written.
func TestKeysKeepTheirSpelling(t *testing.T) {
	parent := &Context{}
	parent.Set("aws:PrincipalArn", "arn:aws:iam::111122223333:role/app")
	c := &Context{Parent: parent}
	c.Set("sts:ExternalId", "a")
	c.Set("STS:EXTERNALID", "b")
	c.SetUnknown("aws:principalarn")
	var got []string
	c.Keys(func(name string, state State, values []string) bool {
		got = append(got, name)
		return true
	})
	if want := []string{"aws:PrincipalArn", "sts:ExternalId"}; !slices.Equal(got, want) {
		t.Errorf("keys %v, expected %v", got, want)
	}
	if state, values := c.Lookup("sts:externalid"); state != Present || !slices.Equal(values, []string{"b"}) {
		t.Errorf("the last value counts: %v %v", state, values)
	}
	if state, _ := c.Lookup("aws:principalarn"); state != Undetermined {
		t.Errorf("the inner context counts: %v", state)
	}
}
