package broker

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNewService(t *testing.T) {
	year := noon.AddDate(1, 0, 0)
	for name, tt := range map[string]struct {
		service  string
		sponsors []string
		until    time.Time
		alone    bool
		ok       bool
	}{
		"as it should be":          {"acme-backup", []string{"ann", "bo"}, year, false, true},
		"sponsored by oneself":     {"acme-backup", []string{"ann", "adm"}, year, false, false},
		"where one is alone":       {"acme-backup", []string{"adm"}, year, true, true},
		"nobody answers for it":    {"acme-backup", nil, year, false, false},
		"a group answers for it":   {"acme-backup", []string{"group:release"}, year, false, false},
		"an empty sponsor":         {"acme-backup", []string{" "}, year, false, false},
		"a name with a colon":      {"acme:x", []string{"ann"}, year, false, false},
		"a name in capitals":       {"Acme", []string{"ann"}, year, false, false},
		"a name that ends in dash": {"acme-", []string{"ann"}, year, false, false},
		"no name":                  {"", []string{"ann"}, year, false, false},
		"over already":             {"acme", []string{"ann"}, noon, false, false},
		"without an end":           {"acme", []string{"ann"}, time.Time{}, false, false},
		"for ever":                 {"acme", []string{"ann"}, noon.AddDate(3, 0, 0), false, false},
	} {
		s, err := NewService("1", tt.service, tt.sponsors, tt.until, "adm", tt.alone, noon)
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrService) {
			t.Errorf("%s: %+v, error %v", name, s, err)
		}
	}
}

// TestKeys walks a service at random: never more than two keys live, none beyond the service's end or ninety days, made by sponsors alone, and nothing that was revoked lives again.
func TestKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := NewService("1", "acme", []string{"ann", "bo"}, noon.AddDate(0, 6, 0), "adm", false, noon)
		if err != nil {
			t.Fatal(err)
		}
		now, n := noon, 0
		dead := map[string]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"make": func(t *rapid.T) {
				n++
				by := rapid.SampledFrom([]string{"ann", "bo", "adm", "eve"}).Draw(t, "by")
				life := time.Duration(rapid.IntRange(0, 100).Draw(t, "days")) * 24 * time.Hour
				if _, err := s.AddKey(fmt.Sprint("k", n), by, life, now); err == nil && (!s.Sponsored(by) || !s.Live(now) || life > MaxKeyLife) {
					t.Fatalf("%s made a key for %v", by, life)
				}
			},
			"revoke": func(t *rapid.T) {
				id := fmt.Sprint("k", rapid.IntRange(0, n).Draw(t, "key"))
				if _, err := s.RevokeKey(id, "ann", "x", now); err == nil {
					dead[id] = true
				}
			},
			"wait": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "days")) * 24 * time.Hour) },
			"": func(t *rapid.T) {
				live := 0
				for i := range s.Keys {
					k := &s.Keys[i]
					if k.Live(now) {
						live++
					}
					if k.Live(now) && dead[k.ID] || k.Expires.After(s.Until) || k.Expires.Sub(k.Made) > MaxKeyLife {
						t.Fatalf("key %+v", k)
					}
				}
				if live > MaxKeys {
					t.Fatalf("%d keys live", live)
				}
			},
		})
	})
}

// TestServiceSubject: a service that is registered again is another subject, and its sponsors are those that never approve.
func TestServiceSubject(t *testing.T) {
	a := Service{ID: "1", Name: "acme", Sponsors: []string{"ann"}, Until: noon}
	b := Service{ID: "2", Name: "acme", Sponsors: []string{"ann"}, Until: noon}
	one, other := a.Subject("k1"), b.Subject("k1")
	if one.ID == other.ID || one.Name != "broker:acme" || one.Name != other.Name || one.Issuer != "broker" || one.Key != "k1" || !slices.Equal(one.Sponsors, []string{"ann"}) {
		t.Errorf("%+v, %+v", one, other)
	}
}
