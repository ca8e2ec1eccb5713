package cond

import (
	"encoding/base64"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// unreadable is no number, no date, no base64 and no address: where a test is negated such a value passes it.
const unreadable = "x"

// representatives are values of which one passes the tests, all of one kind that is no text, if any value does. Between two
// values that the tests name nothing changes, so that the named ones and one of each gap stand for all. Plain ones come first.
func representatives(kind Kind, tests term) []string {
	var named []value
	for _, c := range tests {
		named = append(named, c.values...)
	}
	var out []string
	switch kind {
	case Numeric:
		out = numbers(named)
	case Date:
		out = dates(named)
	case Binary:
		out = binaries(named)
	case IP:
		out = addresses(named)
	}
	return append(out, unreadable)
}

// numbers are the named ones, whole numbers beside them, and a number just above and just below each.
func numbers(named []value) []string {
	if len(named) == 0 {
		return []string{"1"}
	}
	digits := 0
	var all []*big.Rat
	for i := range named {
		_, fraction, _ := strings.Cut(named[i].text, ".")
		digits = max(digits, len(fraction))
		if r, ok := new(big.Rat).SetString(named[i].text); ok {
			all = append(all, r)
		}
	}
	// All named ones are multiples of ten times this.
	least := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits+1)), nil))
	var out []string
	for _, step := range []*big.Rat{new(big.Rat), big.NewRat(-1, 1), big.NewRat(1, 1), least, new(big.Rat).Neg(least)} {
		for _, r := range all {
			sum := new(big.Rat).Add(r, step)
			if sum.IsInt() {
				out = append(out, sum.Num().String())
			} else {
				out = append(out, sum.FloatString(digits+1))
			}
		}
	}
	return out
}

// dates are the named ones, and what is a second or a nanosecond beside: a date has no finer parts.
func dates(named []value) []string {
	if len(named) == 0 {
		return []string{"2026-01-01T00:00:00Z"}
	}
	var out []string
	for _, step := range [...]time.Duration{0, -time.Second, time.Second, 1, -1} {
		for i := range named {
			out = append(out, printDate(named[i].date.Add(step)))
		}
	}
	return out
}

// printDate writes what parseDate reads: outside the years of four digits as seconds since 1970.
func printDate(d time.Time) string {
	d = d.UTC()
	if d.Year() >= 0 && d.Year() <= 9999 {
		return d.Format(time.RFC3339Nano)
	}
	seconds := new(big.Rat).SetFrac(big.NewInt(int64(d.Nanosecond())), big.NewInt(int64(time.Second)))
	return seconds.Add(seconds, new(big.Rat).SetInt64(d.Unix())).FloatString(9)
}

// binaries are the named ones, and one that is longer than all.
func binaries(named []value) []string {
	var out []string
	longest := 0
	for i := range named {
		out = append(out, named[i].text)
		longest = max(longest, len(named[i].text))
	}
	return append(out, base64.StdEncoding.EncodeToString(slices.Repeat([]byte("x"), longest+1)))
}

// addresses are the first of each block and of the gap behind each, and the first of all.
func addresses(named []value) []string {
	var first, behind []string
	for i := range named {
		p := named[i].prefix
		first = append(first, p.Addr().String())
		if next := lastAddress(p).Next(); next.IsValid() {
			behind = append(behind, next.String())
		}
	}
	out := slices.Concat(first, []string{"192.0.2.1", "2001:db8::1"}, behind)
	// ::ffff:0.0.0.0 and what follows it are addresses of IPv4 in another spelling; IPv6 goes on behind them.
	return append(out, "0.0.0.0", "::", "::1:0:0:0")
}

// lastAddress is the last address of a block.
func lastAddress(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(bytes); bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(bytes) // as long as an address
	return last
}
