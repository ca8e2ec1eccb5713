package daemon

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

func callFrom(address, token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/v1/whoami", nil)
	r.RemoteAddr = address
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// TestLimits: tokens that are made up, other headers and the addresses of one IPv6 network are one caller; who has proved who it is is not stopped by them.
func TestLimits(t *testing.T) {
	allowed := func(l *limits, call func(i int) *http.Request) (n int) {
		for i := range 40 {
			if l.allow(call(i)) {
				n++
			}
		}
		return n
	}
	slow := func() *limits { return &limits{perSecond: 0.0001, burst: 10} }
	for name, call := range map[string]func(i int) *http.Request{
		"made-up tokens": func(i int) *http.Request { return callFrom("198.51.100.7:4000", fmt.Sprint("dbt_", i)) },
		"ports":          func(i int) *http.Request { return callFrom(fmt.Sprintf("198.51.100.7:%d", 4000+i), "") },
		"told addresses": func(i int) *http.Request {
			r := callFrom("198.51.100.7:4000", "")
			r.Header.Set("X-Forwarded-For", fmt.Sprint("203.0.113.", i))
			r.Header.Set("Forwarded", fmt.Sprint("for=203.0.113.", i))
			return r
		},
		"a network of IPv6": func(i int) *http.Request { return callFrom(fmt.Sprintf("[2001:db8:1:2::%x]:4000", i), "") },
		"IPv4 in IPv6": func(i int) *http.Request {
			return callFrom([]string{"198.51.100.7:4000", "[::ffff:198.51.100.7]:4000"}[i%2], "")
		},
	} {
		l := slow()
		if n := allowed(l, call); n != 10 {
			t.Errorf("%s: %d of 40 calls were let through, want 10", name, n)
		}
		l.proved(callFrom("198.51.100.7:4000", "dbt_good"))
		if n := allowed(l, func(int) *http.Request { return callFrom("198.51.100.7:4000", "dbt_good") }); n != 10 {
			t.Errorf("%s: of one who has proved who it is %d of 40 calls were let through, want 10", name, n)
		}
	}
	// As many callers as you like: none of them makes the others' allowance anew.
	l := slow()
	if n := allowed(l, func(int) *http.Request { return callFrom("198.51.100.7:4000", "") }); n != 10 {
		t.Fatal(n)
	}
	passed := 0
	for i := range maxCallers + 5000 {
		if l.allow(callFrom(fmt.Sprintf("[2001:db8:%x:%x::1]:1", i>>16, i&0xffff), "")) {
			passed++
		}
	}
	if len(l.callers) > maxCallers || passed > maxCallers+10 {
		t.Errorf("%d callers are known, %d calls were let through", len(l.callers), passed)
	}
	if l.allow(callFrom("198.51.100.7:4000", "")) {
		t.Error("many callers make one's allowance anew")
	}
}
