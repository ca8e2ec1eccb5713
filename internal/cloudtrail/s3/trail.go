// Package s3 reads the files of a trail out of its bucket: which objects there are of the days, accounts and regions asked for, and their bytes, as
// streams. What cannot be listed or read is a gap; the rest goes on.
package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

// Trail is where the files of a trail are, and which of them are asked for.
type Trail struct {
	Bucket, Prefix string
	// Accounts and Regions narrow; empty: all.
	Accounts, Regions []string
	// From and To are the first and last day (UTC) of the files, which are laid down under the day of their delivery; zero: from the beginning, to the end.
	From, To time.Time
}

// Parse reads s3://bucket/prefix.
func Parse(address string) (Trail, error) {
	rest, ok := strings.CutPrefix(address, "s3://")
	bucket, prefix, _ := strings.Cut(rest, "/")
	if !ok || bucket == "" || strings.ContainsAny(bucket, "?*# ") {
		return Trail{}, fmt.Errorf("%q is not formed like s3://bucket/prefix", address)
	}
	return Trail{Bucket: bucket, Prefix: prefix}, nil
}

// Object is one file of a trail.
type Object struct {
	Bucket, Key, ETag string
	Size              int64
}

// Name is the object as people write it.
func (o *Object) Name() string { return "s3://" + o.Bucket + "/" + o.Key }

// Digest tells the object, with its content, from others, without reading it: for the list of what was taken in.
func (o *Object) Digest() string {
	sum := sha256.Sum256([]byte(o.Bucket + "\x00" + o.Key + "\x00" + o.ETag))
	return hex.EncodeToString(sum[:])
}

// Gap is what could not be listed or read.
type Gap struct {
	Name   string // s3://bucket/key, or a prefix
	Reason string
}

// Client is the part of the SDK's client that is used.
type Client interface {
	ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error)
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
}

// place is where a key of CloudTrail's layout belongs: …AWSLogs/[o-organisation/]account/CloudTrail/region/yyyy/mm/dd/file.
type place struct{ account, region, day string }

// placeOf reads a key; false where it is not in the layout.
func placeOf(key string) (place, bool) {
	parts := strings.Split(key, "/")
	for i := len(parts) - 7; i >= 0; i-- {
		if p := parts[i:]; len(p) == 7 && p[1] == "CloudTrail" && account(p[0]) {
			return place{p[0], p[2], p[3] + "/" + p[4] + "/" + p[5]}, true
		}
	}
	return place{}, false
}

func account(s string) bool {
	return len(s) == 12 && !strings.ContainsFunc(s, func(c rune) bool { return c < '0' || c > '9' })
}

const dayForm = "2006/01/02"

// wants reports whether an object of a place is asked for.
func (t *Trail) wants(p place) bool {
	return (len(t.Accounts) == 0 || slices.Contains(t.Accounts, p.account)) && (len(t.Regions) == 0 || slices.Contains(t.Regions, p.region)) &&
		(t.From.IsZero() || p.day >= t.From.UTC().Format(dayForm)) && (t.To.IsZero() || p.day <= t.To.UTC().Format(dayForm))
}

