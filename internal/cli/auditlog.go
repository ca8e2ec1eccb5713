package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"drawbridge/internal/audit"
	"drawbridge/internal/sqlstore"
)

// logSource is where a log is read.
type logSource interface {
	// each gives the records in their order.
	each(ctx context.Context, add func(*audit.Record) error) error
	// checkpoints are the notes that are kept beside the log, the newest last.
	checkpoints(ctx context.Context) ([]namedNote, error)
	// head is how far the log goes by what is kept beside the records; false where nothing is.
	head(ctx context.Context) (audit.Head, bool, error)
	close()
}

type namedNote struct {
	name string
	text []byte
}

// openLogSource opens what LOG names.
func openLogSource(ctx context.Context, e *Env, address string) (logSource, error) {
	if name, ok := strings.CutPrefix(address, "env:"); ok {
		if address = e.Getenv(name); address == "" {
			return nil, usagef("the variable %s is not set", name)
		}
	}
	switch {
	case address == "-":
		return &exportedLog{name: "standard input", in: e.Stdin}, nil
	case strings.HasPrefix(address, "sqlite:"), strings.HasPrefix(address, "postgres://"), strings.HasPrefix(address, "postgresql://"):
		l, err := sqlstore.OpenLog(ctx, address)
		if err != nil {
			return nil, err
		}
		return &storedLog{l}, nil
	case strings.HasPrefix(address, "http://"), strings.HasPrefix(address, "https://"):
		return openServedLog(e, address)
	}
	f, err := os.Open(address)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	return &exportedLog{name: address, in: f, file: f}, nil
}

// exportedLog is a log as 'audit export' wrote it, plain or gzip.
type exportedLog struct {
	name string
	in   io.Reader
	file *os.File
}

// longestLine is far above the length of any record.
const longestLine = 64 << 20

func (l *exportedLog) each(ctx context.Context, add func(*audit.Record) error) error {
	buffered := bufio.NewReaderSize(l.in, 1<<16)
	var in io.Reader = buffered
	if magic, err := buffered.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		packed, err := gzip.NewReader(buffered)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		in = packed
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<16), longestLine)
	lines.Split(wholeLines)
	for n := 1; lines.Scan(); n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := audit.ParseLine(lines.Bytes())
		if err != nil {
			return &audit.Tampered{Seq: int64(n - 1), What: fmt.Sprintf("line %d of %s: %v", n, l.name, err)}
		}
		if err := add(&r); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading %s: %w", l.name, err)
	}
	return nil
}

// wholeLines cuts a text at the ends of its lines; a line that breaks off is one without its end.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

func (l *exportedLog) checkpoints(context.Context) ([]namedNote, error) { return nil, nil }

func (l *exportedLog) head(context.Context) (audit.Head, bool, error) {
	return audit.Head{}, false, nil
}

func (l *exportedLog) close() {
	if l.file != nil {
		_ = l.file.Close()
	}
}

// storedLog is the broker's store.
type storedLog struct{ *sqlstore.Log }

const logPage = 1000 // records, or checkpoints, at a time

func (l *storedLog) each(ctx context.Context, add func(*audit.Record) error) error {
	next := int64(-1 << 62) // a record with a number below zero is an inserted one, and must be seen
	for {
		list, err := l.Records(ctx, next, logPage)
		if err != nil {
			return err
		}
		for i := range list {
			if err := add(&list[i]); err != nil {
				return err
			}
		}
		if len(list) < logPage {
			return nil
		}
		next = list[len(list)-1].Seq + 1
	}
}

func (l *storedLog) checkpoints(ctx context.Context) ([]namedNote, error) {
	var out []namedNote
	after := int64(-1 << 62)
	for {
		list, err := l.Checkpoints(ctx, after, logPage)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			after = c.Size
			out = append(out, namedNote{fmt.Sprintf("checkpoint %d of the store", len(out)+1), c.Note})
		}
		if len(list) < logPage {
			return out, nil
		}
	}
}

func (l *storedLog) head(ctx context.Context) (audit.Head, bool, error) {
	h, err := l.Head(ctx)
	return h, true, err
}

func (l *storedLog) close() { _ = l.Close() }

// servedLog is the log of a daemon, which records that it was read.
type servedLog struct {
	url, token string
	client     *http.Client
}

func openServedLog(e *Env, address string) (*servedLog, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, usagef("%q is no URL of a daemon", address)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usagef("%s is asked with a token, which would cross the network in the clear: use https", address)
	}
	token := e.Getenv("DRAWBRIDGE_TOKEN")
	if token == "" {
		return nil, usagef("DRAWBRIDGE_TOKEN is not set: the daemon gives its log to those who may read it")
	}
	return &servedLog{strings.TrimRight(address, "/"), token, &http.Client{Timeout: time.Minute}}, nil
}

// get asks for a path; nil where there is nothing.
func (l *servedLog) get(ctx context.Context, path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+l.token)
	a, err := l.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s%s: %w", l.url, path, err)
	case a.StatusCode == http.StatusNotFound:
		return nil, nil
	case a.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s%s: %s: %s", l.url, path, a.Status, bytes.TrimSpace(text))
	}
	return text, nil
}

// each gives the records that there were when reading began: reading adds some.
func (l *servedLog) each(ctx context.Context, add func(*audit.Record) error) error {
	for next, size := int64(0), int64(-1); size < 0 || next < size; {
		text, err := l.get(ctx, fmt.Sprintf("/v1/audit?from=%d&most=%d", next, logPage))
		if err != nil {
			return err
		}
		var page struct {
			Records []audit.Record `json:"records"`
			Size    int64          `json:"size"`
		}
		if err := json.Unmarshal(text, &page); err != nil {
			return fmt.Errorf("%s: the answer is no page of a log: %w", l.url, err)
		}
		if size < 0 {
			size = page.Size
		}
		if len(page.Records) == 0 {
			return errors.New("the daemon gave fewer records than it said there are")
		}
		for i := range page.Records {
			if next == size {
				break
			}
			if err := add(&page.Records[i]); err != nil {
				return err
			}
			next++
		}
	}
	return nil
}

func (l *servedLog) checkpoints(ctx context.Context) ([]namedNote, error) {
	text, err := l.get(ctx, "/checkpoint")
	if err != nil || text == nil {
		return nil, err
	}
	return []namedNote{{"the daemon's checkpoint", text}}, nil
}

func (l *servedLog) head(context.Context) (audit.Head, bool, error) {
	return audit.Head{}, false, nil
}

func (l *servedLog) close() {}
