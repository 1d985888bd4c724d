package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

var insertTopicMessages = statement{
	name: "batch_topic_messages",
	query: `INSERT INTO topic_message (seq, topic_id, mesh_id, id, sender_member_id, sender_key, sender_session, sender_name,
			nonce, ciphertext, bytes, body_version, reply_to, created_at, shown_at)
		SELECT seq, topic_id, mesh_id, id, sender_member_id, sender_key, sender_session, sender_name,
			nonce, ciphertext, bytes, body_version, reply_to, created_at, shown_at
		FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::bytea[], $8::text[],
			$9::bytea[], $10::bytea[], $11::bigint[], $12::smallint[], $13::text[], $14::timestamptz[], $15::timestamptz[],
			$16::bool[])
			u (seq, topic_id, mesh_id, id, sender_member_id, sender_key, sender_session, sender_name,
			nonce, ciphertext, bytes, body_version, reply_to, created_at, shown_at, remembered)` + kept + ` ON CONFLICT DO NOTHING`,
	columns: []column{int8Column, textColumn, textColumn, textColumn, textColumn, bytesColumn, bytesColumn, textColumn,
		bytesColumn, bytesColumn, int8Column, int2Column, textColumn, timeColumn, timeColumn, boolColumn},
}

var insertNotifications = statement{
	name: "batch_notifications",
	query: `INSERT INTO notification (seq, member_id, mesh_id, topic_id, message_id, sender_id, sender, kind, shown_at)
		SELECT seq, member_id, mesh_id, topic_id, message_id, sender_id, sender, kind, shown_at
		FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
			$9::timestamptz[], $10::bool[])
			u (seq, member_id, mesh_id, topic_id, message_id, sender_id, sender, kind, shown_at, remembered)` + kept +
		` ON CONFLICT DO NOTHING`,
	columns: []column{int8Column, textColumn, textColumn, textColumn, textColumn, textColumn, textColumn, textColumn,
		timeColumn, boolColumn},
}

// writeHistory writes messages of topics, and tells those whom they mention.
func (t *transaction) writeHistory(list []*store.TopicMessage) {
	if len(list) == 0 {
		return
	}
	r, mentions := &t.rows, 0
	r.begin(insertTopicMessages.columns)
	for _, h := range list {
		m := h.Message
		r.int8(m.Seq)
		r.text(h.TopicID)
		r.text(m.MeshID)
		r.text(m.ID)
		r.text(m.SenderMemberID)
		r.key(&m.SenderMember)
		r.optionalKey(&m.SenderSession)
		r.text(m.SenderName)
		r.text(m.Nonce)
		r.text(m.Ciphertext)
		r.int8(int64(len(m.Nonce) + len(m.Ciphertext)))
		r.int2(int16(h.BodyVersion))
		r.optional(h.ReplyTo)
		r.time(m.CreatedAt)
		r.time(h.ShownAt)
		r.bool(t.inSent[m.Seq])
		mentions += len(h.Mentions)
	}
	t.send(&insertTopicMessages, nil)
	if mentions > 0 {
		t.writeNotifications(list)
	}
}

func (t *transaction) writeNotifications(list []*store.TopicMessage) {
	r := &t.rows
	r.begin(insertNotifications.columns)
	for _, h := range list {
		m := h.Message
		for _, to := range h.Mentions {
			r.int8(m.Seq)
			r.text(to)
			r.text(m.MeshID)
			r.text(h.TopicID)
			r.text(m.ID)
			r.text(m.SenderMemberID)
			r.text(m.SenderName)
			r.text(store.NotificationMention)
			r.time(h.ShownAt)
			r.bool(t.inSent[m.Seq])
		}
	}
	t.send(&insertNotifications, nil)
}

