package cluster

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
)

const (
	// followEvery is how often the signal log is read when no hint comes.
	followEvery = 2 * time.Second

	// followBatch bounds one read of the log.
	followBatch = 200

	// keepSignals is how long signals are kept. A node that was away for longer
	// has lost its registration, and starts afresh.
	keepSignals = 2 * time.Hour

	// keepNotices is how long notices are kept. Who could not read the log for so
	// long has peers that missed more than these, and would tell them what is
	// long past.
	keepNotices = 2 * time.Minute

	// sendRetry is the pause after a signal that could not be written.
	sendRetry = 250 * time.Millisecond
)

// outgoing are the signals of this node that are not written yet, and the place
// in the log up to which it has read.
type outgoing struct {
	mu    sync.Mutex
	queue []*store.Signal
	news  chan struct{}

	read int64 // owned by follow
}

// Signal has every node, this one too, work on something. It returns at once;
// the signal is written as soon as the store takes it. payload is encoded as
// JSON.
func (n *Node) Signal(kind string, payload any) {
	b, err := json.Marshal(payload)
	if err != nil {
		n.log.Error("signal not encoded", slog.String("kind", kind), slog.Any("err", err))
		return
	}
	n.signals.mu.Lock()
	n.signals.queue = append(n.signals.queue, &store.Signal{Kind: kind, Payload: b})
	n.signals.mu.Unlock()
	prod(n.signals.news)
}

// Signalled says that the store has appended a signal in the transaction of a
// change: every node, this one too, reads the log now and not when it would next.
func (n *Node) Signalled() {
	n.bus.Publish(subjectSignal, nil)
	prod(n.prod.follow)
}

// send writes signals, until ctx ends.
func (n *Node) send(ctx context.Context) {
	every(ctx, sendRetry, 0, n.signals.news, func(ctx context.Context) {
		n.failed(ctx, "signal not written", n.flushSignals(ctx))
	})
}

// flushSignals writes what waits, in order.
func (n *Node) flushSignals(ctx context.Context) error {
	wrote := false
	defer func() {
		if wrote {
			n.Signalled()
		}
	}()
	for {
		n.signals.mu.Lock()
		if len(n.signals.queue) == 0 {
			n.signals.mu.Unlock()
			return nil
		}
		next := n.signals.queue[0]
		n.signals.mu.Unlock()
		if err := n.store.Signal(ctx, next); err != nil {
			return err
		}
		wrote = true
		n.signals.mu.Lock()
		n.signals.queue = n.signals.queue[1:]
		n.signals.mu.Unlock()
	}
}

// follow works on the signals of all nodes in their order, until ctx ends.
func (n *Node) follow(ctx context.Context) {
	every(ctx, followEvery, 0, n.prod.follow, func(ctx context.Context) {
		n.failed(ctx, "signals not read", n.followOnce(ctx))
	})
}

func (n *Node) followOnce(ctx context.Context) error {
	for {
		list, err := n.store.SignalsAfter(ctx, n.signals.read, followBatch)
		if err != nil {
			return err
		}
		for _, s := range list {
			n.obey(s)
			n.signals.read = s.ID
		}
		if len(list) < followBatch {
			return nil
		}
	}
}

func (n *Node) obey(s *store.Signal) {
	if s.Node != "" && s.Node != n.self.ID {
		return
	}
	handle := n.parts.Handlers[s.Kind]
	if handle == nil {
		n.log.Debug("a signal of a kind that this program does not know", slog.String("kind", s.Kind))
		return
	}
	n.Counters.Signalled.Add(1)
	if err := handle(s.Payload); err != nil {
		n.log.Warn("signal not obeyed", slog.String("kind", s.Kind), slog.Any("err", err))
	}
}
