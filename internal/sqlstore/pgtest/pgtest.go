// Package pgtest gives tests a real PostgreSQL: the one that DRAWBRIDGE_POSTGRES names, else one that is started for the test where its programs are installed.
package pgtest

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
)

var (
	once   sync.Once
	server string
	why    error
	stop   = func() {}
	number int
	mu     sync.Mutex
)

// URL is an empty database of its own. Without a PostgreSQL the test is skipped, and says so; where DRAWBRIDGE_POSTGRES is "required" it fails.
func URL(t testing.TB) string {
	once.Do(func() {
		server = os.Getenv("DRAWBRIDGE_POSTGRES")
		if server == "" || server == "required" {
			server, why = start()
		}
	})
	if why != nil {
		if os.Getenv("DRAWBRIDGE_POSTGRES") == "required" {
			t.Fatalf("no PostgreSQL: %v", why)
		}
		t.Skipf("SKIPPED: no PostgreSQL: %v", why)
	}
	mu.Lock()
	defer mu.Unlock()
	number++
	name := fmt.Sprintf("drawbridge_%d_%d", os.Getpid(), number)
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// Main runs the tests of a package and ends the server after them.
func Main(m *testing.M) {
	code := m.Run()
	stop()
	os.Exit(code)
}

// start starts a server in a directory of its own, by a user who is not root: PostgreSQL refuses root.
func start() (string, error) {
	bin := func(name string) (string, error) {
		if found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); err == nil && len(found) > 0 {
			return found[len(found)-1], nil
		}
		return exec.LookPath(name)
	}
	initdb, err := bin("initdb")
	if err != nil {
		return "", err
	}
	postgres, err := bin("postgres")
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "drawbridge-pg-")
	if err != nil {
		return "", err
	}
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if os.Geteuid() == 0 {
		nobody, err := user.Lookup("nobody")
		if err != nil {
			return "", err
		}
		uid, _ := strconv.Atoi(nobody.Uid)
		gid, _ := strconv.Atoi(nobody.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			return "", err
		}
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	data := filepath.Join(dir, "data")
	run := exec.Command(initdb, "-D", data, "-U", "drawbridge", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
	run.SysProcAttr, run.Dir = attr, dir
	if out, err := run.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(out))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	serve := exec.Command(postgres, "-D", data, "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-k", dir)
	serve.SysProcAttr, serve.Dir = attr, dir
	var log bytes.Buffer
	serve.Stderr = &log
	if err := serve.Start(); err != nil {
		return "", fmt.Errorf("postgres: %w", err)
	}
	stop = func() {
		_ = serve.Process.Signal(syscall.SIGINT)
		_ = serve.Wait()
		_ = os.RemoveAll(dir)
	}
	address := fmt.Sprintf("postgres://drawbridge@127.0.0.1:%d/postgres?sslmode=disable", port)
	for range 100 {
		db, err := sql.Open("pgx", address)
		if err != nil {
			return "", err
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err = db.PingContext(ctx)
		cancel()
		db.Close()
		if err == nil {
			return address, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	stop()
	return "", fmt.Errorf("postgres did not answer: %s", log.String())
}
