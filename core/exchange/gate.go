package exchange

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/sdk"
)

// Why a message is refused that was fine when its frame was read.
const (
	textNotEncoded = "the broker could not write its answer: what was asked may be done; tell the operator, whose log says more"
	textNotWritten = "the broker could not write to its store: try again in a moment"

	textEnded    = "this session has ended"
	textStopping = "the broker is stopping: connect again and send it once more"
)

// Gate is what messages pass on their way to the store: once before they may
// wait for a remote stage, and once right before they are accepted. A stop closes
// it in this order, and waits for those that passed. All methods may be called
// concurrently.
type Gate struct {
	live     func(*presence.Session) (name string, ok bool)
	draining atomic.Bool // no message begins any more; set under mu

	mu       sync.Mutex
	shut     bool          // no message is accepted any more
	begun    int           // messages that a remote stage may keep waiting
	admitted int           // messages that are being accepted, up to their Submit
	fewer    chan struct{} // wakes a stop; holds one wake-up
}

var _ feature.Gate = (*Gate)(nil)

// NewGate returns an open gate. live tells whether a session is not over; see
// [presence.Directory.Live].
func NewGate(live func(*presence.Session) (name string, ok bool)) *Gate {
	return &Gate{live: live, fewer: make(chan struct{}, 1)}
}

// Drain lets no message begin any more, and returns when none that did waits for
// a remote stage. The error says how many still do at the end of ctx.
func (g *Gate) Drain(ctx context.Context) error {
	g.mu.Lock()
	g.draining.Store(true)
	g.mu.Unlock()
	return g.wait(ctx, &g.begun)
}

// Shut lets no message be accepted any more, and returns when every one that was
// is with the committer. The error says how many are not at the end of ctx.
func (g *Gate) Shut(ctx context.Context) error {
	g.mu.Lock()
	g.draining.Store(true)
	g.shut = true
	g.mu.Unlock()
	return g.wait(ctx, &g.admitted)
}

// Draining reports whether a stop has begun.
func (g *Gate) Draining() bool { return g.draining.Load() }

// Admit implements [feature.Gate]. The caller submits the message, and then calls
// submitted.
func (g *Gate) Admit(s *presence.Session) error {
	if s != nil {
		if _, ok := g.live(s); !ok {
			return core.Refuse(sdk.ReasonUnauthorized, textEnded)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return core.Refuse(sdk.ReasonShuttingDown, textStopping)
	}
	g.admitted++
	return nil
}

// submitted ends what Admit began.
func (g *Gate) submitted() { g.less(&g.admitted) }

// begin reports whether a message may go where it may have to wait. If so, the
// caller calls end once it has been decided about.
func (g *Gate) begin() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.Draining() {
		return false
	}
	g.begun++
	return true
}

func (g *Gate) end() { g.less(&g.begun) }

// less takes one from a count and wakes the stop that waits for it.
func (g *Gate) less(count *int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	*count--
	if *count > 0 || !g.Draining() {
		return
	}
	select {
	case g.fewer <- struct{}{}:
	default:
	}
}

// wait returns when a count is zero. One stop waits at a time.
func (g *Gate) wait(ctx context.Context, count *int) error {
	for {
		g.mu.Lock()
		n := *count
		g.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-g.fewer:
		case <-ctx.Done():
			return fmt.Errorf("%d messages on their way: %w", n, ctx.Err())
		}
	}
}
