package edge

import (
	"net/http"

	"github.com/claudemesh/broker/core/identity"
)

// requestID is the header of a request's id, in both directions.
const requestID = "X-Request-Id"

// maxID is how long a caller's own id may be.
const maxID = 64

// RequestID returns the id by which a request is found in the log, empty for a
// request that has not come through Wrap. It is the caller's own where that is
// short and plain, so that a proxy's log and ours can be read together, and is
// therefore neither unique nor a secret.
func RequestID(r *http.Request) string {
	if c := callerOf(r); c != nil {
		return c.echo[0]
	}
	return ""
}

func idOf(r *http.Request) string {
	if own := r.Header[requestID]; len(own) == 1 && plain(own[0]) {
		return own[0]
	}
	return identity.NewID()
}

// plain reports whether an id can do no harm in a log or a header.
func plain(id string) bool {
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return id != "" && len(id) <= maxID
}
