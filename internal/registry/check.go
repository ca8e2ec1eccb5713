package registry

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"drawbridge/iam/arn"
)

// CheckOptions are what checking depends on beside the registry.
type CheckOptions struct {
	// Now is the day of the check.
	Now time.Time
	// Own are the accounts of the organisation: everybody else is a third party. nil: not known.
	Own map[string]bool
	// MaxSession is the longest session that an entry may ask for; 0: 12 hours, as AWS has it.
	MaxSession time.Duration
	// MaxReview is the longest time between reviews; 0: 90 days.
	MaxReview time.Duration
}

const (
	longestSession = 12 * time.Hour
	chainedSession = time.Hour
	longestReview  = 90 * day
)

// Check holds every entry and vendor against what an entry must say. Problems are sorted by file and line; warnings do not stop
// anybody.
func (r *Registry) Check(o CheckOptions) []Problem {
	if o.MaxSession == 0 {
		o.MaxSession = longestSession
	}
	if o.MaxReview == 0 {
		o.MaxReview = longestReview
	}
	c := checker{r: r, o: o}
	c.names()
	for i := range r.Entries {
		c.entry(&r.Entries[i])
	}
	for i := range r.Vendors {
		c.vendor(&r.Vendors[i])
	}
	SortProblems(c.problems)
	return c.problems
}

// SortProblems sorts by place, then by text.
func SortProblems(list []Problem) {
	slices.SortStableFunc(list, func(a, b Problem) int {
		if n := strings.Compare(a.File, b.File); n != 0 {
			return n
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		if a.Column != b.Column {
			return a.Column - b.Column
		}
		return strings.Compare(a.Message, b.Message)
	})
}

type checker struct {
	r        *Registry
	o        CheckOptions
	problems []Problem
}

func (c *checker) add(p Place, name string, warning bool, format string, args ...any) {
	c.problems = append(c.problems, Problem{p, name, fmt.Sprintf(format, args...), warning})
}

// names must be there, and once.
func (c *checker) names() {
	first := map[string]Place{}
	see := func(kind, name string, p Place) {
		if name == "" {
			c.add(p, "", false, "metadata.name is missing")
			return
		}
		if earlier, ok := first[kind+name]; ok {
			c.add(p, name, false, "the name is taken already at %s:%d", earlier.File, earlier.Line)
			return
		}
		first[kind+name] = p
	}
	for i := range c.r.Entries {
		see("entry ", c.r.Entries[i].Name, c.r.Entries[i].Place)
	}
	for i := range c.r.Vendors {
		see("vendor ", c.r.Vendors[i].Name, c.r.Vendors[i].Place)
	}
}

func (c *checker) entry(e *Entry) {
	bad := func(format string, args ...any) { c.add(e.Place, e.Name, false, format, args...) }
	hint := func(format string, args ...any) { c.add(e.Place, e.Name, true, format, args...) }
	for _, missing := range e.Missing() {
		bad("%s is missing", missing)
	}
	if e.Category != "" && !slices.Contains(Categories, e.Category) {
		bad("spec.category %q is not known: expected one of %s", e.Category, joined(Categories))
	}
	c.from(e, bad, hint)
	c.to(e, bad)
	for _, action := range e.Actions {
		if service, name, ok := strings.Cut(action, ":"); action != "*" && (!ok || service == "" || name == "") {
			bad("spec.allow.actions: %q is no action: expected one like s3:GetObject", action)
		}
		if action == "*" || strings.HasSuffix(action, ":*") {
			bad("spec.allow.actions: %q opens a whole service; name the actions, or say why in an exception", action)
		}
	}
	c.session(e, bad, hint)
	c.people(e, bad, hint)
	if e.Expires.Over(c.o.Now) {
		hint("expired on %s", e.Expires)
	}
	if e.Review.Every > c.o.MaxReview {
		bad("spec.review.every %s is longer than %s", FormatSpan(e.Review.Every), FormatSpan(c.o.MaxReview))
	}
	if e.Vendor != "" && c.r.Vendor(e.Vendor) == nil {
		bad("spec.vendor: there is no vendor %q", e.Vendor)
	}
}

// Missing names what an entry must say and does not, as paths, in the order of the file.
func (e *Entry) Missing() []string {
	var missing []string
	need := func(field string, there bool) {
		if !there {
			missing = append(missing, field)
		}
	}
	need("metadata.owner", e.Owner != "")
	need("spec.purpose", e.Purpose != "")
	need("spec.from", len(e.From.Principals)+len(e.From.Services) > 0 || e.From.OIDC != nil)
	need("spec.to", e.To.Role != "" || len(e.To.Resources) > 0 || e.To.Service != "")
	need("spec.expires", !e.Expires.IsZero())
	return missing
}

func joined[T ~string](list []T) string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}

