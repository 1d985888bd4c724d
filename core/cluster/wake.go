package cluster

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/claudemesh/broker/sdk"
)

const (
	// pollEvery is how often a node asks the store whether something waits for
	// its sessions, which is how long a message waits whose wake was lost.
	pollEvery = 2 * time.Second

	// pollKeys bounds one question.
	pollKeys = 500
)

// address is a key in a mesh.
type address struct {
	mesh string
	key  sdk.Key
}

func (a address) subject() string { return subjectWake + "." + a.mesh + "." + a.key.String() }

// interest is the keys that have a session here.
type interest struct {
	mu      sync.Mutex
	count   map[address]int
	changed map[address]struct{} // keys whose subscription has to follow
	news    chan struct{}
}

func newInterest() interest {
	return interest{count: map[address]int{}, changed: map[address]struct{}{}, news: make(chan struct{}, 1)}
}

// Listen implements [presence.Others].
func (n *Node) Listen(mesh string, key sdk.Key) { n.keys.add(address{mesh, key}, 1) }

// Unlisten implements [presence.Others].
func (n *Node) Unlisten(mesh string, key sdk.Key) { n.keys.add(address{mesh, key}, -1) }

func (i *interest) add(a address, by int) {
	i.mu.Lock()
	i.count[a] += by
	if i.count[a] <= 0 {
		delete(i.count, a)
	}
	i.changed[a] = struct{}{}
	i.mu.Unlock()
	prod(i.news)
}

// take returns the keys that changed since the last call, and whether each has a
// session.
func (i *interest) take() map[address]bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	changed := make(map[address]bool, len(i.changed))
	for a := range i.changed {
		changed[a] = i.count[a] > 0
	}
	clear(i.changed)
	return changed
}

// byMesh returns all keys that have a session.
func (i *interest) byMesh() map[string][]sdk.Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	keys := map[string][]sdk.Key{}
	for a := range i.count {
		keys[a.mesh] = append(keys[a.mesh], a.key)
	}
	return keys
}

// listen keeps one subscription for each key that has a session here, until ctx
// ends. What was sent to a key before its subscription worked is in the store,
// where the session's first drain, or the next poll, finds it.
func (n *Node) listen(ctx context.Context) {
	cancels := map[address]func(){}
	defer func() {
		for _, cancel := range cancels {
			cancel()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.keys.news:
		}
		for a, here := range n.keys.take() {
			if ctx.Err() != nil {
				return
			}
			cancel := cancels[a]
			switch {
			case here && cancel == nil:
				cancels[a] = n.bus.Subscribe(a.subject(), func(b []byte) { n.woken(a, b) })
			case !here && cancel != nil:
				cancel()
				delete(cancels, a)
			}
		}
	}
}

// Wake implements [delivery.Others].
func (n *Node) Wake(mesh string, key sdk.Key, p sdk.Priority) {
	n.bus.Publish(address{mesh, key}.subject(), appendWake(make([]byte, 0, wakeSize), p, stamp()))
}

// wakeSize is about the length of a wake.
const wakeSize = 18

// appendWake appends a wake: the priority as one digit, and the stamp behind it.
// Older releases send the priority alone, and take anything else for the most
// urgent one, which costs them a look at the store.
func appendWake(dst []byte, p sdk.Priority, sent int64) []byte {
	return strconv.AppendInt(append(dst, '0'+byte(p)), sent, 10)
}

// readWake is the inverse of appendWake. A wake that it does not understand is of
// the most urgent priority and has no stamp.
func readWake(b []byte) (p sdk.Priority, sent int64) {
	if len(b) == 0 || b[0] < '0' || b[0] > '0'+byte(sdk.PriorityLow) {
		return sdk.PriorityNow, 0
	}
	if len(b) > 1 {
		at, err := strconv.ParseInt(string(b[1:]), 10, 64)
		if err != nil {
			return sdk.PriorityNow, 0
		}
		sent = at
	}
	return sdk.Priority(b[0] - '0'), sent
}

// woken looks for what another node has stored for a key.
func (n *Node) woken(a address, b []byte) {
	p, sent := readWake(b)
	n.late(sent)
	n.Counters.Wakes.Add(1)
	n.parts.Engine.Nudge(a.mesh, a.key, p)
}

// poll asks the store for what waits, until ctx ends.
func (n *Node) poll(ctx context.Context) {
	every(ctx, pollEvery, askGap, n.prod.poll, func(ctx context.Context) {
		n.failed(ctx, "not asked what waits", n.pollOnce(ctx))
	})
}

func (n *Node) pollOnce(ctx context.Context) error {
	for mesh, keys := range n.keys.byMesh() {
		for len(keys) > 0 {
			some := keys[:min(len(keys), pollKeys)]
			keys = keys[len(some):]
			waiting, err := n.store.Waiting(ctx, mesh, some)
			if err != nil {
				return err
			}
			for _, key := range waiting {
				n.parts.Engine.Nudge(mesh, key, sdk.PriorityNow)
			}
			if len(waiting) > 0 {
				n.Counters.Polled.Add(int64(len(waiting)))
				n.log.Debug("a poll found what waits", slog.String("mesh", mesh), slog.Int("keys", len(waiting)))
			}
		}
	}
	return nil
}
