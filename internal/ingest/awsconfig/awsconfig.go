// Package awsconfig reads what AWS Config recorded into a snapshot: the configuration snapshots and histories that it delivers to S3, the answers of its API, and the results of advanced queries.
//
// All of them are configuration items, whole or in part; they flow through one by one, and of each resource the newest counts. AWS Config records what it was told to record and never says what that was: a resource, type,
// region or account that is not in the input may be there, and the gaps say so. The same holds for a policy that is not in its item: where AWS Config gives no value, nothing is concluded.
package awsconfig

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"drawbridge/iam/arn"
	"drawbridge/internal/snapshot"
)

// ErrNothing is returned where the files have not one configuration item whose type and account are known.
var ErrNothing = errors.New("there is no configuration item of AWS Config, with a type and an account, in the input")

// Options are what the files may not say.
type Options struct {
	// Account is that of items that name none: rows of a query that did not select it.
	Account string
}

// Is reports whether a file that begins with these bytes, unpacked, is one that Read reads. A few kilobytes are enough.
func Is(head []byte) bool {
	t := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	if len(t) > 0 && t[0] == '[' {
		t = bytes.TrimLeft(t[1:], " \t\r\n")
		if len(t) > 0 && t[0] == '"' { // the rows of a query, as it prints them: JSON in strings
			d := json.NewDecoder(bytes.NewReader(t))
			var row string
			if d.Decode(&row) != nil {
				return false
			}
			t = []byte(row)
		}
	}
	d := json.NewDecoder(bytes.NewReader(t))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return false
	}
	ofItem := 0
	for {
		token, err := d.Token()
		key, ok := token.(string)
		if err != nil || !ok {
			return ofItem >= 2
		}
		switch strings.ToLower(key) {
		case "configurationitems", "baseconfigurationitems", "configurationitem", "configurationitemdiff", "configsnapshotid", "queryinfo":
			return true
		case "results":
			return d.More() && next(d) == '['
		case "arn", "resourceid", "resourcename", "resourcetype", "accountid", "awsaccountid", "awsregion", "configuration", "supplementaryconfiguration", "configurationitemstatus", "configurationitemcapturetime", "configurationitemversion":
			ofItem++
		}
		var skip json.RawMessage
		if d.Decode(&skip) != nil {
			return ofItem >= 2 // the head ends in the middle of an item
		}
	}
}

// next is the first byte of the value behind a key.
func next(d *json.Decoder) byte {
	rest, _ := io.ReadAll(d.Buffered())
	if rest = bytes.TrimLeft(rest, ": \t\r\n"); len(rest) > 0 {
		return rest[0]
	}
	return 0
}

// Read reads files, plain or packed by gzip, into one snapshot. An error wraps ErrNothing, and is returned only where nothing was found; whatever else is wrong is a gap.
func Read(fsys fs.FS, files []string, o Options) (*snapshot.Snapshot, error) {
	r := &reader{Options: o, b: snapshot.NewBuilder(), facts: make(map[string]*fact), seen: make(map[string]*coverage), blocks: make(map[string]block), lastFile: make(map[string]string), undated: make(map[string]int)}
	for _, file := range slices.Sorted(slices.Values(files)) {
		r.readFile(fsys, file)
	}
	if r.items == 0 {
		errs := []error{ErrNothing}
		for _, g := range r.b.Gaps {
			errs = append(errs, fmt.Errorf("%s:%d:%d: %s", g.Source.File, g.Source.Line, g.Source.Column, g.Reason))
		}
		return nil, errors.Join(errs[:min(len(errs), 10)]...)
	}
	return r.done(), nil
}

// reader is one read.
type reader struct {
	Options
	b     *snapshot.Builder
	items int // whose type and account are known
	// facts are the newest of each resource, by what tells resources apart.
	facts  map[string]*fact
	order  []string // keys of facts as they came
	seen   map[string]*coverage
	blocks map[string]block // public access blocks of accounts
	// lastFile is the file in which an account was seen last, so that its name is looked at once.
	lastFile map[string]string
	// undated counts, for each account, the resources that came both with and without a time.
	undated map[string]int
}

