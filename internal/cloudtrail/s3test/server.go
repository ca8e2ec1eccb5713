// Package s3test is an S3 in memory for tests: what readers of a trail's bucket and Trino ask of it, with pages and faults. It keeps to S3's wire
// shapes ("Amazon S3 API Reference") and checks no signatures. Buckets are there as soon as something is put into them.
package s3test

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Server is the S3; its URL is the endpoint, with buckets in the path.
type Server struct {
	*httptest.Server
	// Page is how many keys a listing gives at once.
	Page int
	// Fault may answer a request instead of S3; it reports whether it did. It is set before the first request.
	Fault func(w http.ResponseWriter, r *http.Request) bool

	mu       sync.Mutex
	objects  map[string]map[string][]byte // by bucket and key
	requests []string
}

// New starts an empty S3.
func New() *Server {
	s := &Server{Page: 1000, objects: map[string]map[string][]byte{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	return s
}

// Put lays an object down.
func (s *Server) Put(bucket, key string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects[bucket] == nil {
		s.objects[bucket] = map[string][]byte{}
	}
	s.objects[bucket][key] = data
}

// Requests are the requests so far, as method, path and query.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Refuse answers with an error as S3 writes it.
func Refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message><RequestId>1</RequestId></Error>`, code, code)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI())
	s.mu.Unlock()
	if s.Fault != nil && s.Fault(w, r) {
		return
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	query := r.URL.Query()
	s.mu.Lock()
	if data, ok := s.objects[bucket][key]; ok && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		s.mu.Unlock() // who reads slowly holds up nobody
		w.Header().Set("ETag", etag(data))
		w.Header().Set("Content-Type", "binary/octet-stream")
		http.ServeContent(w, r, "", time.Unix(1767225600, 0), bytes.NewReader(data))
		return
	}
	defer s.mu.Unlock()
	objects := s.objects[bucket]
	switch {
	case r.Method == http.MethodPut && key != "":
		data, err := body(r)
		if err != nil {
			Refuse(w, http.StatusBadRequest, "IncompleteBody")
			return
		}
		if objects == nil {
			objects = map[string][]byte{}
			s.objects[bucket] = objects
		}
		objects[key] = data
		w.Header().Set("ETag", etag(data))
	case r.Method == http.MethodPost && query.Has("delete"):
		var d struct {
			Object []struct{ Key string }
		}
		data, err := body(r)
		if err != nil || xml.Unmarshal(data, &d) != nil {
			Refuse(w, http.StatusBadRequest, "MalformedXML")
			return
		}
		for _, o := range d.Object {
			delete(objects, o.Key)
		}
		io.WriteString(w, `<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></DeleteResult>`)
	case objects == nil:
		Refuse(w, http.StatusNotFound, "NoSuchBucket")
	case r.Method == http.MethodDelete:
		delete(objects, key)
		w.WriteHeader(http.StatusNoContent)
	case key == "" && query.Get("list-type") == "2":
		s.list(w, bucket, query)
	case key == "":
	default:
		Refuse(w, http.StatusNotFound, "NoSuchKey")
	}
}

func etag(data []byte) string {
	sum := md5.Sum(data)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// body is what a request puts, out of the chunks in which SDKs sign it.
func body(r *http.Request) ([]byte, error) {
	if !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return io.ReadAll(r.Body)
	}
	in := bufio.NewReader(r.Body)
	var out []byte
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseInt(size, 16, 32)
		if err != nil || n == 0 {
			return out, err
		}
		chunk := make([]byte, n+2)
		if _, err := io.ReadFull(in, chunk); err != nil {
			return nil, err
		}
		out = append(out, chunk[:n]...)
	}
}

type listing struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name, Prefix          string
	KeyCount, MaxKeys     int
	IsTruncated           bool
	NextContinuationToken string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	Contents              []content
	CommonPrefixes        []struct{ Prefix string }
}

type content struct {
	Key, LastModified, ETag, StorageClass string
	Size                                  int
}

func (s *Server) list(w http.ResponseWriter, bucket string, query url.Values) {
	prefix, delimiter := query.Get("prefix"), query.Get("delimiter")
	after := max(query.Get("start-after"), query.Get("continuation-token"))
	page := s.Page
	if n, err := strconv.Atoi(query.Get("max-keys")); err == nil {
		page = min(page, n)
	}
	encode := func(s string) string { return s }
	if query.Get("encoding-type") == "url" {
		encode = func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%2F", "/") }
	}
	out := listing{Name: bucket, Prefix: encode(prefix), MaxKeys: page, EncodingType: query.Get("encoding-type")}
	var keys []string
	for key := range s.objects[bucket] {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	last, common := "", ""
	for _, key := range keys {
		group := ""
		if rest := key[len(prefix):]; delimiter != "" && strings.Contains(rest, delimiter) {
			group = prefix + rest[:strings.Index(rest, delimiter)+len(delimiter)]
		}
		if key <= after || group != "" && (group == common || group <= after && strings.HasPrefix(after, group)) {
			continue
		}
		if out.KeyCount == page {
			out.IsTruncated, out.NextContinuationToken = true, last
			break
		}
		out.KeyCount++
		if group != "" {
			out.CommonPrefixes = append(out.CommonPrefixes, struct{ Prefix string }{encode(group)})
			common, last = group, group+"\xff"
			continue
		}
		data := s.objects[bucket][key]
		out.Contents = append(out.Contents, content{encode(key), "2026-01-01T00:00:00.000Z", etag(data), "STANDARD", len(data)})
		last = key
	}
	w.Header().Set("Content-Type", "application/xml")
	if err := xml.NewEncoder(w).Encode(out); err != nil {
		panic(err) // strings always encode
	}
}
