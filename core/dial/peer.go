package dial

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Peer is one connection that said hello. All methods may be called
// concurrently, apart from what Options says about callbacks.
type Peer struct {
	// Set by newPeer, never changed.
	life    context.Context // of the connection; never cancelled, since that would cut frames
	conn    *websocket.Conn
	id      Identity
	options Options
	welcome chan struct{} // closed when the hello is acknowledged
	ended   chan struct{} // closed when the connection has ended and err says why
	done    chan struct{} // closed after that, when the reader has told everybody

	// Owned by the reader until it closes a channel, read-only after.
	ack wire.HelloAck // until welcome
	err error         // until ended

	// Owned by the reader.
	in        bytes.Buffer
	lastError *wire.Error

	closing atomic.Bool
	calls   calls
	inbox   inbox

	writing sync.Mutex
	out     []byte      // guarded by writing
	stalled *time.Timer // guarded by writing; fires when a write takes too long
}

func newPeer(life context.Context, conn *websocket.Conn, id Identity, o Options) *Peer {
	p := &Peer{
		life: life, conn: conn, id: id, options: o,
		welcome: make(chan struct{}), ended: make(chan struct{}), done: make(chan struct{}),
		calls: newCalls(), inbox: newInbox(),
	}
	p.stalled = time.AfterFunc(o.WriteTimeout, func() { _ = conn.CloseNow() })
	p.stalled.Stop()
	return p
}

// HelloAck returns the broker's answer to the hello.
func (p *Peer) HelloAck() wire.HelloAck { return p.ack }

// Key returns the key that others reach this peer by.
func (p *Peer) Key() sdk.Key { return p.id.RoutingKey() }

// Done is closed when the connection has ended and everybody who waited for an
// answer was told.
func (p *Peer) Done() <-chan struct{} { return p.done }

// Err returns nil while the connection lives, then [ErrClosed] or a
// [*CloseError].
func (p *Peer) Err() error {
	select {
	case <-p.ended:
		return p.err
	default:
		return nil
	}
}

// Close ends the connection politely: it waits, for some seconds at most, until
// the broker has read everything and closed too. Whoever waits for an answer
// gets [ErrClosed]. A second Close does nothing.
func (p *Peer) Close() error {
	if p.closing.Swap(true) {
		<-p.done
		return nil
	}
	err := p.conn.Close(websocket.StatusNormalClosure, "")
	<-p.done
	if !errors.Is(p.err, ErrClosed) {
		return nil // the broker was faster
	}
	return err
}

// Abort cuts the connection without a word, as a crash does.
func (p *Peer) Abort() {
	p.closing.Store(true)
	_ = p.conn.CloseNow()
	<-p.done
}

// Ping asks the broker for a sign of life and waits for it.
func (p *Peer) Ping(ctx context.Context) error { return p.conn.Ping(ctx) }
