package edge

import (
	"net/http"

	"github.com/claudemesh/broker/core/config"
)

// cors says which web pages may call, and what they may send and read. Nobody is
// allowed credentials: pages send a token in Authorization, like everyone.
type cors struct {
	any     bool
	origins map[string][]string // each as the header field that allows it

	vary, expose, methods, headers, age, policy, all []string
}

// newCORS returns nil when no page may call.
func newCORS(origins []string) *cors {
	if len(origins) == 0 {
		return nil
	}
	c := &cors{
		origins: map[string][]string{},
		vary:    []string{"Origin"},
		expose: []string{"Retry-After, X-Request-Id, Deprecation, Warning, Location, Upload-Length, Upload-Offset, Tus-Resumable, " +
			"Content-Disposition, Content-Range, ETag"},
		methods: []string{"GET, HEAD, POST, PATCH, DELETE, OPTIONS"},
		headers: []string{"Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Request-Id, X-Mesh-Id, X-Member-Id, X-File-Name, X-Tags, " +
			"X-Persistent, X-Target-Spec, X-Encrypted, X-Owner-Pubkey, X-File-Keys, Upload-Length, Upload-Offset, Tus-Resumable, Range, If-Range"},
		age:    []string{"600"},
		policy: []string{"cross-origin"},
		all:    []string{config.AnyOrigin},
	}
	for _, o := range origins {
		if o == config.AnyOrigin {
			c.any = true
			continue
		}
		c.origins[o] = []string{o}
	}
	return c
}

// allowed returns the field that allows the page that asks, nil for none.
func (c *cors) allowed(r *http.Request) []string {
	origin := r.Header["Origin"]
	switch {
	case len(origin) != 1:
		return nil
	case c.any:
		return c.all
	default:
		return c.origins[origin[0]]
	}
}

// allow lets a page read the answer, refusals too.
func (c *cors) allow(h http.Header, r *http.Request) {
	if c == nil {
		return
	}
	if !c.any {
		h["Vary"] = c.vary // also for others: a cache must not give them what a page was given
	}
	allowed := c.allowed(r)
	if allowed == nil {
		return
	}
	h["Access-Control-Allow-Origin"] = allowed
	h["Access-Control-Expose-Headers"] = c.expose
	h[resourcePolicy] = c.policy
}

// preflight answers a browser that asks what a page may send, and reports
// whether it has. Any other OPTIONS is the router's.
func (c *cors) preflight(w http.ResponseWriter, r *http.Request) bool {
	if c == nil || r.Method != http.MethodOptions || r.Header["Access-Control-Request-Method"] == nil || c.allowed(r) == nil {
		return false
	}
	h := w.Header()
	h["Access-Control-Allow-Methods"] = c.methods
	h["Access-Control-Allow-Headers"] = c.headers
	h["Access-Control-Max-Age"] = c.age
	w.WriteHeader(http.StatusNoContent)
	return true
}
