// Package collect reads an AWS organisation into a snapshot: its tree and control policies, each account's principals, and everything that can let another account in, by one table of rows (Rows), which is also
// what the policy of the collector's role and the coverage page are printed from.
//
// Nothing that goes wrong is silent and nothing that goes wrong in one place stops the rest: a call that is denied, throttled away or not answered is a gap with the call, the account and the error code. An
// account is written to disk as soon as it is read, so that memory does not grow with their number and a broken run goes on where it was.
package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"filippo.io/age"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/sync/errgroup"

	"drawbridge/internal/sealed"
)

// Options are how an organisation is read. Config is required, and one of Out and Store.
type Options struct {
	Config aws.Config // the caller's credentials and region, by the SDK's usual chain
	Out    string     // directory of the snapshot
	Store  string     // directory of snapshots, in which a new one is named by its time

	// Role is the name of the role that is assumed in every account but the caller's own, RolePath its path ("/"). "" means that only the caller's own account is read.
	Role, RolePath string
	ExternalID     string
	Session        string // name of the sessions; "" means drawbridge-collect

	Accounts []string // only these accounts are read; the others are gaps
	Regions  []string // only these regions; other enabled regions are gaps
	Rows     []Row    // what is read; nil means Rows()

	Parallel int           // how many accounts are read at once; 0 means 8
	InFlight int           // how many calls wait for an answer at once, over all; 0 means 64
	Timeout  time.Duration // how long one row of one account and region may take; 0 means 15 minutes
	Answer   time.Duration // how long one try of a call may take, its answer read to the end; 0 means one minute
	Attempts int           // how often a throttled call is tried; 0 means 10. Others are tried at most 4 times

	// EncryptTo are those who may read the snapshot: it is encrypted to them as it is written. nil means that it is not encrypted.
	EncryptTo  []sealed.Recipient
	Identities []age.Identity // open the earlier snapshot for Since, where that is encrypted

	Since        time.Duration // accounts of the snapshot at Out, which is then replaced, or of the newest in Store, that are not older are taken over; 0 means none
	Replace      bool          // a snapshot at Out is replaced
	Restart      bool          // what a run that was stopped has read is thrown away
	LastAccessed bool          // IAM is asked which services each role used: two calls a role, and minutes an account

	Backoff  time.Duration // the longest wait before another try; 0 means 20 seconds
	Now      func() time.Time
	Progress func(Progress) // called after each account, by one goroutine at a time; may be nil
}

// Progress is how far a run is.
type Progress struct {
	Done, Total int // accounts
	Calls       int64
	Gaps        int
	Kept        int    // of those done, taken over and not read
	Account     string // the one that was just read; "" in the beginning, and when nothing happened for a second
}

// Result is what a run did.
type Result struct {
	Out      string // where the snapshot is, or will be
	Accounts int    // accounts in the snapshot
	Kept     int    // of them, taken over from a run that was stopped or from an earlier snapshot
	Resumed  bool
	Closed   int // of them, that the collector's role could not be assumed in
	Gaps     int
	Hidden   int     // of them, in accounts of a stopped run, and encrypted: they are in no group
	Dropped  bool    // what a stopped run had read was read anew: which part is whose was not known any more
	Groups   []Group // the gaps, those of most accounts first
	Calls    int64
}

// Group are the gaps of one call and code, or of one kind where no call was made.
type Group struct {
	Kind, Call, Code string
	Accounts, Gaps   int
	Reason           string // of the first
}

const (
	defaultSession  = "drawbridge-collect"
	defaultParallel = 8
	defaultInFlight = 64
	defaultTimeout  = 15 * time.Minute
	defaultAnswer   = time.Minute
	// defaultAttempts is far above the SDK's three: with a third of the calls throttled, three lose one account in forty, ten none in a hundred thousand.
	defaultAttempts = 10
	// attemptsOfOthers is for what is not throttling: a service that is out of order is asked again, and for some seconds only.
	attemptsOfOthers = 4
	// maxBackoff is the longest wait before another try.
	maxBackoff = 20 * time.Second
	// maxAnswer is the longest answer that is read: the longest of AWS's are some megabytes.
	maxAnswer = 64 << 20
	// accountTasks is how many rows and regions of one account are read at once.
	accountTasks = 8
)

// run is one collection.
type run struct {
	Options
	stop    context.CancelCauseFunc
	calls   atomic.Int64
	caller  string // account of the caller
	self    string // the caller in it: role/NAME or user/NAME
	part    string
	slots   chan struct{} // calls in flight
	started time.Time
	gaps    tally
}

