package feature

import (
	"context"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Topics lets members hold conversations that others join.
func Topics(r *Registry, b *TopicBook) {
	t := &topics{book: b}
	On(r, t.create).Needs(store.CanWriteState).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.TopicCreated{Error: worded(why, text)}
	})
	On(r, t.list).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.TopicListResponse{Topics: []wire.TopicRow{}, Error: worded(why, text)}
	})
	On(r, t.join).RefuseWith(refusedPresence)
	On(r, t.leave).RefuseWith(refusedPresence)
	On(r, t.members).RefuseWith(func(c *Call, why sdk.Reason, text string) wire.Frame {
		refused := wire.TopicMembersResponse{Members: []wire.TopicMemberRow{}, Error: worded(why, text)}
		if m, ok := c.Request.(*wire.TopicMembers); ok && m != nil {
			refused.Topic = m.Topic
		}
		return refused
	})
	On(r, t.history).RefuseWith(func(c *Call, why sdk.Reason, text string) wire.Frame {
		refused := wire.TopicHistoryResponse{Messages: []wire.TopicMessageRow{}, Error: worded(why, text)}
		if m, ok := c.Request.(*wire.TopicHistory); ok && m != nil {
			refused.Topic = m.Topic
		}
		return refused
	})
	On(r, t.markRead).RefuseWith(refusedPresence)
}

type topics struct{ book *TopicBook }

func (t *topics) create(ctx context.Context, c *Call, m *wire.TopicCreate) (wire.TopicCreated, error) {
	topic, fresh, err := t.book.Create(ctx, c, m.Name, m.Description, store.TopicVisibility(m.Visibility))
	if err != nil {
		return wire.TopicCreated{}, err
	}
	return wire.TopicCreated{
		Topic:   wire.TopicBrief{ID: topic.ID, Name: topic.Name, Visibility: string(topic.Visibility)},
		Created: fresh,
	}, nil
}

func (t *topics) list(ctx context.Context, c *Call, _ *wire.TopicList) (wire.TopicListResponse, error) {
	rows, err := t.book.List(ctx, c)
	if err != nil {
		return wire.TopicListResponse{}, err
	}
	described := fitting(len(rows), func(row int, add func(...string)) { add(rows[row].Topic.Name, rows[row].Topic.Description) })
	list := wire.TopicListResponse{Topics: make([]wire.TopicRow, len(rows))}
	for i, row := range rows {
		list.Topics[i] = wire.TopicRow{
			ID: row.Topic.ID, Name: row.Topic.Name, Visibility: string(row.Topic.Visibility),
			MemberCount: int64(row.Members), CreatedAt: row.Topic.CreatedAt, Role: roleShown(row.Seat), Unread: int64(row.Unread),
		}
		if i < described {
			list.Topics[i].Description = orNull(row.Topic.Description)
		}
	}
	return list, nil
}

// roleShown says in a word what a member is in a topic.
func roleShown(seat *store.Seat) string {
	switch {
	case seat == nil:
		return ""
	case seat.Standing == store.Seated:
		return string(seat.Role)
	case seat.Standing == store.Invited:
		return string(store.Invited)
	default:
		return ""
	}
}

func (t *topics) join(ctx context.Context, c *Call, m *wire.TopicJoin) (wire.Ack, error) {
	var err error
	if m.Member != "" {
		err = t.book.Invite(ctx, c, m.Topic, m.Member, store.TopicRole(m.Role))
	} else {
		err = t.book.Join(ctx, c, m.Topic, store.TopicRole(m.Role))
	}
	return presenceAck(c), err
}

func (t *topics) leave(ctx context.Context, c *Call, m *wire.TopicLeave) (wire.Ack, error) {
	var err error
	if m.Member != "" {
		err = t.book.Remove(ctx, c, m.Topic, m.Member)
	} else {
		err = t.book.Leave(ctx, c, m.Topic)
	}
	return presenceAck(c), err
}

func (t *topics) members(ctx context.Context, c *Call, m *wire.TopicMembers) (wire.TopicMembersResponse, error) {
	seats, err := t.book.Members(ctx, c, m.Topic)
	if err != nil {
		return wire.TopicMembersResponse{}, err
	}
	seats = seats[:fitting(len(seats), func(row int, add func(...string)) {
		add(seats[row].MemberID, seats[row].Key.String(), seats[row].Name)
	})]
	list := wire.TopicMembersResponse{Topic: m.Topic, Members: make([]wire.TopicMemberRow, len(seats))}
	for i, s := range seats {
		list.Members[i] = wire.TopicMemberRow{
			MemberID: s.MemberID, Pubkey: s.Key, DisplayName: s.Name, Role: string(s.Role), JoinedAt: s.JoinedAt,
		}
		if !s.LastReadAt.IsZero() {
			list.Members[i].LastReadAt = &s.LastReadAt
		}
	}
	return list, nil
}

// Limits of one answer to topic_history.
const (
	historyDefault = 50
	historyMost    = 200
)

func (t *topics) history(ctx context.Context, c *Call, m *wire.TopicHistory) (wire.TopicHistoryResponse, error) {
	limit := historyDefault
	if m.Limit != nil {
		limit = int(min(max(*m.Limit, 1), historyMost))
	}
	found, err := t.book.History(ctx, c, m.Topic, store.TopicQuery{Before: m.BeforeID, Limit: limit})
	if err != nil {
		return wire.TopicHistoryResponse{}, err
	}
	found = found[:fitting(len(found), func(row int, add func(...string)) {
		add(found[row].Message.Nonce, found[row].Message.Ciphertext, found[row].Message.SenderName, found[row].ReplyTo)
	})]
	list := wire.TopicHistoryResponse{Topic: m.Topic, Messages: make([]wire.TopicMessageRow, len(found))}
	for i, h := range found {
		list.Messages[i] = topicMessageRow(h)
	}
	return list, nil
}

func topicMessageRow(h *store.TopicMessage) wire.TopicMessageRow {
	m := h.Message
	row := wire.TopicMessageRow{
		ID: m.ID, SenderPubkey: m.SenderSession, SenderMemberID: m.SenderMemberID, SenderName: m.SenderName, Nonce: m.Nonce,
		Ciphertext: m.Ciphertext, BodyVersion: int64(h.BodyVersion), ReplyToID: h.ReplyTo, CreatedAt: m.CreatedAt,
	}
	if row.SenderPubkey.IsZero() {
		row.SenderPubkey = m.SenderMember
	}
	return row
}

func (t *topics) markRead(ctx context.Context, c *Call, m *wire.TopicMarkRead) (wire.Ack, error) {
	return presenceAck(c), t.book.MarkRead(ctx, c, m.Topic, time.Now())
}
