package feature

import (
	"context"
	"slices"

	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Poster sends messages for members that have no connection at hand: a schedule
// that fires, a webhook that comes in, a request over HTTP. Methods may be called
// concurrently.
type Poster interface {
	// Post takes a message through the whole chain, as if its member had sent it,
	// and returns its id when it is on disk. A refusal is a [*core.Error], with
	// RetryAfter where waiting helps; any other end is one too, as unavailable.
	//
	// Whoever gives a ClientMessageID may post again after a crash, or on another
	// node: it is one message, as long as sends are remembered.
	Post(ctx context.Context, p *Post) (messageID string, err error)
}

// Post is a message that the broker sends for a member. Its recipients include the
// member's own sessions where the target names them.
type Post struct {
	Mesh    string
	Member  sdk.Key // who it is from; a member that is not live any more sends nothing
	Message wire.Send

	// Own says that what goes to everybody, or to a group, reaches the sessions of the
	// member itself too.
	Own bool

	// Extra is kept with the message; nil for one like any other. Post must not be
	// changed after the call.
	Extra *store.Extra
}

// extra is what is kept with the message of a member for an audience.
func (p *Post) extra(member string, audience []sdk.Recipient) *store.Extra {
	if !slices.ContainsFunc(audience, func(r sdk.Recipient) bool { return r.MemberID == member }) {
		return p.Extra
	}
	var e store.Extra
	if p.Extra != nil {
		e = *p.Extra
	}
	e.Posted = true
	return &e
}

// box returns the sender's own mailbox, which never gets its message back; nil
// for what the broker sends.
func (c *Call) box() *delivery.Mailbox {
	if c.Session == nil {
		return nil
	}
	return c.Session.Box
}
