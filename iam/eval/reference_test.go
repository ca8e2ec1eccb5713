package eval_test

import (
	"encoding/base64"
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
)

// This file is a second evaluator: slow, obvious, and written from the numbered statements (testdata/statements.json), not from the
// engine. It shares with the engine the parsed documents and the description of callers, and nothing that decides: no compiled
// policy, no pattern, no condition. It answers requests about which everything is known.

// answer is what the reference says. unsure is for what the statements say must not be guessed.
type answer int

const (
	deny answer = iota
	allow
	unsure
)

func (a answer) String() string { return [...]string{"Deny", "Allow", "Unknown"}[a] }

func (a answer) and(b answer) answer {
	if a == deny || b == deny {
		return deny
	}
	if a == unsure || b == unsure {
		return unsure
	}
	return allow
}

func (a answer) or(b answer) answer {
	if a == allow || b == allow {
		return allow
	}
	if a == unsure || b == unsure {
		return unsure
	}
	return deny
}

func (a answer) not() answer {
	switch a {
	case allow:
		return deny
	case deny:
		return allow
	}
	return unsure
}

func truth(b bool) answer {
	if b {
		return allow
	}
	return deny
}

// reference decides one request.
type reference struct {
	r           *eval.Request
	rcpServices map[string]bool // nil: every service
	kmsAcross   map[string]bool // nil: every action
}

func (x *reference) decide() answer {
	r, p, c := x.r, x.r.Policies, x.r.Caller
	action := strings.ToLower(r.Action.String())
	service, _, _ := strings.Cut(action, ":")
	if action == "sts:getcalleridentity" { // 105
		return allow
	}
	same := r.Resource == "*" && r.ResourceAccount == "" || x.account() == c.Account
	if x.refused(action, service, same) {
		return deny
	}
	trust := x.trustDecides(action)

	// 1: a deny anywhere is final. 41: whatever the layer.
	denied := deny
	hit := func(layer eval.Layer, s *eval.Set) {
		if s == nil {
			return
		}
		for _, d := range s.Policies {
			for i := range d.Document.Statements {
				if st := &d.Document.Statements[i]; st.Effect == policy.Deny {
					denied = denied.or(x.applies(layer, d.Document, st).named())
				}
			}
		}
	}
	ownSide := x.hasOwnSide()
	if p.Resource != nil && (r.Resource != "*" || r.ResourceAccount != "") {
		hit(target(trust), p.Resource)
	}
	if x.rcpsReach(action, service) {
		for i := range p.RCPs {
			hit(eval.RCP, &p.RCPs[i])
		}
	}
	scps := p.SCPs
	if c.Management || c.ServiceLinked { // 93
		scps = nil
	}
	if ownSide {
		if c.Kind != eval.Root {
			hit(eval.Identity, &p.Identity)
		}
		hit(eval.Boundary, p.Boundary)
		hit(eval.Session, p.Session)
		for i := range scps {
			hit(eval.SCP, &scps[i])
		}
	}
	hit(eval.Endpoint, p.Endpoint)
	if denied == allow {
		return deny
	}

	// What the resource's side gives, by how it names the caller.
	var given grants
	if p.Resource != nil && (r.Resource != "*" || r.ResourceAccount != "") {
		for _, d := range p.Resource.Policies {
			for i := range d.Document.Statements {
				if st := &d.Document.Statements[i]; st.Effect == policy.Allow {
					given = given.or(x.applies(target(trust), d.Document, st))
				}
			}
		}
	}
	allowing := func(layer eval.Layer, s *eval.Set) answer { // 4
		if s == nil {
			return allow
		}
		result := deny
		for _, d := range s.Policies {
			for i := range d.Document.Statements {
				if st := &d.Document.Statements[i]; st.Effect == policy.Allow {
					result = result.or(x.applies(layer, d.Document, st).named())
				}
			}
		}
		return result
	}
	around := allowing(eval.Endpoint, p.Endpoint) // 103
	var access answer
	granted := x.granted(action)
	if !ownSide {
		access = given.named().or(granted.named()) // 49, 100, 102, 120
		return access.and(around).and(denied.not())
	}
	for i := range scps { // 90, 91
		around = around.and(allowing(eval.SCP, &scps[i]))
	}
	identity := allow // 3
	if c.Kind != eval.Root {
		identity = allowing(eval.Identity, &p.Identity)
	}
	boundary := allowing(eval.Boundary, p.Boundary)
	session := allowing(eval.Session, p.Session)
	if p.Session == nil && c.Kind == eval.FederatedUser { // 10
		session = deny
	}
	limits := boundary.and(session)
	if same {
		byIdentity := identity.and(limits)                  // 7, 8
		if trust || service == "kms" && r.Resource != "*" { // 36, 37, 44, 45
			byIdentity = byIdentity.and(given.account)
		}
		direct := given.direct // 21, 22, 24 to 27
		if trust && c.Kind == eval.User {
			direct = direct.and(boundary) // 38
		}
		access = direct.or(given.role.and(limits)).or(byIdentity) // 19, 23, 28
		if action == "kms:retiregrant" && c.Kind == eval.Root {   // 49: the account in which the grant was made
			access = allow
		}
	} else {
		access = given.named().and(identity).and(limits) // 30 to 33, 39
	}
	// 49: a grant needs nothing beside it, whatever the boundary and the session policy of a role leave out, on which AWS is silent;
	// one to an account is for whom its policies allow, and one to the user who federated is not to the session (10, 28).
	byName := granted.role
	if c.Kind == eval.FederatedUser {
		byName = byName.and(limits)
	}
	access = access.or(granted.direct).or(byName).or(granted.account.and(identity).and(limits))
	return access.and(around).and(denied.not())
}

