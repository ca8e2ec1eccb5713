package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"drawbridge/iam/arn"
)

// ErrNothing is returned where the input has none of the files of a snapshot.
var ErrNothing = errors.New("no snapshot here")

// ReadFS reads the directory form of a snapshot, as docs/snapshot.md describes it. It returns an error, wrapping ErrNothing,
// only where there is nothing to work on. Everything else that is wrong, missing or not understood is a Gap of the result:
// a broken document costs that document, a broken line or list element costs that element, a broken file costs what
// follows the break. Accounts are read in parallel; the result does not depend on their order.
func ReadFS(fsys fs.FS) (*Snapshot, error) {
	rd, err := newReader(fsys)
	if err != nil {
		return nil, err
	}
	tasks := rd.plan()
	if len(tasks) == 0 && !rd.has(organizationFile) {
		return nil, fmt.Errorf("%w: expected organization.json or accounts/<account id>/iam.json", ErrNothing)
	}
	org := rd.readOrganization()
	parts := rd.run(tasks)
	return rd.assemble(org, append(parts, &rd.found)), nil
}

// ReadDetails reads files of authorization details that lie in no snapshot directory. The account of each is the one that
// its ARNs name, else the 12 digits in the file's name; files of one account are its pages. Nothing
// else about the organisation is known then, and the gaps say so.
func ReadDetails(fsys fs.FS, files []string) (*Snapshot, error) {
	if len(files) == 0 {
		return nil, fmt.Errorf("%w: no file of authorization details", ErrNothing)
	}
	rd := &reader{fsys: fsys, documents: newDocuments()}
	files = slices.Clone(files)
	slices.SortFunc(files, comparePages)
	tasks := make([]task, len(files))
	for i, file := range files {
		tasks[i] = task{run: func(p *part) { rd.readDetails(p, file) }}
	}
	parts := rd.run(tasks)
	byAccount := make(map[string]*part)
	var merged []*part
	for i, p := range parts {
		p.account = p.mainAccount(files[i])
		for j := range p.facts.Gaps {
			p.facts.Gaps[j].Account = cmp.Or(p.facts.Gaps[j].Account, p.account)
		}
		if p.account == "" {
			p.gap(Gap{Kind: GapAccount, Subject: files[i], Reason: "no ARN in the file and no 12 digits in its name say which account this is", Source: Source{File: files[i]}})
			merged = append(merged, p)
			continue
		}
		if first := byAccount[p.account]; first != nil {
			first.followedBy(p)
			continue
		}
		byAccount[p.account] = p
		merged = append(merged, p)
	}
	for _, p := range merged {
		if p.account != "" {
			p.strangers()
		}
	}
	return rd.assemble(rd.readOrganization(), merged), nil
}

// reader is one read of one input.
type reader struct {
	fsys      fs.FS
	documents *documents
	root      map[string]bool     // names of the files in the root
	accounts  map[string][]string // account id → names of files in its directory
	found     part                // gaps of the directory itself
}

func (rd *reader) has(name string) bool { return rd.root[name] }

// task is a piece of work that one goroutine does.
type task struct {
	account string
	run     func(*part)
}

// factFile is a file that may lie in the root, for all accounts, or in the directory of an account.
type factFile struct {
	name string
	what string // what is not known where no such file is there; "" where nothing is
	read func(*reader, *part, string)
}

var factFiles = []factFile{
	{"resources.jsonl", "resources and their policies", func(rd *reader, p *part, file string) { rd.lineElements(p, file, (*part).readResource) }},
	{"providers.json", "identity providers", func(rd *reader, p *part, file string) { rd.listElements(p, file, (*part).readProvider) }},
	{"grants.jsonl", "KMS grants", func(rd *reader, p *part, file string) { rd.lineElements(p, file, (*part).readKMSGrant) }},
	{"shares.jsonl", "shares (RAM, images, snapshots)", func(rd *reader, p *part, file string) { rd.lineElements(p, file, (*part).readShare) }},
	{usageFile, "facts about use", func(rd *reader, p *part, file string) { rd.listElements(p, file, (*part).readUsage) }},
	{gapsFile, "", func(rd *reader, p *part, file string) { rd.listElements(p, file, (*part).readGap) }},
}

const (
	gapsFile     = "gaps.json"
	usageFile    = "usage.json"
	policiesFile = "policies.json"
	// collectedFile says of one account when it was read, and how completely.
	collectedFile = "collected.json"
	accountsDir   = "accounts"
)

func newReader(fsys fs.FS) (*reader, error) {
	rd := &reader{fsys: fsys, documents: newDocuments(), root: make(map[string]bool), accounts: make(map[string][]string)}
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("reading the snapshot's directory: %w", err)
	}
	for _, entry := range entries {
		name := entry.Name()
		switch {
		case entry.IsDir() && name == accountsDir:
			rd.listAccounts()
		case entry.IsDir():
		case name == organizationFile, name == policiesFile, isFactFile(name):
			rd.root[name] = true
		default:
			rd.stray(name, "")
		}
	}
	return rd, nil
}

