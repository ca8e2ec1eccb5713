// Package collect reads an AWS organisation into a snapshot: its tree and control policies, each account's principals, and everything that can let another account in, by one table of rows (Rows), which is also
// what the policy of the collector's role and the coverage page are printed from.
//
// Nothing that goes wrong is silent and nothing that goes wrong in one place stops the rest: a call that is denied, throttled away or not answered is a gap with the call, the account and the error code. An
// account is written to disk as soon as it is read, so that memory does not grow with their number and a broken run goes on where it was.
package collect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"golang.org/x/sync/errgroup"
)

// Options are how an organisation is read. Config and Out are required.
type Options struct {
	Config aws.Config // the caller's credentials and region, by the SDK's usual chain
	Out    string     // directory of the snapshot

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
	Attempts int           // how often a call is tried; 0 means 10

	Now      func() time.Time
	Progress func(Progress) // called after each account, by one goroutine at a time; may be nil
}

// Progress is how far a run is.
type Progress struct {
	Done, Total int // accounts
	Calls       int64
	Gaps        int
	Account     string // the one that was just read; "" in the beginning
}

// Result is what a run did.
type Result struct {
	Accounts int // accounts in the snapshot
	Kept     int // of them, taken over from an earlier run
	Gaps     int
	Calls    int64
}

const (
	defaultSession  = "drawbridge-collect"
	defaultParallel = 8
	defaultInFlight = 64
	defaultTimeout  = 15 * time.Minute
	// defaultAttempts is far above the SDK's three: with a third of the calls throttled, three lose one account in forty, ten none in a hundred thousand.
	defaultAttempts = 10
	// accountTasks is how many rows and regions of one account are read at once.
	accountTasks = 8
)

// run is one collection.
type run struct {
	Options
	stop    context.CancelCauseFunc
	calls   atomic.Int64
	caller  string // account of the caller
	part    string
	slots   chan struct{} // calls in flight
	started time.Time
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
		return Result{}, fmt.Errorf("asking AWS who is calling: %w", err)
	}
	r.caller = aws.ToString(identity.Account)
	r.part = partition(aws.ToString(identity.Arn))

	w, err := r.open()
	if err != nil {
		return Result{}, err
	}
	defer w.close()
	t := r.task(ctx, r.Config, &Row{Name: "the organisation"}, r.caller, "", &facts{})
	tree := readOrganization(t)
	if err := stopped(ctx); err != nil {
		return Result{}, err
	}
	tree.Collected = r.started
	if len(tree.Accounts) == 0 {
		tree.Accounts = []account{{ID: r.caller, Partition: r.part}}
	}
	t.facts.gaps = append(t.facts.gaps, t.fold()...)
	todo := r.choose(&tree, t.facts)
	if err := w.root(tree, t.facts); err != nil {
		return Result{}, err
	}
	result := Result{Accounts: len(todo)}
	if err := r.accounts(ctx, w, todo, &result); err != nil {
		return result, err
	}
	result.Calls = r.calls.Load()
	return result, w.finish()
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
	if cause := context.Cause(ctx); errors.Is(cause, errStopped) {
		return cause
	}
	return fmt.Errorf("%w: %w", errStopped, context.Cause(ctx))
}

// choose says which accounts are read; the others are gaps.
func (r *run) choose(tree *organization, f *facts) []account {
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
		f.gaps = append(f.gaps, gap{Kind: "account", Subject: a.ID, Account: a.ID, Reason: skip})
	}
	return todo
}

