// Package edge is what every HTTP request passes before its route: who calls,
// what the answer always carries, which web pages may ask, and how often.
//
// It trusts nothing that a caller says about itself: an address counts when the
// socket or a trusted proxy says it.
package edge

import (
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/bucket"
	"github.com/claudemesh/broker/core/config"
)

// most is how many addresses, and how many tokens, are remembered: some 10 MB of
// each.
const most = 1 << 16

// Rate is a limit with how much may come at once. The zero Rate is no limit.
type Rate struct {
	Limit config.Limit
	Burst int
}

// Options are what an Edge needs to know.
type Options struct {
	Proxies []netip.Prefix // whose X-Forwarded-For is believed
	Origins []string       // of web pages that may call, as browsers send them, or only "*"

	PerAddress Rate // requests
	PerToken   Rate // requests
	Guesses    Rate // refused attempts of one address

	Now func() time.Time // nil for time.Now
	Log *slog.Logger
}

// OptionsOf returns the options that a config means.
func OptionsOf(c config.HTTP, log *slog.Logger) Options {
	return Options{
		Proxies: c.Proxies(), Origins: c.CORSOrigins,
		PerAddress: Rate{c.PerAddress, c.PerAddressBurst},
		PerToken:   Rate{c.PerToken, c.PerTokenBurst},
		Guesses:    Rate{c.Guesses, c.GuessesBurst},
		Log:        log,
	}
}

// Edge is the way in. It may be used by many goroutines at once, and starts
// none.
type Edge struct {
	*Guesses

	proxies proxies
	secure  secure
	cors    *cors // nil: no page may call
	rates   rates
	warned  sync.Once
	log     *slog.Logger
}

// New returns an Edge. One serves all ports of a broker, so that they share its
// limits.
func New(o Options) *Edge {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Edge{
		Guesses: &Guesses{set: newSet[network](o.Guesses, o.Now), now: o.Now},
		proxies: o.Proxies,
		secure:  newSecure(),
		cors:    newCORS(o.Origins),
		rates:   newRates(o),
		log:     o.Log,
	}
}

// newSet returns the buckets of a limit, nil for none.
func newSet[K bucket.Key[K]](r Rate, now func() time.Time) *bucket.Set[K] {
	if r.Limit.Off() {
		return nil
	}
	return bucket.New[K](bucket.Size{Count: r.Limit.Rate.Count, Per: r.Limit.Rate.Per, Burst: r.Burst, Most: most}, now())
}

// Wrap returns a handler that lets a request through to next, or refuses it.
//
// It hands the ResponseWriter on as it is, so that a socket can be upgraded.
// What next sets in the header wins over what is set here.
func (e *Edge) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := e.caller(r)
		r = c.request(r)
		h := w.Header()
		h[requestID] = c.echo[:]
		e.secure.set(h)
		e.cors.allow(h, r)
		if wait, ok := e.rates.allow(r, c); !ok {
			tooMany(w, r, wait)
			return
		}
		if e.cors.preflight(w, r) {
			return
		}
		next.ServeHTTP(w, r)
	})
}
