package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/claudemesh/broker/core/store"
)

const (
	importSeat = `INSERT INTO topic_seat (topic_id, member_id, role, standing, joined_at, last_read_at)
		VALUES (?, ?, ?, ?, ?, ?)` + unlessHere
	importTopicKey = `INSERT INTO topic_key (` + topicKeyColumns + `) SELECT ?1, ?2, ?3, ?4, ?5
		WHERE EXISTS (SELECT 1 FROM topic_seat WHERE topic_id = ?1 AND member_id = ?2 AND standing = 'joined')` + unlessHere
	importNotification = `INSERT INTO notification (seq, member_id, mesh_id, topic_id, message_id, sender_id, sender, kind, shown_at,
			read_at)
		SELECT seq, ?3, ?4, ?1, ?2, ?5, ?6, ?7, ?8, ?9 FROM topic_message WHERE topic_id = ?1 AND id = ?2` + unlessHere
)

// Topic implements [store.ImportTopicsTx].
func (t importTx) Topic(ctx context.Context, mesh, id, name string) (*store.Topic, error) {
	found, err := scanTopic(t.tx.QueryRowContext(ctx, topicByID, id, mesh))
	if errors.Is(err, sql.ErrNoRows) {
		found, err = scanTopic(t.tx.QueryRowContext(ctx, topicNamed, mesh, name))
	}
	return found, notFound(err)
}

// PutTopic implements [store.ImportTopicsTx].
func (t importTx) PutTopic(ctx context.Context, topic *store.Topic) (bool, error) {
	return t.put(ctx, insertTopic+unlessHere, topicArgs(topic)...)
}

// PutSeat implements [store.ImportTopicsTx].
func (t importTx) PutSeat(ctx context.Context, s *store.Seat) (bool, error) {
	return t.put(ctx, importSeat, seatArgs(s)...)
}

// PutTopicKey implements [store.ImportTopicsTx].
func (t importTx) PutTopicKey(ctx context.Context, k *store.TopicKey) (bool, error) {
	return t.put(ctx, importTopicKey, topicKeyArgs(k)...)
}

// HasTopicMessage implements [store.ImportTopicsTx].
func (t importTx) HasTopicMessage(ctx context.Context, topicID, id string) (has bool, err error) {
	err = t.tx.QueryRowContext(ctx, hasTopicMessage, topicID, id).Scan(&has)
	return has, err
}

// PutTopicMessage implements [store.ImportTopicsTx].
func (t importTx) PutTopicMessage(ctx context.Context, h *store.TopicMessage) error {
	return t.commit.writeHistory(ctx, t.tx, []*store.TopicMessage{h})
}

// PutNotification implements [store.ImportTopicsTx].
func (t importTx) PutNotification(ctx context.Context, n *store.Notification) (bool, error) {
	return t.put(ctx, importNotification, n.TopicID, n.MessageID, n.MemberID, n.MeshID, n.SenderID, n.Sender, n.Kind,
		n.CreatedAt.UnixMilli(), timeArg(n.ReadAt))
}
