package trino

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// served is a client of a server that answers so; waiting takes no time.
func served(t *testing.T, user, password, token string, answer http.HandlerFunc) (*Client, *[]string) {
	t.Helper()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	c, err := New(strings.Replace(server.URL, "http://", "http://"+user, 1)+"/hive/trails", password, token)
	if err != nil {
		t.Fatal(err)
	}
	c.wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return c, &asked
}

func reply(t *testing.T, w http.ResponseWriter, v map[string]any) {
	t.Helper()
	if err := json.NewEncoder(w).Encode(v); err != nil {
		t.Error(err)
	}
}

func TestQuery(t *testing.T) {
	busy := 3
	c, asked := served(t, "ana@", "", "", func(w http.ResponseWriter, r *http.Request) {
		if busy--; busy >= 0 {
			w.WriteHeader([]int{503, 429, 502}[busy])
			return
		}
		next := "http://" + r.Host + "/v1/statement/executing/q/"
		switch r.URL.Path {
		case "/v1/statement":
			sql, _ := io.ReadAll(r.Body)
			if string(sql) != "SELECT 1" || r.Header.Get("X-Trino-User") != "ana" || r.Header.Get("X-Trino-Catalog") != "hive" || r.Header.Get("X-Trino-Schema") != "trails" {
				t.Errorf("%s %v", sql, r.Header)
			}
			reply(t, w, map[string]any{"nextUri": next + "1"})
		case "/v1/statement/executing/q/1":
			reply(t, w, map[string]any{"nextUri": next + "2", "data": [][]any{{"a", nil, 7}}})
		default:
			reply(t, w, map[string]any{"data": [][]any{{"b", "", true}}, "stats": map[string]any{"physicalInputBytes": 99, "processedRows": 2}})
		}
	})
	var got []string
	stats, err := c.Query(context.Background(), "SELECT 1", func(row []string) error { got = append(got, strings.Join(row, "|")); return nil })
	if err != nil || stats != (Stats{99, 2}) || !slices.Equal(got, []string{"a||7", "b||true"}) {
		t.Errorf("%q %+v %v", got, stats, err)
	}
	if len(*asked) != 6 {
		t.Errorf("asked %v", *asked)
	}
}

func TestQueryThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		want   string
	}{
		"its own error": {func(w http.ResponseWriter, _ *http.Request) {
			reply(t, w, map[string]any{"error": map[string]any{"message": "line 3:1: no such column", "errorName": "COLUMN_NOT_FOUND", "errorLocation": map[string]any{"lineNumber": 3, "columnNumber": 1}}})
		}, "trino: line 3:1: no such column (COLUMN_NOT_FOUND, line 3, column 1 of the query)"},
		"busy": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, "it is busy: 503"},
		"unauthorized": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(401)
			fmt.Fprint(w, "Basic authentication required\nx")
		}, "401 Unauthorized: Basic authentication required"},
		"no Trino": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "what answers is no Trino"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.example.com", http.StatusFound)
		}, "302 Found"},
		"elsewhere": {func(w http.ResponseWriter, _ *http.Request) {
			reply(t, w, map[string]any{"nextUri": "http://elsewhere.example.com/v1/statement/x"})
		}, "not the server that was asked"},
		"in the clear": {func(w http.ResponseWriter, r *http.Request) {
			reply(t, w, map[string]any{"nextUri": "ftp://" + r.Host + "/x"})
		}, "not the server that was asked"},
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := served(t, "", "", "", c.answer)
			if _, err := client.Query(context.Background(), "SELECT 1", func([]string) error { return nil }); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, expected %q", err, c.want)
			}
		})
	}
}

// A query that nobody waits for ends in Trino too.
func TestQueryIsEnded(t *testing.T) {
	endless := func(w http.ResponseWriter, r *http.Request) {
		reply(t, w, map[string]any{"nextUri": "http://" + r.Host + "/v1/statement/q", "data": [][]any{{"a"}}})
	}
	stop := errors.New("stop")
	c, asked := served(t, "", "", "", endless)
	if _, err := c.Query(context.Background(), "SELECT 1", func([]string) error { return stop }); !errors.Is(err, stop) || !slices.Contains(*asked, "DELETE /v1/statement/q") {
		t.Errorf("%v, asked %v", err, *asked)
	}
	c, asked = served(t, "", "", "", endless)
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	_, err := c.Query(ctx, "SELECT 1", func([]string) error {
		if n++; n == 3 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || !slices.Contains(*asked, "DELETE /v1/statement/q") {
		t.Errorf("%v, asked %v", err, *asked)
	}
}

func TestCredentials(t *testing.T) {
	for name, c := range map[string]struct{ password, token, want string }{
		"none":     {"", "", ""},
		"password": {"secret", "", "Basic YW5hOnNlY3JldA=="},
		"token":    {"secret", "jwt", "Bearer jwt"},
	} {
		client, _ := served(t, "ana@", c.password, c.token, func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Authorization"); got != c.want {
				t.Errorf("%s: %q", name, got)
			}
			reply(t, w, map[string]any{})
		})
		if _, err := client.Query(context.Background(), "SELECT 1", nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, address := range []string{"", "trino:8080", "ftp://x", "https://", "https://h/a/b/c", "https://ana:secret@h/a", "http://\x7f", "https://h:port/"} {
		_, err := New(address, "", "")
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", address, err)
		}
	}
	if _, err := New("http://h.example.com", "secret", ""); err == nil || !strings.Contains(err.Error(), "https only") {
		t.Errorf("%v", err)
	}
	if c, err := New("https://h.example.com/hive", "secret", ""); err != nil || c.Source() != "h.example.com/hive/" {
		t.Errorf("%v", err)
	}
}
