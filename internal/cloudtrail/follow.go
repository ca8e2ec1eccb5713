package cloudtrail

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"drawbridge/internal/usage"
)

// Call is one call that was made with a source identity.
type Call struct {
	ID             string
	Time           time.Time
	SourceIdentity string
	AccessKeyID    string // of the credentials that made it; "" where the event does not say
	Action         string // service:Name
	Account        string // whose trail holds it
	Region         string
	Caller         string // the role's ARN
	Resource       string // the first one that the event names; "" where it names none
	Source         string // address, or the host of a service
	Error          string // "" where the call succeeded
	Denied         bool   // for want of permission
}

// Followed is what files hold of a source identity.
type Followed struct {
	Calls       []Call // by time
	Files       int
	Events      int       // all that were read
	First, Last time.Time // of them
	Accounts    []string  // whose trails they are of
	Gaps        []Gap
}

// Follow reads files of CloudTrail and keeps the calls whose source identity is wanted. An event that two files hold, and a call that two accounts recorded, is one call. It keeps no more than most of them; the error wraps
// ErrTooMany where there are more.
func Follow(paths []string, most int, wanted func(sourceIdentity string) bool) (*Followed, error) {
	var files []string
	for _, path := range paths {
		list, err := list(path)
		if err != nil {
			return nil, fmt.Errorf("reading CloudTrail files: %w", err)
		}
		files = append(files, list...)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w in %s: expected .json or .json.gz", ErrNoFiles, strings.Join(paths, ", "))
	}
	out := &Followed{}
	seen := make(map[string]bool)
	accounts := make(map[string]bool)
	l := newLoader()
	add := func(u *usage.Event) {
		if out.First.IsZero() || u.Time.Before(out.First) {
			out.First = u.Time
		}
		if u.Time.After(out.Last) {
			out.Last = u.Time
		}
		if u.Account != "" && !accounts[u.Account] {
			accounts[u.Account] = true
			out.Accounts = append(out.Accounts, u.Account)
		}
		if u.SourceIdentity == "" || !wanted(u.SourceIdentity) {
			return
		}
		for _, id := range []string{u.ID, u.Shared} {
			if id != "" && seen[id] {
				return
			}
		}
		if len(out.Calls) >= most {
			out.Calls = append(out.Calls, Call{}) // one more says that there are more
			return
		}
		for _, id := range []string{u.ID, u.Shared} {
			if id != "" {
				seen[id] = true
			}
		}
		e := &l.r.e
		c := Call{ID: u.ID, Time: u.Time, SourceIdentity: u.SourceIdentity, AccessKeyID: string(e.accessKey), Action: u.Action, Account: u.Account, Region: u.Region, Caller: u.Caller, Resource: string(e.resource.arn), Source: string(e.address),
			Error: string(e.errorCode), Denied: u.Denied}
		if c.Resource == "" {
			c.Resource = u.Target
		}
		out.Calls = append(out.Calls, c)
	}
	for _, name := range files {
		if err := follow(l, out, name, add); err != nil {
			return nil, fmt.Errorf("reading CloudTrail files: %w", err)
		}
		if len(out.Calls) > most {
			return nil, fmt.Errorf("%w: more than %d calls; give the files of fewer days", ErrTooMany, most)
		}
	}
	slices.Sort(out.Accounts)
	slices.SortStableFunc(out.Calls, func(a, b Call) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}

// follow reads one file. What is wrong inside it is a gap.
func follow(l *loader, out *Followed, name string, add func(*usage.Event)) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	out.Files++
	events := 0
	gap := func(reason string) { out.Gaps = append(out.Gaps, Gap{filepath.ToSlash(name), events, reason}) }
	var in io.ReadSeeker = f
	text, err := l.plain(in)
	if err != nil {
		gap(err.Error())
		return nil
	}
	events, bad, err := l.r.read(text, add)
	out.Events += events
	if bad > 0 {
		gap(fmt.Sprintf("%d events were not understood: no time, or no name of the call", bad))
	}
	if err != nil {
		gap(err.Error())
	}
	return nil
}
