package feature

import (
	"context"
	"errors"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// History returns messages of a topic that the member may read: those that q asks
// for, whose topic and time are set here. It hears nothing in it of members that
// may not send it broadcasts.
func (b *TopicBook) History(ctx context.Context, c *Call, idOrName string, q store.TopicQuery) ([]*store.TopicMessage, error) {
	t, err := b.readable(ctx, c, idOrName)
	if err != nil {
		return nil, err
	}
	q.TopicID, q.Now = t.ID, time.Now()
	return inSight(ctx, b.hears(c), func(h *store.TopicMessage) string { return h.Message.SenderMemberID },
		func(except []string) ([]*store.TopicMessage, error) {
			q.Except = except
			return b.store.TopicHistory(ctx, q)
		})
}

// hears returns whose messages the member that asks wants to have in its topics.
// Each sender is looked up once.
func (b *TopicBook) hears(c *Call) sight {
	by, known := c.Env.Sender, map[string]bool{}
	return func(ctx context.Context, senderID string) (bool, error) {
		if senderID == "" || senderID == by.MemberID {
			return true, nil
		}
		if may, ok := known[senderID]; ok {
			return may, nil
		}
		reader, err := b.roster.MemberByID(ctx, by.MemberID)
		if err != nil {
			return false, core.Unavailable(err)
		}
		sender, err := b.roster.MemberByID(ctx, senderID)
		switch {
		case errors.Is(err, store.ErrNotFound): // it came with an import, without its member
			known[senderID] = true
			return true, nil
		case err != nil:
			return false, core.Unavailable(err)
		}
		known[senderID] = reader.Grants.Allows(sender.Key, sdk.Key{}, store.CapBroadcast)
		return known[senderID], nil
	}
}

// MarkRead notes that the member has read a topic up to a time.
func (b *TopicBook) MarkRead(ctx context.Context, c *Call, idOrName string, at time.Time) error {
	t, err := b.find(ctx, c, idOrName)
	if err != nil {
		return err
	}
	err = b.store.ReadTopic(ctx, t.Topic, c.Env.Sender.MemberID, at)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return errNotIn
	case err != nil:
		return core.Unavailable(err)
	}
	return nil
}

// notificationsMost is how many notifications one answer has.
const notificationsMost = 200

// Notifications returns what messages of topics had to say to the member, or only
// what it has not read, the newest first.
func (b *TopicBook) Notifications(ctx context.Context, c *Call, unread bool, limit int) ([]*store.Notification, error) {
	limit = min(max(limit, 1), notificationsMost)
	list, err := b.store.Notifications(ctx, c.Env.Mesh, c.Env.Sender.MemberID, unread, time.Now(), limit)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	return list, nil
}

// ReadNotifications notes that the member has read those with the ids, or all
// where none is given.
func (b *TopicBook) ReadNotifications(ctx context.Context, c *Call, ids []string) (int64, error) {
	n, err := b.store.ReadNotifications(ctx, c.Env.Mesh, c.Env.Sender.MemberID, ids, time.Now())
	if err != nil {
		return 0, core.Unavailable(err)
	}
	return n, nil
}