// granted is what the KMS grants on the key give (49).
func (x *reference) granted(action string) (g grants) {
	if x.r.Facts == nil {
		return g
	}
	for _, k := range x.r.Facts.Grants {
		if slices.Contains(k.Operations, action) {
			g = g.or(x.holder(k.Grantee))
		}
		if action == "kms:retiregrant" && k.Retiring != "" {
			g = g.or(x.holder(k.Retiring))
		}
	}
	return g
}

// holder: how a grant that names somebody names the caller.
func (x *reference) holder(name string) grants {
	if strings.HasSuffix(name, ".amazonaws.com") {
		return grants{direct: truth(x.r.Caller.Kind == eval.Service && x.r.Caller.Service == name)}
	}
	return x.aws(name)
}

// account owns the resource.
func (x *reference) account() string {
	if x.r.ResourceAccount != "" {
		return x.r.ResourceAccount
	}
	if f := strings.SplitN(x.r.Resource, ":", 6); len(f) == 6 {
		return f[4]
	}
	return ""
}

func (x *reference) hasOwnSide() bool {
	switch x.r.Caller.Kind {
	case eval.Service, eval.Anonymous, eval.WebIdentity, eval.SAML:
		return false
	}
	return true
}

// refused is what AWS never does: 11, 48, 121, 130, 138 and the limits of federated users and root users at STS.
func (x *reference) refused(action, service string, same bool) bool {
	kind := x.r.Caller.Kind
	switch {
	case service == "sts" && kind == eval.FederatedUser:
		return true
	case kind == eval.User && x.token() && service == "iam" && !x.mfa(): // 11
		return true
	case kind == eval.User && x.token() && service == "sts" && !slices.Contains([]string{"sts:assumerole", "sts:tagsession", "sts:setsourceidentity", "sts:setcontext"}, action):
		return true
	case service == "iam" && action != "iam:getrole" && action != "iam:passrole" && kept.MatchString(x.r.Resource): // 138
		return true
	case action == "sts:assumerole" || action == "sts:assumeroot":
		return kind == eval.Root
	case action == "sts:assumerolewithwebidentity":
		return kind != eval.WebIdentity
	case action == "sts:assumerolewithsaml":
		return kind != eval.SAML
	case action == "iam:passrole":
		return x.r.Caller.Account != "" && x.account() != x.r.Caller.Account
	case service == "kms" && x.kmsAcross != nil && x.r.Resource != "*" && !same:
		return !x.kmsAcross[action]
	}
	return false
}

