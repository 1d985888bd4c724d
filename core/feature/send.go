package feature

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/bucket"
	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// SendOptions are the limits of messages.
type SendOptions struct {
	MessageBytes  int  // most bytes of ciphertext, nonce and target together
	RefuseOffline bool // refuse messages to members that are not connected
	Gate          Gate // nil lets every message pass
}

// Gate has the last word before a message is accepted: since its frame was read
// it may have waited for a plugin.
type Gate interface {
	// Admit returns why a session's message may not be accepted, for the sender. If
	// it returns nil, the message must be accepted at once. The session is nil for
	// what the broker sends for a member.
	Admit(from *presence.Session) error
}

// Send accepts messages, and takes their confirmations.
func Send(r *Registry, e *delivery.Engine, o SendOptions) {
	s := &sends{engine: e, options: o, drops: newDrops()}
	r.pretend = s.pretend
	On(r, s.send).Needs(store.CanSend).RefuseWith(refusedAck)
	On(r, clientAck)
}

type sends struct {
	engine  *delivery.Engine
	options SendOptions
	drops   *bucket.Set[memberID] // how many messages of members were dropped lately
}

// send accepts one message. Its ack is written when the message is on disk.
func (s *sends) send(ctx context.Context, c *Call, m *wire.Send) (wire.Ack, error) {
	if err := s.fits(m); err != nil {
		return wire.Ack{}, err
	}
	audience, err := s.audience(ctx, c)
	if err != nil {
		return wire.Ack{}, err
	}
	var history *store.TopicMessage
	if c.topic != nil {
		if history, err = c.topic.history(ctx, c, m, audience); err != nil {
			return wire.Ack{}, err
		}
	}
	if m.ClientMessageID != "" {
		earlier, err := s.earlier(ctx, c, m)
		if earlier != nil || err != nil {
			c.Earlier = earlier
			return wire.Ack{ID: ackID(c), Queued: true}, err
		}
	}
	if err := s.admit(c, m); err != nil {
		return wire.Ack{}, err
	}
	c.Env.MessageID = identity.NewMessageID(c.Env.Arrived)
	message := messageOf(c, m)
	if c.Post != nil {
		message.Extra = c.Post.extra(c.Env.Sender.MemberID, audience)
	}
	if history != nil {
		c.topic.adorn(message, history)
	}
	c.Accepted = s.engine.Accept(message, audience, c.box(), c.Env.Arrived)
	c.Accepted.Keep(history)
	return wire.Ack{ID: ackID(c), MessageID: c.Env.MessageID, Queued: true}, nil
}

// fits refuses what is larger than a message may be.
func (s *sends) fits(m *wire.Send) error {
	if n := len(m.Ciphertext) + len(m.Nonce) + len(m.TargetSpec); n > s.options.MessageBytes {
		return core.Refuse(sdk.ReasonTooLarge, fmt.Sprintf(
			"payload too large: %d bytes > MAX_MESSAGE_BYTES=%d: invalid message, send less at a time", n, s.options.MessageBytes))
	}
	return nil
}

// messageOf is what is kept of a send.
func messageOf(c *Call, m *wire.Send) *store.Message {
	env := c.Env
	message := &store.Message{
		ID: env.MessageID, MeshID: env.Mesh,
		SenderMemberID: env.Sender.MemberID, SenderMember: env.Sender.Member,
		SenderSession: env.Sender.Session, SenderName: env.Sender.Name,
		TargetSpec: m.TargetSpec, Priority: env.Priority, Nonce: m.Nonce, Ciphertext: m.Ciphertext,
		ClientMessageID: m.ClientMessageID, Fingerprint: m.RequestFingerprint,
		ReplyTo: m.ReplyToID, Trace: env.Trace, Traced: c.Traced, NotBefore: env.HoldUntil,
	}
	if c.Traced {
		message.AcceptedAt = time.Now()
	}
	return message
}

