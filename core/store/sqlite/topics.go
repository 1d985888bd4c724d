package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/claudemesh/broker/core/store"
)

const topicColumns = `t.id, t.mesh_id, t.name, t.description, t.visibility, t.creator_id, t.key_pubkey, t.everybody, t.created_at,
	t.archived_at`

const (
	insertTopic = `INSERT INTO topic (id, mesh_id, name, description, visibility, creator_id, key_pubkey, everybody, created_at,
		archived_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	topicNamed    = `SELECT ` + topicColumns + ` FROM topic t WHERE t.mesh_id = ? AND t.name = ?`
	topicByID     = `SELECT ` + topicColumns + ` FROM topic t WHERE t.id = ? AND t.mesh_id = ?`
	countTopics   = `SELECT count(*) FROM topic WHERE mesh_id = ?`
	countTopicsOf = `SELECT count(*) FROM topic WHERE mesh_id = ? AND creator_id = ?`

	// Who has no row has a seat where everybody has one.
	topicMembers = `CASE WHEN t.everybody
		THEN (SELECT count(*) FROM member m LEFT JOIN topic_seat o ON o.topic_id = t.id AND o.member_id = m.id
			WHERE m.mesh_id = t.mesh_id AND m.revoked_at IS NULL AND ifnull(o.standing, 'joined') = 'joined')
		ELSE (SELECT count(*) FROM topic_seat o JOIN member m ON m.id = o.member_id
			WHERE o.topic_id = t.id AND o.standing = 'joined' AND m.revoked_at IS NULL) END`

	// A seq is microseconds x 1024.
	topicUnread = `(SELECT count(*) FROM (SELECT 1 FROM topic_message h WHERE h.topic_id = t.id
		AND h.seq > max(ifnull(s.joined_at, m.joined_at), ifnull(s.last_read_at, 0)) * 1000 * 1024
		AND h.sender_member_id <> m.id LIMIT ?3))`

	listTopics = `SELECT ` + topicColumns + `, ` + topicMembers + `, ` + topicUnread + `, ` + seatColumns + `
		FROM member m CROSS JOIN topic t LEFT JOIN topic_seat s ON s.topic_id = t.id AND s.member_id = m.id
		WHERE m.id = ?2 AND t.mesh_id = ?1 AND m.mesh_id = ?1 AND t.archived_at IS NULL
		AND (t.visibility = 'public' OR s.standing IN ('joined', 'invited')) ORDER BY t.name LIMIT ?4`
)

// CreateTopic implements [store.Topics].
func (s *Store) CreateTopic(ctx context.Context, t *store.Topic, seat *store.Seat, key *store.TopicKey, room store.Room) (found *store.Topic, fresh bool, err error) {
	defer wrap(&err, "create topic")
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var err error
		found, err = scanTopic(tx.QueryRowContext(ctx, topicNamed, t.MeshID, t.Name))
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := roomForTopic(ctx, tx, t, room); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, insertTopic, topicArgs(t)...); err != nil {
			return err
		}
		if seat != nil {
			if _, err := tx.ExecContext(ctx, putSeat, seatArgs(seat)...); err != nil {
				return err
			}
		}
		if key != nil {
			if _, err := tx.ExecContext(ctx, insertTopicKey, topicKeyArgs(key)...); err != nil {
				return err
			}
		}
		found, fresh = t, true
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	return found, fresh, nil
}

func roomForTopic(ctx context.Context, tx *sql.Tx, t *store.Topic, room store.Room) error {
	var mesh, member int
	if err := tx.QueryRowContext(ctx, countTopics, t.MeshID).Scan(&mesh); err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, countTopicsOf, t.MeshID, t.CreatorID).Scan(&member); err != nil {
		return err
	}
	return room.Fits(mesh, member)
}

func topicArgs(t *store.Topic) []any {
	return []any{
		t.ID, t.MeshID, t.Name, t.Description, string(t.Visibility), t.CreatorID, t.KeyPubkey, t.Everybody,
		t.CreatedAt.UnixMilli(), timeArg(t.ArchivedAt),
	}
}

// FindTopic implements [store.Topics].
func (s *Store) FindTopic(ctx context.Context, mesh, idOrName string) (t *store.Topic, err error) {
	defer wrap(&err, "find topic")
	t, err = scanTopic(s.read.QueryRowContext(ctx, topicByID, idOrName, mesh))
	if errors.Is(err, sql.ErrNoRows) {
		t, err = scanTopic(s.read.QueryRowContext(ctx, topicNamed, mesh, idOrName))
	}
	if err == nil && !t.ArchivedAt.IsZero() {
		return nil, sql.ErrNoRows
	}
	return t, err
}

// ListTopics implements [store.Topics].
func (s *Store) ListTopics(ctx context.Context, mesh, memberID string, limit int) (list []*store.TopicRow, err error) {
	defer wrap(&err, "list topics")
	rows, err := s.read.QueryContext(ctx, listTopics, mesh, memberID, store.MostUnread, max(limit, 0))
	return collect(rows, err, func(row scanner) (*store.TopicRow, error) {
		t, seat, sum := new(store.Topic), new(store.Seat), new(store.TopicRow)
		fields := append(topicFields(t), &sum.Members, &sum.Unread)
		if err := row.Scan(append(fields, seatFields(seat)...)...); err != nil {
			return nil, err
		}
		sum.Topic = t
		if seat = seat.At(t); seat.Standing != store.NoSeat {
			sum.Seat = seat
		}
		if seat.Standing != store.Seated {
			sum.Unread = 0
		}
		return sum, nil
	})
}

func topicFields(t *store.Topic) []any {
	return []any{
		&t.ID, &t.MeshID, &t.Name, &t.Description, &t.Visibility, &t.CreatorID, &t.KeyPubkey, &t.Everybody,
		(*millis)(&t.CreatedAt), (*millis)(&t.ArchivedAt),
	}
}

func scanTopic(row scanner) (*store.Topic, error) {
	t := new(store.Topic)
	if err := row.Scan(topicFields(t)...); err != nil {
		return nil, err
	}
	return t, nil
}

const topicKeyColumns = `topic_id, member_id, encrypted, nonce, created_at`

const (
	insertTopicKey = `INSERT INTO topic_key (` + topicKeyColumns + `) VALUES (?, ?, ?, ?, ?)`
	topicKey       = `SELECT ` + topicKeyColumns + ` FROM topic_key WHERE topic_id = ? AND member_id = ?`
	deleteTopicKey = `DELETE FROM topic_key WHERE topic_id = ? AND member_id = ?`

	// A key that nobody has any more is as good as none.
	claimTopicKey = `UPDATE topic SET key_pubkey = ?1 WHERE id = ?2 AND (key_pubkey = '' OR NOT EXISTS (
		SELECT 1 FROM topic_key k JOIN member m ON m.id = k.member_id WHERE k.topic_id = ?2 AND m.revoked_at IS NULL))`
)

// TopicKey implements [store.Topics].
func (s *Store) TopicKey(ctx context.Context, topicID, memberID string) (k *store.TopicKey, err error) {
	defer wrap(&err, "read topic key")
	k = new(store.TopicKey)
	err = s.read.QueryRowContext(ctx, topicKey, topicID, memberID).
		Scan(&k.TopicID, &k.MemberID, &k.Encrypted, &k.Nonce, (*millis)(&k.CreatedAt))
	if err != nil {
		return nil, err
	}
	return k, nil
}

// SealTopicKey implements [store.Topics].
func (s *Store) SealTopicKey(ctx context.Context, t *store.Topic, k *store.TopicKey) (err error) {
	defer wrap(&err, "seal topic key")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error { return sealTopicKey(ctx, tx, t, k) })
}

func sealTopicKey(ctx context.Context, tx *sql.Tx, t *store.Topic, k *store.TopicKey) error {
	seat, err := openSeat(ctx, tx, t, k.MemberID)
	if err != nil {
		return err
	}
	if seat.Standing != store.Seated {
		return store.ErrNotFound
	}
	_, err = tx.ExecContext(ctx, insertTopicKey, topicKeyArgs(k)...)
	return err
}

// ClaimTopicKey implements [store.Topics].
func (s *Store) ClaimTopicKey(ctx context.Context, t *store.Topic, pubkey string, k *store.TopicKey) (err error) {
	defer wrap(&err, "claim topic key")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		err := changed(tx.ExecContext(ctx, claimTopicKey, pubkey, t.ID))
		if errors.Is(err, store.ErrNotFound) {
			return store.ErrConflict
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, endTopicKeys, t.ID); err != nil {
			return err
		}
		return sealTopicKey(ctx, tx, t, k)
	})
}

func topicKeyArgs(k *store.TopicKey) []any {
	return []any{k.TopicID, k.MemberID, k.Encrypted, k.Nonce, k.CreatedAt.UnixMilli()}
}

const notificationColumns = `n.seq, n.mesh_id, n.topic_id, t.name, n.message_id, n.member_id, n.sender_id, n.sender, n.kind,
	n.shown_at, n.read_at`

const (
	listNotifications = `SELECT ` + notificationColumns + ` FROM notification n CROSS JOIN topic t ON t.id = n.topic_id
		WHERE n.member_id = ?1 AND n.mesh_id = ?2 AND n.shown_at <= ?3 AND (?4 = 0 OR n.read_at IS NULL)
		ORDER BY n.seq DESC LIMIT ?5`
	readNotifications = `UPDATE notification SET read_at = ?1 WHERE member_id = ?2 AND mesh_id = ?3 AND read_at IS NULL
		AND (?4 = 0 OR CAST(seq AS TEXT) IN (SELECT value FROM json_each(?5)))`
)

// Notifications implements [store.Topics].
func (s *Store) Notifications(ctx context.Context, mesh, memberID string, unread bool, now time.Time, limit int) (list []*store.Notification, err error) {
	defer wrap(&err, "list notifications")
	rows, err := s.read.QueryContext(ctx, listNotifications, memberID, mesh, now.UnixMilli(), unread, max(limit, 0))
	return collect(rows, err, func(row scanner) (*store.Notification, error) {
		n := new(store.Notification)
		err := row.Scan(&n.ID, &n.MeshID, &n.TopicID, &n.Topic, &n.MessageID, &n.MemberID, &n.SenderID, &n.Sender, &n.Kind,
			(*millis)(&n.CreatedAt), (*millis)(&n.ReadAt))
		return n, err
	})
}

// ReadNotifications implements [store.Topics].
func (s *Store) ReadNotifications(ctx context.Context, mesh, memberID string, ids []string, at time.Time) (n int64, err error) {
	defer wrap(&err, "read notifications")
	return s.exec(ctx, readNotifications, at.UnixMilli(), memberID, mesh, len(ids) > 0, texts(ids))
}
