package cond

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"drawbridge/iam/arn"
)

// value is one compiled value of a test.
type value struct {
	text     string // normalised; what is printed
	template *Template
	glob     arn.Glob
	pattern  *arn.Pattern
	prefix   netip.Prefix
	date     time.Time
}

// compileValue prepares a value for its kind; the error says in plain words why it cannot be one.
func compileValue(kind Kind, s string, variables bool) (value, error) {
	v := value{text: s}
	if variables && (kind == String || kind == StringFold || kind == Like || kind == ARN) {
		t, err := CompileTemplate(s)
		if err != nil {
			return v, err
		}
		if t != nil {
			v.template = t
			return v, nil
		}
	}
	switch kind {
	case Like:
		v.glob = arn.CompileGlob(s)
	case ARN:
		p := arn.CompilePattern(s)
		v.pattern = &p
	case Numeric:
		if !isDecimal(s) {
			return v, fmt.Errorf("%q is not a number", s)
		}
	case Date:
		d, ok := parseDate(s)
		if !ok {
			return v, fmt.Errorf("%q is not a date (ISO 8601 or seconds since 1970)", s)
		}
		v.date = d
	case Bool:
		v.text = strings.ToLower(s)
		if v.text != "true" && v.text != "false" {
			return v, fmt.Errorf("%q is neither true nor false", s)
		}
	case Binary:
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return v, fmt.Errorf("%q is not base64", s)
		}
		v.text = base64.StdEncoding.EncodeToString(b)
	case IP:
		p, err := parsePrefix(s)
		if err != nil {
			return v, err
		}
		v.prefix, v.text = p, p.String()
	}
	return v, nil
}

// match compares a request's value with v. Unknown only where a variable is.
func (v *value) match(kind Kind, compare Comparison, got string, ctx *Context) Truth {
	if v.template != nil {
		return v.matchTemplate(kind, got, ctx)
	}
	switch kind {
	case String:
		return Of(got == v.text)
	case StringFold:
		return Of(strings.EqualFold(got, v.text))
	case Like:
		return Of(v.glob.Match(got))
	case ARN:
		return Of(v.pattern.Match(got))
	case Numeric:
		if !isDecimal(got) { // rule 69
			return False
		}
		return Of(compare.holds(compareDecimals(got, v.text)))
	case Date:
		d, ok := parseDate(got)
		return Of(ok && compare.holds(d.Compare(v.date)))
	case Bool:
		return Of(strings.EqualFold(got, v.text))
	case Binary:
		b, err := base64.StdEncoding.DecodeString(got)
		return Of(err == nil && base64.StdEncoding.EncodeToString(b) == v.text)
	case IP: // a block as a request's value is its every address; Possible looks for addresses only
		p, err := parsePrefix(got)
		return Of(err == nil && p.Bits() >= v.prefix.Bits() && v.prefix.Contains(p.Addr()))
	}
	return True // Anything
}

func (v *value) matchTemplate(kind Kind, got string, ctx *Context) Truth {
	expanded, state := v.template.Expand(ctx)
	switch state {
	case Absent: // equal to nothing and like nothing, so that a negated test matches (rule 76)
		return False
	case Undetermined:
		return Unknown
	}
	switch kind {
	case String:
		return Of(got == unescape.Replace(expanded))
	case StringFold:
		return Of(strings.EqualFold(got, unescape.Replace(expanded)))
	case Like:
		return Of(arn.MatchGlob(expanded, escapeWildcards.Replace(got)))
	}
	p := arn.CompilePattern(expanded)
	return Of(p.Match(escapeWildcards.Replace(got)))
}

func (c Comparison) holds(order int) bool {
	switch c {
	case Less:
		return order < 0
	case LessOrEqual:
		return order <= 0
	case Greater:
		return order > 0
	case GreaterOrEqual:
		return order >= 0
	}
	return order == 0
}

// parsePrefix reads an address or a CIDR block. A bare address is a block of one (rule 72); an IPv4 address written in
// IPv6 form is the IPv4 address.
func parsePrefix(s string) (netip.Prefix, error) {
	if strings.IndexByte(s, '/') >= 0 {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return p, fmt.Errorf("%q is not a CIDR block", s)
		}
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q is not an IP address", s)
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// isDecimal reports whether s is an optional sign, digits, and optionally a point with digits.
func isDecimal(s string) bool {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		s = s[1:]
	}
	digits, points := 0, 0
	for i := range len(s) {
		switch {
		case s[i] >= '0' && s[i] <= '9':
			digits++
		case s[i] == '.' && points == 0:
			points++
		default:
			return false
		}
	}
	return digits > 0
}

// compareDecimals compares two decimals exactly, digit by digit, without allocating: account numbers and byte counts
// exceed what a float holds.
func compareDecimals(a, b string) int {
	na, ia, fa := splitDecimal(a)
	nb, ib, fb := splitDecimal(b)
	if na != nb {
		if na {
			return -1
		}
		return 1
	}
	order := 0
	switch {
	case len(ia) != len(ib):
		order = len(ia) - len(ib)
	case ia != ib:
		order = strings.Compare(ia, ib)
	default:
		order = strings.Compare(fa, fb)
	}
	if na {
		return -order
	}
	return order
}

// splitDecimal gives sign, integer part without leading zeros and fraction without trailing ones. Zero has no sign.
func splitDecimal(s string) (negative bool, integer, fraction string) {
	negative = s[0] == '-'
	s = strings.TrimLeft(s, "+-")
	integer, fraction, _ = strings.Cut(s, ".")
	integer, fraction = strings.TrimLeft(integer, "0"), strings.TrimRight(fraction, "0")
	return negative && integer+fraction != "", integer, fraction
}

// dateForms are the W3C forms of ISO 8601 that IAM documents, from the year alone to fractions of a second.
var dateForms = [...]string{
	time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02", "2006-01", "2006",
}

// parseDate reads ISO 8601 or seconds since 1970 (rule 70). Four digits are a year.
func parseDate(s string) (time.Time, bool) {
	if len(s) != 4 && isDecimal(s) {
		negative, integer, fraction := splitDecimal(s)
		if len(integer) > 12 {
			return time.Time{}, false
		}
		var seconds, nanos int64
		for i := range len(integer) {
			seconds = seconds*10 + int64(integer[i]-'0')
		}
		for i := range 9 {
			nanos *= 10
			if i < len(fraction) {
				nanos += int64(fraction[i] - '0')
			}
		}
		if negative {
			seconds, nanos = -seconds, -nanos
		}
		return time.Unix(seconds, nanos).UTC(), true
	}
	for _, form := range dateForms {
		if d, err := time.Parse(form, s); err == nil {
			return d.UTC(), true
		}
	}
	return time.Time{}, false
}
