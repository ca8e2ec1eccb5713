package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"

	"drawbridge/internal/api/client"
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
		c, err := (&brokerFlags{url: address}).client(e)
		if err != nil {
			return nil, err
		}
		return &servedLog{c}, nil
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
type servedLog struct{ client *client.Client }

// each gives the records that there were when reading began: reading adds some.
func (l *servedLog) each(ctx context.Context, add func(*audit.Record) error) error {
	for next, end := int64(0), int64(-1); end < 0 || next < end; {
		list, size, err := l.client.Records(ctx, next, logPage)
		if err != nil {
			return err
		}
		if end < 0 {
			end = size
		}
		if len(list) == 0 {
			return errors.New("the daemon gave fewer records than it said there are")
		}
		for i := range list {
			if next == end {
				break
			}
			if err := add(&list[i]); err != nil {
				return err
			}
			next++
		}
	}
	return nil
}

func (l *servedLog) checkpoints(ctx context.Context) ([]namedNote, error) {
	text, err := l.client.Checkpoint(ctx)
	if err != nil || text == nil {
		return nil, err
	}
	return []namedNote{{"the daemon's checkpoint", text}}, nil
}

func (l *servedLog) head(context.Context) (audit.Head, bool, error) {
	return audit.Head{}, false, nil
}

func (l *servedLog) close() {}
