package auth

import (
	"context"
	"crypto/sha256"
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

// firstUse refuses a signature that somebody else has used, here or on another
// node. The same session may use it again where it used it first.
func (s *Stage) firstUse(ctx context.Context, signature string, o origin, now time.Time) error {
	replayed := refuse(sdk.ReasonReplayed, "this signed hello was used already: sign a new one")
	first, again := s.replays.use(signature, o, now)
	switch {
	case again:
		return nil
	case !first:
		return replayed
	case s.once == nil:
		return nil
	}
	fresh, err := s.once(ctx, sha256.Sum256([]byte(strings.ToLower(signature))), now.Add(replayWindow))
	if err == nil && fresh {
		return nil
	}
	s.replays.forget(signature) // its origin is not known here
	if err != nil {
		return err
	}
	return replayed
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

// forget drops a signature: whoever comes with it next is asked again.
func (r *replays) forget(signature string) {
	signature = strings.ToLower(signature)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.young, signature)
	delete(r.old, signature)
}

// use notes the use of a signature and reports whether it is the first one, or
// comes again from its origin.
func (r *replays) use(signature string, o origin, now time.Time) (first, again bool) {
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
		return false, false
	}
	r.young[signature] = o
	return !seen, seen
}
