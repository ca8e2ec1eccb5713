package terraform

import (
	"fmt"
	"os"
	"testing"

	"drawbridge/internal/change"
)

func TestDump(t *testing.T) {
	name := os.Getenv("PLAN")
	if name == "" {
		t.Skip()
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ReadPlan(f, Options{File: name})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(p.Account, p.Region, len(p.Standing), len(p.Steps))
	for _, part := range p.Standing {
		fmt.Println("STANDING", describePart(part))
	}
	for _, s := range p.Steps {
		fmt.Println(s.Action, s.Address, s.Type, s.Source)
		for _, part := range s.Before {
			fmt.Println("   -", describePart(part))
		}
		for _, part := range s.After {
			fmt.Println("   +", describePart(part))
		}
		for _, u := range s.Unknown {
			fmt.Println("   ?", u)
		}
	}
	for _, g := range p.Gaps {
		fmt.Println("GAP", g)
	}
}

var _ change.Plan