// fact is what an item says.
type fact struct {
	captured time.Time
	state    int64 // orders items that were captured at the same time
	deleted  bool
	record   *record
	account  string
	gaps     []snapshot.Gap
	at       snapshot.Source

	role     *snapshot.Role
	user     *snapshot.User
	group    *snapshot.Group
	policy   *snapshot.ManagedPolicy
	provider *snapshot.Provider
	resource *snapshot.Resource
	block    block // of a bucket or an account
	closed   bool  // an unplaced item that says that it lets nobody in
	// unasked: a row has no permissions boundary, and its query may not have asked for one.
	unasked bool
}

// coverage is what was seen of an account.
type coverage struct {
	types, regions map[string]bool
	delivered      map[string]time.Time // the newest snapshot of each region, by the names of the files
	partition      string
	at             snapshot.Source
}

func (r *reader) readFile(fsys fs.FS, file string) {
	f, err := fsys.Open(file)
	if err != nil {
		r.b.Gap(snapshot.Gap{Kind: snapshot.GapFile, Subject: file, Reason: "could not be opened: " + err.Error(), Source: snapshot.Source{File: file}})
		return
	}
	defer f.Close()
	in, err := Unpacked(f)
	if err != nil {
		r.b.Gap(snapshot.Gap{Kind: snapshot.GapFile, Subject: file, Reason: "could not be unpacked: " + err.Error(), Source: snapshot.Source{File: file}})
		return
	}
	t := snapshot.NewText(file, in)
	before := r.items
	for {
		var err error
		switch t.Peek() {
		case '{':
			err = r.readObject(t)
		case '[':
			err = t.List(func() error { return r.readElement(t, nil) })
		case 0:
			if err = t.End(); err == nil {
				if r.items == before {
					r.b.Gap(snapshot.Gap{Kind: snapshot.GapFile, Subject: file, Reason: "has no configuration item with a type and an account", Source: snapshot.Source{File: file, Line: 1, Column: 1}})
				}
				return
			}
		default:
			_, _, err = t.Value()
			if err == nil {
				err = errors.New("expected an object with configurationItems or Results, or an item")
			}
		}
		if err != nil {
			r.b.Gap(t.Gap(err))
			return
		}
	}
}

// Unpacked reads plain text or what gzip packed, by its first bytes.
func Unpacked(f io.Reader) (io.Reader, error) {
	in := bufio.NewReaderSize(f, 256<<10)
	if magic, _ := in.Peek(2); len(magic) < 2 || magic[0] != 0x1f || magic[1] != 0x8b {
		return in, nil
	}
	return gzip.NewReader(in)
}

// envelope is what stands around rows, and counts for all of them.
type envelope struct {
	fields []string // that the query selected, in lower case; nil where the envelope does not say
	rows   []*fact
}

// asked reports whether the query asked for a field, by itself or with all around it.
func (v *envelope) asked(field string) bool {
	for {
		if slices.Contains(v.fields, field) {
			return true
		}
		i := strings.LastIndexByte(field, '.')
		if i < 0 {
			return false
		}
		field = field[:i]
	}
}