// admit asks the gate, and gives up what was reserved for a message that may not
// pass.
func (s *sends) admit(c *Call, m *wire.Send) error {
	if s.options.Gate == nil {
		return nil
	}
	err := s.options.Gate.Admit(c.Session)
	if err != nil && m.ClientMessageID != "" {
		s.engine.Release(c.Env.Mesh, c.Env.Sender.MemberID, m.ClientMessageID)
	}
	return err
}

// audience returns who gets the message, or why nobody can.
func (s *sends) audience(ctx context.Context, c *Call) ([]sdk.Recipient, error) {
	list, err := c.Env.Audience(ctx)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	return s.reached(c, list)
}

// reached returns who of those whom a target means gets the message, or why nobody
// can.
func (s *sends) reached(c *Call, list []sdk.Recipient) ([]sdk.Recipient, error) {
	switch c.Env.Target.Kind {
	case sdk.TargetKey:
		if len(list) == 0 || c.Env.Target.Key == c.Env.Sender.Session {
			return nil, core.Refuse(sdk.ReasonNoRecipient,
				"no connected peer for target: invalid key, nobody else in this mesh has it")
		}
		if s.options.RefuseOffline && !s.engine.Connected(c.Env.Mesh, c.Env.Target.Key) {
			return nil, core.Refuse(sdk.ReasonRecipientAway,
				"no connected peer for target: this broker keeps no messages for members that are away, try again later")
		}
	case sdk.TargetTopic:
		if err := c.topic.mayReach(); err != nil {
			return nil, err
		}
		if s.options.RefuseOffline {
			list = slices.DeleteFunc(list, func(r sdk.Recipient) bool { return !s.engine.Connected(c.Env.Mesh, r.Member) })
		}
	default: // whoever a group or everybody means, possibly nobody
	}
	return list, nil
}

const textIDReused = "idempotency_key_reused: invalid client_message_id, it was used for another message"

// RefuseReusedID is the refusal of a send whose client_message_id turns out,
// when it is written, to be another message's.
func RefuseReusedID() sdk.Decision { return sdk.Refuse(sdk.ReasonIDReused, textIDReused) }

// earlier finds the send that this one repeats.
func (s *sends) earlier(ctx context.Context, c *Call, m *wire.Send) (*delivery.Earlier, error) {
	e, err := s.engine.Earlier(ctx, c.Env.Mesh, c.Env.Sender.MemberID, m.ClientMessageID, m.RequestFingerprint)
	switch {
	case errors.Is(err, delivery.ErrFingerprint):
		return nil, core.Refuse(sdk.ReasonIDReused, textIDReused)
	case err != nil:
		return nil, core.Unavailable(err)
	}
	return e, nil
}

// ackID returns the id that an ack carries: an empty text when the send had none.
func ackID(c *Call) []byte {
	if c.ID == nil {
		return []byte(`""`)
	}
	return c.ID
}

// refusedAck refuses a send in the shape that its sender waits for: the word
// first, then prose.
func refusedAck(c *Call, r sdk.Reason, text string) wire.Frame {
	return wire.Ack{ID: ackID(c), Error: worded(r, text)}
}

// worded puts the reason in front of a text that does not begin with it, unless
// it begins with words that clients look for.
func worded(r sdk.Reason, text string) string {
	switch r {
	case sdk.ReasonRateLimit, sdk.ReasonTooLarge, sdk.ReasonNoRecipient, sdk.ReasonRecipientAway,
		sdk.ReasonBlocked, sdk.ReasonIDReused:
		return text
	default:
		return string(r) + ": " + text
	}
}

// clientAck confirms a push. It can confirm only what this session was sent.
func clientAck(_ context.Context, c *Call, m *wire.ClientAck) (Silent, error) {
	if m.BrokerMessageID != "" || m.ClientMessageID != "" {
		c.Session.Box.Acked(m.BrokerMessageID, m.ClientMessageID)
	}
	return Silent{}, nil
}
