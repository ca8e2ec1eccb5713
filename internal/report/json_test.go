package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
)

// largest keeps the size of the longest single write.
type largest struct {
	bytes.Buffer
	longest int
}

func (l *largest) Write(b []byte) (int, error) {
	l.longest = max(l.longest, len(b))
	return l.Buffer.Write(b)
}

// TestWriteJSONInPieces: the bytes are those of encoding/json, and no write carries the whole of a large report.
func TestWriteJSONInPieces(t *testing.T) {
	large := example(t)
	for i := range 2000 {
		trust := large.Trusts[0]
		trust.Grantee.ID = fmt.Sprintf("<&> %d", i)
		large.Trusts = append(large.Trusts, trust)
	}
	for name, r := range map[string]*Report{"example": example(t), "large": large, "nil lists": {}, "empty lists": {Trusts: []Trust{}, UnusedExceptions: []string{}}} {
		var want bytes.Buffer
		encoder := json.NewEncoder(&want)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(r); err != nil {
			t.Fatal(err)
		}
		var got largest
		if err := WriteJSON(&got, r); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Errorf("%s: the bytes differ from those of encoding/json", name)
		}
		if got.longest > 1<<17 {
			t.Errorf("%s: a write of %d bytes", name, got.longest)
		}
	}
}

type broken struct{}

var errBroken = errors.New("the disk is full")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestWriteJSONReturnsTheError(t *testing.T) {
	if err := WriteJSON(broken{}, example(t)); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}
