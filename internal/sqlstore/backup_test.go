package sqlstore

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"drawbridge/internal/broker"
	"drawbridge/internal/sqlstore/pgtest"
)

// TestBackup: a copy that is made under work is whole, verifies and can be opened, for its owner alone; what is there is not overwritten.
func TestBackup(t *testing.T) {
	s := sqlite(t)
	now, aws := noon, newCloud()
	b := newBroker(s, aws, &now)
	stop := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := b.Issue(t.Context(), file(t, b), ci(), broker.Demand{}); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for {
		if h, err := s.Head(t.Context()); err != nil || h.Size > 50 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	name := filepath.Join(t.TempDir(), "copy.db")
	if err := s.Backup(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	close(stop)
	work.Wait()
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	if err := s.Backup(t.Context(), name); err == nil {
		t.Error("a file was overwritten")
	}
	restored, err := Open(t.Context(), "sqlite:"+name)
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	verify(t, restored)
	there, err := restored.Head(t.Context())
	if err != nil || there.Size < 50 {
		t.Errorf("the copy has %d records, error %v", there.Size, err)
	}
	list, _, err := restored.Grants(t.Context(), broker.Filter{})
	if err != nil || len(list) < 10 {
		t.Errorf("the copy has %d requests, error %v", len(list), err)
	}

	pg, err := Open(t.Context(), pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close()
	if err := pg.Backup(t.Context(), filepath.Join(t.TempDir(), "x")); !errors.Is(err, ErrBackup) {
		t.Errorf("PostgreSQL: %v", err)
	}
}
