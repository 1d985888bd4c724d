package sqlite

import (
	"context"
	"database/sql"
	"slices"

	"github.com/claudemesh/broker/core/store"
)

const (
	insertTopicMessages = `INSERT INTO topic_message (seq, topic_id, mesh_id, id, sender_member_id, sender_key, sender_session,
		sender_name, nonce, ciphertext, bytes, body_version, reply_to, created_at, shown_at) VALUES `
	insertNotifications = `INSERT INTO notification (seq, member_id, mesh_id, topic_id, message_id, sender_id, sender, kind,
		shown_at) VALUES `

	historyColumns = `h.seq, h.topic_id, h.mesh_id, h.id, h.sender_member_id, h.sender_key, h.sender_session, h.sender_name,
		h.nonce, h.ciphertext, h.body_version, h.reply_to, h.created_at, h.shown_at`
	historyWhere = ` FROM topic_message h WHERE h.topic_id = ?1 AND h.shown_at <= ?2
		AND h.sender_member_id NOT IN (SELECT value FROM json_each(?3))`
	historyFrom     = `(SELECT seq FROM topic_message WHERE topic_id = ?1 AND id = ?5)`
	newestMessages  = `SELECT ` + historyColumns + historyWhere + ` ORDER BY h.seq DESC LIMIT ?4`
	messagesBefore  = `SELECT ` + historyColumns + historyWhere + ` AND h.seq < ` + historyFrom + ` ORDER BY h.seq DESC LIMIT ?4`
	messagesAfter   = `SELECT ` + historyColumns + historyWhere + ` AND h.seq > ` + historyFrom + ` ORDER BY h.seq LIMIT ?4`
	hasTopicMessage = `SELECT EXISTS (SELECT 1 FROM topic_message WHERE topic_id = ? AND id = ?)`

	// What is beyond the room of its topic or its mesh, counted from the newest on.
	tooMany = `SELECT seq FROM (SELECT seq, topic_id,
			row_number() OVER (PARTITION BY topic_id ORDER BY seq DESC) AS in_topic,
			row_number() OVER (PARTITION BY mesh_id ORDER BY seq DESC) AS in_mesh,
			sum(bytes) OVER (PARTITION BY mesh_id ORDER BY seq DESC) AS mesh_bytes
		FROM topic_message) WHERE in_topic > ?1 OR in_mesh > ?2 OR mesh_bytes > ?3 OR seq < ?4
		OR topic_id NOT IN (SELECT id FROM topic) LIMIT ?5`

	deleteTopicMessage  = `DELETE FROM topic_message WHERE seq = ?`
	deleteNotifications = `DELETE FROM notification WHERE seq = ?`
)

// TopicHistory implements [store.Topics].
func (s *Store) TopicHistory(ctx context.Context, q store.TopicQuery) (list []*store.TopicMessage, err error) {
	defer wrap(&err, "read topic history")
	query, args := newestMessages, []any{q.TopicID, q.Now.UnixMilli(), texts(q.Except), max(q.Limit, 0)}
	switch {
	case q.After != "":
		query, args = messagesAfter, append(args, q.After)
	case q.Before != "":
		query, args = messagesBefore, append(args, q.Before)
	}
	rows, err := s.read.QueryContext(ctx, query, args...)
	return collect(rows, err, scanTopicMessage)
}

func scanTopicMessage(row scanner) (*store.TopicMessage, error) {
	m := new(store.Message)
	h := &store.TopicMessage{Message: m}
	err := row.Scan(&m.Seq, &h.TopicID, &m.MeshID, &m.ID, &m.SenderMemberID, (*key)(&m.SenderMember), (*key)(&m.SenderSession),
		&m.SenderName, &m.Nonce, &m.Ciphertext, &h.BodyVersion, (*text)(&h.ReplyTo), (*millis)(&m.CreatedAt), (*millis)(&h.ShownAt))
	if err != nil {
		return nil, err
	}
	return h, nil
}

// HasTopicMessage implements [store.Topics].
func (s *Store) HasTopicMessage(ctx context.Context, topicID, id string) (has bool, err error) {
	defer wrap(&err, "look for a topic message")
	err = s.read.QueryRowContext(ctx, hasTopicMessage, topicID, id).Scan(&has)
	return has, err
}

// PruneTopics implements [store.Topics].
func (s *Store) PruneTopics(ctx context.Context, room store.TopicRoom, limit int) (n int64, err error) {
	defer wrap(&err, "prune topics")
	rows, err := s.read.QueryContext(ctx, tooMany, room.Topic, room.Mesh, room.Bytes, store.SeqAt(room.Since), max(limit, 0))
	old, err := collect(rows, err, func(row scanner) (seq int64, err error) { return seq, row.Scan(&seq) })
	if err != nil || len(old) == 0 {
		return 0, err
	}
	for some := range slices.Chunk(old, store.PruneAtOnce) {
		err := s.update(ctx, func(ctx context.Context, tx *sql.Tx) error { return deleteHistory(ctx, tx, some) })
		if err != nil {
			return n, err
		}
		n += int64(len(some))
	}
	return n, nil
}

func deleteHistory(ctx context.Context, tx *sql.Tx, old []int64) error {
	for _, seq := range old {
		for _, query := range []string{deleteTopicMessage, deleteNotifications} {
			if _, err := tx.ExecContext(ctx, query, seq); err != nil {
				return err
			}
		}
	}
	return nil
}

func topicMessageArgs(args []any, h *store.TopicMessage) []any {
	m := h.Message
	return append(args, m.Seq, h.TopicID, m.MeshID, m.ID, m.SenderMemberID, m.SenderMember.String(), keyArg(m.SenderSession),
		m.SenderName, m.Nonce, m.Ciphertext, int64(len(m.Nonce)+len(m.Ciphertext)), int64(h.BodyVersion), textArg(h.ReplyTo),
		m.CreatedAt.UnixMilli(), h.ShownAt.UnixMilli())
}

// writeHistory writes messages of topics, and tells those whom they mention.
func (c *committer) writeHistory(ctx context.Context, tx *sql.Tx, history []*store.TopicMessage) error {
	if len(history) == 0 {
		return nil
	}
	if err := write(ctx, tx, &c.history, history, topicMessageArgs); err != nil {
		return err
	}
	return write(ctx, tx, &c.notifications, mentionsOf(history), notificationArgs)
}

// mention is one row of notification.
type mention struct {
	in *store.TopicMessage
	to string
}

func mentionsOf(history []*store.TopicMessage) (list []mention) {
	for _, h := range history {
		for _, to := range h.Mentions {
			list = append(list, mention{h, to})
		}
	}
	return list
}

func notificationArgs(args []any, n mention) []any {
	m := n.in.Message
	return append(args, m.Seq, n.to, m.MeshID, n.in.TopicID, m.ID, m.SenderMemberID, m.SenderName, store.NotificationMention,
		n.in.ShownAt.UnixMilli())
}
