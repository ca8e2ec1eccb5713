package publish

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/mod/sumdb/note"

	"drawbridge/internal/audit"
	"drawbridge/internal/audit/witnesstest"
	"drawbridge/internal/mototest"
)

type happened struct{ N int }

func (happened) Kind() string { return "test.happened" }

// log is a log of n records with its tree, and its key.
type log struct {
	t      *testing.T
	tree   audit.Tree
	head   audit.Head
	signer note.Signer
	key    note.Verifier
}

func newLog(t *testing.T) *log {
	private, public, err := note.GenerateKey(rand.Reader, "broker.example/audit")
	if err != nil {
		t.Fatal(err)
	}
	l := &log{t: t}
	if l.signer, err = note.NewSigner(private); err != nil {
		t.Fatal(err)
	}
	if l.key, err = note.NewVerifier(public); err != nil {
		t.Fatal(err)
	}
	return l
}

// grow adds records and gives the checkpoint of them all.
func (l *log) grow(n int, actor string) (*audit.Checkpoint, []byte) {
	for range n {
		r, head, err := audit.Append(l.head, time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), actor, "x", happened{n})
		if err != nil {
			l.t.Fatal(err)
		}
		if err := l.tree.Grow(&r); err != nil {
			l.t.Fatal(err)
		}
		l.head = head
	}
	c := &audit.Checkpoint{Origin: l.key.Name(), Size: l.head.Size, Last: l.head.Hash}
	var err error
	if c.Root, err = l.tree.Root(c.Size); err != nil {
		l.t.Fatal(err)
	}
	text, err := c.Sign(l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return c, text
}

func (l *log) extends(size int64) func(int64) ([]audit.Hash, error) {
	return func(old int64) ([]audit.Hash, error) { return l.tree.Extends(old, size) }
}

func TestFile(t *testing.T) {
	l := newLog(t)
	f := File(filepath.Join(t.TempDir(), "checkpoint.txt"))
	if got, err := f.Newest(t.Context(), 0); err != nil || len(got) != 0 {
		t.Fatalf("before the first: %v, error %v", got, err)
	}
	for range 2 {
		c, text := l.grow(3, "ann")
		if err := f.Publish(t.Context(), c, text); err != nil {
			t.Fatal(err)
		}
		got, err := f.Newest(t.Context(), 0)
		if err != nil || len(got) != 1 || !bytes.Equal(got[string(f)], text) {
			t.Errorf("%q, error %v; want %q", got, err, text)
		}
	}
	if list, err := os.ReadDir(filepath.Dir(string(f))); err != nil || len(list) != 1 {
		t.Errorf("left behind: %v, error %v", list, err)
	}
	c, text := l.grow(1, "ann")
	if err := File(filepath.Join(t.TempDir(), "none", "x")).Publish(t.Context(), c, text); err == nil {
		t.Error("written to a folder that is not there")
	}
}

func TestWitness(t *testing.T) {
	l := newLog(t)
	other := witnesstest.New("witness.example/w1", l.key)
	server := httptest.NewServer(other)
	defer server.Close()
	key, err := audit.ParseWitness(other.Key)
	if err != nil {
		t.Fatal(err)
	}
	ask := func() *Witness { return &Witness{Client: server.Client(), URL: server.URL, Key: key, Log: l.key} }
	w := ask()
	first, text := l.grow(5, "ann")
	cosigned, err := w.Cosign(t.Context(), first, text, l.extends(5))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := audit.OpenCheckpoint(cosigned, l.key, key); err != nil || len(c.Cosigned) != 1 || !c.Same(first) {
		t.Errorf("%+v, error %v", c, err)
	}
	second, text2 := l.grow(600, "ann")
	if _, err := w.Cosign(t.Context(), second, text2, l.extends(605)); err != nil {
		t.Fatal(err)
	}
	// A daemon that has just started does not know what the witness saw, and is told. The same checkpoint is cosigned again, with a newer time.
	w = ask()
	if _, err := w.Cosign(t.Context(), second, text2, l.extends(605)); err != nil {
		t.Fatal(err)
	}
	third, text3 := l.grow(1, "ann")
	if _, err := w.Cosign(t.Context(), third, text3, l.extends(606)); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(other.Calls(), ", "); got != "200 for 5, 200 for 605, 409 for 605, 200 for 605, 200 for 606" {
		t.Errorf("calls: %s", got)
	}
	// An older copy of the log.
	var ahead *Ahead
	if _, err := w.Cosign(t.Context(), second, text2, l.extends(605)); !errors.As(err, &ahead) || ahead.Seen != 606 || ahead.Size != 605 {
		t.Errorf("an older copy: %v", err)
	}
	// Another log by the same key: as long as what was seen, and longer.
	fork := newLog(t)
	fork.signer, fork.key = l.signer, l.key
	same, sameText := fork.grow(606, "eve")
	if _, err := ask().Cosign(t.Context(), same, sameText, fork.extends(606)); !errors.Is(err, ErrOtherLog) {
		t.Errorf("another log of one size: %v", err)
	}
	longer, longerText := fork.grow(100, "eve")
	if _, err := ask().Cosign(t.Context(), longer, longerText, fork.extends(706)); !errors.Is(err, ErrOtherLog) {
		t.Errorf("a longer one: %v", err)
	}
	if other.Size() != 606 {
		t.Errorf("the witness is at %d", other.Size())
	}
	// What it saw is told also to whoever asks about nothing; one that takes no empty logs says so.
	empty := newLog(t)
	empty.signer, empty.key = l.signer, l.key
	nothing, nothingText := empty.grow(0, "")
	if _, err := ask().Cosign(t.Context(), nothing, nothingText, empty.extends(0)); !errors.As(err, &ahead) || ahead.Seen != 606 {
		t.Errorf("an empty log: %v", err)
	}
	strict := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }))
	defer strict.Close()
	if _, err := (&Witness{Client: strict.Client(), URL: strict.URL, Key: key, Log: l.key}).Cosign(t.Context(), nothing, nothingText, empty.extends(0)); !errors.Is(err, ErrEmpty) {
		t.Errorf("an empty log, to a strict witness: %v", err)
	}
	// A log that it does not know, and one that it knows by another key.
	stranger := newLog(t)
	c, text4 := stranger.grow(1, "ann")
	w = ask()
	w.Log = stranger.key
	if _, err := w.Cosign(t.Context(), c, text4, stranger.extends(1)); err == nil || !strings.Contains(err.Error(), "does not know the log") {
		t.Errorf("a stranger: %v", err)
	}
	other.Down(true)
	if _, err := ask().Cosign(t.Context(), third, text3, l.extends(606)); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("down: %v", err)
	}
}