// readObject reads a file that AWS Config delivered, an answer of its API, or a single item: which of them is known by its keys.
func (r *reader) readObject(t *snapshot.Text) error {
	at := t.Here()
	var item map[string]json.RawMessage // what may be a single item
	var v *envelope
	err := t.Object(func(key string) error {
		switch lower := strings.ToLower(key); lower {
		case "configurationitems", "baseconfigurationitems":
			v = cmp.Or(v, new(envelope))
			return r.readList(t, key, nil)
		case "configurationitem": // a change that was too large for its message
			v = cmp.Or(v, new(envelope))
			return r.readElement(t, nil)
		case "results":
			v = cmp.Or(v, new(envelope))
			return r.readList(t, key, v)
		default:
			text, at, err := t.Value()
			if err != nil {
				return err
			}
			switch lower {
			case "queryinfo":
				v = cmp.Or(v, new(envelope))
				var info struct{ SelectFields []struct{ Name string } }
				if json.Unmarshal(text, &info) == nil {
					for _, f := range info.SelectFields {
						v.fields = append(v.fields, strings.ToLower(f.Name))
					}
				}
			case "nexttoken":
				var token string
				if json.Unmarshal(text, &token) == nil && token != "" {
					r.b.Gap(snapshot.Gap{Kind: snapshot.GapFile, Subject: at.File, Reason: key + " says that there are more pages; what is on them was not read", Source: at})
				}
			case "unprocessedresourcekeys", "unprocessedresourceidentifiers":
				var keys []json.RawMessage
				if json.Unmarshal(text, &keys) == nil && len(keys) > 0 {
					r.b.Gap(snapshot.Gap{Kind: snapshot.GapFile, Subject: at.File, Reason: fmt.Sprintf("%s: AWS Config has not answered for %d resources", key, len(keys)), Source: at})
				}
			}
			if v == nil {
				if item == nil {
					item = make(map[string]json.RawMessage)
				}
				item[key] = slices.Clone(text)
			}
			return nil
		}
	})
	switch {
	case err != nil:
	case v == nil:
		text, err := json.Marshal(item)
		if err != nil {
			return fmt.Errorf("the object at %d:%d: %w", at.Line, at.Column, err)
		}
		r.readItem(text, at, new(envelope))
		return nil
	}
	if v != nil && v.fields != nil {
		for _, f := range v.rows {
			f.unasked = f.unasked && !v.asked(boundaryField)
		}
	}
	return err
}

func (r *reader) readList(t *snapshot.Text, key string, v *envelope) error {
	if c := t.Peek(); c != '[' {
		at := t.Here()
		if _, _, err := t.Value(); err != nil {
			return err
		}
		r.b.Gap(snapshot.Gap{Kind: snapshot.GapFile, Subject: at.File, Reason: key + ": expected a list of items", Source: at})
		return nil
	}
	return t.List(func() error { return r.readElement(t, v) })
}

// readElement reads an element of a list: an item, or a row as text. v is nil for whole items.
func (r *reader) readElement(t *snapshot.Text, v *envelope) error {
	text, at, err := t.Value()
	if err != nil {
		return err
	}
	if len(text) > 0 && text[0] == '"' {
		var row string
		if err := json.Unmarshal(text, &row); err != nil {
			r.bad(at, "expected JSON in the string: "+err.Error())
			return nil
		}
		text = []byte(row)
		v = cmp.Or(v, new(envelope))
	}
	r.readItem(text, at, v)
	return nil
}

func (r *reader) bad(at snapshot.Source, reason string) {
	r.b.Gap(snapshot.Gap{Kind: snapshot.GapFile, Subject: at.File, Reason: reason, Source: at})
}

// form is an item. Names fit in any case; of the two spellings of some fields one is set.
type form struct {
	Version          string `json:"configurationItemVersion"`
	Captured         string `json:"configurationItemCaptureTime"`
	Status           string `json:"configurationItemStatus"`
	State            any    `json:"configurationStateId"`
	Type             string `json:"resourceType"`
	ID               string `json:"resourceId"`
	Name             string `json:"resourceName"`
	ARN              string `json:"arn"`
	AccountID        string `json:"accountId"`
	AWSAccountID     string `json:"awsAccountId"`
	Region           string `json:"awsRegion"`
	Tags             json.RawMessage
	Configuration    json.RawMessage
	Supplementary    json.RawMessage `json:"supplementaryConfiguration"`
	ShortVersion     string          `json:"version"`
	CreationTimeText string          `json:"resourceCreationTime"`
}

// item is one item while it is read.
type item struct {
	form
	*record
	r             *reader
	at            snapshot.Source
	account       string
	partition     string
	configuration object
	supplementary object
	row           bool // of a query: fields that are not there may not have been asked for
	fact          *fact
}

