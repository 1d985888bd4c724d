package feature

import (
	"context"

	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/wire"
)

// OnLater is [On] for requests whose answer comes later, over the session's
// connection, from somewhere else. Only refusals are answered at once.
func OnLater[Req, Resp wire.Frame](r *Registry, h func(context.Context, *Call, *Req) error) *Owner {
	o := On(r, func(ctx context.Context, c *Call, m *Req) (none Resp, err error) { return none, h(ctx, c, m) })
	o.handle = func(ctx context.Context, c *Call) (any, error) { return nil, h(ctx, c, c.Request.(*Req)) }
	return o
}

// turns are what features do when sessions come and go.
type turns struct {
	arrived []func(context.Context, presence.View)
	gone    []func(s *presence.Session, c presence.Conn)
	left    []func(context.Context, presence.View)
}

// OnArrived has f called with each session that begins, behind its hello_ack, on
// the goroutine that reads its connection.
func (r *Registry) OnArrived(f func(context.Context, presence.View)) {
	r.turns.arrived = append(r.turns.arrived, f)
}

// OnGone has f called when the connection of a session has ended, whatever becomes
// of the session.
func (r *Registry) OnGone(f func(*presence.Session, presence.Conn)) {
	r.turns.gone = append(r.turns.gone, f)
}

// OnLeft has f called when a session is over, on one node.
func (r *Registry) OnLeft(f func(context.Context, presence.View)) {
	r.turns.left = append(r.turns.left, f)
}

// Arrived says that a session has begun.
func (r *Registry) Arrived(ctx context.Context, v presence.View) {
	for _, f := range r.turns.arrived {
		f(ctx, v)
	}
}

// Gone says that the connection of a session has ended.
func (r *Registry) Gone(s *presence.Session, c presence.Conn) {
	for _, f := range r.turns.gone {
		f(s, c)
	}
}

// Left says that a session is over. It may wait for the store.
func (r *Registry) Left(ctx context.Context, v presence.View) {
	for _, f := range r.turns.left {
		f(ctx, v)
	}
}
