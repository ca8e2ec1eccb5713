package cloudtrail

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
)

// A store with room for few ids in memory remembers all of them, as a set does, whatever order their hours come in.
func TestStoreRemembers(t *testing.T) {
	s, err := newStore()
	if err != nil {
		t.Fatal(err)
	}
	s.limit = 700
	random := rand.New(rand.NewPCG(1, 2))
	known := map[[24]byte]bool{}
	for i := range 200000 {
		var key [24]byte
		n := random.Uint64N(60000)
		binary.BigEndian.PutUint64(key[:], n*0x9e3779b97f4a7c15)
		if n%7 == 0 { // ids that begin alike
			clear(key[:8])
			key[0] = byte(n % 16)
		}
		binary.BigEndian.PutUint64(key[8:], n*0xbf58476d1ce4e5b9)
		hour := n % 40
		if i > 150000 {
			hour = n % 3
		}
		binary.BigEndian.PutUint64(key[16:], hour)
		if got := s.Seen([16]byte(key[:16]), int64(hour)*3600+int64(n%3600)); got != known[key] {
			t.Fatalf("id %d of hour %d: known %v, expected %v", n, hour, got, known[key])
		}
		known[key] = true
	}
	for i := range s.shards {
		if d := &s.shards[i]; d.held > s.limit+1 || d.size == 0 {
			t.Errorf("shard %d holds %d ids in memory and %d on disk", i, d.held, d.size)
		}
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestStoreKeepsTexts(t *testing.T) {
	s, err := newStore()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := range 1000 {
					s.Put(i%5, fmt.Append(nil, "text ", w, " ", i))
				}
			})
		}
		wg.Wait()
		seen := map[string]bool{}
		for part := range 6 {
			s.Take(part, func(text []byte) { seen[string(text)] = true })
		}
		if len(seen) != 4000 {
			t.Errorf("round %d: %d texts of 4000", round, len(seen))
		}
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

// What goes wrong on disk is an error of the import, and no id is taken for another.
func TestStoreSaysWhatWentWrong(t *testing.T) {
	s, err := newStore()
	if err != nil {
		t.Fatal(err)
	}
	s.limit = 10
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	for i := range 20000 {
		var id [16]byte
		binary.BigEndian.PutUint64(id[:], uint64(i)*0x9e3779b97f4a7c15)
		if s.Seen(id, int64(i)) {
			t.Fatal("an id that never came is known")
		}
	}
	s.Put(0, []byte("x"))
	if err := s.close(); err == nil {
		t.Error("nothing is said of the disk")
	}
}