// readItem reads an item or, where v is given, a row.
func (r *reader) readItem(text []byte, at snapshot.Source, v *envelope) {
	it := &item{r: r, at: at, row: v != nil}
	if err := json.Unmarshal(text, &it.form); err != nil {
		var kind *json.UnmarshalTypeError
		if !errors.As(err, &kind) {
			r.bad(at, "an item could not be read: "+err.Error())
			return
		}
		if kind.Field == "" {
			r.bad(at, "expected an item, found "+kind.Value)
			return
		}
		r.bad(at, fmt.Sprintf("an item's %s: expected %s, found %s", kind.Field, kind.Type, kind.Value))
	}
	if it.row && (it.Version != "" || it.ShortVersion != "") && it.Captured != "" && it.Status != "" && it.Configuration != nil {
		it.row = false // a whole item by itself, as streams and rule events have it
	}
	var problem string
	if it.configuration, problem = objectOf(it.Configuration); problem != "" {
		r.bad(at, "configuration: "+problem)
	}
	if it.ARN == "" {
		it.ARN = it.configuration.text("arn")
	}
	if it.ARN == "" && strings.HasPrefix(it.ID, "arn:") {
		it.ARN = it.ID
	}
	if it.Type == "" {
		if it.Type = typeOf(it.ARN); it.Type == "" {
			r.bad(at, "a row names neither resourceType nor an arn that tells it: select resourceType, arn, accountId and configuration")
			return
		}
	}
	it.account = cmp.Or(it.AWSAccountID, it.AccountID)
	if a := arn.Account(it.ARN); it.account == "" && arn.IsAccountID(a) {
		it.account = a
	}
	it.account = cmp.Or(it.account, r.Account)
	it.partition = partition(it.ARN, it.Region)
	if arn.IsAccountID(it.account) {
		r.items++
		r.cover(it)
	}
	if it.record = byType[it.Type]; it.record == nil {
		return
	}
	if it.supplementary, problem = objectOf(it.Supplementary); problem != "" {
		r.bad(at, "supplementaryConfiguration: "+problem)
	}
	if it.arn != "" && (it.ARN == "" || it.kind == policies) {
		it.ARN = it.makeARN()
	}
	if !arn.IsAccountID(it.account) && it.kind != accountBlock {
		r.bad(at, fmt.Sprintf("an item of type %s, %q, names no account: select accountId, or give --account", it.Type, cmp.Or(it.ARN, it.ID, it.Name)))
		return
	}
	if !strings.HasPrefix(it.ARN, "arn:") && it.kind != accountBlock {
		r.bad(at, fmt.Sprintf("an item of type %s has no ARN, and none can be made of its id %q and name %q: it was left out", it.Type, it.ID, it.Name))
		return
	}
	captured, ok := parseTime(it.Captured)
	if !ok {
		r.bad(at, fmt.Sprintf("configurationItemCaptureTime: expected a time such as 2026-01-31T09:30:00Z, found %q: whether the item is the newest cannot be told", it.Captured))
	}
	it.keep(captured, v)
}

// snapshotName is the name that AWS Config gives a delivered snapshot; it alone tells when the snapshot was made: items carry the time of their last change.
var snapshotName = regexp.MustCompile(`^[0-9]{12}_Config_([a-z0-9-]+)_ConfigSnapshot_([0-9]{8}T[0-9]{6}Z)_`)

// cover notes that an account, a type and a region were seen.
func (r *reader) cover(it *item) {
	c := r.seen[it.account]
	if c == nil {
		c = &coverage{types: make(map[string]bool), regions: make(map[string]bool), delivered: make(map[string]time.Time), at: snapshot.Source{File: it.at.File}}
		r.seen[it.account] = c
	}
	c.types[it.Type] = true
	if it.Region != "" && it.Region != "global" {
		c.regions[it.Region] = true
	}
	c.partition = cmp.Or(c.partition, it.partition)
	if m := snapshotName.FindStringSubmatch(path.Base(it.at.File)); m != nil && it.at.File != r.lastFile[it.account] {
		if t, err := time.Parse("20060102T150405Z", m[2]); err == nil && t.After(c.delivered[m[1]]) {
			c.delivered[m[1]] = t
		}
		r.lastFile[it.account] = it.at.File
	}
}

