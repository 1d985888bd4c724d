package feature

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/bucket"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Limits of messages to topics.
const (
	// topicQueues is how many members a topic may have for its messages to wait for
	// those that are away. A row for each of them with each message would let one
	// sender fill the disk for all; of larger topics who is away reads the history.
	topicQueues = 1000

	mentionsMost = 32 // members that one message tells

	// How often one member may have the store asked whom its messages to topics are
	// for, with all its sessions on this node: a chain may ask before its rate limit.
	topicLookRate  = 200 // a second
	topicLookBurst = 2000
	topicLookers   = 1 << 16 // members that are remembered

	bodyPlain, bodySealed = 1, 2 // bodyVersion
)

// topicSend is what a message to a topic needs beside its audience.
type topicSend struct {
	book    *TopicBook
	topic   *store.Topic
	seats   []*store.Seat
	refused *core.Error // why the sender may not send there; nil when it may
}

// TopicAudience finds out whom a message to a topic is for. It implements
// [sdk.Resolver] for targets that are topics.
type TopicAudience struct {
	book  *TopicBook
	dir   *presence.Directory
	looks *bucket.Set[memberID]
}

// NewTopicAudience returns the audience of topics.
func NewTopicAudience(b *TopicBook, dir *presence.Directory) *TopicAudience {
	return &TopicAudience{b, dir, newTopicLooks(topicLookBurst)}
}

func newTopicLooks(burst int) *bucket.Set[memberID] {
	return bucket.New[memberID](bucket.Size{Count: topicLookRate, Per: time.Second, Burst: burst, Most: topicLookers}, time.Now())
}

var _ sdk.Resolver = (*TopicAudience)(nil)

// Resolve implements [sdk.Resolver]: the members of the topic, each with all its
// sessions, and the sender's own other sessions. Who may not send to the topic, or
// sends too much to topics, reaches nobody; the handler says why.
func (a *TopicAudience) Resolve(ctx context.Context, env *sdk.Envelope, dst []sdk.Recipient) ([]sdk.Recipient, error) {
	send, err := a.look(ctx, env)
	if err != nil {
		return nil, err
	}
	call := Of(env)
	if call != nil {
		call.topic = send
	}
	if send.refused != nil {
		return dst, nil
	}
	var tagged []string
	if call != nil && len(send.seats) > topicQueues {
		tagged = send.mentioned(call)
	}
	for _, seat := range send.seats {
		switch {
		case seat.MemberID == env.Sender.MemberID:
		case len(send.seats) > topicQueues && !a.here(env.Mesh, seat.Key) && !slices.Contains(tagged, seat.MemberID):
		default:
			dst = append(dst, sdk.Recipient{MemberID: seat.MemberID, Member: seat.Key})
		}
	}
	return a.dir.Siblings(env.Mesh, env.Sender.Member, env.Sender.Session, dst), nil
}

func (a *TopicAudience) here(mesh string, member sdk.Key) bool {
	_, here := a.dir.Here(mesh, member)
	return here
}

// look finds the topic with its members. The error is the store's.
func (a *TopicAudience) look(ctx context.Context, env *sdk.Envelope) (*topicSend, error) {
	if wait, ok := a.looks.Take(memberID(env.Sender.MemberID), env.Arrived); !ok {
		return &topicSend{refused: &core.Error{
			Code: sdk.ReasonRateLimit, RetryAfter: wait, Message: "rate_limit: too many messages to topics: send less often",
		}}, nil
	}
	topic, err := a.book.look(ctx, env.Mesh, env.Target.Name)
	if errors.Is(err, errNoTopic) {
		return &topicSend{refused: errNoTopic}, nil
	}
	if err != nil {
		return nil, err
	}
	seats, err := a.book.store.Seats(ctx, topic)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	send := &topicSend{book: a.book, topic: topic, seats: seats}
	send.refused, err = send.mayNot(ctx, env.Sender.MemberID)
	return send, err
}

