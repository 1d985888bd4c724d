package auth

import (
	"strings"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/sdk"
)

// replayWindow is how long a signature is remembered: as long as any timestamp
// that it could carry is accepted.
const replayWindow = 2 * identity.MaxSkew

// origin is who used a signature first. The same session from the same address
// may use it again: it lost its connection and comes back within the second.
type origin struct {
	session sdk.Key
	launch  string
	host    string
	remote  string
}

// replays remembers the signatures of accepted hellos. Entries go in two
// generations, so that forgetting costs nothing per entry.
type replays struct {
	mu     sync.Mutex
	young  map[string]origin
	old    map[string]origin
	turned time.Time
}

func newReplays() *replays {
	return &replays{young: map[string]origin{}, old: map[string]origin{}}
}

// first reports whether a signature is new, or comes back from its origin.
func (r *replays) first(signature string, o origin, now time.Time) bool {
	signature = strings.ToLower(signature)
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.turned) > replayWindow {
		r.old, r.young, r.turned = r.young, map[string]origin{}, now
	}
	before, seen := r.young[signature]
	if !seen {
		before, seen = r.old[signature]
	}
	if seen && before != o {
		return false
	}
	r.young[signature] = o
	return true
}
