package feature

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Peer is the connection that a request came over.
type Peer interface {
	presence.Conn
	ID() uint64
	Local() bool // from this machine, and through no proxy
}

// Call is one request on its way to its answer: the body of its envelope. The
// goroutine that reads the connection owns it until the answer is decided.
type Call struct {
	Env     *sdk.Envelope
	Session *presence.Session // nil before the hello
	Peer    Peer              // nil for HTTP
	Request any               // the decoded message, a pointer to its wire struct
	ID      jsontext.Value    // "id" of the frame, raw; nil when it had none
	ReqID   jsontext.Value    // "_reqId" of the frame, raw; nil when it had none

	// Hello is the frame of a hello as it came, for stages that may see it. It is
	// valid while the chain runs.
	Hello []byte

	// Outside is the plugin that owns the kind of a frame, nil for the broker's own
	// kinds, and Body that frame as it came. Body is also there while a frame is
	// refused that cannot be read.
	Outside *chain.Outside
	Body    []byte

	// HTTP is how the request came; nil for frames.
	HTTP *HTTP

	// Post is the message that the broker itself sends for a member; nil for what
	// peers ask.
	Post *Post

	// Member is who says hello, or who asks over HTTP. Set by the stage that
	// proved it.
	Member *store.Member

	// TurnedAway is who has proved itself with a hello and may not come in any
	// more, for the list of refusals alone.
	TurnedAway *store.Member

	// What the handler leaves for after its answer is decided.

	// Bound is the session that a hello began or took up again.
	Bound *presence.Session

	// Accepted is a message whose answer has to wait for the disk.
	Accepted *delivery.Acceptance

	// Earlier is a send that this one repeats; the answer waits for it.
	Earlier *delivery.Earlier

	// topic is what a send to a topic found when its audience was resolved.
	topic *topicSend

	// AwaitDisk says that the answer promises something that goes to disk with
	// the next transaction.
	AwaitDisk bool

	// Traced says that the envelope has spans.
	Traced bool

	// Err is the cause of a refusal, for the log.
	Err error

	// Detail is what the handler's refusal says to HTTP callers beside its text.
	Detail string

	// After runs behind the answer, on the same goroutine.
	After func()
}

// Of returns the call that an envelope belongs to, nil for envelopes that the
// broker made itself.
func Of(env *sdk.Envelope) *Call {
	c, _ := env.Body.(*Call)
	return c
}