// keep makes the item's fact the one of its resource where it is the newest.
func (it *item) keep(captured time.Time, v *envelope) {
	key := it.Type + " " + it.ARN
	if it.kind == accountBlock {
		key = it.Type + " " + it.account
	}
	f := &fact{captured: captured, state: number(it.State), record: it.record, account: it.account, at: it.at, deleted: strings.HasPrefix(it.Status, "ResourceDeleted")}
	old := it.r.facts[key]
	if old != nil {
		if old.captured.IsZero() != captured.IsZero() {
			it.r.undated[it.account]++
		}
		switch n := cmp.Or(old.captured.Compare(captured), cmp.Compare(old.state, f.state)); {
		case n > 0:
			return
		case n == 0 && old.deleted != f.deleted: // whether it is there is not known, and what may be there counts
			it.r.b.Gap(snapshot.Gap{Kind: snapshot.GapFile, Subject: it.ARN, Account: it.account, Reason: "is in the input once as deleted and once as there, and nothing tells which is newer; it is taken to be there", Source: it.at})
			if f.deleted {
				return
			}
		case n == 0 && captured.IsZero():
			it.r.b.Gap(snapshot.Gap{Kind: snapshot.GapFile, Subject: it.ARN, Account: it.account, Reason: "comes twice in the input, without a time that tells which is newer; the first is used", Source: it.at})
			return
		case n == 0:
			return
		}
	} else {
		it.r.order = append(it.r.order, key)
	}
	it.fact = f
	it.r.facts[key] = f
	if f.deleted {
		return
	}
	switch it.Status {
	case "", "OK", "ResourceDiscovered":
	case "ResourceNotRecorded":
		f.gaps = append(f.gaps, snapshot.Gap{Kind: snapshot.GapFile, Subject: it.ARN, Account: it.account, Reason: "AWS Config says that it does not record this resource (ResourceNotRecorded): what it holds is not known", Source: it.at})
	default:
		f.gaps = append(f.gaps, snapshot.Gap{Kind: snapshot.GapFile, Subject: it.ARN, Account: it.account, Reason: "configurationItemStatus " + it.Status + " is not understood; the item is taken as it is", Source: it.at})
	}
	switch it.kind {
	case roles:
		it.readRole()
	case users:
		it.readUser()
	case groups:
		it.readGroup()
	case managed:
		it.readManaged()
	case oidc, saml:
		it.readProvider()
	case accountBlock:
		f.block = it.configuration.block()
	case unplaced:
		f.closed = it.closed()
	default:
		it.readResource()
	}
	if v != nil && (f.role != nil || f.user != nil) {
		v.rows = append(v.rows, f)
	}
}

