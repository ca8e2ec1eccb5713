package sqlstore

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"drawbridge/internal/broker"
)

// TestServices keeps services and their keys, with two daemons on one store.
func TestServices(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx, s, other := t.Context(), open(), open()
		register := func(id string, now time.Time) error {
			made, err := broker.NewService(id, "acme", []string{"ann"}, now.Add(100*24*time.Hour), "adm", false, now)
			if err != nil {
				t.Fatal(err)
			}
			return s.Register(ctx, made, now)
		}
		if err := register("1", noon); err != nil {
			t.Fatal(err)
		}
		if err := register("2", noon); !errors.Is(err, broker.ErrExists) {
			t.Errorf("a second one of a name: %v", err)
		}
		if _, err := s.Service(ctx, "none"); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("one that is not there: %v", err)
		}
		key := func(at *Store, id string) error {
			_, err := at.UpdateService(ctx, "acme", noon, func(s *broker.Service) (broker.Logged, error) { return s.AddKey(id, "ann", 0, noon) }, id, []byte("sealed "+id))
			return err
		}
		// Ten are asked for at once, in two daemons; two are made.
		var wait sync.WaitGroup
		var made atomic.Int32
		for i := range 10 {
			wait.Go(func() {
				switch err := key([]*Store{s, other}[i%2], fmt.Sprint("K", i)); {
				case err == nil:
					made.Add(1)
				case !errors.Is(err, broker.ErrTooManyKeys):
					t.Error(err)
				}
			})
		}
		wait.Wait()
		one, err := other.Service(ctx, "acme")
		if err != nil || made.Load() != broker.MaxKeys || len(one.Keys) != broker.MaxKeys {
			t.Fatalf("%d keys were made, and kept %+v, error %v", made.Load(), one, err)
		}
		first := one.Keys[0].ID
		got, sealed, err := other.ServiceOfKey(ctx, first)
		if err != nil || got.ID != "1" || string(sealed) != "sealed "+first {
			t.Errorf("the key: %+v, %q, error %v", got, sealed, err)
		}
		if _, _, err := s.ServiceOfKey(ctx, "nobody's"); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("nobody's key: %v", err)
		}
		// A signature is taken once, wherever it arrives.
		if err := s.SpendKey(ctx, first, "x", noon.Add(time.Hour), noon.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if err := other.SpendKey(ctx, first, "x", noon.Add(time.Hour), noon.Add(2*time.Minute)); !errors.Is(err, broker.ErrSpent) {
			t.Errorf("a signature twice: %v", err)
		}
		list, err := other.ListServices(ctx)
		if err != nil || len(list) != 1 || !list[0].Keys[0].Used.Equal(noon.Add(time.Minute)) || !list[0].Keys[1].Used.IsZero() {
			t.Errorf("listed %+v, error %v", list, err)
		}
		// One that is over may be registered again; the keys stay those of the one before.
		if err := register("2", noon.Add(101*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if got, _, err := s.ServiceOfKey(ctx, first); err != nil || got.ID != "1" {
			t.Errorf("the key of the one before: %+v, error %v", got, err)
		}
		if now, err := s.Service(ctx, "acme"); err != nil || now.ID != "2" || len(now.Keys) != 0 {
			t.Errorf("the new one: %+v, error %v", now, err)
		}
		for _, query := range []string{`DELETE FROM services`, `UPDATE service_keys SET service = '2'`} {
			if _, err := s.writes.ExecContext(ctx, query); err == nil {
				t.Errorf("the database let happen: %s", query)
			}
		}
		records, err := s.Records(ctx, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		kinds := ""
		for _, r := range records {
			kinds += r.Kind + " "
		}
		if kinds != "service.registered key.made key.made service.registered " {
			t.Errorf("records %s", kinds)
		}
	})
}