// TestWitnessThatLies: an answer that is no cosignature by the key that was given is not taken for one.
func TestWitnessThatLies(t *testing.T) {
	l := newLog(t)
	c, text := l.grow(2, "ann")
	stranger := witnesstest.New("witness.example/w1", l.key)
	good := witnesstest.New("witness.example/w1", l.key)
	key, err := audit.ParseWitness(good.Key)
	if err != nil {
		t.Fatal(err)
	}
	for name, handler := range map[string]http.Handler{
		"nothing":          http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		"another key":      stranger,
		"a page":           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>welcome</html>") }),
		"a size of nobody": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusConflict) }),
		"an endless chase": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/x.tlog.size")
			w.WriteHeader(http.StatusConflict)
			fmt.Fprintln(w, 1)
		}),
	} {
		server := httptest.NewServer(handler)
		w := &Witness{Client: server.Client(), URL: server.URL, Key: key, Log: l.key}
		if got, err := w.Cosign(t.Context(), c, text, l.extends(2)); err == nil {
			t.Errorf("%s: %q", name, got)
		}
		server.Close()
	}
}

// TestMotoObjectLock: checkpoints lie under object lock, cannot be deleted before their time, and are found below the marker of a deletion.
func TestMotoObjectLock(t *testing.T) {
	address, _ := mototest.Start(t)
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": address, "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_EC2_METADATA_DISABLED": "true"} {
		t.Setenv(name, value)
	}
	ctx := t.Context()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		t.Fatal(err)
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	for _, bucket := range []string{"locked", "open"} {
		if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket, ObjectLockEnabledForBucket: aws.Bool(bucket == "locked"), CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: "eu-west-1"}}); err != nil {
			t.Fatal(err)
		}
	}
	l := newLog(t)
	now := time.Now()
	place := &S3{Client: client, Bucket: "locked", Prefix: "audit/", Retain: 48 * time.Hour, Now: func() time.Time { return now }}
	if got, err := place.Newest(ctx, 0); err != nil || len(got) != 0 {
		t.Fatalf("of an empty bucket: %v, error %v", got, err)
	}
	var texts [][]byte
	for range 3 {
		c, text := l.grow(7, "ann")
		if err := place.Publish(ctx, c, text); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	for size, want := range map[int64]int{0: 3, 7: 2, 14: 1, 21: 0} {
		if got, err := place.Newest(ctx, size); err != nil || len(got) != want {
			t.Errorf("from %d on: %d checkpoints, error %v; want %d", size, len(got), err, want)
		}
	}
	key := aws.String("audit/00000000000000000021.txt")
	head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &place.Bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if until := aws.ToTime(head.ObjectLockRetainUntilDate); head.ObjectLockMode != types.ObjectLockModeCompliance || until.Sub(now).Round(time.Hour) != 48*time.Hour {
		t.Errorf("locked %v until %v", head.ObjectLockMode, until)
	}
	if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &place.Bucket, Key: key, VersionId: head.VersionId, BypassGovernanceRetention: aws.Bool(true)}); err == nil {
		t.Error("the locked version was deleted")
	}
	if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &place.Bucket, Key: key}); err != nil {
		t.Fatal(err)
	}
	got, err := place.Newest(ctx, 14)
	if err != nil || len(got) != 1 {
		t.Fatalf("behind the marker: %v, error %v", got, err)
	}
	for name, text := range got {
		if !bytes.Equal(text, texts[2]) {
			t.Errorf("%s is %q", name, text)
		}
	}
	place.Bucket = "open"
	c, text := l.grow(1, "ann")
	if err := place.Publish(ctx, c, text); err == nil {
		t.Error("written to a bucket without object lock")
	}
}