// InRoot reports whether the directory form has a file or directory of a name beside organization.json, or is that itself.
func InRoot(name string) bool {
	return name == organizationFile || name == policiesFile || name == accountsDir || isFactFile(name)
}

func isFactFile(name string) bool {
	for _, f := range factFiles {
		if f.name == name {
			return true
		}
	}
	return false
}

// stray reports a JSON file that the directory form does not have: a misspelt name must not lose a whole file.
func (rd *reader) stray(name, account string) {
	if ext := path.Ext(name); ext == ".json" || ext == ".jsonl" {
		rd.found.gap(Gap{Kind: GapFile, Subject: name, Account: account, Reason: "not a file of a snapshot; it was not read", Source: Source{File: name}})
	}
}

func (rd *reader) listAccounts() {
	entries, err := fs.ReadDir(rd.fsys, accountsDir)
	if err != nil {
		rd.found.gap(Gap{Kind: GapFile, Subject: accountsDir, Reason: "the directory could not be read: " + err.Error(), Source: Source{File: accountsDir}})
		return
	}
	for _, entry := range entries {
		id := entry.Name()
		dir := path.Join(accountsDir, id)
		if !entry.IsDir() {
			rd.stray(dir, "")
			continue
		}
		if !arn.IsAccountID(id) {
			rd.found.gap(Gap{Kind: GapFile, Subject: dir, Reason: "expected a directory named after the 12 digits of an account; it was not read", Source: Source{File: dir}})
			continue
		}
		files, err := fs.ReadDir(rd.fsys, dir)
		if err != nil {
			rd.found.gap(Gap{Kind: GapFile, Subject: dir, Account: id, Reason: "the directory could not be read: " + err.Error(), Source: Source{File: dir}})
		}
		rd.accounts[id] = []string{}
		for _, f := range files {
			name := path.Join(dir, f.Name())
			switch {
			case f.IsDir() && f.Name() == "iam":
				pages, err := fs.ReadDir(rd.fsys, name)
				if err != nil {
					rd.found.gap(Gap{Kind: GapFile, Subject: name, Account: id, Reason: "the directory could not be read: " + err.Error(), Source: Source{File: name}})
				}
				for _, page := range pages {
					if !page.IsDir() && path.Ext(page.Name()) == ".json" {
						rd.accounts[id] = append(rd.accounts[id], path.Join(name, page.Name()))
					}
				}
			case f.IsDir():
			case isPage(f.Name()), isFactFile(f.Name()), f.Name() == collectedFile:
				rd.accounts[id] = append(rd.accounts[id], name)
			default:
				rd.stray(name, id)
			}
		}
	}
}

var pageName = regexp.MustCompile(`^iam(-[0-9]+)?\.json$`)

// isPage reports whether a file of an account's directory is a page of its authorization details.
func isPage(name string) bool { return pageName.MatchString(name) }

// comparePages orders pages as a person numbers them: iam.json, iam-2.json, …, iam-10.json.
func comparePages(a, b string) int {
	number := func(s string) int {
		s = strings.TrimSuffix(path.Base(s), ".json")
		i := len(s)
		for i > 0 && s[i-1] >= '0' && s[i-1] <= '9' {
			i--
		}
		n, _ := strconv.Atoi(s[i:])
		return n
	}
	return cmp.Or(cmp.Compare(path.Dir(a), path.Dir(b)), cmp.Compare(number(a), number(b)), cmp.Compare(a, b))
}

// plan lists the work: one task for each account and one for each file beside the accounts.
func (rd *reader) plan() []task {
	var tasks []task
	for _, f := range factFiles {
		if rd.has(f.name) {
			tasks = append(tasks, task{run: func(p *part) { f.read(rd, p, f.name) }})
		}
	}
	if rd.has(policiesFile) {
		tasks = append(tasks, task{run: rd.readPolicies})
	}
	ids := make([]string, 0, len(rd.accounts))
	for id := range rd.accounts {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		tasks = append(tasks, task{account: id, run: func(p *part) { rd.readAccount(p, rd.accounts[id]) }})
	}
	return tasks
}

func (rd *reader) readAccount(p *part, files []string) {
	var pages []string
	for _, file := range files {
		if path.Base(file) == collectedFile {
			rd.readCollected(p, file)
			continue
		}
		i := slices.IndexFunc(factFiles, func(f factFile) bool {
			return file == path.Join(accountsDir, p.account, f.name)
		})
		if i < 0 {
			pages = append(pages, file)
			continue
		}
		factFiles[i].read(rd, p, file)
	}
	slices.SortFunc(pages, comparePages)
	for _, file := range pages {
		rd.readDetails(p, file)
	}
	p.strangers()
}