// List finds the objects, sorted by key. It walks down the folders of CloudTrail's layout where accounts, regions or days are narrowed, so that what is not
// asked for is not listed; without that it lists all below the prefix. The error is for a bucket that cannot be listed at all.
func List(ctx context.Context, c Client, t Trail, workers int) ([]Object, []Gap, error) {
	l := &lister{client: c, trail: t, slots: make(chan struct{}, max(1, workers))}
	prefix := t.Prefix
	if prefix != "" && !strings.HasSuffix(prefix, "/") && !strings.HasSuffix(prefix, ".gz") && !strings.HasSuffix(prefix, ".json") {
		prefix += "/"
	}
	l.walk(ctx, prefix)
	l.group.Wait()
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if l.first != nil && len(l.objects) == 0 && l.pages == 0 {
		return nil, nil, fmt.Errorf("listing s3://%s/%s: %w", t.Bucket, prefix, l.first)
	}
	slices.SortFunc(l.objects, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	slices.SortFunc(l.gaps, func(a, b Gap) int { return strings.Compare(a.Name, b.Name) })
	return l.objects, l.gaps, nil
}

type lister struct {
	client Client
	trail  Trail
	slots  chan struct{}
	group  sync.WaitGroup

	mu      sync.Mutex
	objects []Object
	gaps    []Gap
	pages   int
	first   error
}

// walk lists a folder, and the folders in it that may hold what is asked for.
func (l *lister) walk(ctx context.Context, prefix string) {
	l.group.Go(func() {
		select {
		case l.slots <- struct{}{}:
			defer func() { <-l.slots }()
		case <-ctx.Done():
			return
		}
		in := &s3.ListObjectsV2Input{Bucket: &l.trail.Bucket, Prefix: &prefix}
		if l.narrows(prefix) {
			in.Delimiter = aws.String("/")
		}
		for {
			out, err := l.client.ListObjectsV2(ctx, in)
			if err != nil {
				l.fail(prefix, err)
				return
			}
			l.take(out)
			for _, p := range out.CommonPrefixes {
				if folder := aws.ToString(p.Prefix); l.enters(folder) {
					l.walk(ctx, folder)
				}
			}
			if !aws.ToBool(out.IsTruncated) || aws.ToString(out.NextContinuationToken) == "" {
				return
			}
			in.ContinuationToken = out.NextContinuationToken
		}
	})
}

// narrows reports whether below a folder there are folders that need not be listed.
func (l *lister) narrows(prefix string) bool {
	t := &l.trail
	account, region, days := below(prefix)
	switch {
	case days >= 0:
		return days < 3 && (!t.From.IsZero() || !t.To.IsZero())
	case region:
		return len(t.Regions) > 0 || !t.From.IsZero() || !t.To.IsZero()
	case account:
		return true // beside CloudTrail there are digests and insights
	}
	return len(t.Accounts)+len(t.Regions) > 0 || !t.From.IsZero() || !t.To.IsZero()
}

// below is where a folder stands in the layout: account/ (its kinds of files are below), account/CloudTrail/ (regions are below), and
// account/CloudTrail/region/ with how many of year, month and day it names; -1 where it is above that.
func below(prefix string) (inAccount, inTrail bool, days int) {
	parts := strings.Split(strings.TrimSuffix(prefix, "/"), "/")
	for i := range parts {
		if !account(parts[i]) {
			continue
		}
		switch rest := parts[i+1:]; {
		case len(rest) == 0:
			inAccount = true
		case rest[0] == "CloudTrail" && len(rest) == 1:
			inTrail = true
		case rest[0] == "CloudTrail" && len(rest) <= 5:
			return true, true, len(rest) - 2
		}
	}
	return inAccount, inTrail, -1
}

// enters reports whether a folder may hold what is asked for.
func (l *lister) enters(folder string) bool {
	t := &l.trail
	parts := strings.Split(strings.TrimSuffix(folder, "/"), "/")
	last := parts[len(parts)-1]
	if strings.HasPrefix(last, "CloudTrail-") {
		return false
	}
	inAccount, inTrail, days := below(folder)
	switch {
	case days > 0:
		day := strings.Join(parts[len(parts)-days:], "/")
		from, to := "", "9999/99/99"
		if !t.From.IsZero() {
			from = t.From.UTC().Format(dayForm)
		}
		if !t.To.IsZero() {
			to = t.To.UTC().Format(dayForm)
		}
		return day >= from[:min(len(from), len(day))] && day <= to[:min(len(to), len(day))]
	case days == 0:
		return len(t.Regions) == 0 || slices.Contains(t.Regions, last)
	case inTrail:
		return true
	case inAccount:
		return len(t.Accounts) == 0 || slices.Contains(t.Accounts, last)
	}
	// account/Config/ and the like lie beside account/CloudTrail/.
	return len(parts) < 2 || !account(parts[len(parts)-2])
}

// kind is the folder of an account that tells what its files are: CloudTrail, and beside it digests, insights and the files of other services.
var kind = regexp.MustCompile(`(?:^|/)AWSLogs/(?:o-[a-z0-9]+/)?[0-9]{12}/([^/]+)/`)

// take keeps the objects of a page that hold events and are asked for.
func (l *lister) take(out *s3.ListObjectsV2Output) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pages++
	for _, o := range out.Contents {
		key := aws.ToString(o.Key)
		lower := strings.ToLower(key)
		if m := kind.FindStringSubmatch(key); m != nil && m[1] != "CloudTrail" ||
			!slices.ContainsFunc([]string{".json", ".json.gz", ".jsonl", ".jsonl.gz"}, func(end string) bool { return strings.HasSuffix(lower, end) }) {
			continue
		}
		if p, ok := placeOf(key); ok && !l.trail.wants(p) {
			continue
		}
		l.objects = append(l.objects, Object{l.trail.Bucket, key, strings.Trim(aws.ToString(o.ETag), `"`), aws.ToInt64(o.Size)})
	}
}

