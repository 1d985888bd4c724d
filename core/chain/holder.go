package chain

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/claudemesh/broker/sdk"
)

// ErrNotDrained is returned by [Holder.Swap] and [Holder.Close] when envelopes
// were still on the old chain at the end of the time given. The new chain runs
// and the old one is stopped all the same.
var ErrNotDrained = errors.New("envelopes were still on the old chain when its time was up")

// Holder has the chain that runs now. Enter and Leave may be called from
// anywhere; changes of the chain wait for one another, drains do not.
type Holder struct {
	current atomic.Pointer[Chain]
	swap    sync.Mutex
}

// NewHolder returns a holder that denies everything until the first Swap.
func NewHolder() *Holder {
	h := new(Holder)
	h.current.Store(closedChain(newMeters()))
	return h
}

// Current returns the chain that runs now, to look at; envelopes go through
// Enter. Before the first Swap and after Close it is a chain without links.
func (h *Holder) Current() *Chain { return h.current.Load() }

// Enter returns the chain for one envelope, or for a burst of them, and keeps
// it from being stopped until [Chain.Leave]. The envelope must run, be recorded
// and be done on that chain. shard spreads callers over counters: a number that
// concurrent callers do not share, such as the connection's.
func (h *Holder) Enter(shard uint64) *Chain {
	for {
		if c := h.current.Load(); h.enter(c, shard) {
			return c
		}
	}
}

// enter counts one more inside c, and takes it back when c has been swapped out
// since it was read: the drain may have ended before it was counted.
func (h *Holder) enter(c *Chain, shard uint64) bool {
	c.inside.add(shard, 1)
	if h.current.Load() == c {
		return true
	}
	c.Leave(shard)
	return false
}

// Leave ends what Enter began, after Done. It need not be the same goroutine,
// nor the same shard.
func (c *Chain) Leave(shard uint64) {
	c.inside.add(shard, -1)
	c.inside.tell()
}

// Swap starts next, makes it the chain that runs, waits until every envelope
// has left the old chain, and stops the stages that only the old one used.
//
// When next does not start, the old chain goes on and Swap returns why. Any
// other error is about the end of the old chain, with next running already;
// [ErrNotDrained] is one of them. ctx bounds start and drain together.
func (h *Holder) Swap(ctx context.Context, next *Chain) error {
	drain, err := h.Replace(ctx, next)
	if err != nil {
		return err
	}
	return drain(ctx)
}

// Replace is Swap up to the moment in which next runs; ctx bounds the start
// alone. The caller calls drain once, which does the rest in a time of its own.
// Replacing once more before that leaves three chains alive.
func (h *Holder) Replace(ctx context.Context, next *Chain) (drain func(context.Context) error, err error) {
	h.swap.Lock()
	defer h.swap.Unlock()
	if next == h.current.Load() {
		return func(context.Context) error { return nil }, nil
	}
	if err := next.Start(ctx); err != nil {
		return nil, err
	}
	return h.current.Swap(next).retire, nil
}

// Close is a Swap to nothing: from now on every envelope is denied with
// shutting_down.
func (h *Holder) Close(ctx context.Context) error {
	h.swap.Lock()
	defer h.swap.Unlock()
	return h.current.Swap(closedChain(h.current.Load().meters)).retire(ctx)
}

// retire waits for the last envelope and stops the chain.
func (c *Chain) retire(ctx context.Context) error {
	left := c.inside.drain(ctx)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	err := c.Stop(grace)
	if left > 0 {
		return errors.Join(fmt.Errorf("%w: %d of them", ErrNotDrained, left), err)
	}
	return err
}

// closing denies whatever it is asked.
type closing struct{}

func (closing) Handle(context.Context, *sdk.Envelope) (sdk.Decision, error) {
	return sdk.Refuse(sdk.ReasonShuttingDown, "the broker is not serving now; connect again in a moment"), nil
}

// closedChain stands where no chain is. It counts on where the one before it
// stopped, so that the last look at the counters has all of them.
func closedChain(m *meters) *Chain {
	c := newChain(Spec{Timing: -1})
	c.meters = m
	l := &Link{name: "closed", stageName: "closed", policy: FailClosed, meter: c.meters.of("closed"), log: c.log}
	l.use(newInstance(closing{}))
	c.links = []*Link{l}
	c.compile()
	return c
}

// gauge counts envelopes inside a chain. The count is spread over cache lines:
// with one word for all, two cores that run envelopes would fight for it.
type gauge struct {
	shard  *[shards]gaugeShard
	closed atomic.Bool   // nobody enters any more
	left   chan struct{} // wakes the drain; holds one wake-up
}

type gaugeShard struct {
	n atomic.Int64
	_ [56]byte // a cache line each
}

func newGauge() gauge {
	return gauge{shard: new([shards]gaugeShard), left: make(chan struct{}, 1)}
}

func (g *gauge) add(shard uint64, n int64) { g.shard[shard%shards].n.Add(n) }

// tell wakes the drain, if there is one.
func (g *gauge) tell() {
	if !g.closed.Load() {
		return
	}
	select {
	case g.left <- struct{}{}:
	default:
	}
}

// inside sums the shards. The sum is never lower than the number of envelopes
// that entered before the chain was swapped out and have not left: each was
// counted before the sum began, and only leaving takes away. So at zero they
// have gone, although the shards are read one after the other.
func (g *gauge) inside() (n int64) {
	for i := range g.shard {
		n += g.shard[i].n.Load()
	}
	return n
}

// drain waits until nobody is inside, or ctx ends, and returns how many were
// left.
func (g *gauge) drain(ctx context.Context) int64 {
	g.closed.Store(true)
	for {
		n := g.inside()
		if n <= 0 {
			return 0
		}
		select {
		case <-g.left:
		case <-ctx.Done():
			return n
		}
	}
}
