package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"drawbridge/internal/audit"
)

// Witness asks a witness to cosign checkpoints. Source: C2SP tlog-witness, "add-checkpoint".
type Witness struct {
	Client *http.Client
	URL    string // submission prefix, without a slash at its end
	Key    *audit.Witness
	Log    note.Verifier // the log's own key

	mu  sync.Mutex
	old int64 // the size that the witness saw last, as far as is known
}

// Name tells witnesses apart, in logs and metrics.
func (w *Witness) Name() string { return "witness " + w.Key.Name() }

// Ahead says that a witness saw a checkpoint of more records than the one that it was asked to cosign.
type Ahead struct {
	Witness    string
	Seen, Size int64
}

func (a *Ahead) Error() string {
	return fmt.Sprintf("the witness %s saw a checkpoint of %d records, and was asked for one of %d", a.Witness, a.Seen, a.Size)
}

// ErrOtherLog says that a witness saw another log under this log's name and key: its checkpoint has no consistent way to this one.
var ErrOtherLog = errors.New("it saw another log")

// ErrEmpty says that a witness does not cosign checkpoints of empty logs. It has seen none of this log that is not.
var ErrEmpty = errors.New("it does not cosign an empty log")

// Cosign asks the witness to cosign a checkpoint, and gives the note with its cosignature. Extends proves that the log extends its first old records. The error is an *Ahead or wraps ErrOtherLog where the witness's view
// and the log's are not one.
func (w *Witness) Cosign(ctx context.Context, c *audit.Checkpoint, text []byte, extends func(old int64) ([]audit.Hash, error)) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for try := 0; ; try++ {
		old := min(w.old, c.Size)
		proof, err := extends(old)
		if err != nil {
			return nil, fmt.Errorf("witness %s: %w", w.Key.Name(), err)
		}
		status, kind, answer, err := w.ask(ctx, old, proof, text)
		if err != nil {
			return nil, fmt.Errorf("witness %s: %w", w.Key.Name(), err)
		}
		if c.Size == 0 && (status == http.StatusBadRequest || status == http.StatusUnprocessableEntity) {
			return nil, fmt.Errorf("witness %s: %w: status %d: %q", w.Key.Name(), ErrEmpty, status, answer)
		}
		switch status {
		case http.StatusOK:
			cosigned := bytes.Clone(text)
			for line := range strings.Lines(string(answer)) {
				if strings.HasPrefix(line, "— "+w.Key.Name()+" ") { // those of others are not asked for
					cosigned = append(cosigned, line...)
				}
			}
			got, err := audit.OpenCheckpoint(cosigned, w.Log, w.Key)
			if err != nil || len(got.Cosigned) == 0 {
				return nil, errors.Join(fmt.Errorf("witness %s: its answer has no cosignature by its key", w.Key.Name()), err)
			}
			w.old = c.Size
			return cosigned, nil
		case http.StatusConflict:
			seen, err := strconv.ParseInt(strings.TrimSuffix(string(answer), "\n"), 10, 64)
			if media, _, _ := mime.ParseMediaType(kind); media != "text/x.tlog.size" || err != nil || seen < 0 {
				return nil, fmt.Errorf("witness %s: status 409 without the size that it saw: %q", w.Key.Name(), answer)
			}
			switch {
			case seen > c.Size:
				return nil, &Ahead{w.Key.Name(), seen, c.Size}
			case seen == old && old == c.Size:
				return nil, fmt.Errorf("witness %s: %w of %d records", w.Key.Name(), ErrOtherLog, seen)
			case try >= 3:
				return nil, fmt.Errorf("witness %s: it changes what it saw faster than it can be followed", w.Key.Name())
			}
			w.old = seen
		case http.StatusUnprocessableEntity:
			return nil, fmt.Errorf("witness %s: %w: %d records do not extend the %d that it saw", w.Key.Name(), ErrOtherLog, c.Size, old)
		case http.StatusNotFound, http.StatusForbidden:
			return nil, fmt.Errorf("witness %s: it does not know the log %s by its key (status %d): its keeper must add it", w.Key.Name(), c.Origin, status)
		default:
			return nil, fmt.Errorf("witness %s: status %d: %q", w.Key.Name(), status, answer)
		}
	}
}

// ask makes one call.
func (w *Witness) ask(ctx context.Context, old int64, proof []audit.Hash, text []byte) (status int, kind string, answer []byte, err error) {
	var body bytes.Buffer
	fmt.Fprintf(&body, "old %d\n", old)
	for _, h := range proof {
		fmt.Fprintln(&body, h)
	}
	body.WriteByte('\n')
	body.Write(text)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL+"/add-checkpoint", &body)
	if err != nil {
		return 0, "", nil, err
	}
	r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	a, err := w.Client.Do(r)
	if err != nil {
		return 0, "", nil, err
	}
	defer a.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(a.Body, 1<<16))
	return a.StatusCode, a.Header.Get("Content-Type"), answer, err
}