// from: principals by name. A whole account is declared as one only for a third party, whose roles nobody here knows.
func (c *checker) from(e *Entry, bad, hint func(string, ...any)) {
	third, named := false, false
	for _, p := range e.From.Principals {
		if OfBroker(p) {
			continue // AWS sees the broker, which is what a demand for an ExternalId would be for
		}
		named = true
		account := p
		if a, err := arn.Parse(p); err == nil {
			account = a.Account
			if a.Resource == "root" {
				hint("spec.from.principals: %s is a whole account; name its roles", p)
			}
			if strings.ContainsAny(p, "*?") {
				bad("spec.from.principals: %s has a wildcard; name the principals", p)
			}
		} else if !arn.IsAccountID(p) {
			bad("spec.from.principals: %q is neither an ARN nor an account id, nor broker:NAME or a SPIFFE id", p)
			continue
		} else {
			hint("spec.from.principals: %s is a whole account; name its roles", p)
		}
		third = third || c.o.Own != nil && !c.o.Own[account]
	}
	if o := e.From.OIDC; o != nil {
		if o.Issuer == "" || o.Audience == "" || o.Claims["sub"] == "" {
			bad("spec.from.oidc: issuer, audience and the claim sub are needed")
		}
		if strings.HasPrefix(o.Claims["sub"], "*") {
			bad("spec.from.oidc: the claim sub %q lets in everybody of the issuer", o.Claims["sub"])
		}
	}
	third = third || e.Vendor != ""
	if third && e.To.Role != "" && named && !c.demandsExternalID(e) {
		bad("spec.trustConditions: a third party crosses, and no sts:ExternalId is demanded")
	}
}

func (c *checker) demandsExternalID(e *Entry) bool {
	for i := range e.TrustConditions {
		t := &e.TrustConditions[i]
		if strings.EqualFold(t.Key, "sts:ExternalId") && strings.HasPrefix(strings.ToLower(t.Operator), "string") && !strings.Contains(strings.ToLower(t.Operator), "not") {
			return true
		}
	}
	return false
}

func (c *checker) to(e *Entry, bad func(string, ...any)) {
	for _, target := range e.To.Targets() {
		if _, err := arn.Parse(target); err != nil {
			bad("spec.to: %v", err)
		}
	}
	if e.To.Role != "" && (!strings.Contains(e.To.Role, ":role/") || strings.ContainsAny(e.To.Role, "*?")) {
		bad("spec.to.role: %s is not the ARN of one role", e.To.Role)
	}
	if e.Boundary != "" && !strings.Contains(e.Boundary, ":policy/") {
		bad("spec.boundary: %s is not the ARN of a policy", e.Boundary)
	}
}

// maxTags leaves room for the broker's own: STS takes 50.
const maxTags = 49

// BrokerTags begins the session tags that are the broker's own.
const BrokerTags = "drawbridge:"

var tagText = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// tags must be such that STS takes them: names of 1 to 128 characters that differ without regard to case, values of 256 at most (AWS STS API Reference, Tag).
func (c *checker) tags(e *Entry, bad func(string, ...any)) {
	if n := len(e.Session.Tags); n > maxTags {
		bad("spec.session.tags: %d, expected at most %d", n, maxTags)
	}
	seen := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(e.Session.Tags)) {
		value, lower := e.Session.Tags[name], strings.ToLower(name)
		switch n := utf8.RuneCountInString(name); {
		case n == 0 || n > 128 || !tagText.MatchString(name):
			bad("spec.session.tags: %q is no name of a tag: expected 1 to 128 letters, digits, blanks or _.:/=+-@", name)
		case strings.HasPrefix(lower, "aws:") || strings.HasPrefix(lower, BrokerTags):
			bad("spec.session.tags: %q: names that begin with aws: or %s are not yours", name, BrokerTags)
		case seen[lower] != "":
			bad("spec.session.tags: %q and %q are one tag to AWS", seen[lower], name)
		}
		seen[lower] = name
		if utf8.RuneCountInString(value) > 256 || !tagText.MatchString(value) {
			bad("spec.session.tags: the value of %s: expected at most 256 letters, digits, blanks or _.:/=+-@", name)
		}
	}
}

