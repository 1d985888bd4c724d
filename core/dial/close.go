package dial

import (
	"errors"
	"fmt"

	"github.com/coder/websocket"

	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// ErrClosed is the end of a connection that this side closed.
var ErrClosed = errors.New("the peer was closed")

// codeAbnormal stands for the end of a connection without a close frame. It is
// never on the wire.
const codeAbnormal wire.CloseCode = 1006

// CloseError is the end of a connection that the broker, or the network, closed.
type CloseError struct {
	Code   wire.CloseCode // 1006 when there was no close frame
	Reason string
	Frame  *wire.Error // the last error frame that nobody waited for; nil when there was none
	Err    error       // what the socket said
}

// Error says how the connection ended and what the broker said before.
func (e *CloseError) Error() string {
	text := fmt.Sprintf("closed by the broker: %d %s", e.Code, e.Reason)
	if e.Code == codeAbnormal {
		text = fmt.Sprintf("connection lost: %v", e.Err)
	}
	if e.Frame != nil && e.Frame.Message != "" {
		text += " (" + e.Frame.Message + ")"
	}
	return text
}

// Unwrap returns the error of the socket.
func (e *CloseError) Unwrap() error { return e.Err }

// closeError makes sense of the error that ended the reading.
func closeError(err error, last *wire.Error) *CloseError {
	if frame, ok := errors.AsType[websocket.CloseError](err); ok {
		return &CloseError{Code: wire.CloseCode(frame.Code), Reason: frame.Reason, Frame: last, Err: err}
	}
	return &CloseError{Code: codeAbnormal, Frame: last, Err: err}
}

// RefusedError is a request that the broker answered with an error frame.
type RefusedError struct {
	Code    sdk.Reason
	Message string
}

// Error returns the code and what the broker said.
func (e *RefusedError) Error() string { return string(e.Code) + ": " + e.Message }
