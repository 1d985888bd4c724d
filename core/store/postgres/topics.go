package postgres

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const topicColumns = `t.id, t.mesh_id, t.name, t.description, t.visibility, t.creator_id, t.key_pubkey, t.everybody, t.created_at,
	t.archived_at`

const (
	insertTopic = `INSERT INTO topic (id, mesh_id, name, description, visibility, creator_id, key_pubkey, everybody, created_at,
		archived_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	topicNamed = `SELECT ` + topicColumns + ` FROM topic t WHERE t.mesh_id = $1 AND t.name = $2`
	topicByID  = `SELECT ` + topicColumns + ` FROM topic t WHERE t.id = $1 AND t.mesh_id = $2`

	// Who makes a topic waits for its turn, so that no two are the last that fits.
	topicTurn     = `SELECT pg_advisory_xact_lock($1)`
	countTopics   = `SELECT count(*) FROM topic WHERE mesh_id = $1`
	countTopicsOf = `SELECT count(*) FROM topic WHERE mesh_id = $1 AND creator_id = $2`

	// Who has no row has a seat where everybody has one.
	topicMembers = `CASE WHEN t.everybody
		THEN (SELECT count(*) FROM member m LEFT JOIN topic_seat o ON o.topic_id = t.id AND o.member_id = m.id
			WHERE m.mesh_id = t.mesh_id AND m.revoked_at IS NULL AND coalesce(o.standing, 'joined') = 'joined')
		ELSE (SELECT count(*) FROM topic_seat o JOIN member m ON m.id = o.member_id
			WHERE o.topic_id = t.id AND o.standing = 'joined' AND m.revoked_at IS NULL) END`

	// A seq is microseconds x 1024.
	topicUnread = `(SELECT count(*) FROM (SELECT FROM topic_message h WHERE h.topic_id = t.id
		AND h.seq > (extract(epoch FROM greatest(s.joined_at, s.last_read_at, CASE WHEN s.joined_at IS NULL THEN m.joined_at END))
			* 1000000)::bigint * 1024
		AND h.sender_member_id <> m.id LIMIT $3) u)`

	listTopics = `SELECT ` + topicColumns + `, ` + topicMembers + `, ` + topicUnread + `, ` + seatColumns + `
		FROM member m CROSS JOIN topic t LEFT JOIN topic_seat s ON s.topic_id = t.id AND s.member_id = m.id
		WHERE m.id = $2 AND t.mesh_id = $1 AND m.mesh_id = $1 AND t.archived_at IS NULL
		AND (t.visibility = 'public' OR s.standing IN ('joined', 'invited')) ORDER BY t.name LIMIT $4`
)

// CreateTopic implements [store.Topics].
func (s *Store) CreateTopic(ctx context.Context, t *store.Topic, seat *store.Seat, key *store.TopicKey, room store.Room) (found *store.Topic, fresh bool, err error) {
	defer wrap(&err, "create topic")
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		found, fresh = nil, false
		if _, err := tx.Exec(ctx, topicTurn, lockKey("topics of "+t.MeshID)); err != nil {
			return err
		}
		there, err := scanTopic(tx.QueryRow(ctx, topicNamed, t.MeshID, t.Name))
		if !errors.Is(err, pgx.ErrNoRows) {
			found = there
			return err
		}
		if err := roomForTopic(ctx, tx, t, room); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, insertTopic, topicArgs(t)...); err != nil {
			return err
		}
		if seat != nil {
			if _, err := tx.Exec(ctx, putSeat, seatArgs(seat)...); err != nil {
				return err
			}
		}
		if key != nil {
			if _, err := tx.Exec(ctx, insertTopicKey, topicKeyArgs(key)...); err != nil {
				return err
			}
		}
		found, fresh = t, true
		return nil
	})
	return found, fresh, err
}

func roomForTopic(ctx context.Context, tx pgx.Tx, t *store.Topic, room store.Room) error {
	mesh, err := value[int](tx.QueryRow(ctx, countTopics, t.MeshID))
	if err != nil {
		return err
	}
	member, err := value[int](tx.QueryRow(ctx, countTopicsOf, t.MeshID, t.CreatorID))
	if err != nil {
		return err
	}
	return room.Fits(mesh, member)
}

func topicArgs(t *store.Topic) []any {
	return []any{
		t.ID, t.MeshID, t.Name, t.Description, string(t.Visibility), t.CreatorID, t.KeyPubkey, t.Everybody,
		whole(t.CreatedAt), timeArg(t.ArchivedAt),
	}
}

// FindTopic implements [store.Topics].
func (s *Store) FindTopic(ctx context.Context, mesh, idOrName string) (t *store.Topic, err error) {
	defer wrap(&err, "find topic")
	t, err = one(ctx, s, scanTopic, topicByID, idOrName, mesh)
	if errors.Is(err, pgx.ErrNoRows) {
		t, err = one(ctx, s, scanTopic, topicNamed, mesh, idOrName)
	}
	if err == nil && !t.ArchivedAt.IsZero() {
		return nil, pgx.ErrNoRows
	}
	return t, err
}

// ListTopics implements [store.Topics].
func (s *Store) ListTopics(ctx context.Context, mesh, memberID string, limit int) (list []*store.TopicRow, err error) {
	defer wrap(&err, "list topics")
	return all(ctx, s, func(row scanner) (*store.TopicRow, error) {
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
	}, listTopics, mesh, memberID, store.MostUnread, max(limit, 0))
}

func topicFields(t *store.Topic) []any {
	return []any{
		&t.ID, &t.MeshID, &t.Name, &t.Description, &t.Visibility, &t.CreatorID, &t.KeyPubkey, &t.Everybody,
		(*stamp)(&t.CreatedAt), (*stamp)(&t.ArchivedAt),
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
	insertTopicKey = `INSERT INTO topic_key (` + topicKeyColumns + `) VALUES ($1, $2, $3, $4, $5)`
	topicKey       = `SELECT ` + topicKeyColumns + ` FROM topic_key WHERE topic_id = $1 AND member_id = $2`
	deleteTopicKey = `DELETE FROM topic_key WHERE topic_id = $1 AND member_id = $2`

	// A key that nobody has any more is as good as none.
	claimTopicKey = `UPDATE topic SET key_pubkey = $1 WHERE id = $2 AND (key_pubkey = '' OR NOT EXISTS (
		SELECT FROM topic_key k JOIN member m ON m.id = k.member_id WHERE k.topic_id = $2 AND m.revoked_at IS NULL))`
)

// TopicKey implements [store.Topics].
func (s *Store) TopicKey(ctx context.Context, topicID, memberID string) (k *store.TopicKey, err error) {
	defer wrap(&err, "read topic key")
	return one(ctx, s, func(row scanner) (*store.TopicKey, error) {
		k := new(store.TopicKey)
		err := row.Scan(&k.TopicID, &k.MemberID, &k.Encrypted, &k.Nonce, (*stamp)(&k.CreatedAt))
		if err != nil {
			return nil, err
		}
		return k, nil
	}, topicKey, topicID, memberID)
}

// SealTopicKey implements [store.Topics].
func (s *Store) SealTopicKey(ctx context.Context, t *store.Topic, k *store.TopicKey) (err error) {
	defer wrap(&err, "seal topic key")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return sealTopicKey(ctx, tx, t, k)
	})
}

func sealTopicKey(ctx context.Context, tx pgx.Tx, t *store.Topic, k *store.TopicKey) error {
	seat, err := openSeat(ctx, tx, t, k.MemberID)
	if err != nil {
		return err
	}
	if seat.Standing != store.Seated {
		return store.ErrNotFound
	}
	_, err = tx.Exec(ctx, insertTopicKey, topicKeyArgs(k)...)
	return err
}

// ClaimTopicKey implements [store.Topics].
func (s *Store) ClaimTopicKey(ctx context.Context, t *store.Topic, pubkey string, k *store.TopicKey) (err error) {
	defer wrap(&err, "claim topic key")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		done, err := tx.Exec(ctx, claimTopicKey, pubkey, t.ID)
		if err != nil {
			return err
		}
		if done.RowsAffected() == 0 {
			return store.ErrConflict
		}
		if _, err := tx.Exec(ctx, endTopicKeys, t.ID); err != nil {
			return err
		}
		return sealTopicKey(ctx, tx, t, k)
	})
}

func topicKeyArgs(k *store.TopicKey) []any {
	return []any{k.TopicID, k.MemberID, k.Encrypted, k.Nonce, whole(k.CreatedAt)}
}

const notificationColumns = `n.seq, n.mesh_id, n.topic_id, t.name, n.message_id, n.member_id, n.sender_id, n.sender, n.kind,
	n.shown_at, n.read_at`

const (
	listNotifications = `SELECT ` + notificationColumns + ` FROM notification n JOIN topic t ON t.id = n.topic_id
		WHERE n.member_id = $1 AND n.mesh_id = $2 AND n.shown_at <= $3 AND (NOT $4::boolean OR n.read_at IS NULL)
		ORDER BY n.seq DESC LIMIT $5`
	readNotifications = `UPDATE notification SET read_at = $1 WHERE member_id = $2 AND mesh_id = $3 AND read_at IS NULL
		AND (NOT $4::boolean OR seq::text = ANY ($5::text[]))`
)

// Notifications implements [store.Topics].
func (s *Store) Notifications(ctx context.Context, mesh, memberID string, unread bool, now time.Time, limit int) (list []*store.Notification, err error) {
	defer wrap(&err, "list notifications")
	return all(ctx, s, func(row scanner) (*store.Notification, error) {
		n, seq := new(store.Notification), int64(0)
		err := row.Scan(&seq, &n.MeshID, &n.TopicID, &n.Topic, &n.MessageID, &n.MemberID, &n.SenderID, &n.Sender, &n.Kind,
			(*stamp)(&n.CreatedAt), (*stamp)(&n.ReadAt))
		n.ID = strconv.FormatInt(seq, 10)
		return n, err
	}, listNotifications, memberID, mesh, whole(now), unread, max(limit, 0))
}

// ReadNotifications implements [store.Topics].
func (s *Store) ReadNotifications(ctx context.Context, mesh, memberID string, ids []string, at time.Time) (n int64, err error) {
	defer wrap(&err, "read notifications")
	return s.exec(ctx, readNotifications, whole(at), memberID, mesh, len(ids) > 0, texts(ids))
}
