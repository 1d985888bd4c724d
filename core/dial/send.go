package dial

import (
	"context"

	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// SendOptions are the rarer fields of a send; see [wire.Send].
type SendOptions struct {
	ClientMessageID string
	Fingerprint     string
	ReplyToID       string
	Mentions        []string
	BodyVersion     int64
	Traceparent     string
}

// Send hands a message to the broker and waits for its ack. Many goroutines may
// wait at once.
//
// An ack that refuses (Queued is false, Error says why) is no error. Errors are
// [ErrClosed], a [*CloseError], a [*RefusedError], or the context's; after the
// last one the message may have been accepted or not.
func (p *Peer) Send(ctx context.Context, target string, priority sdk.Priority, nonce, ciphertext string, o SendOptions) (wire.Ack, error) {
	type answer struct {
		ack wire.Ack
		err error
	}
	answers := make(chan answer, 1)
	n, err := p.send(target, priority, nonce, ciphertext, o, func(ack wire.Ack, err error) {
		answers <- answer{ack, err}
	})
	if err != nil {
		return wire.Ack{}, err
	}
	select {
	case a := <-answers:
		return a.ack, a.err
	case <-ctx.Done():
		p.calls.drop(n)
		return wire.Ack{}, ctx.Err()
	}
}

// SendAsync is [Peer.Send] without the wait: when it returns nil, done is called
// exactly once, by the goroutine that reads the socket. What Options says about
// OnPush holds for done.
func (p *Peer) SendAsync(target string, priority sdk.Priority, nonce, ciphertext string, o SendOptions, done func(wire.Ack, error)) error {
	_, err := p.send(target, priority, nonce, ciphertext, o, done)
	return err
}

func (p *Peer) send(target string, priority sdk.Priority, nonce, ciphertext string, o SendOptions, done func(wire.Ack, error)) (uint64, error) {
	n, err := p.calls.add(call{ack: done})
	if err != nil {
		return 0, err
	}
	m := wire.Send{
		ID: token(n), TargetSpec: target, Priority: priority, Nonce: nonce, Ciphertext: ciphertext,
		ClientMessageID: o.ClientMessageID, RequestFingerprint: o.Fingerprint, ReplyToID: o.ReplyToID,
		Mentions: o.Mentions, BodyVersion: o.BodyVersion, Traceparent: o.Traceparent,
	}
	// The only error is that of a lost connection, which the reader gives to done.
	_ = p.write(func(dst []byte) ([]byte, error) { return wire.AppendSend(dst, &m), nil })
	return n, nil
}