// Run reads the organisation and writes the snapshot. A run that was stopped, by the context or because its own credentials are not taken any more, leaves what it has beside Out and returns an error; the next one
// goes on from there.
func Run(ctx context.Context, o Options) (Result, error) {
	r := &run{Options: o.withDefaults()}
	r.started = r.Now().UTC()
	r.slots = make(chan struct{}, r.InFlight)
	ctx, r.stop = context.WithCancelCause(ctx)
	defer r.stop(nil)
	r.Config = r.instrument(r.Config)
	identity, err := sts.NewFromConfig(r.Config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		if stop := stopped(ctx); stop != nil {
			return Result{}, stop
		}
		return Result{}, fmt.Errorf("asking AWS who is calling: %w", err)
	}
	r.caller = aws.ToString(identity.Account)
	r.self = selfOf(aws.ToString(identity.Arn))
	r.part = partition(aws.ToString(identity.Arn))

	w, resumed, err := r.open()
	if err != nil {
		return Result{}, err
	}
	defer w.close()
	result := Result{Out: w.out, Resumed: resumed}
	tree, f := r.organization(ctx)
	if err := stopped(ctx); err != nil {
		return result, err
	}
	todo := r.choose(&tree, f)
	w.wanted = make(map[string]bool, len(todo))
	for _, a := range todo {
		w.wanted[a.ID] = true
	}
	if w.seal != nil {
		if result.Dropped, err = w.expect(resumed); err != nil {
			return result, err
		}
		w.seal.collected = tree.Collected
	}
	if err := w.root(tree, f); err != nil {
		return result, err
	}
	r.gaps.add("", append(f.gaps, unread(f.resources)...))
	result.Accounts = len(todo)
	err = r.accounts(ctx, w, todo, &result)
	result.Calls = r.calls.Load()
	result.Gaps, result.Groups = r.gaps.groups()
	result.Hidden = r.gaps.hidden
	if err != nil {
		return result, err
	}
	return result, w.finish()
}

// organization reads what belongs to no account.
func (r *run) organization(ctx context.Context) (organization, *facts) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	f := &facts{}
	row := &Row{Name: "the organisation"}
	if central := rowOf(organizationRows, Central); central != nil {
		row = central
	}
	t := r.task(ctx, r.Config, row, r.caller, "", f)
	var tree organization
	t.guard(func() { tree = readOrganization(t) })
	tree.Version, tree.Collected = 1, r.started
	// A list that broke off, or a caller who may not see it, does not hide the account that asks.
	if !slices.ContainsFunc(tree.Accounts, func(a account) bool { return a.ID == r.caller }) {
		tree.Accounts = append(tree.Accounts, account{ID: r.caller, Partition: r.part})
		tree.SCPs, tree.RCPs = nil, nil // where in the tree the account is, and so which of them hold for it, is not known
		slices.SortFunc(tree.Accounts, func(a, b account) int { return strings.Compare(a.ID, b.ID) })
	}
	f.add(t)
	return tree, f
}

func (o Options) withDefaults() Options {
	or := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	or(&o.Parallel, defaultParallel)
	or(&o.InFlight, defaultInFlight)
	or(&o.Attempts, defaultAttempts)
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Backoff <= 0 {
		o.Backoff = maxBackoff
	}
	if o.Answer <= 0 {
		o.Answer = defaultAnswer
	}
	if o.Rows == nil {
		o.Rows = Rows()
	}
	if o.Session == "" {
		o.Session = defaultSession
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// stopped is the error of a run whose context ended.
func stopped(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	if cause := context.Cause(ctx); errors.Is(cause, ErrStopped) {
		return cause
	}
	return fmt.Errorf("%w: %w", ErrStopped, context.Cause(ctx))
}

// choose says which accounts are read; the others are gaps.
func (r *run) choose(tree *organization, f *facts) []account {
	for _, row := range rows {
		if row.Name != lastAccessedRow && !slices.ContainsFunc(r.Rows, func(o Row) bool { return o.Name == row.Name }) {
			f.gaps = append(f.gaps, gap{Kind: "call", Subject: cmp.Or(row.Type, row.Name), Reason: row.Name + ": was not asked for", Types: row.types()})
		}
	}
	var todo []account
	for _, a := range tree.Accounts {
		skip := ""
		switch {
		case a.suspended:
			skip = "the account is suspended or closed; nothing in it can be called"
		case len(r.Accounts) > 0 && !slices.Contains(r.Accounts, a.ID):
			skip = "the account was not asked for"
		case r.Role == "" && a.ID != r.caller:
			skip = "no role was given to read it with"
		}
		if skip == "" {
			todo = append(todo, a)
			continue
		}
		f.gaps = append(f.gaps, gap{Kind: "account", Subject: a.ID, Account: a.ID, Reason: skip, Types: everything})
	}
	return todo
}

// accounts reads accounts, several at once, each into its own directory.
func (r *run) accounts(ctx context.Context, w *writer, todo []account, result *Result) error {
	var mu sync.Mutex
	done := 0
	report := func(id string) { // with mu held
		if r.Progress != nil {
			r.Progress(Progress{Done: done, Total: len(todo), Kept: result.Kept, Calls: r.calls.Load(), Gaps: r.gaps.count(), Account: id})
		}
	}
	mu.Lock()
	report("")
	mu.Unlock()
	idle, finished := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-idle:
				return
			case <-tick.C:
				mu.Lock()
				report("")
				mu.Unlock()
			}
		}
	}()
	defer func() { close(idle); <-finished }()

	var g errgroup.Group
	g.SetLimit(r.Parallel)
	for _, a := range todo {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			k, kept, err := w.kept(a.ID)
			gaps, open := k.gaps, true
			if err == nil && !kept {
				gaps, open, err = r.account(ctx, w, a)
			}
			if err != nil {
				r.stop(err)
				return err
			}
			r.gaps.add(a.ID, gaps)
			r.gaps.hide(k.hidden)
			mu.Lock()
			defer mu.Unlock()
			done++
			if kept {
				result.Kept++
			}
			if !open {
				result.Closed++
			}
			report(a.ID)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return stopped(ctx)
}