// done makes the snapshot out of the newest facts.
func (r *reader) done() *snapshot.Snapshot {
	attached := make(map[string]*fact) // policies that are items of their own, by the ARN of their resource
	for _, key := range r.order {
		f := r.facts[key]
		switch {
		case f.deleted:
		case f.record.kind == accountBlock:
			r.blocks[f.account] = f.block
		case f.record.kind == policies && f.record.as != "":
			attached[f.resource.ARN] = f
		}
	}
	unasked := make(map[string]int)
	unjudged := make(map[string]map[*record]int)
	for _, key := range r.order {
		f := r.facts[key]
		if f.deleted || f.record.kind == accountBlock {
			continue
		}
		if f.unasked {
			principalOf(f).InlineBoundary = &snapshot.Document{Name: "permissions boundary", Problem: notAsked, Source: f.at}
			unasked[f.account]++
		}
		switch {
		case f.record.kind == unplaced && !f.closed:
			if unjudged[f.account] == nil {
				unjudged[f.account] = make(map[*record]int)
			}
			unjudged[f.account][f.record]++
		case f.role != nil:
			r.b.Roles = append(r.b.Roles, *f.role)
		case f.user != nil:
			r.b.Users = append(r.b.Users, *f.user)
		case f.group != nil:
			r.b.Groups = append(r.b.Groups, *f.group)
		case f.policy != nil:
			r.b.Policies = append(r.b.Policies, *f.policy)
		case f.provider != nil:
			r.b.Providers = append(r.b.Providers, *f.provider)
		case f.resource != nil:
			if p := attached[f.resource.ARN]; p != nil && p != f {
				f.resource.Policy, f.gaps = p.resource.Policy, p.gaps
				delete(attached, f.resource.ARN)
			} else if f.record.kind == policies && f.record.as != "" && r.live(f.record.as+" "+f.resource.ARN) {
				continue // stands with its resource
			}
			if f.record.typ == "AWS::S3::Bucket" {
				f.resource.Attributes.PublicAccessBlock = f.block.with(r.blocks[f.account])
			}
			r.b.Resources = append(r.b.Resources, *f.resource)
		}
		r.b.Gaps = append(r.b.Gaps, f.gaps...)
	}
	for _, id := range slices.Sorted(maps.Keys(r.seen)) {
		c := r.seen[id]
		a := snapshot.Account{ID: id, Partition: cmp.Or(c.partition, "aws"), Source: c.at}
		for _, t := range c.delivered {
			if a.Collected.IsZero() || t.Before(a.Collected) {
				a.Collected = t
			}
		}
		r.b.Accounts = append(r.b.Accounts, a)
		if n := unasked[id]; n > 0 {
			r.b.Gap(snapshot.Gap{Kind: snapshot.GapDocument, Subject: id, Account: id, Reason: fmt.Sprintf("permissions boundaries of %d users and roles: %s", n, notAsked), Source: c.at})
		}
		if n := r.undated[id]; n > 0 {
			r.b.Gap(snapshot.Gap{Kind: snapshot.GapFile, Subject: id, Account: id, Reason: fmt.Sprintf("%d times a resource came with the time of its recording and without: which is newer is not known, and that with a time is used; select configurationItemCaptureTime in queries", n), Source: c.at})
		}
		r.b.Gap(snapshot.Gap{Kind: snapshot.GapAccount, Subject: id, Account: id, Reason: "AWS Config does not say whether it recorded all users, groups, roles and policies: principals may exist that are not listed", Source: c.at})
		var missing []string
		for i := range table {
			if n := unjudged[id][&table[i]]; n > 0 {
				r.b.Gap(snapshot.Gap{Kind: snapshot.GapFile, Subject: table[i].typ, Account: id, Reason: fmt.Sprintf("there are %d: %s; that is not read from AWS Config, nor judged", n, table[i].about), Source: c.at})
			}
			if k := table[i].kind; k != policies && k != accountBlock && !c.types[table[i].typ] {
				missing = append(missing, table[i].typ)
			}
		}
		reason := "AWS Config does not say which types and regions it recorded"
		if len(missing) > 0 {
			reason += "; without an item, whether there are none or they are not recorded: " + strings.Join(missing, ", ")
		}
		if regions := slices.Sorted(maps.Keys(c.regions)); len(regions) > 0 {
			reason += "; seen were the regions " + strings.Join(regions, ", ")
		}
		r.b.Gap(snapshot.Gap{Kind: snapshot.GapFile, Subject: "resources.jsonl", Account: id, Reason: reason, Source: c.at})
		if !a.Collected.IsZero() && (r.b.Collected.IsZero() || a.Collected.Before(r.b.Collected)) {
			r.b.Collected = a.Collected
		}
	}
	return r.b.Done("resources.jsonl", "providers.json")
}

func (r *reader) live(key string) bool {
	f := r.facts[key]
	return f != nil && !f.deleted
}