// readPolicies reads policies.json: the managed policies that all accounts share, in the shape of authorization details.
func (rd *reader) readPolicies(p *part) {
	rd.readDetails(p, policiesFile)
	if n := len(p.facts.Users) + len(p.facts.Groups) + len(p.facts.Roles); n > 0 {
		p.gap(Gap{Kind: GapFile, Subject: policiesFile, Source: Source{File: policiesFile},
			Reason: fmt.Sprintf("expected Policies alone, found %d users, groups and roles; they were not read: their place is accounts/<account id>/iam.json", n)})
		p.facts.Users, p.facts.Groups, p.facts.Roles = nil, nil, nil
	}
}

// run does the tasks, as many at once as there are processors, and returns their results in the order of the tasks.
func (rd *reader) run(tasks []task) []*part {
	parts := make([]*part, len(tasks))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(tasks)) {
		workers.Go(func() {
			for i := range next {
				p := &part{account: tasks[i].account}
				tasks[i].run(p)
				parts[i] = p
			}
		})
	}
	for i := range tasks {
		next <- i
	}
	close(next)
	workers.Wait()
	return parts
}

// readFile opens a file and turns the error that stops its reading into a gap.
func (rd *reader) readFile(p *part, file string, read func(*textReader) *syntaxError) {
	f, err := rd.fsys.Open(file)
	if err != nil {
		p.details.lost = true
		p.gap(Gap{Kind: GapFile, Subject: file, Reason: "could not be opened: " + err.Error(), Source: Source{File: file}})
		return
	}
	defer f.Close()
	if err := read(newTextReader(f)); err != nil {
		p.gap(Gap{Kind: GapFile, Subject: file, Reason: err.message + "; nothing after this place was read",
			Source: Source{File: file, Line: err.at.line, Column: err.at.column}})
	}
}

// mainAccount is the account that most ARNs of an authorization-details file lie in, else the 12 digits in its name.
func (p *part) mainAccount(file string) string {
	count := make(map[string]int)
	for i := range p.facts.Users {
		count[p.facts.Users[i].Account]++
	}
	for i := range p.facts.Groups {
		count[p.facts.Groups[i].Account]++
	}
	for i := range p.facts.Roles {
		count[p.facts.Roles[i].Account]++
	}
	for i := range p.facts.Policies {
		count[p.facts.Policies[i].Account]++
	}
	best := ""
	for id, n := range count {
		if id != "" && (best == "" || n > count[best] || n == count[best] && id < best) {
			best = id
		}
	}
	if best != "" {
		return best
	}
	return digits12.FindString(path.Base(file))
}

var digits12 = regexp.MustCompile(`[0-9]{12}`)

// strangers reports principals of other accounts among those of the account that the part is about: one gap for each file
// and account. Whether the part is all of its own account can then not be told.
func (p *part) strangers() {
	type group struct{ file, account string }
	count := make(map[group]int)
	var order []Gap
	add := func(name, account string, at Source) {
		if account == p.account {
			return
		}
		g := group{at.File, account}
		if count[g]++; count[g] == 1 {
			order = append(order, Gap{Kind: GapFile, Subject: at.File, Account: account, Reason: quote(name), Source: at})
		}
	}
	for i := range p.facts.Users {
		add(p.facts.Users[i].ARN, p.facts.Users[i].Account, p.facts.Users[i].Source)
	}
	for i := range p.facts.Groups {
		add(p.facts.Groups[i].ARN, p.facts.Groups[i].Account, p.facts.Groups[i].Source)
	}
	for i := range p.facts.Roles {
		add(p.facts.Roles[i].ARN, p.facts.Roles[i].Account, p.facts.Roles[i].Source)
	}
	for _, g := range order {
		p.details.mixed = true
		g.Reason = fmt.Sprintf("expected principals of account %s, found %d of account %s, the first is %s", p.account, count[group{g.Subject, g.Account}], g.Account, g.Reason)
		p.gap(g)
	}
}

// followedBy joins a later page of the same account to p.
func (p *part) followedBy(q *part) {
	addFacts(&p.facts, &q.facts)
	d, e := &p.details, &q.details
	d.files += e.files
	d.lost = d.lost || e.lost
	d.isOpen, d.truncated = e.isOpen, e.truncated
	for list := range e.lists {
		d.lists[list] = true
	}
	for partition := range e.partitions {
		d.partitions[partition] = true
	}
}

func addFacts(s, t *Snapshot) {
	s.Users = append(s.Users, t.Users...)
	s.Groups = append(s.Groups, t.Groups...)
	s.Roles = append(s.Roles, t.Roles...)
	s.Policies = append(s.Policies, t.Policies...)
	s.Resources = append(s.Resources, t.Resources...)
	s.Providers = append(s.Providers, t.Providers...)
	s.KMSGrants = append(s.KMSGrants, t.KMSGrants...)
	s.Shares = append(s.Shares, t.Shares...)
	s.Usage = append(s.Usage, t.Usage...)
	s.Gaps = append(s.Gaps, t.Gaps...)
}
