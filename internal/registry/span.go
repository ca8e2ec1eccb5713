package registry

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// day is how long a day counts in a span; spans are about rhythm, not about calendars.
const day = 24 * time.Hour

// ParseSpan reads a length of time: as Go writes it (90m, 1h30m), or in days or weeks (90d, 2w).
func ParseSpan(s string) (time.Duration, error) {
	for unit, length := range map[string]time.Duration{"d": day, "w": 7 * day} {
		if number, ok := strings.CutSuffix(s, unit); ok {
			n, err := strconv.Atoi(number)
			if err != nil || n < 0 || n > 10000 {
				return 0, fmt.Errorf("%q is no length of time: expected something like 90m, 12h or 90d", s)
			}
			return time.Duration(n) * length, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no length of time: expected something like 90m, 12h or 90d", s)
	}
	return d, nil
}

// FormatSpan writes a length of time as ParseSpan reads it.
func FormatSpan(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d%day == 0:
		return strconv.Itoa(int(d/day)) + "d"
	}
	s := d.String()
	s = strings.TrimSuffix(s, "0s")
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// ParseDay reads a date, 2027-03-31.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Day{}, fmt.Errorf("%q is no date: expected something like 2027-03-31", s)
	}
	return Day{t}, nil
}
