// Package mototest starts moto, an emulator of AWS, for tests. It enforces no policies.
package mototest

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Start starts a moto server, in a virtual environment below .tools of the project or on PATH, and gives its address and its Python. Where there is none the test is skipped, and says so; with DRAWBRIDGE_MOTO=required it fails.
func Start(t *testing.T) (address, python string) {
	t.Helper()
	if os.Getenv("DRAWBRIDGE_MOTO") == "" {
		t.Skip("SKIPPED: 'make moto' runs this")
	}
	missing := func(err error) {
		if os.Getenv("DRAWBRIDGE_MOTO") == "required" {
			t.Fatalf("no moto: 'make moto' installs it (%v)", err)
		}
		t.Skipf("SKIPPED: no moto: 'make moto' installs it (%v)", err)
	}
	program, err := filepath.Abs("../../.tools/moto/bin/moto_server")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		if program, err = exec.LookPath("moto_server"); err != nil {
			missing(err)
		}
	}
	python = filepath.Join(filepath.Dir(program), "python")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	server := exec.Command(program, "-H", "127.0.0.1", "-p", fmt.Sprint(port))
	var log bytes.Buffer
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		missing(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	address = fmt.Sprintf("http://127.0.0.1:%d", port)
	for range 300 {
		if r, err := http.Get(address + "/moto-api/data.json"); err == nil {
			_ = r.Body.Close()
			return address, python
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("moto did not answer: %s", log.String())
	return "", ""
}
