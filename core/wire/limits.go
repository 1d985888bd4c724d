package wire

import "github.com/claudemesh/broker/core/traceparent"

// Limits of every frame. The size of a frame as a whole is for whoever reads
// the socket.
const (
	// MaxEcho is the most bytes of an id or a _reqId, quotes included. They
	// are kept while the request is worked on, and sent back.
	MaxEcho = 256

	// MaxDepth is how deep objects and lists may nest, the frame's own object
	// included.
	MaxDepth = 32

	// MaxTrace is the most bytes of a traceparent.
	MaxTrace = traceparent.MaxSize
)

// Limits of an error's text, which goes to a stranger and into the log.
const (
	maxMessage = 200 // bytes of a DecodeError's message
	maxQuoted  = 11  // bytes of input repeated in one, with the mark of a cut: input may be a key or a token in the wrong place
)
