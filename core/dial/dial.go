package dial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coder/websocket"
)

// Dial connects to the broker at url (ws://host:port/ws), says hello and
// returns when the broker has acknowledged it.
//
// A refused hello gives a [*CloseError] whose Reason is the code of the refusal.
// The context bounds only the dialling; the peer lives until [Peer.Close].
func Dial(ctx context.Context, url string, id Identity, o Options) (*Peer, error) {
	o, id = o.withDefaults(), id.withDefaults()
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: o.HTTPClient}) //nolint:bodyclose // the library closes it
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", url, err)
	}
	conn.SetReadLimit(o.ReadLimit)

	p := newPeer(context.WithoutCancel(ctx), conn, id, o)
	go p.read()
	if err := p.sayHello(ctx); err != nil {
		p.Abort()
		return nil, fmt.Errorf("hello: %w", err)
	}
	return p, nil
}

// sayHello sends the first frame and waits for its answer.
func (p *Peer) sayHello(ctx context.Context) error {
	if err := p.Tell(p.id.firstFrame(&p.options, p.options.Now())); err != nil && !errors.Is(err, errLost) {
		return err
	}
	timer := time.NewTimer(p.options.HelloTimeout)
	defer timer.Stop()
	select {
	case <-p.welcome:
		return nil
	case <-p.done:
		return p.err
	case <-timer.C:
		return fmt.Errorf("no hello_ack within %v", p.options.HelloTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}
