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

// clocks is how far the clocks of nodes, and of the database, may differ without
// a signature being forgotten while one of them accepts it.
const clocks = time.Minute

// origin is who used a signature first. The same session from the same address
// may use it again: it lost its connection and comes back within the second.
type origin struct {
	session sdk.Key
	launch  string
	host    string
	remote  string
}

// use is an accepted hello; one that is not sure yet waits for the word of the
// other nodes.
type use struct {
	origin
	sure bool
}

// firstUse refuses a signature that somebody else has used, here or on another
// node. The same session may use it again where it used it first.
func (s *Stage) firstUse(ctx context.Context, signature string, o origin, now time.Time) error {
	replayed := refuse(sdk.ReasonReplayed, "this signed hello was used already: sign a new one")
	first, again := s.replays.use(signature, o, now, s.once == nil)
	switch {
	case again:
		return nil
	case !first:
		return replayed
	case s.once == nil:
		return nil
	}
	fresh, err := s.once(ctx, sha256.Sum256([]byte(strings.ToLower(signature))), now.Add(replayWindow+clocks))
	if err == nil && fresh {
		s.replays.sure(signature)
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
	young  map[string]use
	old    map[string]use
	turned time.Time
}

func newReplays() *replays {
	return &replays{young: map[string]use{}, old: map[string]use{}}
}

// forget drops a signature: whoever comes with it next is asked again.
func (r *replays) forget(signature string) {
	signature = strings.ToLower(signature)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.young, signature)
	delete(r.old, signature)
}

// sure notes that no other node has seen a signature.
func (r *replays) sure(signature string) {
	signature = strings.ToLower(signature)
	r.mu.Lock()
	defer r.mu.Unlock()
	if u, ok := r.young[signature]; ok {
		u.sure = true
		r.young[signature] = u
	} else if u, ok := r.old[signature]; ok {
		u.sure = true
		r.old[signature] = u
	}
}

// use notes the use of a signature and reports whether it is the first one, or
// comes again from its origin.
func (r *replays) use(signature string, o origin, now time.Time, sure bool) (first, again bool) {
	signature = strings.ToLower(signature)
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.turned) > replayWindow {
		r.old, r.young, r.turned = r.young, map[string]use{}, now
	}
	before, seen := r.young[signature]
	if !seen {
		before, seen = r.old[signature]
	}
	if seen && (before.origin != o || !before.sure) {
		return false, false
	}
	r.young[signature] = use{o, seen || sure}
	return !seen, seen
}