// kept are policies and roles that AWS keeps.
var kept = regexp.MustCompile(`^arn:[a-z-]+:iam::(aws:policy/|[0-9]+:role/aws-reserved/|[0-9]+:role/aws-service-role/)`)

// token: the credentials are those of GetSessionToken, which a user's own are not (113). mfa: they were made with a second factor.
func (x *reference) token() bool {
	state, _ := x.r.Caller.Context().Lookup("aws:tokenissuetime")
	return state == cond.Present
}

func (x *reference) mfa() bool {
	_, values := x.r.Caller.Context().Lookup("aws:multifactorauthpresent")
	return slices.Contains(values, "true")
}

// trustDecides: the request is decided by the trust policy of the role that it names.
func (x *reference) trustDecides(action string) bool {
	f := strings.SplitN(x.r.Resource, ":", 6)
	if len(f) != 6 || f[2] != "iam" || !strings.HasPrefix(f[5], "role/") {
		return false
	}
	switch action {
	case "sts:assumerole", "sts:assumerolewithsaml", "sts:assumerolewithwebidentity", "sts:tagsession", "sts:setsourceidentity", "sts:setcontext":
		return true
	}
	return false
}

func target(trust bool) eval.Layer {
	if trust {
		return eval.Trust
	}
	return eval.Resource
}

// rcpsReach: 49, 95 to 98.
func (x *reference) rcpsReach(action, service string) bool {
	switch {
	case x.r.Caller.ServiceLinked, strings.Contains(x.r.Resource, ":role/aws-service-role/"):
		return false
	case x.r.Resource == "*", action == "kms:retiregrant", x.r.Facts != nil && x.r.Facts.AWSManaged:
		return false
	}
	return x.rcpServices == nil || x.rcpServices[service]
}

// grants says how a statement, or a policy, names the caller: by itself, by its role (or as the user who federated), by its account.
type grants struct{ direct, role, account answer }

func (g grants) or(h grants) grants {
	return grants{g.direct.or(h.direct), g.role.or(h.role), g.account.or(h.account)}
}

func (g grants) and(a answer) grants {
	return grants{g.direct.and(a), g.role.and(a), g.account.and(a)}
}

func (g grants) named() answer { return g.direct.or(g.role).or(g.account) }

// applies is 14: principal, action, resource and condition must all match.
func (x *reference) applies(layer eval.Layer, d *policy.Document, st *policy.Statement) grants {
	variables := d.Version.Value == "2012-10-17" // 15, 78
	if !x.actionMatches(&st.Action) {
		return grants{}
	}
	who := grants{direct: allow}
	names := layer == eval.Trust || layer == eval.Resource || layer == eval.RCP || layer == eval.Endpoint
	if names {
		who = x.principalMatches(&st.Principal, st.Effect, layer)
	}
	if st.Resource.Present && layer != eval.Trust {
		who = who.and(x.resourceMatches(&st.Resource, variables))
	}
	for _, v := range st.Resource.Values { // 86
		if layer == eval.Session && strings.HasPrefix(v.Value, "arn:") && strings.Count(v.Value, ":") < 5 {
			who = who.and(unsure)
		}
	}
	for i := range st.Condition {
		who = who.and(x.test(&st.Condition[i], variables)) // 55
	}
	return who
}

// actionMatches: 80 to 82.
func (x *reference) actionMatches(e *policy.Element) bool {
	for _, v := range e.Values {
		if wildcard(strings.ToLower(v.Value), strings.ToLower(x.r.Action.String())) {
			return !e.Not
		}
	}
	return e.Not
}

// wildcard is the plain definition: a star is any run of characters, a question mark exactly one (85).
func wildcard(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	switch p := []rune(pattern); p[0] {
	case '*':
		for i := range s + "." {
			if wildcard(string(p[1:]), s[i:]) {
				return true
			}
		}
		return false
	case '?':
		rs := []rune(s)
		return len(rs) > 0 && wildcard(string(p[1:]), string(rs[1:]))
	default:
		rs := []rune(s)
		return len(rs) > 0 && rs[0] == p[0] && wildcard(string(p[1:]), string(rs[1:]))
	}
}

