package sqlstore

import (
	"errors"
	"sync"
	"testing"
	"time"

	"drawbridge/internal/broker"
	"drawbridge/internal/registry"
)

func edition(base, text, by string, widens bool) *broker.Edition {
	d := []registry.Difference{{Kind: "Trust", Name: "ci", How: "changed"}}
	if widens {
		d[0].Widens = []string{"it ends later"}
	}
	return broker.NewEdition(base, []broker.RegistryFile{{Name: "a.yaml", Text: text}}, d, by, "why", noon)
}

var _ broker.Editions = (*Store)(nil)

// TestEditions: what widens waits for another person, what is made from an older one is refused, and all are kept.
func TestEditions(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx, s := t.Context(), open()
		if id, err := s.EditionInForce(ctx); id != "" || err != nil {
			t.Fatalf("at first %q, error %v", id, err)
		}
		if _, err := s.Edition(ctx, ""); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("at first: %v", err)
		}
		first := edition("", "one", "ann", true)
		if err := s.Propose(ctx, first, false); err != nil || first.State != broker.Proposed {
			t.Fatalf("proposed: %+v, error %v", first, err)
		}
		if err := s.Propose(ctx, edition("", "one", "ann", true), false); !errors.Is(err, broker.ErrExists) {
			t.Errorf("the same again: %v", err)
		}
		if _, err := s.DecideEdition(ctx, first.ID, broker.EditionDecision{By: "ann", Agree: true, At: noon}); !errors.Is(err, broker.ErrNotYours) {
			t.Errorf("agreeing to one's own: %v", err)
		}
		if _, err := s.DecideEdition(ctx, "nope", broker.EditionDecision{By: "bob", Agree: true, At: noon}); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("deciding about none: %v", err)
		}
		rival := edition("", "rival", "cid", true)
		if err := s.Propose(ctx, rival, false); err != nil {
			t.Fatal(err)
		}
		if got, err := s.DecideEdition(ctx, first.ID, broker.EditionDecision{By: "bob", Agree: true, At: noon}); err != nil || got.State != broker.InForce || got.DecidedBy != "bob" {
			t.Fatalf("agreed: %+v, error %v", got, err)
		}
		if _, err := s.DecideEdition(ctx, rival.ID, broker.EditionDecision{By: "bob", Agree: true, At: noon}); !errors.Is(err, broker.ErrStale) {
			t.Errorf("agreeing to what was made from an older one: %v", err)
		}
		if err := s.Propose(ctx, edition("", "late", "ann", false), false); !errors.Is(err, broker.ErrStale) {
			t.Errorf("proposing on an older one: %v", err)
		}
		second := edition(first.ID, "two", "ann", false)
		if err := s.Propose(ctx, second, false); err != nil || second.State != broker.InForce {
			t.Fatalf("narrowing: %+v, error %v", second, err)
		}
		// Another daemon sees the same.
		other := open()
		if got, err := other.Edition(ctx, ""); err != nil || got.ID != second.ID || got.Text[0].Text != "two" {
			t.Errorf("in force: %+v, error %v", got, err)
		}
		if got, err := other.Edition(ctx, first.ID); err != nil || got.State != broker.Replaced || got.Text[0].Text != "one" {
			t.Errorf("the first: %+v, error %v", got, err)
		}
		if list, err := other.ListEditions(ctx, 10); err != nil || len(list) != 3 || list[0].Text != nil {
			t.Errorf("all: %+v, error %v", list, err)
		}
		if _, err := s.writes.ExecContext(ctx, `UPDATE editions SET text = '[]' WHERE id = $1`, first.ID); err == nil {
			t.Error("what an edition says was changed")
		}
		if _, err := s.writes.ExecContext(ctx, `DELETE FROM editions`); err == nil {
			t.Error("editions were deleted")
		}
		kinds := map[string]int{}
		records, err := s.Records(ctx, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			kinds[r.Kind]++
		}
		if kinds["registry.proposed"] != 3 || kinds["registry.decided"] != 1 || len(records) != 4 {
			t.Errorf("recorded: %v", kinds)
		}
	})
}

// TestEditionsRace: of changes that are made from the same edition one comes into force, on however many daemons.
func TestEditionsRace(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		a, b := open(), open()
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for i := range 16 {
			s := a
			if i%2 == 1 {
				s = b
			}
			wg.Go(func() {
				e := edition("", time.Duration(i).String(), "ann", false)
				err := s.Propose(t.Context(), e, false)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won++
				case !errors.Is(err, broker.ErrStale):
					t.Errorf("another error: %v", err)
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("%d changes of one edition came into force", won)
		}
	})
}

// TestPeopleKept: a person is known as they signed in last, for as long as that is believed.
func TestPeopleKept(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx, s := t.Context(), open()
		if _, err := s.Person(ctx, "ann", time.Time{}); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("nobody: %v", err)
		}
		for i, groups := range [][]string{{"a", "b"}, nil} {
			at := noon.Add(time.Duration(i) * time.Hour)
			if err := s.KnowPerson(ctx, broker.Reviewer{ID: "ann", Groups: groups}, at); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Person(ctx, "ann", at); err != nil || len(got.Groups) != len(groups) {
				t.Errorf("ann is %+v, error %v", got, err)
			}
			if _, err := s.Person(ctx, "ann", at.Add(time.Second)); !errors.Is(err, broker.ErrNotFound) {
				t.Errorf("ann as she was too long ago: %v", err)
			}
		}
		caller := broker.Caller{Subject: broker.Subject{ID: "ann"}}
		if err := s.KeepToken(ctx, "h", caller, noon.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.TakeToken(ctx, "h", noon); err != nil || got.Subject.ID != "ann" {
			t.Errorf("taken: %+v, error %v", got, err)
		}
		if _, err := s.TakeToken(ctx, "h", noon); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("taken twice: %v", err)
		}
		if err := s.KeepToken(ctx, "h", caller, noon.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := s.DropToken(ctx, "h"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Token(ctx, "h", noon); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("dropped: %v", err)
		}
	})
}
