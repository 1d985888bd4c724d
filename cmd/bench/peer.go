package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/wire"
)

// peer is one connection of the generator. Its reader does all that follows
// from what it reads: it checks messages, confirms them, and sends the next one
// when the window opens.
type peer struct {
	socket

	// Set by the fleet, never changed.
	fleet *fleet
	n     int    // place in the fleet
	key   string // that others send to
	id    dial.Identity

	// Guarded by socket.mu. Nil and zero for peers that send nothing.
	message template
	dice    uint64   // picks recipients
	toAll   bool     // each message is for all others
	sent    []uint32 // messages so far, by recipient
	total   uint64   // of these

	// Owned by the reader.
	ledger
	receipt []byte // scratch
}

// arm makes the peer a sender to, and a recipient from, the first senders of
// the fleet.
func (p *peer) arm(senders int) {
	p.message = p.fleet.dialect.template(p.key, p.n, p.fleet.bodies.size, targetMark)
	p.dice = uint64(p.n)*0x9e3779b97f4a7c15 + 1
	p.sent = make([]uint32, senders)
	p.ledger = newLedger(senders)
}

// login connects and, where the server wants it, says hello.
func (p *peer) login(ctx context.Context, buffer int) error {
	if err := p.connect(ctx, p.fleet.addr(p.n), p.fleet.dialect.path(p.key), buffer); err != nil {
		return err
	}
	err := p.hello()
	if err != nil {
		_ = p.conn.Close()
	}
	return err
}

func (p *peer) hello() error {
	if p.id.Key == nil {
		return nil
	}
	var first wire.Frame = p.id.Hello(time.Now())
	if p.fleet.sessionHello {
		first = p.id.SessionHello(time.Now())
	}
	frame, err := wire.Append(nil, first)
	if err != nil {
		return err
	}
	if err := p.conn.SetDeadline(time.Now().Add(loginTimeout)); err != nil {
		return err
	}
	p.post(opText, frame)
	p.flush()
	if err := p.welcomed(); err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	return p.conn.SetDeadline(time.Time{})
}

// welcomed waits for the answer to the hello.
func (p *peer) welcomed() error {
	for {
		op, frame, ok, err := p.next()
		switch {
		case err != nil:
			return err
		case !ok:
			if err := p.fill(); err != nil {
				return err
			}
		case op == opText && hasHead(frame, helloHead):
			return nil
		case op == opText && hasHead(frame, errorHead), op == opClose:
			return fmt.Errorf("the server answered %.200s", frame)
		}
	}
}

func hasHead(frame, head []byte) bool {
	return len(frame) >= len(head) && string(frame[:len(head)]) == string(head)
}

// read serves the connection until it ends.
func (p *peer) read() error {
	for {
		for {
			op, frame, ok, err := p.next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			if err := p.take(op, frame); err != nil {
				return err
			}
		}
		p.flush()
		if err := p.fill(); err != nil {
			return err
		}
	}
}

// take works on one frame.
func (p *peer) take(op byte, frame []byte) error {
	p.fleet.frames.Add(1)
	switch op {
	case opText:
		p.hear(frame)
	case opPing:
		p.post(opPong, frame)
	case opClose:
		if p.fleet.leaving.Load() {
			return io.EOF
		}
		return fmt.Errorf("the server closed the connection: %.200q", frame)
	}
	return nil
}

func (p *peer) hear(frame []byte) {
	f := p.fleet
	switch s, body := f.dialect.read(frame); s {
	case arrived:
		p.receive(body)
		if p.receipt = f.dialect.confirm(p.receipt[:0], frame); len(p.receipt) > 0 {
			p.post(opText, p.receipt)
		}
	case accepted:
		f.accepted.Add(1)
		p.refill()
	case refused:
		f.refused(frame)
		p.refill()
	case nothing:
	}
}

// receive checks a message and notes how long it took.
func (p *peer) receive(body []byte) {
	f := p.fleet
	s, ok := f.bodies.read(body)
	if !ok {
		p.Corrupt++
		return
	}
	if !p.enter(s.from, s.seq) {
		return
	}
	f.received.Add(1)
	f.latencies.Load().observe(time.Duration(f.now() - s.at))
	if !f.dialect.acks() && p.opens() {
		f.peers[s.from].refill()
	}
}

// refill lets the peer send its next message in a closed loop.
func (p *peer) refill() {
	if p.fleet.refilling.Load() {
		p.fleet.pump.add(p)
	}
}

// recipientLocked returns some other peer that this one sends to, each as likely
// as any.
func (p *peer) recipientLocked() int {
	for {
		to := int(random(&p.dice) % uint64(len(p.sent)-1))
		if to >= p.n {
			to++
		}
		if p.fleet.paired(p.n, to) {
			return to
		}
	}
}

// sendLocked appends a message.
func (p *peer) sendLocked() {
	to, t, f := 0, &p.message, p.fleet
	t.number(p.total)
	if !p.toAll {
		to = p.recipientLocked()
		copy(t.frame[t.target:], f.peers[to].key)
	}
	f.bodies.put(t.frame[t.body:t.body+f.bodies.size], stamp{uint32(p.n), p.sent[to], f.now()})
	p.sent[to]++
	p.total++
	f.sent.Add(1)
	p.out = appendFrame(p.out, opText, t.frame)
}

// send sends so many messages at once.
func (p *peer) send(messages int) {
	p.mu.Lock()
	for range messages {
		p.sendLocked()
	}
	p.mu.Unlock()
	p.flush()
}

// ended reports whether a reader's error is only the end of a connection that
// was meant to end.
func (p *peer) ended(err error) bool {
	return p.fleet.leaving.Load() || errors.Is(err, context.Canceled)
}