// arnWildcard compares the six fields one by one (67); a short pattern is padded (86).
func arnWildcard(pattern, s string) bool {
	if !strings.HasPrefix(pattern, "arn:") {
		return wildcard(pattern, s)
	}
	p, f := strings.SplitN(pattern, ":", 6), strings.SplitN(s, ":", 6)
	for len(p) < 6 {
		p = append(p, "*")
	}
	if len(f) != 6 {
		return false
	}
	for i := range p {
		if !wildcard(p[i], f[i]) {
			return false
		}
	}
	return true
}

// resourceMatches: 18, 75 to 79, 83 to 87.
func (x *reference) resourceMatches(e *policy.Element, variables bool) answer {
	result := deny
	for _, v := range e.Values {
		pattern, state := x.expand(v.Value, variables)
		switch {
		case state == unsure && arnWildcard(pattern, protect(x.r.Resource)):
			result = result.or(unsure)
		case state == allow && arnWildcard(pattern, protect(x.r.Resource)):
			result = allow
		}
	}
	if e.Not {
		return result.not()
	}
	return result
}

// A character that stands for itself though it looks like a wildcard is written as another one, in the pattern and in what is
// compared with it.
var protectWildcards = strings.NewReplacer("*", "\x01", "?", "\x02")

func protect(s string) string { return protectWildcards.Replace(s) }

// expand puts the values of variables in: allow with the pattern, deny where one has no value, unsure where one has several.
// Wildcards of values are characters.
func (x *reference) expand(s string, variables bool) (string, answer) {
	if !variables {
		return s, allow
	}
	var b strings.Builder
	several := false
	for {
		before, rest, found := strings.Cut(s, "${")
		b.WriteString(before)
		if !found {
			if several {
				return b.String(), unsure
			}
			return b.String(), allow
		}
		var name string
		name, s, _ = strings.Cut(rest, "}")
		switch name {
		case "*", "?":
			b.WriteString(protect(name)) // 79
			continue
		case "$":
			b.WriteString("$")
			continue
		}
		name, fallback, hasFallback := strings.Cut(name, ",")
		values, present := x.values(strings.TrimSpace(name))
		switch {
		case len(values) > 1:
			several = true
			b.WriteString("*") // whichever of the values it is, no more than this matches
		case present && len(values) == 1:
			b.WriteString(protect(values[0]))
		case hasFallback: // 77
			b.WriteString(protect(strings.Trim(strings.TrimSpace(fallback), "'")))
		default: // 76
			return "", deny
		}
	}
}

// values are those of a key of the request.
func (x *reference) values(key string) ([]string, bool) {
	ctx := x.r.Context
	if ctx == nil {
		ctx = x.r.Caller.Context()
	}
	key = strings.ToLower(key) // 58
	if x.r.Facts != nil && x.r.Facts.TagsIgnored && strings.HasPrefix(key, "aws:resourcetag/") {
		return nil, false // 136
	}
	state, values := ctx.Lookup(key)
	return values, state == cond.Present
}

// principalMatches: 17, 20 to 28, 43, 50 to 54, 100, 102, 116, 118 to 123.
func (x *reference) principalMatches(e *policy.PrincipalElement, effect policy.Effect, layer eval.Layer) grants {
	c := x.r.Caller
	if e.Not {
		return grants{direct: x.notPrincipal(e, effect)}
	}
	var g grants
	for _, v := range e.Values {
		var one grants
		switch {
		case v.Value == "*" && (v.Type == policy.AnyPrincipal || v.Type == policy.AWS):
			one.direct = allow
		case layer == eval.Endpoint && x.r.Policies.Gateway: // 104
			switch f := strings.SplitN(v.Value, ":", 6); {
			case v.Type != policy.AWS || len(v.Value) != 12 && (len(f) < 6 || f[5] != "root"):
				one.direct = unsure
			case c.Kind == eval.Root:
				one = x.aws(v.Value)
			}
		case strings.ContainsAny(v.Value, "*?"): // 54, 119: nothing that AWS takes
			one.direct = unsure
		case v.Type == policy.Service:
			one.direct = truth(c.Kind == eval.Service && strings.EqualFold(c.Service, v.Value))
		case v.Type == policy.Federated:
			one.direct = truth((c.Kind == eval.WebIdentity || c.Kind == eval.SAML) && c.ARN == v.Value)
		case v.Type == policy.CanonicalUser: // 122
			one.account = truth(v.Value == c.CanonicalID)
		case v.Type == policy.AWS:
			one = x.aws(v.Value)
		}
		g = g.or(one)
	}
	return g
}

