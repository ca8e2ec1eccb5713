// Command measure scans synthetic organisations, asks who can do something in them, and prints how long it took and how much
// memory it needed, at its peak. Each scan and each question is a process of its own, so that none inherits the memory of
// another.
//
//	go run ./internal/synthetic/measure
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"drawbridge/internal/access"
	"drawbridge/internal/catalog"
	"drawbridge/internal/ingest"
	"drawbridge/internal/org"
	"drawbridge/internal/report"
	"drawbridge/internal/rule"
	"drawbridge/internal/synthetic"
)

func main() {
	dir := flag.String("scan", "", "scan this `DIRECTORY` in this process")
	asked := flag.String("who-can", "", "ask who can read a bucket of this `DIRECTORY` in this process")
	profile := flag.String("cpuprofile", "", "with -scan or -who-can: write a CPU profile to this `FILE`")
	roles := flag.Int("roles", 100, "roles in each account")
	flag.Parse()
	var err error
	switch {
	case *dir != "":
		err = profiled(*profile, func() error { return scan(*dir) })
	case *asked != "":
		err = profiled(*profile, func() error { return whoCan(*asked) })
	default:
		err = measure([]int{50, 200}, *roles)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

// measure makes an organisation of each size, and scans it and asks about it in new processes.
func measure(sizes []int, roles int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, accounts := range sizes {
		dir, err := os.MkdirTemp("", "drawbridge-measure-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := synthetic.Write(accounts, roles, func(name string, data []byte) error { return write(dir, name, data) }); err != nil {
			return err
		}
		fmt.Printf("%d accounts with %d roles each: ", accounts, roles)
		for _, mode := range []string{"-scan", "-who-can"} {
			command := exec.Command(self, mode, dir)
			command.Stdout, command.Stderr = os.Stdout, os.Stderr
			if err := command.Run(); err != nil {
				return err
			}
		}
	}
	return nil
}

func write(dir, name string, data []byte) error {
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

func profiled(file string, work func() error) error {
	if file == "" {
		return work()
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return work()
}

// scan does what drawbridge scan does, step by step, and prints the time of each.
func scan(dir string) error {
	var steps []string
	begin := time.Now()
	last := begin
	done := func(name string) {
		now := time.Now()
		steps = append(steps, fmt.Sprintf("%s %.2f", name, now.Sub(last).Seconds()))
		last = now
	}
	s, err := ingest.Open(dir)
	if err != nil {
		return err
	}
	done("read")
	o := org.Build(s)
	done("link")
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	graph := access.Build(o, access.Options{Now: now})
	done("edges")
	in := &rule.Input{Graph: graph, Org: o, Now: now}
	rules := catalog.Rules()
	findings := rule.Run(rules, in)
	done("rules")
	r := report.New(in, findings, report.Options{Input: "synthetic", Version: "measure", Rules: rules})
	if err := report.WriteText(io.Discard, r, report.TextOptions{Limit: 20}); err != nil {
		return err
	}
	done("report")
	fmt.Printf("%.2f s (%s), %s, %d edges, %d findings\n",
		time.Since(begin).Seconds(), strings.Join(steps, ", "), peakMemory(), len(graph.Edges), len(findings))
	return nil
}

// whoCan does what drawbridge who-can does, for a bucket with a policy and for one of which nothing is known.
func whoCan(dir string) error {
	begin := time.Now()
	s, err := ingest.Open(dir)
	if err != nil {
		return err
	}
	graph := access.Build(org.Build(s), access.Options{})
	fmt.Printf("  who-can: loaded in %.2f s", time.Since(begin).Seconds())
	for _, resource := range []string{"arn:aws:s3:::data-100000000007/report", "arn:aws:s3:::shared-07/report"} {
		begin = time.Now()
		edges, err := graph.WhoCan("s3:GetObject", resource)
		if err != nil {
			return err
		}
		fmt.Printf(", %d of %d principals in %.3f s", len(edges), len(graph.Org.Principals), time.Since(begin).Seconds())
	}
	fmt.Println(",", peakMemory())
	return nil
}

// peakMemory is the most memory that the process had at once: as the system counts it, or else what the Go runtime got.
func peakMemory() string {
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(status)) {
			var kilobytes int
			if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); n == 1 {
				return fmt.Sprintf("peak memory %d MB", kilobytes/1024)
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return fmt.Sprintf("memory from the system %d MB", m.Sys>>20)
}
