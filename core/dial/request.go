package dial

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core/wire"
)

// Tell sends a frame that has no answer, or whose answer does not matter: a
// [wire.Frame], or anything that becomes a JSON object with a type.
func (p *Peer) Tell(frame any) error {
	return p.tell(func(dst []byte) ([]byte, error) { return appendFrame(dst, frame, nil) })
}

// Write sends a frame as it is, right or wrong.
func (p *Peer) Write(frame []byte) error {
	return p.tell(func(dst []byte) ([]byte, error) { return append(dst, frame...), nil })
}

// Request sends a frame with a _reqId and returns the frame that answers it.
// What can be sent is what [Peer.Tell] sends; a _reqId in it is a mistake.
// Errors are those of [Peer.Send].
func (p *Peer) Request(ctx context.Context, frame any) (jsontext.Value, error) {
	type answer struct {
		frame jsontext.Value
		err   error
	}
	answers := make(chan answer, 1)
	n, err := p.calls.add(call{reply: func(frame jsontext.Value, err error) { answers <- answer{frame, err} }})
	if err != nil {
		return nil, err
	}
	err = p.write(func(dst []byte) ([]byte, error) { return appendFrame(dst, frame, token(n)) })
	if err != nil && !errors.Is(err, errLost) {
		p.calls.drop(n)
		return nil, err
	}
	select {
	case a := <-answers:
		return a.frame, a.err
	case <-ctx.Done():
		p.calls.drop(n)
		return nil, ctx.Err()
	}
}

// Ask is [Peer.Request] for an answer of a known type.
func Ask[T any](ctx context.Context, p *Peer, frame any) (*T, error) {
	reply, err := p.Request(ctx, frame)
	if err != nil {
		return nil, err
	}
	return wire.Decode[T](reply)
}

// appendFrame appends a frame, with a _reqId when there is one.
func appendFrame(dst []byte, frame any, reqID jsontext.Value) ([]byte, error) {
	if f, ok := frame.(wire.Frame); ok {
		return wire.AppendReply(dst, f, reqID)
	}
	object, err := json.Marshal(frame)
	if err != nil {
		return dst, err
	}
	if len(object) < len(`{"type":""}`) || object[0] != '{' {
		return dst, fmt.Errorf("frame %.20s: want a JSON object with a type", object)
	}
	if reqID == nil {
		return append(dst, object...), nil
	}
	dst = append(append(dst, `{"_reqId":`...), reqID...)
	return append(append(dst, ','), object[1:]...), nil
}
