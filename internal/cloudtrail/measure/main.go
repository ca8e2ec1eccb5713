// Command measure writes CloudTrail files, the same ones each time, and prints how long their import takes beside the time that
// only unpacking them takes. What is near 1 is as fast as it can be; seconds say something on one machine only, the ratio on most.
//
//	go run ./internal/cloudtrail/measure
package main

import (
	"bufio"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/klauspost/compress/gzip"

	"drawbridge/internal/cloudtrail"
	"drawbridge/internal/usage"
)

func main() {
	files := flag.Int("files", 200, "files to write")
	events := flag.Int("events", 5000, "events in each file")
	runs := flag.Int("runs", 5, "how often each is measured")
	flag.Parse()
	if err := measure(*files, *events, *runs); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

func measure(files, events, runs int) error {
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
	// Both are timed by turns, and the median of the ratios taken: what else the machine does slows down both of a pair.
	var (
		size   int64
		record *usage.Record
		pairs  []pair
	)
	for range runs {
		var p pair
		if p.unpacking, err = timed(func() (err error) { size, err = unpack(names); return err }); err != nil {
			return err
		}
		p.importing, err = timed(func() error {
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
		pairs = append(pairs, p)
	}
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.ratio(), b.ratio()) })
	median := pairs[len(pairs)/2]
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Printf("%d files, %d events, %d MB unpacked, %d processors; the median of %d pairs of runs\n", files, files*events, size>>20, runtime.GOMAXPROCS(0), runs)
	fmt.Printf("unpacking only: %v\n", median.unpacking.wall.Round(time.Millisecond))
	fmt.Printf("import:         %v, %.2f times as long (%.2f to %.2f)\n", median.importing.wall.Round(time.Millisecond), median.ratio(), pairs[0].ratio(), pairs[len(pairs)-1].ratio())
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.processorRatio(), b.processorRatio()) })
	fmt.Printf("of processor time %.2f times as much (%.2f to %.2f)\n", pairs[len(pairs)/2].processorRatio(), pairs[0].processorRatio(), pairs[len(pairs)-1].processorRatio())
	fmt.Printf("%d uses of trusts, %d actions; %d MB of memory taken from the system\n", len(record.Crossings), len(record.Actions), m.Sys>>20)
	return nil
}

// pair is one run of each.
type pair struct{ unpacking, importing spent }

// spent is how long something took by the clock, and on all processors together: what else the machine does moves the first more.
type spent struct{ wall, processor time.Duration }

func (p *pair) ratio() float64 { return p.importing.wall.Seconds() / p.unpacking.wall.Seconds() }

func (p *pair) processorRatio() float64 {
	return p.importing.processor.Seconds() / p.unpacking.processor.Seconds()
}

func timed(do func() error) (spent, error) {
	runtime.GC() // what the other one left behind is not this one's
	start, used := time.Now(), processorTime()
	err := do()
	return spent{time.Since(start), processorTime() - used}, err
}

// processorTime is what the process has used of all processors so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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
