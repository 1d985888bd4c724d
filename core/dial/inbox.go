package dial

import (
	"cmp"
	"context"
	"sync"

	"github.com/claudemesh/broker/core/wire"
)

// inbox holds pushes between the reader and Recv. It has no bound: a reader
// that waited for Recv would also hold back answers.
type inbox struct {
	mu     sync.Mutex
	pushes []*wire.Push
	ready  chan struct{} // holds a token when there may be pushes
}

func newInbox() inbox { return inbox{ready: make(chan struct{}, 1)} }

func (b *inbox) put(p *wire.Push) {
	b.mu.Lock()
	b.pushes = append(b.pushes, p)
	b.mu.Unlock()
	b.signal()
}

// get returns the oldest push, or nil. It passes the token on while there are
// more, so that several may wait.
func (b *inbox) get() *wire.Push {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.pushes) == 0 {
		return nil
	}
	p := b.pushes[0]
	b.pushes[0] = nil
	b.pushes = b.pushes[1:]
	if len(b.pushes) > 0 {
		b.signal()
	}
	return p
}

func (b *inbox) signal() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// Recv returns the next push, news from the broker included, in the order of
// arrival. When the connection has ended it returns what had arrived, then the
// error of [Peer.Err]. It is for peers without OnPush.
func (p *Peer) Recv(ctx context.Context) (*wire.Push, error) {
	for {
		if push := p.inbox.get(); push != nil {
			p.confirmed(push)
			return push, nil
		}
		select {
		case <-p.inbox.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-p.ended:
			if push := p.inbox.get(); push != nil {
				return push, nil
			}
			return nil, p.err
		}
	}
}

// RecvMessage is [Peer.Recv] without news from the broker.
func (p *Peer) RecvMessage(ctx context.Context) (*wire.Push, error) {
	for {
		push, err := p.Recv(ctx)
		if err != nil || !push.SenderPubkey.System() {
			return push, err
		}
	}
}

// Confirm tells the broker that a push arrived and need not be sent again.
func (p *Peer) Confirm(push *wire.Push) error {
	receipt := wire.ClientAck{
		ClientMessageID: cmp.Or(push.ClientMessageID, push.MessageID),
		BrokerMessageID: push.MessageID,
	}
	return p.tell(func(dst []byte) ([]byte, error) { return wire.AppendClientAck(dst, &receipt), nil })
}

// confirmed does what ConfirmPushes says. An error needs no report: without its
// receipt the push comes again, and a dead connection shows elsewhere.
func (p *Peer) confirmed(push *wire.Push) {
	if p.options.ConfirmPushes && !push.SenderPubkey.System() {
		_ = p.Confirm(push)
	}
}
