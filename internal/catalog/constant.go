package catalog

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"drawbridge/iam/cond"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/rule"
)

// constantCondition finds conditions that hold always or never for the requests that they judge (TRU-014).
func constantCondition(p *rule.Pass) {
	for _, e := range p.Graph.Edges {
		if e.Grantee.Kind == access.NotUnderstood && e.Grants == nil {
			p.NotAssessed(e.Target.ARN, "its policy could not be read", e.By)
			continue
		}
		for i := range e.Grants {
			g := &e.Grants[i]
			if g.Raw.IsNever() {
				reportConstant(p, e, g, "its tests exclude each other, so that the statement never applies", "contradiction")
				continue
			}
			for j := range g.Statement.Condition {
				if why := constant(p, e, g.Statement.Condition, j); why != "" {
					c := &g.Statement.Condition[j]
					parts := []string{strings.ToLower(c.Operator.Value), strings.ToLower(c.Key.Value)}
					for _, v := range c.Values {
						parts = append(parts, v.Value)
					}
					reportConstant(p, e, g, why, parts...)
				}
			}
			if g.Raw.Opaque() {
				p.NotAssessed(e.Target.ARN, "a condition is not understood: "+g.Raw.String(), g.Evidence)
			}
		}
	}
}

// reportConstant reports a test once, whoever the grantees are; test is what tells it from other tests of the policy.
func reportConstant(p *rule.Pass, e *access.Edge, g *access.Grant, why string, test ...string) {
	p.Report(finding.Finding{
		Subject: e.Target.ARN, Account: e.Target.Account, Reason: strings.ToUpper(why[:1]) + why[1:] + ".", Evidence: []access.Evidence{g.Evidence},
		Fingerprint: finding.Fingerprint("TRU-014", e.Target.ARN, test...),
	})
}

// constant says why one test is constant, "" where it is not.
func constant(p *rule.Pass, e *access.Edge, conditions []policy.Condition, at int) string {
	c := &conditions[at]
	key, operator := strings.ToLower(c.Key.Value), strings.ToLower(c.Operator.Value)
	for i := range at {
		if strings.EqualFold(conditions[i].Key.Value, c.Key.Value) && conditions[i].Key.Value != c.Key.Value && strings.EqualFold(conditions[i].Operator.Value, c.Operator.Value) {
			return fmt.Sprintf("the keys %s and %s are one key written twice", conditions[i].Key.Value, c.Key.Value)
		}
	}
	if !strings.Contains(key, ":") {
		return fmt.Sprintf("the key %s has no prefix such as aws: and is never in a request", c.Key.Value)
	}
	if known, nearest := ref.ConditionKey(key); !known {
		if nearest != "" {
			nearest = "; the nearest is " + nearest
		}
		return fmt.Sprintf("the key %s is not documented and never in a request%s", c.Key.Value, nearest)
	}
	if key == "sts:externalid" && e.Target.Role != nil && e.Mechanism != access.AssumeRole {
		return fmt.Sprintf("the key sts:ExternalId is never in a request by %s", e.Mechanism)
	}
	if why := constantDate(p.Now, c); why != "" {
		return why
	}
	for _, v := range c.Values {
		if why := constantValue(key, operator, c.Key.Value, v.Value); why != "" {
			return why
		}
	}
	return ""
}

// constantDate says what a test of the time is worth when all its dates lie in the past, "" where one is still to come.
func constantDate(now time.Time, c *policy.Condition) string {
	key, operator := strings.ToLower(c.Key.Value), strings.ToLower(c.Operator.Value)
	if now.IsZero() || len(c.Values) == 0 || key != "aws:currenttime" && key != "aws:epochtime" {
		return ""
	}
	var today cond.Context
	today.Set("aws:CurrentTime", now.UTC().Format(time.RFC3339))
	today.Set("aws:EpochTime", fmt.Sprint(now.Unix()))
	before := "DateLessThan"
	if strings.Contains(operator, "numeric") {
		before = "NumericLessThan"
	}
	var dates []string
	for _, v := range c.Values {
		if past := cond.CompileTest(before, key, []string{v.Value}, false); past.Eval(&today) != cond.False {
			return "" // still to come, or not understood
		}
		dates = append(dates, v.Value)
	}
	written := strings.Join(dates, ", ")
	switch test := cond.CompileTest(c.Operator.Value, key, dates, false); test.Eval(&today) {
	case cond.True:
		return fmt.Sprintf("the date %s lies in the past, so that the test holds for ever", written)
	case cond.False:
		return fmt.Sprintf("the date %s lies in the past, so that the statement never applies any more", written)
	}
	return ""
}

func constantValue(key, operator, written, value string) string {
	base := strings.TrimSuffix(operator[strings.LastIndexByte(operator, ':')+1:], "ifexists")
	switch {
	case (base == "stringequals" || base == "stringnotequals") && strings.ContainsAny(value, "*?") && !strings.Contains(value, "${"):
		return fmt.Sprintf("the key %s is compared with %q as written: in StringEquals a wildcard is a character", written, value)
	case base == "ipaddress" || base == "notipaddress":
		if key == "aws:sourceip" && private(value) {
			return fmt.Sprintf("%s is a private range, which aws:SourceIp never shows", value)
		}
	}
	return ""
}

// private reports whether an address or block lies in a range that is not routed on the internet.
func private(s string) bool {
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return false
		}
		prefix = netip.PrefixFrom(a, a.BitLen())
	}
	for _, r := range [...]string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"} {
		if p := netip.MustParsePrefix(r); p.Bits() <= prefix.Bits() && p.Contains(prefix.Addr()) {
			return true
		}
	}
	return false
}
