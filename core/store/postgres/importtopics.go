package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const (
	importSeat = `INSERT INTO topic_seat (topic_id, member_id, role, standing, joined_at, last_read_at)
		VALUES ($1, $2, $3, $4, $5, $6)` + unlessHere
	importTopicKey = `INSERT INTO topic_key (` + topicKeyColumns + `) SELECT $1, $2, $3, $4, $5::timestamptz
		WHERE EXISTS (SELECT FROM topic_seat WHERE topic_id = $1 AND member_id = $2 AND standing = 'joined')` + unlessHere
	importTopicMessage = `INSERT INTO topic_message (seq, topic_id, mesh_id, id, sender_member_id, sender_key, sender_session,
			sender_name, nonce, ciphertext, bytes, body_version, reply_to, created_at, shown_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`
	importNotification = `INSERT INTO notification (seq, member_id, mesh_id, topic_id, message_id, sender_id, sender, kind, shown_at,
			read_at)
		SELECT seq, $3, $4, topic_id, id, $5, $6, $7, $8::timestamptz, $9::timestamptz
		FROM topic_message WHERE topic_id = $1 AND id = $2` + unlessHere
)

// Topic implements [store.ImportTopicsTx].
func (t importTx) Topic(ctx context.Context, mesh, id, name string) (*store.Topic, error) {
	found, err := scanTopic(t.tx.QueryRow(ctx, topicByID, id, mesh))
	if errors.Is(err, pgx.ErrNoRows) {
		found, err = scanTopic(t.tx.QueryRow(ctx, topicNamed, mesh, name))
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
func (t importTx) HasTopicMessage(ctx context.Context, topicID, id string) (bool, error) {
	return value[bool](t.tx.QueryRow(ctx, hasTopicMessage, topicID, id))
}

// PutTopicMessage implements [store.ImportTopicsTx].
func (t importTx) PutTopicMessage(ctx context.Context, h *store.TopicMessage) error {
	m := h.Message
	_, err := t.tx.Exec(ctx, importTopicMessage, m.Seq, h.TopicID, m.MeshID, m.ID, m.SenderMemberID, m.SenderMember[:],
		keyArg(m.SenderSession), m.SenderName, []byte(m.Nonce), []byte(m.Ciphertext), int64(len(m.Nonce)+len(m.Ciphertext)),
		int16(h.BodyVersion), textArg(h.ReplyTo), whole(m.CreatedAt), whole(h.ShownAt))
	return err
}

// PutNotification implements [store.ImportTopicsTx].
func (t importTx) PutNotification(ctx context.Context, n *store.Notification) (bool, error) {
	return t.put(ctx, importNotification, n.TopicID, n.MessageID, n.MemberID, n.MeshID, n.SenderID, n.Sender, n.Kind,
		whole(n.CreatedAt), timeArg(n.ReadAt))
}
