// Command measure writes CloudTrail files, the same ones each time, and prints how long their import takes beside the time that
// only unpacking them takes. What is near 1 is as fast as it can be; seconds say something on one machine only, the ratio on most.
//
//	go run ./internal/cloudtrail/measure
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"drawbridge/internal/cloudtrail"
	"drawbridge/internal/usage"
)

func main() {
	files := flag.Int("files", 60, "files to write")
	events := flag.Int("events", 5000, "events in each file")
	flag.Parse()
	if err := measure(*files, *events); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

func measure(files, events int) error {
	dir, err := os.MkdirTemp("", "drawbridge-usage-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var names []string
	for n := range files {
		name := filepath.Join(dir, fmt.Sprintf("%06d.json.gz", n))
		if err := write(name, n, events); err != nil {
			return err
		}
		names = append(names, name)
	}
	// Each is timed three times and the shortest time taken: what else the machine does only makes it longer.
	var size int64
	unpacking, err := shortest(func() (err error) { size, err = unpack(names); return err })
	if err != nil {
		return err
	}
	fmt.Printf("%d files, %d events, %d MB unpacked, %d processors\n", files, files*events, size>>20, runtime.GOMAXPROCS(0))
	fmt.Printf("unpacking only: %v\n", unpacking.Round(time.Millisecond))
	// Import comes second: the memory that the system gave is then that of the larger of the two, which is the import's.
	var record *usage.Record
	importing, err := shortest(func() error {
		r, result, err := cloudtrail.Import(nil, usage.Options{}, []string{dir})
		if err == nil && (result.Events != files*events || len(result.Gaps) > 0) {
			err = fmt.Errorf("%d events and %d gaps, expected %d events", result.Events, len(result.Gaps), files*events)
		}
		record = r
		return err
	})
	if err != nil {
		return err
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Printf("import:         %v, %.1f times as long; %d uses of trusts, %d actions; %d MB of memory taken from the system\n",
		importing.Round(time.Millisecond), importing.Seconds()/unpacking.Seconds(), len(record.Crossings), len(record.Actions), m.Sys>>20)
	return nil
}

func shortest(do func() error) (time.Duration, error) {
	var best time.Duration
	for n := range 3 {
		start := time.Now()
		if err := do(); err != nil {
			return 0, err
		}
		if took := time.Since(start); n == 0 || took < best {
			best = took
		}
	}
	return best, nil
}

// unpack reads all files, one on each processor at a time, and says how much they hold.
func unpack(names []string) (int64, error) {
	var (
		wg    sync.WaitGroup
		sizes = make([]int64, len(names))
		errs  = make([]error, len(names))
		next  = make(chan int)
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				sizes[i], errs[i] = unpackOne(names[i])
			}
		})
	}
	for i := range names {
		next <- i
	}
	close(next)
	wg.Wait()
	var size int64
	for _, s := range sizes {
		size += s
	}
	return size, errors.Join(errs...)
}

func unpackOne(name string) (int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	in, err := gzip.NewReader(bufio.NewReaderSize(f, 1<<16))
	if err != nil {
		return 0, err
	}
	return io.Copy(io.Discard, in)
}