// accounts reads accounts, several at once, each into its own directory.
func (r *run) accounts(ctx context.Context, w *writer, todo []account, result *Result) error {
	var mu sync.Mutex
	report := func(id string) {
		if r.Progress != nil {
			r.Progress(Progress{Done: result.Kept, Total: len(todo), Calls: r.calls.Load(), Gaps: result.Gaps, Account: id})
		}
	}
	done := 0
	report("")
	var g errgroup.Group
	g.SetLimit(r.Parallel)
	for _, a := range todo {
		if ctx.Err() != nil {
			break
		}
		if gaps, ok := w.kept(a.ID); ok {
			mu.Lock()
			result.Kept++
			result.Gaps += gaps
			mu.Unlock()
			continue
		}
		g.Go(func() error {
			gaps, err := r.account(ctx, w, a)
			if err != nil {
				r.stop(err)
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			done++
			result.Gaps += gaps
			if r.Progress != nil {
				r.Progress(Progress{Done: done + result.Kept, Total: len(todo), Calls: r.calls.Load(), Gaps: result.Gaps, Account: a.ID})
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return stopped(ctx)
}

// account reads one account into its directory and returns how many gaps it has.
func (r *run) account(ctx context.Context, w *writer, a account) (int, error) {
	f := &facts{}
	cfg := r.session(a)
	out, err := w.account(a.ID)
	if err != nil {
		return 0, err
	}
	defer out.abandon()
	home := r.task(ctx, cfg, &Row{Name: "the account"}, a.ID, "", f)
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		if err := stopped(ctx); err != nil {
			return 0, err
		}
		if lost(err) {
			err := fmt.Errorf("%w: the credentials of the run are not taken any more: %s", errStopped, explain(err))
			return 0, err
		}
		call, code, message := describe(err)
		f.gaps = append(f.gaps, gap{Kind: "account", Subject: a.ID, Account: a.ID, Call: call.String(), Code: code, Reason: "the collector's role could not be assumed: " + reason(call, code, message)})
		return 1, out.finish(f, r.Now().UTC())
	}
	regions := r.regions(home)
	iam := r.task(ctx, cfg, rowOf(r.Rows, Principal), a.ID, "", f)
	if iam.row != nil {
		if err := readIAM(iam, out.page); err != nil {
			return 0, err
		}
		f.gaps = append(f.gaps, iam.fold()...)
	}
	f.gaps = append(f.gaps, home.fold()...)

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
			g.Go(func() error {
				ctx, cancel := context.WithTimeout(ctx, r.Timeout)
				defer cancel()
				t := r.task(ctx, cfg, row, a.ID, region, f)
				row.read(t)
				f.add(t)
				return nil
			})
		}
	}
	_ = g.Wait()
	if err := stopped(ctx); err != nil {
		return 0, err
	}
	f.sort()
	return len(f.gaps), out.finish(f, r.Now().UTC())
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
	return &task{ctx: ctx, row: row, cfg: cfg, account: account, part: r.part, region: region, facts: f}
}

// homeRegion is where a partition's global services answer.
var homeRegion = map[string]string{"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}

func partition(arn string) string {
	if parts := strings.SplitN(arn, ":", 3); len(parts) == 3 {
		return parts[1]
	}
	return "aws"
}

// session is the configuration for an account: its role, or the caller's own credentials in the caller's own account.
func (r *run) session(a account) aws.Config {
	cfg := r.Config.Copy()
	if r.Role == "" || a.ID == r.caller {
		return cfg
	}
	path := "/" + strings.Trim(r.RolePath, "/") + "/"
	role := "arn:" + r.part + ":iam::" + a.ID + ":role" + strings.ReplaceAll(path, "//", "/") + r.Role
	cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(r.Config), role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = r.Session
		if r.ExternalID != "" {
			o.ExternalID = &r.ExternalID
		}
	}), func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = 5 * time.Minute })
	return cfg
}

// lost reports whether an error says that the caller's own credentials are not taken any more: then no account can be read, and the run can go on later with new ones.
func lost(err error) bool {
	switch codeOf(err) {
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId", "UnrecognizedClientException":
		return true
	}
	return false
}

// regions are those to be read: the enabled ones, as far as they were asked for. An enabled region that is left out is a gap.
func (r *run) regions(t *task) []string {
	out := must(t, "", ec2.NewFromConfig(t.cfg).DescribeRegions, &ec2.DescribeRegionsInput{})
	if out == nil {
		if len(r.Regions) == 0 {
			t.facts.gaps = append(t.facts.gaps, gap{Kind: "region", Subject: t.account + "/" + t.cfg.Region, Account: t.account, Reason: "which regions are enabled is not known: none but " + t.cfg.Region + " was read"})
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

// instrument gives every client of the run its own adaptive retries, which are so one for each account, region and service, and bounds and counts what is in flight.
func (r *run) instrument(cfg aws.Config) aws.Config {
	cfg = cfg.Copy()
	cfg.Retryer = func() aws.Retryer {
		return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
			o.StandardOptions = append(o.StandardOptions, func(s *retry.StandardOptions) {
				s.MaxAttempts = r.Attempts
				s.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(noSuchHost)}, s.Retryables...)
			})
		})
	}
	client := cfg.HTTPClient
	if client == nil {
		client = http.DefaultClient
	}
	cfg.HTTPClient = doer(func(q *http.Request) (*http.Response, error) {
		select {
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		case <-q.Context().Done():
			return nil, q.Context().Err()
		}
		r.calls.Add(1)
		return client.Do(q)
	})
	return cfg
}

// noSuchHost keeps a name that does not exist from being asked for again: a service that is not offered in a region has none.
func noSuchHost(err error) aws.Ternary {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(q *http.Request) (*http.Response, error) { return d(q) }