// account reads one account into its directory and returns its gaps. open is false where the role could not be assumed.
func (r *run) account(ctx context.Context, w *writer, a account) (gaps []gap, open bool, err error) {
	f := &facts{}
	cfg := r.session(a)
	out, err := w.account(a.ID)
	if err != nil {
		return nil, false, err
	}
	defer out.abandon()
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		if err := stopped(ctx); err != nil {
			return nil, false, err
		}
		if errors.Is(err, errLost) {
			return nil, false, fmt.Errorf("%w: %w: %s", ErrStopped, errLost, explain(err))
		}
		call, code, message := describe(err)
		f.gaps = append(f.gaps, gap{Kind: "account", Subject: a.ID, Account: a.ID, Call: call.String(), Code: code, Reason: "the collector's role could not be assumed: " + reason(call, code, message), Types: everything})
		return f.gaps, false, out.finish(f, r.Now().UTC(), false)
	}
	// read does a task within its deadline, and adds what it says about itself.
	read := func(row *Row, region string, do func(*task)) {
		ctx, cancel := context.WithTimeout(ctx, r.Timeout)
		defer cancel()
		t := r.task(ctx, cfg, row, a.ID, region, f)
		t.guard(func() { do(t) })
		f.add(t)
	}
	var regions []string
	read(&Row{Name: "the account"}, "", func(t *task) { regions = r.regions(t) })
	if iam := rowOf(r.Rows, Principal); iam != nil {
		var failed error
		read(iam, "", func(t *task) { failed = readIAM(t, out.page) })
		if failed != nil {
			return nil, false, failed
		}
	}
	if i := slices.IndexFunc(r.Rows, func(r Row) bool { return r.Name == lastAccessedRow }); i >= 0 && r.LastAccessed {
		read(&r.Rows[i], "", r.Rows[i].read)
	}
	var g errgroup.Group
	g.SetLimit(accountTasks)
	for i := range r.Rows {
		row := &r.Rows[i]
		places := []string{""}
		switch row.Place {
		case Principal, Central:
			continue
		case Regional:
			places = regions
		}
		for _, region := range places {
			if ctx.Err() != nil {
				break
			}
			g.Go(func() error { read(row, region, row.read); return nil })
		}
	}
	_ = g.Wait()
	if err := stopped(ctx); err != nil {
		return nil, false, err
	}
	f.sort()
	if err := out.finish(f, r.Now().UTC(), true); err != nil {
		return nil, false, err
	}
	return append(f.gaps, unread(f.resources)...), true, nil
}

// guard does what a task does. A task that runs out of time, or into a fault of our own, says so: what it had is kept.
func (t *task) guard(do func()) {
	defer func() {
		if fault := recover(); fault != nil {
			t.fault(fault)
		}
		if errors.Is(t.ctx.Err(), context.DeadlineExceeded) && !errors.Is(context.Cause(t.ctx), ErrStopped) {
			t.mu.Lock()
			t.failures = append(t.failures, failure{code: "Timeout", message: "not finished in time; what was read until then is kept"})
			t.mu.Unlock()
		}
	}()
	do()
}

// fault notes a fault of our own.
func (t *task) fault(fault any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, failure{code: "InternalFault", message: fmt.Sprintf("a fault of the collector, please report it: %v", fault)})
}

