package exchange

import (
	"bytes"
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core/hub"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Connection is one peer's road to the broker. Its reader owns it.
type Connection struct {
	x    *Exchange
	peer *hub.Peer

	// Owned by the reader.
	session *presence.Session // nil before the hello
	invalid int               // frames before the hello that were none

	asides  *line         // requests that wait for a plugin's answer; nil before the first
	line    line          // requests that wait for a remote stage
	window  chan struct{} // a place for each answer that waits for the disk
	waiting atomic.Int32  // answers that wait now

	gone atomic.Bool // the connection has ended
}

// Serve reads a peer until its connection ends. It must be called from a
// goroutine of its own; see [hub.Hub.Accept].
func (x *Exchange) Serve(p *hub.Peer) (last presence.View, ended bool) {
	c := &Connection{x: x, peer: p, window: make(chan struct{}, x.options.Window)}
	code := p.Run(c.read, c.helloTimeout)
	c.gone.Store(true)
	c.line.wait()
	if reason, text := p.Fault(); reason != "" {
		x.Counters.Refused.Add(sdk.Reason(reason))
		c.ended(c.session, sdk.Reason(reason), text)
	}
	if c.session == nil {
		return presence.View{}, false
	}
	defer x.registry.Gone(c.session, link{p})
	return x.dir.Leave(c.session, link{p}, goodbye(code))
}

// goodbye reports whether a peer's close code says that it will not come back.
// Anything else may be a network that failed: the session has its grace time.
func goodbye(code wire.CloseCode) bool {
	const noStatus = 1005 // a close frame without a code
	return code == wire.CodeNormal || code == wire.CodeGoingAway || code == noStatus
}

// link is a peer as sessions see it. Links of one peer are equal.
type link struct{ *hub.Peer }

// CloseWith implements [presence.Conn].
func (l link) CloseWith(code int, reason string) { l.Close(wire.CloseCode(code), reason) }

func (c *Connection) helloTimeout() {
	c.refuseAndClose(sdk.ReasonHelloTimeout, "no hello came in time")
}

// refuseAndClose says why and ends the connection.
func (c *Connection) refuseAndClose(r sdk.Reason, text string) {
	c.ended(nil, r, text)
	c.send(wire.Error{Code: r, Message: text}, nil)
	c.peer.Close(wire.CodeRefused, string(r))
}

// send encodes a frame and puts it on the outbox.
func (c *Connection) send(f wire.Frame, reqID jsontext.Value) {
	b, err := encode(f, reqID)
	if err != nil {
		c.x.log.Error("answer not encoded", slog.String("type", f.FrameType()), slog.Any("err", err))
	}
	c.peer.Send(b)
	if both, ok := f.(wire.Twofold); ok {
		c.send(both.Twin(), reqID)
	}
}

// encode returns the frame of an answer. With an error comes that of a refusal, so
// that nobody waits for an answer that cannot be written.
func encode(f wire.Frame, reqID jsontext.Value) ([]byte, error) {
	b, err := wire.AppendReply(make([]byte, 0, 256), f, reqID)
	if err == nil {
		return b, nil
	}
	refusal, _ := wire.AppendReply(nil, wire.Error{Code: sdk.ReasonUnavailable, Message: textNotEncoded}, reqID)
	return refusal, err
}

// read works on one frame. What comes before the session goes to a goroutine of
// its own: signatures and look-ups need a deep stack, which the reader would
// keep for as long as the connection idles.
func (c *Connection) read(b []byte) {
	if c.session != nil {
		c.frame(b)
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.frame(b)
	}()
	<-done
}

// frame works on one frame. The bytes are valid during the call only.
func (c *Connection) frame(b []byte) {
	x := c.x
	x.Counters.Frames.Add(1)
	head, err := wire.Peek(b)
	r := x.request()
	r.conn = c
	r.identify(len(b))
	r.owner = x.registry.Owner(string(head.Type))
	if bytes.IndexByte(head.Type, '.') >= 0 {
		r.owner = nil // kinds with a dot do not come over a socket
		err = &wire.DecodeError{Code: sdk.ReasonUnknownType, Field: "type", Message: "type: no such message"}
	}
	r.call.ID, r.call.ReqID = clone(head.ID), clone(head.ReqID)
	if err == nil {
		err = r.prepare(b, head)
	}
	if err != nil {
		r.call.Env, r.call.Session, r.call.Peer, r.call.Body = &r.env, c.session, link{c.peer}, b
		c.undecodable(r, err)
		return
	}
	r.run(b)
}

func clone(v jsontext.Value) jsontext.Value {
	if v == nil {
		return nil
	}
	return v.Clone()
}

// undecodable refuses a frame that is no request. Before the hello it is what a
// stranger may do only so often.
func (c *Connection) undecodable(r *request, err error) {
	x := c.x
	defer x.release(r)
	c.line.wait()
	x.Counters.Invalid.Add(1)
	reason, text := sdk.ReasonMalformed, "not a frame"
	if d := new(wire.DecodeError); errors.As(err, &d) {
		reason, text = d.Code, d.Message
	}
	x.conclude(&r.env, r.owner != nil, r.trail, sdk.Outcome{Decision: sdk.Refuse(reason, text)})
	hello := c.session == nil && r.owner != nil && isHello(sdk.Kind(r.owner.Type))
	c.sendInOrder(r.owner.Refusal(&r.call, reason, text), r.call.ReqID)
	if hello {
		x.Counters.Hellos.Add(reason)
		c.peer.Close(wire.CodeRefused, string(reason))
		return
	}
	x.Counters.Refused.Add(reason)
	c.countInvalid()
}

// sendInOrder sends an answer behind those that wait for the disk.
func (c *Connection) sendInOrder(f wire.Frame, reqID jsontext.Value) {
	if c.waiting.Load() == 0 {
		c.send(f, reqID)
		return
	}
	c.acquire()
	c.x.committer.Submit(&laterAnswer{c, f, reqID})
}

// laterAnswer is a work that writes nothing and sends an answer when its turn
// has come.
type laterAnswer struct {
	conn  *Connection
	frame wire.Frame
	reqID jsontext.Value
}

// Fill implements [commit.Work].
func (*laterAnswer) Fill(*store.Batch) {}

// Done implements [commit.Work].
func (a *laterAnswer) Done(error) {
	a.conn.send(a.frame, a.reqID)
	a.conn.free()
}

// countInvalid closes a connection that goes on talking without a hello.
func (c *Connection) countInvalid() {
	if c.session != nil {
		return
	}
	if c.invalid++; c.invalid > c.x.options.InvalidLimit {
		c.refuseAndClose(sdk.ReasonTooManyInvalid, "say hello first")
	}
}

func isHello(k sdk.Kind) bool { return k == sdk.KindHello || k == sdk.KindSessionHello }

// bind makes the session of a hello the connection's own.
func (c *Connection) bind(s *presence.Session) {
	c.session = s
	l := link{c.peer}
	c.peer.Bind(func(confirmed uint64) { s.Box.Ponged(l, confirmed) })
}

// acquire takes a place in the window, waiting for one if need be.
func (c *Connection) acquire() {
	c.window <- struct{}{}
	c.waiting.Add(1)
}

func (c *Connection) free() {
	c.waiting.Add(-1)
	<-c.window
}
