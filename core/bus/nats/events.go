package nats

import (
	"errors"

	"github.com/nats-io/nats.go"
)

// events returns what the library calls. It calls one after the other, on a
// goroutine of its own, perhaps before New has returned.
func (b *Bus) events() []nats.Option {
	return []nats.Option{
		nats.ConnectHandler(b.onConnect),
		nats.ReconnectHandler(b.onConnect),
		nats.DisconnectErrHandler(b.onDisconnect),
		nats.ErrorHandler(b.onError),
		nats.ClosedHandler(func(*nats.Conn) { close(b.gone) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { b.opts.Log.Debug("bus reconnect", "err", err) }),
	}
}

// onConnect runs when the library has sent all subscriptions again. The flush
// makes sure that the server knows them before anybody is told to look what was
// lost.
func (b *Bus) onConnect(nc *nats.Conn) {
	b.opts.Log.Info("bus connected", "server", nc.ConnectedUrlRedacted())
	if err := nc.FlushTimeout(flushTimeout); err != nil {
		b.opts.Log.Warn("bus connected, but the server does not answer", "err", err)
	}
	b.up.Store(true)
	b.out.Open()
	b.tellLost()
}

func (b *Bus) onDisconnect(nc *nats.Conn, err error) {
	b.up.Store(false)
	b.out.Shut()
	if !nc.IsClosed() {
		b.opts.Log.Warn("bus away; other nodes hear of nothing until it is back", "err", err)
	}
}

func (b *Bus) onError(_ *nats.Conn, sub *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrSlowConsumer) {
		b.opts.Log.Warn("bus: messages came faster than they were handled, and some are lost")
		b.noteSlow(sub)
		return
	}
	b.opts.Log.Warn("bus", "err", err)
}

// tellLost has the dispatcher tell that messages may be lost.
func (b *Bus) tellLost() {
	select {
	case b.lost <- struct{}{}:
	default: // it is going to
	}
}
