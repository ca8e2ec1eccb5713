package ref

import "strings"

// NearestAction is the known action that an unknown one resembles: one of its service that is a few characters away; where
// its service is unknown, the action of that very name of the service that is a few characters away, or of the only service
// that has it. "" where none is close, and where the action itself is known.
func NearestAction(name string) string {
	prefix, action, ok := strings.Cut(strings.ToLower(name), ":")
	if _, known := LookupAction(name); !ok || known {
		return ""
	}
	t := tables()
	if s, ok := t.services[prefix]; ok {
		return s.nearest(action)
	}
	var same []string // actions of that very name
	best, found := mistakes(prefix), ""
	for _, service := range t.names {
		line, ok := find(t.services[service].actions, service+":"+action)
		if !ok {
			continue
		}
		full, _, _ := strings.Cut(line, "\t")
		same = append(same, full)
		if d, ok := within(service, prefix, best); ok {
			best, found = d, full
		}
	}
	if found == "" && len(same) == 1 {
		return same[0]
	}
	return found
}

// nearest finds the action that is the fewest mistakes away, the first of several.
func (s *service) nearest(action string) string {
	best, found := mistakes(action), ""
	for _, line := range s.actions {
		full, _, _ := strings.Cut(line, "\t")
		_, other, _ := strings.Cut(full, ":")
		if d, ok := within(strings.ToLower(other), action, best); ok {
			best, found = d, full
		}
	}
	return found
}

// mistakes is how many characters of a name make it another name: in short names fewer.
func mistakes(name string) int { return min(4, 1+len(name)/3) }

// within gives the distance of two names if it is below a bound. Names whose lengths alone differ by more are not compared:
// somebody else chose them, and they may be very long.
func within(a, b string, bound int) (int, bool) {
	if len(a)-len(b) >= bound || len(b)-len(a) >= bound {
		return 0, false
	}
	d := distance(a, b)
	return d, d < bound
}

// distance is the number of characters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			up := row[j]
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(up+1, row[j-1]+1, diagonal+cost)
			diagonal = up
		}
	}
	return row[len(b)]
}
