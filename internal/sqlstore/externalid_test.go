package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"drawbridge/internal/broker"
)

// TestExternalIDs: each vendor has its own at each role, the same in every daemon; a value is never used twice; a change takes two steps, and what was retired does not come back (11).
func TestExternalIDs(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx := t.Context()
		list := []*Store{open(), open()}
		var mu sync.Mutex
		seen := make(map[string]bool)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				x, err := list[i%2].ExternalID(ctx, "Metrigraph", role, fmt.Sprint("value-", i), noon)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				seen[x.Current] = true
			})
		}
		all.Wait()
		if len(seen) != 1 {
			t.Fatalf("%d ExternalIds for one vendor and role: %v", len(seen), seen)
		}
		first := ""
		for v := range seen {
			first = v
		}
		s := list[0]
		for _, other := range []struct{ vendor, role string }{{"Watchtower", role}, {"", role}, {"Metrigraph", role + "2"}} {
			if _, err := s.ExternalID(ctx, other.vendor, other.role, first, noon); err == nil {
				t.Errorf("%v got the ExternalId of another", other)
			}
			x, err := s.ExternalID(ctx, other.vendor, other.role, "value of "+other.vendor+other.role, noon)
			if err != nil || x.Current == first {
				t.Errorf("%v: %+v, error %v", other, x, err)
			}
		}
		change := func(do func(*broker.ExternalID) error) (*broker.ExternalID, error) {
			return list[1].ChangeExternalID(ctx, "Metrigraph", role, "ann", noon.Add(time.Hour), do)
		}
		if _, err := s.ChangeExternalID(ctx, "nobody", role, "ann", noon, func(*broker.ExternalID) error { return nil }); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("error %v, want ErrNotFound", err)
		}
		promote := func(x *broker.ExternalID) error { return x.Promote(noon.Add(time.Hour)) }
		rotate := func(value string) func(x *broker.ExternalID) error {
			return func(x *broker.ExternalID) error { return x.Rotate(value, noon) }
		}
		if _, err := change(promote); !errors.Is(err, broker.ErrExternalID) {
			t.Errorf("promoted what is not there: %v", err)
		}
		if _, err := change(rotate(first)); err == nil {
			t.Error("it was changed to itself")
		}
		x, err := change(rotate("next"))
		if err != nil || x.Current != first || strings.Join(x.Values(), " ") != first+" next" {
			t.Fatalf("%+v, error %v", x, err)
		}
		if _, err := change(rotate("another")); !errors.Is(err, broker.ErrExternalID) {
			t.Errorf("changed twice at once: %v", err)
		}
		if x, err = change(promote); err != nil || x.Current != "next" || len(x.Values()) != 1 {
			t.Fatalf("%+v, error %v", x, err)
		}
		if _, err := change(rotate(first)); err == nil {
			t.Error("what was retired came back")
		}
		if x, err = open().ExternalID(context.Background(), "Metrigraph", role, "unused", noon); err != nil || x.Current != "next" {
			t.Errorf("%+v, error %v", x, err)
		}
		records, err := s.Records(ctx, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if strings.Contains(string(r.Body), "value") || strings.Contains(string(r.Body), "next") {
				t.Errorf("the log has an ExternalId: %s", r.Body)
			}
		}
		if len(records) != 6 {
			t.Errorf("%d records", len(records))
		}
		verify(t, s)
	})
}
