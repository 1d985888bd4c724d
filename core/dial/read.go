package dial

import (
	"bytes"

	"github.com/claudemesh/broker/core/wire"
)

// read hands every frame to whom it is for, until the connection ends.
func (p *Peer) read() {
	defer close(p.done)
	for {
		frame, err := p.readFrame()
		if err != nil {
			p.end(err)
			return
		}
		p.handle(frame)
	}
}

// readFrame returns the next frame, good until the next call.
func (p *Peer) readFrame() ([]byte, error) {
	_, r, err := p.conn.Reader(p.life)
	if err != nil {
		return nil, err
	}
	p.in.Reset()
	if _, err := p.in.ReadFrom(r); err != nil {
		return nil, err
	}
	return p.in.Bytes(), nil
}

// end tells everybody who waits that nothing will come any more.
func (p *Peer) end(err error) {
	if p.closing.Load() {
		p.err = ErrClosed
	} else {
		p.err = closeError(err, p.lastError)
		_ = p.conn.CloseNow()
	}
	close(p.ended)
	p.calls.fail(p.err)
}

func (p *Peer) handle(frame []byte) {
	h, err := wire.Peek(frame)
	if err != nil {
		p.unexpected("", frame)
		return
	}
	switch string(h.Type) {
	case "push":
		p.handlePush(frame)
	case "ack":
		p.handleAck(h, frame)
	case "error":
		p.handleError(h, frame)
	case "hello_ack":
		p.handleWelcome(frame)
	default:
		if reply := p.calls.take(h.ReqID).reply; reply != nil {
			reply(bytes.Clone(frame), nil)
			return
		}
		p.unexpected(string(h.Type), frame)
	}
}

func (p *Peer) handlePush(frame []byte) {
	push, err := wire.Decode[wire.Push](frame)
	switch {
	case err != nil:
		p.unexpected("push", frame)
	case p.options.OnPush == nil:
		p.inbox.put(push)
	default:
		p.options.OnPush(p, push)
		p.confirmed(push)
	}
}

// handleAck answers a send, or a request whose answer has the form of an ack.
func (p *Peer) handleAck(h wire.Head, frame []byte) {
	if reply := p.calls.take(h.ReqID).reply; reply != nil {
		reply(bytes.Clone(frame), nil)
		return
	}
	done := p.calls.take(h.ID).ack
	if done == nil {
		p.unexpected("ack", frame)
		return
	}
	var ack wire.Ack
	err := wire.DecodeInto(frame, &ack)
	done(ack, err)
}

// handleError answers the request that the error is about, if it says which.
func (p *Peer) handleError(h wire.Head, frame []byte) {
	e, err := wire.Decode[wire.Error](frame)
	if err != nil {
		p.unexpected("error", frame)
		return
	}
	waiting := p.calls.take(h.ReqID)
	if waiting.none() {
		waiting = p.calls.take(h.ID)
	}
	if waiting.none() {
		p.lastError = e
		p.unexpected("error", frame)
		return
	}
	waiting.fail(&RefusedError{Code: e.Code, Message: e.Message})
}

func (p *Peer) handleWelcome(frame []byte) {
	select {
	case <-p.welcome:
		p.unexpected("hello_ack", frame)
		return
	default:
	}
	if err := wire.DecodeInto(frame, &p.ack); err != nil {
		p.unexpected("hello_ack", frame)
		return
	}
	close(p.welcome)
}

func (p *Peer) unexpected(typ string, frame []byte) {
	if p.options.OnFrame != nil {
		p.options.OnFrame(typ, frame)
	}
}
