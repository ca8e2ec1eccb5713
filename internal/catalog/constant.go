package catalog

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

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
				reportConstant(p, e, g, "its tests exclude each other, so that the statement never applies")
				continue
			}
			for j := range g.Statement.Condition {
				if why := constant(p, e, g.Statement.Condition, j); why != "" {
					reportConstant(p, e, g, why)
				}
			}
			if g.Raw.Opaque() {
				p.NotAssessed(e.Target.ARN, "a condition is not understood: "+g.Raw.String(), g.Evidence)
			}
		}
	}
}

// reportConstant reports once per statement and reason, whoever the grantees are.
func reportConstant(p *rule.Pass, e *access.Edge, g *access.Grant, why string) {
	p.Report(finding.Finding{
		Subject: e.Target.ARN, Account: e.Target.Account, Reason: strings.ToUpper(why[:1]) + why[1:] + ".", Evidence: []access.Evidence{g.Evidence},
		Fingerprint: finding.Fingerprint("TRU-014", e.Target.ARN, why),
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
	if known, nearest := ref.ConditionKey(key); !known {
		if nearest != "" {
			nearest = ", did you mean " + nearest + "?"
		}
		return fmt.Sprintf("%s is no documented condition key and never in a request%s", c.Key.Value, nearest)
	}
	if key == "sts:externalid" && e.Target.Role != nil && e.Mechanism != access.AssumeRole {
		return fmt.Sprintf("sts:ExternalId is never in a request by %s", e.Mechanism)
	}
	for _, v := range c.Values {
		if why := constantValue(p.Now, key, operator, c.Key.Value, v.Value); why != "" {
			return why
		}
	}
	return ""
}

func constantValue(now time.Time, key, operator, written, value string) string {
	base := strings.TrimSuffix(operator[strings.LastIndexByte(operator, ':')+1:], "ifexists")
	switch {
	case (base == "stringequals" || base == "stringnotequals") && strings.ContainsAny(value, "*?") && !strings.Contains(value, "${"):
		return fmt.Sprintf("%s is compared with %q as written: in StringEquals a wildcard is a character", written, value)
	case strings.HasPrefix(base, "date") && (key == "aws:currenttime" || key == "aws:epochtime"):
		limit, err := time.Parse(time.RFC3339, value)
		if err != nil || now.IsZero() || !limit.Before(now) {
			return ""
		}
		switch {
		case strings.HasPrefix(base, "dateless"):
			return fmt.Sprintf("%s lies in the past, so that the statement never applies any more", value)
		case strings.HasPrefix(base, "dategreater"):
			return fmt.Sprintf("%s lies in the past, so that the test holds for ever", value)
		}
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
