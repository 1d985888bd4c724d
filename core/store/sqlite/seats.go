package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/claudemesh/broker/core/store"
)

// seatColumns are read of a member m and its row s in topic_seat, if it has one.
const seatColumns = `m.id, m.pubkey, m.display_name, ifnull(s.role, ''), ifnull(s.standing, ''), ifnull(s.joined_at, m.joined_at),
	s.last_read_at`

const (
	seatByMember = `SELECT ` + seatColumns + ` FROM member m LEFT JOIN topic_seat s ON s.topic_id = ?1 AND s.member_id = m.id
		WHERE m.id = ?2 AND m.mesh_id = ?3 AND m.revoked_at IS NULL`

	seatsOf = ` FROM topic_seat s CROSS JOIN member m ON m.id = s.member_id
		WHERE s.topic_id = ?1 AND s.standing = 'joined' AND m.revoked_at IS NULL AND m.mesh_id = ?2`
	seatsOfAll = ` FROM member m LEFT JOIN topic_seat s ON s.topic_id = ?1 AND s.member_id = m.id
		WHERE m.mesh_id = ?2 AND m.revoked_at IS NULL AND ifnull(s.standing, 'joined') = 'joined'`
	byName   = ` ORDER BY m.display_name, m.id`
	unsealed = ` AND NOT EXISTS (SELECT 1 FROM topic_key k WHERE k.topic_id = ?1 AND k.member_id = m.id)
		ORDER BY ifnull(s.joined_at, m.joined_at), m.id LIMIT ?3`

	putSeat = `INSERT INTO topic_seat (topic_id, member_id, role, standing, joined_at, last_read_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
		ON CONFLICT DO UPDATE SET role = ?3, standing = ?4, joined_at = ?5, last_read_at = ?6`
	deleteSeat = `DELETE FROM topic_seat WHERE topic_id = ? AND member_id = ?`

	// Where no lead is seated, who comes first becomes one.
	nextLead = `UPDATE topic_seat SET role = 'lead' WHERE topic_id = ?1
		AND NOT EXISTS (SELECT 1 FROM topic_seat s JOIN member m ON m.id = s.member_id
			WHERE s.topic_id = ?1 AND s.standing = 'joined' AND s.role = 'lead' AND m.revoked_at IS NULL)
		AND member_id = (SELECT s.member_id FROM topic_seat s JOIN member m ON m.id = s.member_id
			WHERE s.topic_id = ?1 AND s.standing = 'joined' AND m.revoked_at IS NULL
			ORDER BY s.role = 'observer', s.joined_at, s.member_id LIMIT 1)`

	topicIsThere = `SELECT id FROM topic WHERE id = ?`
	nobodySits   = `SELECT NOT EXISTS (SELECT 1 FROM topic_seat s JOIN member m ON m.id = s.member_id
		WHERE s.topic_id = ? AND s.standing = 'joined' AND m.revoked_at IS NULL)`

	// Of these nobody is left: who is seated was banned before a time.
	leftTopics = `SELECT t.id FROM topic t WHERE t.everybody = 0
		AND EXISTS (SELECT 1 FROM topic_seat s WHERE s.topic_id = t.id AND s.standing = 'joined')
		AND NOT EXISTS (SELECT 1 FROM topic_seat s JOIN member m ON m.id = s.member_id
			WHERE s.topic_id = t.id AND s.standing = 'joined' AND (m.revoked_at IS NULL OR m.revoked_at >= ?1))
		ORDER BY t.id LIMIT ?2`

	endSeats     = `DELETE FROM topic_seat WHERE topic_id = ?`
	endTopicKeys = `DELETE FROM topic_key WHERE topic_id = ?`
	endTopic     = `DELETE FROM topic WHERE id = ?`
)

// Seat implements [store.Topics].
func (s *Store) Seat(ctx context.Context, t *store.Topic, memberID string) (seat *store.Seat, err error) {
	defer wrap(&err, "read seat")
	return scanSeat(t, s.read.QueryRowContext(ctx, seatByMember, t.ID, memberID, t.MeshID))
}

// Seats implements [store.Topics].
func (s *Store) Seats(ctx context.Context, t *store.Topic) (list []*store.Seat, err error) {
	defer wrap(&err, "list seats")
	rows, err := s.read.QueryContext(ctx, seatsIn(t, byName), t.ID, t.MeshID)
	return collect(rows, err, func(row scanner) (*store.Seat, error) { return scanSeat(t, row) })
}

// UnsealedSeats implements [store.Topics].
func (s *Store) UnsealedSeats(ctx context.Context, t *store.Topic, limit int) (list []*store.Seat, err error) {
	defer wrap(&err, "list unsealed seats")
	rows, err := s.read.QueryContext(ctx, seatsIn(t, unsealed), t.ID, t.MeshID, max(limit, 0))
	return collect(rows, err, func(row scanner) (*store.Seat, error) { return scanSeat(t, row) })
}