// aws is one value under AWS.
func (x *reference) aws(v string) grants {
	c := x.r.Caller
	f := strings.SplitN(v, ":", 6)
	switch {
	case len(v) == 12 && !strings.Contains(v, ":"):
		return x.wholeAccount(v)
	case len(f) == 6 && f[5] == "root":
		if c.Partition != f[1] { // 123
			return grants{}
		}
		return x.wholeAccount(f[4])
	case len(f) < 6: // a unique id (116)
		g := grants{}
		if c.UniqueID == v {
			if c.Kind == eval.Role {
				g.role = allow
			} else {
				g.direct = allow
			}
		}
		return g
	case strings.HasPrefix(f[5], "user/"):
		if c.Kind == eval.User && c.ARN == v {
			return grants{direct: allow}
		}
		if c.Kind == eval.FederatedUser && c.ARN == v {
			return grants{role: allow}
		}
	case strings.HasPrefix(f[5], "role/"):
		if c.Kind == eval.Role && c.ARN == v {
			return grants{role: allow}
		}
	case strings.HasPrefix(f[5], "assumed-role/"), strings.HasPrefix(f[5], "federated-user/"):
		if c.Session == v {
			return grants{direct: allow}
		}
	}
	return grants{}
}

func (x *reference) wholeAccount(id string) grants {
	switch c := x.r.Caller; {
	case c.Account != id || !x.hasOwnSide():
		return grants{}
	case c.Kind == eval.Root:
		return grants{direct: allow}
	}
	return grants{account: allow}
}

// notPrincipal: 50 to 53.
func (x *reference) notPrincipal(e *policy.PrincipalElement, effect policy.Effect) answer {
	c := x.r.Caller
	var account, own, session bool
	for _, v := range e.Values {
		f := strings.SplitN(v.Value, ":", 6)
		switch {
		case v.Value == "*":
			return deny
		case v.Value == c.Account || len(f) == 6 && f[5] == "root" && f[4] == c.Account && f[1] == c.Partition && c.Account != "": // 123
			account = true
		case v.Type == policy.Service:
			own = own || c.Kind == eval.Service && strings.EqualFold(v.Value, c.Service)
		case c.Session != "" && v.Value == c.Session:
			session = true
		case v.Value == c.ARN && c.ARN != "", v.Value == c.UniqueID && c.UniqueID != "":
			own = true
		}
	}
	var spared bool
	switch {
	case !x.hasOwnSide():
		spared = own
	case effect == policy.Allow:
		spared = own || session || c.Kind == eval.Root && account
	case c.Kind == eval.Root:
		spared = account
	case c.Kind == eval.User:
		spared = own && account
	default:
		spared = own && account && session
	}
	if effect == policy.Deny && x.r.Policies.Boundary != nil { // 53
		spared = false
	}
	return truth(!spared)
}