func (c *checker) session(e *Entry, bad, hint func(string, ...any)) {
	if e.Session.Chaining != "" && e.Session.Chaining != "allow" && e.Session.Chaining != "forbid" {
		bad("spec.session.chaining %q is not known: expected allow or forbid", e.Session.Chaining)
	}
	c.tags(e, bad)
	if e.Session.Max > c.o.MaxSession {
		bad("spec.session.max %s is longer than %s", FormatSpan(e.Session.Max), FormatSpan(c.o.MaxSession))
	}
	if e.Use.Needs > e.Session.Max && e.Session.Max > 0 {
		bad("spec.use.needs %s is longer than spec.session.max %s", FormatSpan(e.Use.Needs), FormatSpan(e.Session.Max))
	}
	if e.Session.Chaining == "allow" && e.Use.Needs > chainedSession {
		bad("spec.use.needs %s: AWS ends a chained session after an hour", FormatSpan(e.Use.Needs))
	}
	if e.Use.Every == 0 {
		hint("spec.use.every is missing: after which time without use is it stale?")
	}
	if e.Session.Max == 0 && e.To.Role != "" {
		hint("spec.session.max is missing")
	}
}

// people: nobody approves their own request, and the owner alone does not review.
func (c *checker) people(e *Entry, bad, hint func(string, ...any)) {
	if e.RequestedBy != "" && e.RequestedBy == e.ApprovedBy {
		bad("spec.approval: %s approved their own request", e.RequestedBy)
	}
	if e.Approval.Automatic && e.Approval.Required > 0 {
		bad("spec.approval.automatic: %d must approve, so that nothing is automatic", e.Approval.Required)
	}
	if e.Approval.Automatic && e.Approval.Denials > 0 {
		bad("spec.approval.denials: nobody is asked, so that nobody can deny")
	}
	if e.Approval.Required > 0 && len(e.Approval.Approvers) == 0 {
		bad("spec.approval.approvers is missing: %d are required", e.Approval.Required)
	}
	if e.Approval.Required > 0 && len(e.Approval.Approvers) == 1 && e.Approval.Approvers[0] == e.Owner {
		bad("spec.approval.approvers: the owner %s alone would approve", e.Owner)
	}
	if len(e.Review.By) == 1 && e.Review.By[0] == e.Owner {
		hint("spec.review.by: the owner %s reviewed alone", e.Owner)
	}
	if e.Review.Quarantine > 0 && len(e.Review.Escalate)+len(e.Approval.Approvers) == 0 {
		hint("spec.review.quarantine: nobody is told before the trust is stopped; name whom in spec.review.escalate")
	}
	if e.OwnerLeft {
		bad("metadata.owner: %s has left", e.Owner)
	}
}

func (c *checker) vendor(v *Vendor) {
	bad := func(format string, args ...any) { c.add(v.Place, v.Name, false, format, args...) }
	if v.Status != "" && v.Status != "active" && v.Status != "ended" {
		bad("spec.status %q is not known: expected active or ended", v.Status)
	}
	for _, a := range v.Accounts {
		if !arn.IsAccountID(a) {
			bad("spec.accounts: %q is no account id", a)
		}
	}
	if v.Contact == "" {
		c.add(v.Place, v.Name, true, "spec.contact is missing")
	}
	if v.Ended(c.o.Now) {
		for i := range c.r.Entries {
			if e := &c.r.Entries[i]; e.Vendor == v.Name {
				c.add(e.Place, e.Name, true, "spec.vendor: %s has ended", v.Name)
			}
		}
	}
}
