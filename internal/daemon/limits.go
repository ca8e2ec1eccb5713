package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limits are per caller: by the token of one who has proved who it is, else by address. A token that is none gets no allowance of its own, so that nobody has more by making them up.
type limits struct {
	perSecond float64
	burst     int

	mu      sync.Mutex
	callers map[string]*rate.Limiter
	swept   time.Time
	rest    *rate.Limiter // of all that there is no room for
}

// defaultRate is far above what a client that behaves asks for.
const (
	defaultRate  = 50
	defaultBurst = 200
	maxCallers   = 100_000
)

// allow reports whether a caller may make one more call.
func (l *limits) allow(r *http.Request) bool {
	l.mu.Lock()
	limiter := l.callers[tokenKey(r)]
	if limiter == nil {
		limiter = l.caller(addressKey(r.RemoteAddr))
	}
	l.mu.Unlock()
	return limiter.Allow()
}

// allowKey reports whether a key that a call was signed with may make one more.
func (l *limits) allowKey(id string) bool {
	l.mu.Lock()
	limiter := l.caller("key " + id)
	l.mu.Unlock()
	return limiter.Allow()
}

// proved gives the token that a call was made with an allowance of its own.
func (l *limits) proved(r *http.Request) {
	if key := tokenKey(r); key != "" {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.caller(key)
	}
}

// caller is the allowance of a caller. Where there are too many, those go that have not called lately, who lose nothing by it; those for whom there is still no room share one.
func (l *limits) caller(key string) *rate.Limiter {
	if limiter := l.callers[key]; limiter != nil {
		return limiter
	}
	fresh := func() *rate.Limiter {
		perSecond, burst := l.perSecond, l.burst
		if perSecond == 0 {
			perSecond = defaultRate
		}
		if burst == 0 {
			burst = defaultBurst
		}
		return rate.NewLimiter(rate.Limit(perSecond), burst)
	}
	if l.callers == nil {
		l.callers, l.rest = make(map[string]*rate.Limiter), fresh()
	}
	if now := time.Now(); len(l.callers) >= maxCallers && now.Sub(l.swept) >= time.Second {
		l.swept = now
		for key, limiter := range l.callers {
			if limiter.TokensAt(now) >= float64(limiter.Burst()) {
				delete(l.callers, key)
			}
		}
	}
	if len(l.callers) >= maxCallers {
		return l.rest
	}
	limiter := fresh()
	l.callers[key] = limiter
	return limiter
}

// tokenKey stands for the token of a call, "" where it has none.
func tokenKey(r *http.Request) string {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(token))
	return "token " + hex.EncodeToString(sum[:16])
}

// addressKey stands for an address; of IPv6 for the network that one customer has.
func addressKey(remote string) string {
	host, _, _ := net.SplitHostPort(remote) // what is no address is one caller
	a, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