var (
	errNotInToSend = core.Refuse(sdk.ReasonForbidden, "invalid target: you are not in this topic: send topic_join first")
	errObserver    = core.Refuse(sdk.ReasonForbidden, "invalid target: observers of a topic send nothing to it: ask one of its leads for another role")
)

// mayNot returns why a member may not send to the topic, nil when it may.
func (s *topicSend) mayNot(ctx context.Context, memberID string) (*core.Error, error) {
	i := slices.IndexFunc(s.seats, func(seat *store.Seat) bool { return seat.MemberID == memberID })
	if i >= 0 {
		if s.seats[i].Role == store.TopicObserver {
			return errObserver, nil
		}
		return nil, nil
	}
	seat, err := s.book.store.Seat(ctx, s.topic, memberID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return errNoTopic, nil
	case err != nil:
		return nil, core.Unavailable(err)
	case !mayKnow(s.topic, seat):
		return errNoTopic, nil
	}
	return errNotInToSend, nil
}

// history returns what the topic keeps of a message that is about to be accepted,
// or why it may not be. The message itself is still to be set.
func (s *topicSend) history(ctx context.Context, c *Call, m *wire.Send, audience []sdk.Recipient) (*store.TopicMessage, error) {
	h := &store.TopicMessage{TopicID: s.topic.ID, BodyVersion: bodyPlain, ReplyTo: m.ReplyToID}
	switch {
	case m.BodyVersion == bodySealed && s.topic.KeyPubkey == "":
		return nil, core.Refuse(sdk.ReasonInvalid, "invalid bodyVersion: the topic has no key, send 1")
	case m.BodyVersion == bodySealed:
		h.BodyVersion = bodySealed
	case m.BodyVersion != 0 && m.BodyVersion != bodyPlain:
		return nil, core.Refuse(sdk.ReasonInvalid, "invalid bodyVersion: want 1 or 2")
	}
	if m.ReplyToID != "" {
		there, err := s.book.store.HasTopicMessage(ctx, s.topic.ID, m.ReplyToID)
		if err != nil {
			return nil, core.Unavailable(err)
		}
		if !there {
			return nil, core.Refuse(sdk.ReasonInvalid, "invalid replyToId: the topic has no message with this id, send it without")
		}
	}
	for _, id := range s.mentioned(c) {
		if slices.ContainsFunc(audience, func(r sdk.Recipient) bool { return r.MemberID == id }) {
			h.Mentions = append(h.Mentions, id)
		}
	}
	return h, nil
}

// mentioned returns the ids of the members whose names a send mentions, without
// the sender. Names count in any case, with or without an @ in front.
func (s *topicSend) mentioned(c *Call) (ids []string) {
	m, ok := c.Request.(*wire.Send)
	if !ok || len(m.Mentions) == 0 {
		return nil
	}
	for _, seat := range s.seats {
		if seat.MemberID == c.Env.Sender.MemberID || len(ids) == mentionsMost {
			continue
		}
		if slices.ContainsFunc(m.Mentions, func(name string) bool {
			return strings.EqualFold(strings.TrimPrefix(name, "@"), seat.Name)
		}) {
			ids = append(ids, seat.MemberID)
		}
	}
	return ids
}

// mayReach returns why the sender of a message may not send it to its topic. A nil
// topicSend is that of a broker without topics.
func (s *topicSend) mayReach() error {
	switch {
	case s == nil:
		return errNoTopic
	case s.refused != nil:
		return s.refused
	default:
		return nil
	}
}

// adorn sets what recipients are told beside the message.
func (s *topicSend) adorn(m *store.Message, h *store.TopicMessage) {
	e := new(store.Extra)
	if m.Extra != nil {
		*e = *m.Extra
	}
	e.Topic, e.BodyVersion = s.topic.Name, int64(h.BodyVersion)
	for _, seat := range s.seats {
		if slices.Contains(h.Mentions, seat.MemberID) {
			e.Mentions = append(e.Mentions, seat.Key)
		}
	}
	m.Extra = e
}