// seatsIn returns the query for the members that are seated in a topic.
func seatsIn(t *store.Topic, tail string) string {
	if t.Everybody {
		return `SELECT ` + seatColumns + seatsOfAll + tail
	}
	return `SELECT ` + seatColumns + seatsOf + tail
}

// ChangeSeat implements [store.Topics].
func (s *Store) ChangeSeat(ctx context.Context, t *store.Topic, memberID string, change func(*store.Seat) error) (seat *store.Seat, err error) {
	var refused error
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		seat, err = openSeat(ctx, tx, t, memberID)
		if err != nil {
			return err
		}
		before := seat.Standing
		if refused = change(seat); refused != nil {
			return refused
		}
		if err := writeSeat(ctx, tx, t, seat); err != nil {
			return err
		}
		if before == store.Seated && seat.Standing != store.Seated {
			if err := endIfLeft(ctx, tx, t); err != nil {
				return err
			}
		}
		seat, err = scanSeat(t, tx.QueryRowContext(ctx, seatByMember, t.ID, memberID, t.MeshID))
		return err
	})
	if refused != nil {
		return nil, refused
	}
	if err != nil {
		wrap(&err, "change seat")
		return nil, err
	}
	return seat, nil
}

// openSeat reads a seat that is about to change.
func openSeat(ctx context.Context, tx *sql.Tx, t *store.Topic, memberID string) (*store.Seat, error) {
	var id string
	if err := tx.QueryRowContext(ctx, topicIsThere, t.ID).Scan(&id); err != nil {
		return nil, err
	}
	return scanSeat(t, tx.QueryRowContext(ctx, seatByMember, t.ID, memberID, t.MeshID))
}

// endIfLeft deletes a topic that nobody is in any more.
func endIfLeft(ctx context.Context, tx *sql.Tx, t *store.Topic) error {
	if t.Everybody {
		return nil
	}
	var empty bool
	if err := tx.QueryRowContext(ctx, nobodySits, t.ID).Scan(&empty); err != nil || !empty {
		return err
	}
	return end(ctx, tx, t.ID)
}

// end deletes a topic.
func end(ctx context.Context, tx *sql.Tx, topicID string) error {
	for _, query := range []string{endSeats, endTopicKeys, endTopic} {
		if _, err := tx.ExecContext(ctx, query, topicID); err != nil {
			return err
		}
	}
	return nil
}

// EndTopics implements [store.Topics].
func (s *Store) EndTopics(ctx context.Context, revoked time.Time, limit int) (n int64, err error) {
	defer wrap(&err, "end topics")
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, leftTopics, revoked.UnixMilli(), max(limit, 0))
		list, err := collect(rows, err, func(row scanner) (id string, err error) { return id, row.Scan(&id) })
		for _, id := range list {
			if err := end(ctx, tx, id); err != nil {
				return err
			}
		}
		n = int64(len(list))
		return err
	})
	return n, err
}

func writeSeat(ctx context.Context, tx *sql.Tx, t *store.Topic, seat *store.Seat) error {
	if seat.Standing == store.NoSeat {
		if _, err := tx.ExecContext(ctx, deleteSeat, t.ID, seat.MemberID); err != nil {
			return err
		}
	} else if _, err := tx.ExecContext(ctx, putSeat, seatArgs(seat)...); err != nil {
		return err
	}
	if seat.Standing != store.Seated {
		if _, err := tx.ExecContext(ctx, deleteTopicKey, t.ID, seat.MemberID); err != nil {
			return err
		}
	}
	if t.Everybody {
		return nil // the mesh's owner and admins lead
	}
	_, err := tx.ExecContext(ctx, nextLead, t.ID)
	return err
}

// ReadTopic implements [store.Topics].
func (s *Store) ReadTopic(ctx context.Context, t *store.Topic, memberID string, at time.Time) (err error) {
	defer wrap(&err, "read topic")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		seat, err := openSeat(ctx, tx, t, memberID)
		if err != nil {
			return err
		}
		if seat.Standing != store.Seated {
			return store.ErrNotFound
		}
		if seat.LastReadAt.Before(at) {
			seat.LastReadAt = at
			_, err = tx.ExecContext(ctx, putSeat, seatArgs(seat)...)
		}
		return err
	})
}

func seatArgs(s *store.Seat) []any {
	return []any{s.TopicID, s.MemberID, string(s.Role), string(s.Standing), s.JoinedAt.UnixMilli(), timeArg(s.LastReadAt)}
}

func seatFields(s *store.Seat) []any {
	return []any{
		&s.MemberID, (*key)(&s.Key), &s.Name, &s.Role, &s.Standing, (*millis)(&s.JoinedAt), (*millis)(&s.LastReadAt),
	}
}

func scanSeat(t *store.Topic, row scanner) (*store.Seat, error) {
	seat := new(store.Seat)
	if err := row.Scan(seatFields(seat)...); err != nil {
		return nil, err
	}
	return seat.At(t), nil
}
