package feature

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

var (
	errNotInvited = core.Refuse(sdk.ReasonForbidden, "topic: who joins it has to be invited: ask one of its leads")
	errNotLead    = core.Refuse(sdk.ReasonForbidden, "topic: only its leads may do this: ask one of them")
	errNotIn      = core.Refuse(sdk.ReasonForbidden, "topic: you are not in it: send topic_join first")
	errNoMember   = core.Refuse(sdk.ReasonNotFound, "member: the mesh has no such member: want a member key or id, as topic_members has them")
)

// Join makes the member one of a topic's. A role that it has, or was invited
// with, stays; only who comes to a public topic by itself chooses to observe.
func (b *TopicBook) Join(ctx context.Context, c *Call, idOrName string, role store.TopicRole) error {
	t, err := b.find(ctx, c, idOrName)
	if err != nil {
		return err
	}
	before := t.in()
	_, err = b.change(ctx, t.Topic, c.Env.Sender.MemberID, func(seat *store.Seat) error {
		switch {
		case seat.Standing == store.Seated:
			return nil
		case seat.Standing == store.Invited:
			seat.Role = cmp.Or(seat.Role, store.TopicMember)
		case t.Visibility != store.TopicPublic:
			return errNotInvited
		case role == store.TopicLead:
			return errNotLead
		case seat.Standing == store.LeftIt && seat.Role == store.TopicObserver: // leaving makes nobody more than it was
		default:
			seat.Role = cmp.Or(role, store.TopicMember)
		}
		seat.Standing, seat.JoinedAt = store.Seated, time.Now()
		return nil
	})
	if err == nil && !before {
		b.record(c, "topic_joined", t.Topic, "")
	}
	return gone(err)
}

// Invite lets a lead invite somebody, who is in the topic when it joins; of who is
// in it, or is invited, the role changes.
func (b *TopicBook) Invite(ctx context.Context, c *Call, idOrName, member string, role store.TopicRole) error {
	t, whom, err := b.lead(ctx, c, idOrName, member)
	if err != nil {
		return err
	}
	event := ""
	_, err = b.change(ctx, t.Topic, whom, func(seat *store.Seat) error {
		event = ""
		was := *seat
		switch seat.Standing {
		case store.Seated, store.Invited:
			seat.Role = cmp.Or(role, seat.Role)
		default:
			seat.Role, seat.Standing, seat.JoinedAt = cmp.Or(role, store.TopicMember), store.Invited, time.Now()
		}
		switch {
		case was.Standing != seat.Standing:
			event = "topic_invited"
		case was.Role != seat.Role:
			event = "topic_role_changed"
		}
		return nil
	})
	if err == nil && event != "" {
		b.record(c, event, t.Topic, whom)
	}
	return err
}

// Leave ends the member's place in a topic.
func (b *TopicBook) Leave(ctx context.Context, c *Call, idOrName string) error {
	t, err := b.find(ctx, c, idOrName)
	if err != nil {
		return err
	}
	left, err := b.vacate(ctx, t.Topic, c.Env.Sender.MemberID)
	if err == nil && left {
		b.record(c, "topic_left", t.Topic, "")
	}
	return gone(err)
}

// gone returns errNoTopic where the member that asks was not found: it is there, so
// that it is the topic that ended meanwhile.
func gone(err error) error {
	if errors.Is(err, errNoMember) {
		return errNoTopic
	}
	return err
}

// Remove lets a lead end somebody's place in a topic, or take an invitation back.
func (b *TopicBook) Remove(ctx context.Context, c *Call, idOrName, member string) error {
	t, whom, err := b.lead(ctx, c, idOrName, member)
	if err != nil {
		return err
	}
	left, err := b.vacate(ctx, t.Topic, whom)
	if err == nil && left {
		b.record(c, "topic_member_removed", t.Topic, whom)
	}
	return err
}

// vacate ends a place, and reports whether there was one.
func (b *TopicBook) vacate(ctx context.Context, t *store.Topic, memberID string) (left bool, err error) {
	_, err = b.change(ctx, t, memberID, func(seat *store.Seat) error {
		left = seat.Standing == store.Seated || seat.Standing == store.Invited
		switch {
		case !left:
		case t.Everybody || seat.Role == store.TopicObserver:
			seat.Standing = store.LeftIt
		default:
			seat.Standing = store.NoSeat
		}
		return nil
	})
	return left, err
}

// change changes a seat.
func (b *TopicBook) change(ctx context.Context, t *store.Topic, memberID string, change func(*store.Seat) error) (*store.Seat, error) {
	seat, err := b.store.ChangeSeat(ctx, t, memberID, change)
	refused, isRefusal := errors.AsType[*core.Error](err)
	switch {
	case err == nil:
		return seat, nil
	case isRefusal:
		return nil, refused
	case errors.Is(err, store.ErrNotFound):
		return nil, errNoMember
	default:
		return nil, core.Unavailable(err)
	}
}

// lead returns a topic that the member leads, and the id of another member of the
// mesh, given by its key or its id.
func (b *TopicBook) lead(ctx context.Context, c *Call, idOrName, member string) (t *topicAt, whom string, err error) {
	if t, err = b.find(ctx, c, idOrName); err != nil {
		return nil, "", err
	}
	leads, err := b.leads(ctx, c, t)
	if err != nil {
		return nil, "", err
	}
	if !leads {
		return nil, "", errNotLead
	}
	key, err := sdk.ParseKey(member)
	if err != nil {
		return t, member, nil
	}
	row, err := b.store.Member(ctx, c.Env.Mesh, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, "", errNoMember
	case err != nil:
		return nil, "", core.Unavailable(err)
	}
	return t, row.ID, nil
}

// leads reports whether the member that asks leads a topic.
func (b *TopicBook) leads(ctx context.Context, c *Call, t *topicAt) (bool, error) {
	if !t.in() || t.seat.Role == store.TopicLead {
		return t.in(), nil
	}
	by, err := whoAsks(ctx, b.roster, c)
	if err != nil {
		return false, err
	}
	return by.admin(), nil
}

// readable returns a topic that the member may read.
func (b *TopicBook) readable(ctx context.Context, c *Call, idOrName string) (*topicAt, error) {
	t, err := b.find(ctx, c, idOrName)
	if err != nil {
		return nil, err
	}
	if !t.in() && t.Visibility != store.TopicPublic {
		return nil, errNotIn
	}
	return t, nil
}

// Members returns who is in a topic, by name.
func (b *TopicBook) Members(ctx context.Context, c *Call, idOrName string) ([]*store.Seat, error) {
	t, err := b.readable(ctx, c, idOrName)
	if err != nil {
		return nil, err
	}
	seats, err := b.store.Seats(ctx, t.Topic)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	return seats, nil
}

// record notes what was done to a place in a topic: the member's own, or that of
// somebody else. The log keeps no names.
func (b *TopicBook) record(c *Call, event string, t *store.Topic, whom string) {
	fields := []audit.Field{audit.String("topicId", t.ID)}
	if whom != "" {
		fields = append(fields, audit.String("memberId", whom))
	}
	c.Env.Records = append(c.Env.Records, sdk.Record{Event: event, Payload: audit.Object(fields...)})
}
