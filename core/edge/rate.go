package edge

import (
	"crypto/sha256"
	"hash/maphash"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/bucket"
	"github.com/claudemesh/broker/core/identity"
)

// network is what an address is counted by: itself, or the /64 of an IPv6
// address, since whoever has one has all of them.
type network [16]byte

func networkOf(addr netip.Addr) network {
	n := network(addr.As16())
	if addr.Is6() && !addr.Is4In6() {
		clear(n[8:])
	}
	return n
}

// Hash implements bucket.Key.
func (n network) Hash(seed maphash.Seed) uint64 { return maphash.Bytes(seed, n[:]) }

// Keep implements bucket.Key.
func (n network) Keep() network { return n }

// bearer is the SHA-256 of an Authorization header, so that a token is not kept.
type bearer [sha256.Size]byte

// Hash implements bucket.Key.
func (b bearer) Hash(seed maphash.Seed) uint64 { return maphash.Bytes(seed, b[:]) }

// Keep implements bucket.Key.
func (b bearer) Keep() bearer { return b }

// rates say how often somebody may ask.
type rates struct {
	addresses *bucket.Set[network] // nil: no limit
	bearers   *bucket.Set[bearer]  // nil: no limit
	now       func() time.Time
}

func newRates(o Options) rates {
	return rates{newSet[network](o.PerAddress, o.Now), newSet[bearer](o.PerToken, o.Now), o.Now}
}

// allow takes a token of the caller's address and one of its bearer's, or
// returns how long to wait. What asks for the broker's health is not counted,
// nor are callers on this machine by their address, which is everybody's there.
func (l *rates) allow(r *http.Request, c *caller) (wait time.Duration, ok bool) {
	if path, found := strings.CutPrefix(r.URL.Path, "/health"); found && (path == "" || path[0] == '/') {
		return 0, true
	}
	if l.addresses != nil && !c.local {
		if wait, ok := l.addresses.Take(networkOf(c.addr), l.now()); !ok {
			return wait, false
		}
	}
	if auth := r.Header["Authorization"]; l.bearers != nil && len(auth) > 0 {
		return l.bearers.Take(bearerOf(auth[0], networkOf(c.addr)), l.now())
	}
	return 0, true
}

// bearerOf returns who a credential is: the token, or the member that signs,
// whose signature is another one each time. Nobody has looked yet whether either
// is good, and a member's key is no secret: it counts together with where the
// request comes from, so that a stranger cannot use up its rate.
func bearerOf(auth string, from network) bearer {
	if p, ok := identity.ParseHTTPProof(auth); ok {
		return sha256.Sum256([]byte(identity.HTTPScheme + " " + p.Mesh + " " + strings.ToLower(p.Key) + " " + string(from[:])))
	}
	return sha256.Sum256([]byte(strings.Join(strings.Fields(auth), " ")))
}

// tooMany answers a request beyond a limit. Where a body is on its way the
// answer does not wait for it, and the connection ends with the read timeout at
// the latest.
func tooMany(w http.ResponseWriter, r *http.Request, wait time.Duration) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Retry-After", strconv.FormatInt(seconds(wait), 10))
	if r.ContentLength != 0 {
		h.Set("Connection", "close")
	}
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = io.WriteString(w, `{"ok":false,"error":"rate limited","code":"rate_limit","request_id":"`+RequestID(r)+`"}`) // a plain id needs no quoting
}

// seconds rounds up, since an earlier attempt would be refused again.
func seconds(wait time.Duration) int64 {
	return max(1, int64((wait+time.Second-1)/time.Second))
}
