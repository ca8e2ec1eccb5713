package sqlstore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
	"drawbridge/internal/sqlstore/pgtest"
)

// logged is a store with n records.
func logged(t *testing.T, s *Store, n int) {
	for range n {
		if err := s.Record(t.Context(), noon, "user:ann", "x", broker.GrantSuspended{Why: "y"}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckpoints(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx, s := t.Context(), open()
		if c, err := s.Checkpoint(ctx); c != nil || err != nil {
			t.Fatalf("of an empty log: %+v, error %v", c, err)
		}
		logged(t, s, 3)
		keep := func(s *Store, size int64, text string) error {
			return s.KeepCheckpoint(ctx, size, noon, func(*Checkpoint, audit.Hash) ([]byte, error) { return []byte(text), nil })
		}
		records, err := s.Records(ctx, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.KeepCheckpoint(ctx, 2, noon, func(newest *Checkpoint, last audit.Hash) ([]byte, error) {
			if newest != nil || last != records[1].Hash {
				t.Errorf("given %+v and %v", newest, last)
			}
			return []byte("two"), nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, size := range []int64{1, 2} {
			if err := keep(s, size, "again"); err == nil {
				t.Errorf("a checkpoint of %d was kept after one of 2", size)
			}
		}
		refused := errors.New("refused")
		if err := s.KeepCheckpoint(ctx, 9, noon, func(newest *Checkpoint, last audit.Hash) ([]byte, error) {
			if newest == nil || newest.Size != 2 || string(newest.Note) != "two" || !newest.At.Equal(noon) || last != (audit.Hash{}) {
				t.Errorf("given %+v and %v", newest, last)
			}
			return nil, refused
		}); !errors.Is(err, refused) {
			t.Errorf("error %v", err)
		}
		if err := s.KeepCheckpoint(ctx, 3, noon, func(*Checkpoint, audit.Hash) ([]byte, error) { return nil, nil }); err != nil {
			t.Error(err)
		}
		if err := keep(s, 3, "three"); err != nil {
			t.Fatal(err)
		}
		list, err := s.Checkpoints(ctx, 0, 10)
		if err != nil || len(list) != 2 || list[0].Size != 2 || list[1].Size != 3 {
			t.Errorf("listed %+v, error %v", list, err)
		}
		if list, err := s.Checkpoints(ctx, 2, 1); err != nil || len(list) != 1 || list[0].Size != 3 {
			t.Errorf("listed from 2: %+v, error %v", list, err)
		}
		for _, query := range []string{`UPDATE checkpoints SET note = 'x'`, `DELETE FROM checkpoints`} {
			if _, err := s.writes.ExecContext(ctx, query); err == nil {
				t.Errorf("the database let %s through", query)
			}
		}
	})
}

// TestOneSigns: of daemons that sign at once, one does.
func TestOneSigns(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		var daemons []*Store
		for range 3 {
			daemons = append(daemons, open())
		}
		logged(t, daemons[0], 8)
		var signed atomic.Int32
		var wait sync.WaitGroup
		for _, s := range daemons {
			for size := int64(1); size <= 8; size++ {
				wait.Go(func() {
					err := s.KeepCheckpoint(context.Background(), size, noon, func(newest *Checkpoint, _ audit.Hash) ([]byte, error) {
						if newest != nil && newest.Size >= size {
							return nil, nil
						}
						signed.Add(1)
						return []byte("x"), nil
					})
					if err != nil {
						t.Errorf("size %d: %v", size, err)
					}
				})
			}
		}
		wait.Wait()
		list, err := daemons[1].Checkpoints(t.Context(), 0, 100)
		if err != nil || len(list) != int(signed.Load()) || list[len(list)-1].Size != 8 {
			t.Errorf("%d were signed, kept are %+v, error %v", signed.Load(), list, err)
		}
	})
}

func TestOpenLog(t *testing.T) {
	ctx := t.Context()
	check := func(t *testing.T, address string) {
		s, err := Open(ctx, address)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		logged(t, s, 3)
		l, err := OpenLog(ctx, address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if h, err := l.Head(ctx); err != nil || h.Size != 3 {
			t.Errorf("head %+v, error %v", h, err)
		}
		if list, err := l.Records(ctx, 1, 10); err != nil || len(list) != 2 {
			t.Errorf("records %+v, error %v", list, err)
		}
		if _, err := l.reads.ExecContext(ctx, `INSERT INTO spent VALUES ('a', 'b', 1)`); err == nil {
			t.Error("it can be written to")
		}
		logged(t, s, 1)
		if h, err := l.Head(ctx); err != nil || h.Size != 4 {
			t.Errorf("after one more: head %+v, error %v", h, err)
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "a b?.db")
		check(t, "sqlite:"+path)
		if _, err := OpenLog(ctx, "sqlite:"+path+"x"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("no file: %v", err)
		}
		other := filepath.Join(t.TempDir(), "other")
		if err := os.WriteFile(other, []byte("no database at all, but long enough to be taken for one"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenLog(ctx, "sqlite:"+other); err == nil {
			t.Error("another file was opened")
		}
	})
	t.Run("postgres", func(t *testing.T) { check(t, pgtest.URL(t)) })
	for _, bad := range []string{"", "x.db", "mysql://x"} {
		if _, err := OpenLog(ctx, bad); err == nil {
			t.Errorf("%q was opened", bad)
		}
	}
	if _, err := OpenLog(ctx, "postgres://u:canary@127.0.0.1:1/x?connect_timeout=2"); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("nobody there: %v", err)
	}
}

// TestTamperedDatabase: whoever may write the database's files may do what its triggers forbid, and is found.
func TestTamperedDatabase(t *testing.T) {
	for name, tt := range map[string]struct {
		do   []string
		want string
	}{
		"nothing":            {nil, ""},
		"another actor":      {[]string{`UPDATE audit SET actor = 'user:eve' WHERE seq = 2`}, "record 2"},
		"another time":       {[]string{`UPDATE audit SET time = time + 1 WHERE seq = 2`}, "record 2"},
		"another body":       {[]string{`UPDATE audit SET body = '{}' WHERE seq = 2`}, "record 2"},
		"a hash that is cut": {[]string{`UPDATE audit SET hash = x'00' WHERE seq = 2`}, "record 2"},
		"a hash with more":   {[]string{`UPDATE audit SET hash = CAST(hash || x'00' AS BLOB) WHERE seq = 2`}, "record 2"},
		"dropped":            {[]string{`DELETE FROM audit WHERE seq = 2`}, "record 2"},
		"dropped, closed up": {[]string{`DELETE FROM audit WHERE seq = 2`, `UPDATE audit SET seq = seq - 1 WHERE seq > 2`}, "record 2"},
		"exchanged":          {[]string{`UPDATE audit SET seq = -1 WHERE seq = 1`, `UPDATE audit SET seq = 1 WHERE seq = 2`, `UPDATE audit SET seq = 2 WHERE seq = -1`}, "record 1"},
		"the tail cut":       {[]string{`DELETE FROM audit WHERE seq > 2`}, "record 3"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for i, who := range []string{"ann", "bob", "cid", "dan", "eli"} {
				if err := s.Record(t.Context(), noon.Add(time.Duration(i)*time.Second), who, "x", broker.GrantSuspended{Why: "y"}); err != nil {
					t.Fatal(err)
				}
			}
			for _, query := range append([]string{`DROP TRIGGER audit_no_update`, `DROP TRIGGER audit_no_delete`}, tt.do...) {
				if _, err := s.writes.ExecContext(t.Context(), query); err != nil {
					t.Fatal(err)
				}
			}
			var v audit.Verifier
			list, err := s.Records(t.Context(), 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			for i := range list {
				if err = v.Next(&list[i]); err != nil {
					break
				}
			}
			if err == nil {
				head, _ := s.Head(t.Context())
				err = v.EndAt(head)
			}
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("found %v, want %q", err, tt.want)
			}
		})
	}
}