// add takes over what a task says about itself.
func (f *facts) add(t *task) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gaps = append(f.gaps, t.fold()...)
	if t.unlisted {
		f.absent = append(f.absent, t.row.Name+" in "+t.region)
	}
}

func rowOf(rows []Row, p Place) *Row {
	if i := slices.IndexFunc(rows, func(r Row) bool { return r.Place == p }); i >= 0 {
		return &rows[i]
	}
	return nil
}

// task is a row to be read in an account and region; "" is the partition's home region.
func (r *run) task(ctx context.Context, cfg aws.Config, row *Row, account, region string, f *facts) *task {
	cfg = cfg.Copy()
	if region != "" {
		cfg.Region = region
	} else if home := homeRegion[r.part]; home != "" {
		cfg.Region = home
	}
	self := r.self
	if r.Role != "" && account != r.caller {
		self = "role/" + r.Role
	}
	return &task{ctx: ctx, row: row, cfg: cfg, account: account, self: self, part: r.part, region: region, facts: f}
}

// homeRegion is where a partition's global services answer.
var homeRegion = map[string]string{"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}

func partition(arn string) string {
	if parts := strings.SplitN(arn, ":", 3); len(parts) == 3 {
		return parts[1]
	}
	return "aws"
}

// session is the configuration for an account: its role, or the caller's own credentials in the caller's own account. Its clients share their limits.
func (r *run) session(a account) aws.Config {
	cfg := r.Config.Copy()
	limits := newLimits(r.Attempts, r.Backoff)
	cfg.Retryer = func() aws.Retryer { return limits }
	if r.Role == "" || a.ID == r.caller {
		cfg.APIOptions = append(slices.Clone(cfg.APIOptions), r.watch(true))
		return cfg
	}
	path := "/" + strings.Trim(r.RolePath, "/") + "/"
	role := "arn:" + r.part + ":iam::" + a.ID + ":role" + strings.ReplaceAll(path, "//", "/") + r.Role
	provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(r.Config), role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = r.Session
		if r.ExternalID != "" {
			o.ExternalID = &r.ExternalID
		}
	})
	cfg.Credentials = aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		c, err := provider.Retrieve(ctx)
		if err != nil && lost(err) {
			err = fmt.Errorf("%w: %w", errLost, err)
		}
		return c, err
	}), func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = 5 * time.Minute })
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), r.watch(false))
	return cfg
}

// errLost says that nobody takes the run's own credentials any more: no account can be read, and the run can go on later with new ones.
var errLost = errors.New("the credentials of the run are not taken any more")

// lost reports whether the caller's own credentials were refused.
func lost(err error) bool {
	return expired(err) || codeOf(err) == "InvalidClientTokenId" || codeOf(err) == "UnrecognizedClientException"
}

func expired(err error) bool {
	switch codeOf(err) {
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired":
		return true
	}
	return false
}

// watch ends the run when a call shows that its own credentials are lost, wherever it was made. own says whether the calls are signed with them; calls of a role's session show it by the session that cannot be renewed.
// A key that a service does not know is no such sign: it may be a region that takes no sessions of others.
func (r *run) watch(own bool) func(*middleware.Stack) error {
	return func(s *middleware.Stack) error {
		return s.Initialize.Add(middleware.InitializeMiddlewareFunc("DrawbridgeWatch", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			out, meta, err := next.HandleInitialize(ctx, in)
			if err != nil && (errors.Is(err, errLost) || own && expired(err)) {
				r.stop(fmt.Errorf("%w: %w: %s", ErrStopped, errLost, explain(err)))
			}
			return out, meta, err
		}), middleware.Before)
	}
}

// regions are those to be read: the enabled ones, as far as they were asked for. An enabled region that is left out is a gap.
func (r *run) regions(t *task) []string {
	out := must(t, "", ec2.NewFromConfig(t.cfg).DescribeRegions, &ec2.DescribeRegionsInput{})
	if out == nil {
		if len(r.Regions) == 0 {
			t.facts.gaps = append(t.facts.gaps, gap{Kind: "region", Subject: t.account, Account: t.account, Reason: "which regions are enabled is not known: none but " + t.cfg.Region + " was read"})
			return []string{t.cfg.Region}
		}
		return r.Regions
	}
	var todo []string
	for _, region := range out.Regions {
		name := aws.ToString(region.RegionName)
		if len(r.Regions) == 0 || slices.Contains(r.Regions, name) {
			todo = append(todo, name)
		} else {
			t.facts.gaps = append(t.facts.gaps, gap{Kind: "region", Subject: t.account + "/" + name, Account: t.account, Reason: "the region was not asked for"})
		}
	}
	slices.Sort(todo)
	return todo
}