func (l *lister) fail(prefix string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == nil {
		l.first = reason(err)
	}
	l.gaps = append(l.gaps, Gap{"s3://" + l.trail.Bucket + "/" + prefix, reason(err).Error()})
}

// reason is what S3 said, without the request's ids.
func reason(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		return fmt.Errorf("%s: %s", api.ErrorCode(), api.ErrorMessage())
	}
	return err
}

// held is how much of an object is held in memory; what is larger goes to a file until it is read.
const held = 16 << 20

// tries is how often an object is fetched whose bytes stop coming.
const tries = 3

// Each fetches every object, some at once, and calls read with the bytes of one after the other. An object is read only when all of it is there, so that what
// breaks off on the way leaves nothing behind and may be fetched again. What cannot be fetched is a gap, and so is an error of read. Each ends early only with ctx.
func Each(ctx context.Context, c Client, objects []Object, workers int, read func(*Object, io.ReadSeeker) error) ([]Gap, error) {
	var gaps []Gap
	var mu sync.Mutex
	var group sync.WaitGroup
	next := make(chan *Object)
	for range max(1, workers) {
		group.Go(func() {
			for o := range next {
				in, done, err := fetch(ctx, c, o)
				mu.Lock()
				if err == nil {
					err = read(o, in)
				}
				if err != nil {
					gaps = append(gaps, Gap{o.Name(), reason(err).Error()})
				}
				mu.Unlock()
				done()
			}
		})
	}
	for i := range objects {
		select {
		case next <- &objects[i]:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	group.Wait()
	slices.SortFunc(gaps, func(a, b Gap) int { return strings.Compare(a.Name, b.Name) })
	return gaps, ctx.Err()
}

// fetch is all of an object. done is to be called in any case.
func fetch(ctx context.Context, c Client, o *Object) (all io.ReadSeeker, done func(), err error) {
	// IfMatch: what is read is what was listed, and what the list of files taken in will say.
	in := &s3.GetObjectInput{Bucket: &o.Bucket, Key: &o.Key}
	if o.ETag != "" {
		in.IfMatch = aws.String(`"` + o.ETag + `"`)
	}
	for range tries {
		var out *s3.GetObjectOutput
		if out, err = c.GetObject(ctx, in); err != nil {
			return nil, func() {}, err // the SDK has tried again
		}
		all, done, err = keep(out.Body)
		out.Body.Close()
		if err == nil || ctx.Err() != nil {
			return all, done, err
		}
		done()
	}
	return nil, func() {}, fmt.Errorf("its bytes broke off %d times: %w", tries, err)
}

func keep(body io.Reader) (io.ReadSeeker, func(), error) {
	var b bytes.Buffer
	if n, err := io.CopyN(&b, body, held); err == io.EOF {
		return bytes.NewReader(b.Bytes()), func() {}, nil
	} else if err != nil || n < held {
		return nil, func() {}, err
	}
	f, err := os.CreateTemp("", "drawbridge-trail-*")
	if err != nil {
		return nil, func() {}, err
	}
	done := func() { f.Close(); os.Remove(f.Name()) }
	if _, err := io.Copy(f, io.MultiReader(&b, body)); err != nil {
		return nil, done, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return f, done, err
}