const (
	historyColumns = `h.seq, h.topic_id, h.mesh_id, h.id, h.sender_member_id, h.sender_key, h.sender_session, h.sender_name,
		h.nonce, h.ciphertext, h.body_version, h.reply_to, h.created_at, h.shown_at`
	historyWhere    = ` FROM topic_message h WHERE h.topic_id = $1 AND h.shown_at <= $2 AND h.sender_member_id <> ALL ($3::text[])`
	historyFrom     = `(SELECT seq FROM topic_message WHERE topic_id = $1 AND id = $5)`
	newestMessages  = `SELECT ` + historyColumns + historyWhere + ` ORDER BY h.seq DESC LIMIT $4`
	messagesBefore  = `SELECT ` + historyColumns + historyWhere + ` AND h.seq < ` + historyFrom + ` ORDER BY h.seq DESC LIMIT $4`
	messagesAfter   = `SELECT ` + historyColumns + historyWhere + ` AND h.seq > ` + historyFrom + ` ORDER BY h.seq LIMIT $4`
	hasTopicMessage = `SELECT EXISTS (SELECT FROM topic_message WHERE topic_id = $1 AND id = $2)`

	// What is beyond the room of its topic or its mesh, counted from the newest on.
	tooMany = `SELECT seq FROM (SELECT seq, topic_id,
			row_number() OVER (PARTITION BY topic_id ORDER BY seq DESC) AS in_topic,
			row_number() OVER (PARTITION BY mesh_id ORDER BY seq DESC) AS in_mesh,
			sum(bytes) OVER (PARTITION BY mesh_id ORDER BY seq DESC) AS mesh_bytes
		FROM topic_message) h WHERE in_topic > $1 OR in_mesh > $2 OR mesh_bytes > $3 OR seq < $4
		OR topic_id NOT IN (SELECT id FROM topic) LIMIT $5`

	deleteTopicMessages = `DELETE FROM topic_message WHERE seq = ANY ($1::bigint[])`
	deleteNotifications = `DELETE FROM notification WHERE seq = ANY ($1::bigint[])`
)

// TopicHistory implements [store.Topics].
func (s *Store) TopicHistory(ctx context.Context, q store.TopicQuery) (list []*store.TopicMessage, err error) {
	defer wrap(&err, "read topic history")
	query, args := newestMessages, []any{q.TopicID, whole(q.Now), texts(q.Except), max(q.Limit, 0)}
	switch {
	case q.After != "":
		query, args = messagesAfter, append(args, q.After)
	case q.Before != "":
		query, args = messagesBefore, append(args, q.Before)
	}
	return all(ctx, s, scanTopicMessage, query, args...)
}

func scanTopicMessage(row scanner) (*store.TopicMessage, error) {
	m := new(store.Message)
	h := &store.TopicMessage{Message: m}
	err := row.Scan(&m.Seq, &h.TopicID, &m.MeshID, &m.ID, &m.SenderMemberID, (*key)(&m.SenderMember), (*key)(&m.SenderSession),
		&m.SenderName, (*opaque)(&m.Nonce), (*opaque)(&m.Ciphertext), &h.BodyVersion, (*text)(&h.ReplyTo), (*stamp)(&m.CreatedAt),
		(*stamp)(&h.ShownAt))
	if err != nil {
		return nil, err
	}
	return h, nil
}

// HasTopicMessage implements [store.Topics].
func (s *Store) HasTopicMessage(ctx context.Context, topicID, id string) (has bool, err error) {
	defer wrap(&err, "look for a topic message")
	return one(ctx, s, value[bool], hasTopicMessage, topicID, id)
}

// PruneTopics implements [store.Topics].
func (s *Store) PruneTopics(ctx context.Context, room store.TopicRoom, limit int) (n int64, err error) {
	defer wrap(&err, "prune topics")
	old, err := all(ctx, s, value[int64], tooMany, room.Topic, room.Mesh, room.Bytes, store.SeqAt(room.Since), max(limit, 0))
	if err != nil || len(old) == 0 {
		return 0, err
	}
	for some := range slices.Chunk(old, store.PruneAtOnce) {
		err := s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
			for _, query := range []string{deleteTopicMessages, deleteNotifications} {
				if _, err := tx.Exec(ctx, query, some); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return n, err
		}
		n += int64(len(some))
	}
	return n, nil
}