// test is one key under one operator: 55 to 74.
func (x *reference) test(t *policy.Condition, variables bool) answer {
	operator := strings.ToLower(t.Operator.Value)
	quantifier := ""
	for _, q := range []string{"foranyvalue:", "forallvalues:"} {
		if rest, ok := strings.CutPrefix(operator, q); ok {
			quantifier, operator = q, rest
		}
	}
	operator, ifExists := strings.CutSuffix(operator, "ifexists")
	got, _ := x.values(t.Key.Value)
	if operator == "null" { // 63
		result := deny
		for _, v := range t.Values {
			result = result.or(truth(strings.EqualFold(v.Value, "true") == (len(got) == 0)))
		}
		return result
	}
	operator, negated := positive(operator)
	var wanted []string
	several := deny // whether some value has a variable with several values
	for _, v := range t.Values {
		text := v.Value
		if strings.HasPrefix(operator, "string") || strings.HasPrefix(operator, "arn") { // 75
			expanded, state := x.expand(text, variables)
			several = several.or(truth(state == unsure).and(unsure))
			if state != allow { // 76: nothing is equal to what has no value, or like it
				continue
			}
			text = expanded
		}
		wanted = append(wanted, text)
	}
	passes := func(one string) answer { // 56, 57
		result := several
		for _, w := range wanted {
			result = result.or(truth(comparison(operator, one, w)))
		}
		if negated {
			return result.not()
		}
		return result
	}
	switch {
	case quantifier == "foranyvalue:": // 65
		result := deny
		for _, g := range got {
			result = result.or(passes(g))
		}
		return result
	case quantifier == "forallvalues:": // 64
		result := allow
		for _, g := range got {
			result = result.and(passes(g))
		}
		return result
	case len(got) == 0:
		return truth(negated || ifExists) // 60 to 62
	case len(got) > 1:
		return unsure // 74
	}
	return passes(got[0])
}

// positive is the operator without its negation.
func positive(operator string) (string, bool) {
	if operator == "notipaddress" {
		return "ipaddress", true
	}
	if before, after, found := strings.Cut(operator, "not"); found {
		return before + after, true
	}
	return operator, false
}

var unprotectWildcards = strings.NewReplacer("\x01", "*", "\x02", "?")

// comparison compares one request value with one policy value.
func comparison(operator, got, want string) bool {
	switch operator {
	case "stringequals":
		return got == unprotectWildcards.Replace(want)
	case "stringequalsignorecase":
		return strings.EqualFold(got, unprotectWildcards.Replace(want))
	case "stringlike":
		return wildcard(want, protect(got))
	case "arnequals", "arnlike":
		return arnWildcard(want, protect(got))
	case "bool":
		return strings.EqualFold(got, want)
	case "binaryequals":
		a, errA := base64.StdEncoding.DecodeString(got)
		b, errB := base64.StdEncoding.DecodeString(want)
		return errA == nil && errB == nil && string(a) == string(b)
	case "ipaddress":
		p, okP := block(want)
		g, okG := block(got)
		return okP && okG && p.Bits() <= g.Bits() && p.Contains(g.Addr())
	}
	for _, kind := range []struct {
		prefix string
		order  func(a, b string) (int, bool)
	}{{"numeric", numbers}, {"date", dates}} {
		if relation, ok := strings.CutPrefix(operator, kind.prefix); ok {
			order, readable := kind.order(got, want)
			if !readable {
				return false // 69
			}
			return map[string]bool{"equals": order == 0, "lessthan": order < 0, "lessthanequals": order <= 0, "greaterthan": order > 0, "greaterthanequals": order >= 0}[relation]
		}
	}
	panic("operator " + operator)
}

func block(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), true // 72
}

var decimal = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?$`) // 69

func numbers(a, b string) (int, bool) {
	if !decimal.MatchString(a) || !decimal.MatchString(b) {
		return 0, false
	}
	x, _ := new(big.Rat).SetString(a)
	y, _ := new(big.Rat).SetString(b)
	return x.Cmp(y), true
}

func dates(a, b string) (int, bool) { // 70
	read := func(s string) (time.Time, bool) {
		for _, form := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006"} {
			if t, err := time.Parse(form, s); err == nil {
				return t, true
			}
		}
		if n, ok := new(big.Int).SetString(s, 10); ok {
			return time.Unix(n.Int64(), 0).UTC(), true
		}
		return time.Time{}, false
	}
	x, okX := read(a)
	y, okY := read(b)
	return x.Compare(y), okX && okY
}
