package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

const (
	envelopeColumns = `m.seq, m.id, m.mesh_id, m.sender_member_id, m.sender_key, m.sender_session, m.sender_name,
		m.target_spec, m.priority, m.client_message_id, m.fingerprint, m.reply_to, m.trace, m.created_at, m.expires_at,
		m.extra`

	// waits is what makes a delivery d pending. The partial indexes of the
	// table are written with the same words.
	waits = `d.settled_at IS NULL AND d.expired_at IS NULL`
)

const (
	// A cross join keeps the tables in this order: the index gives the
	// deliveries in the order that is asked for, and one lookup each their
	// messages.
	pending = `SELECT ` + envelopeColumns + `, m.nonce, m.ciphertext
		FROM delivery d CROSS JOIN message m ON m.seq = d.seq
		WHERE d.mesh_id = ? AND d.recipient = ? AND (d.priority, d.seq) > (?, ?) AND d.priority <= ?
		AND d.expires_at > ? AND ` + waits + `
		ORDER BY d.priority, d.seq LIMIT ?`

	findSent = `SELECT message_id, fingerprint FROM sent WHERE mesh_id = ? AND member_id = ? AND client_message_id = ?`

	messagesByPrefix = `SELECT ` + envelopeColumns + ` FROM message m
		WHERE m.mesh_id = ? AND m.id >= ? AND m.id < ? ORDER BY m.id LIMIT 2`
	deliveriesOf = `SELECT recipient, member_id, settled_at, expired_at FROM delivery WHERE seq = ?1
		UNION ALL SELECT recipient, member_id, NULL, NULL FROM held_delivery WHERE seq = ?1 ORDER BY recipient`

	lastSeq = `SELECT max(last_seq, (SELECT ifnull(max(seq), 0) FROM message), (SELECT ifnull(max(seq), 0) FROM sent))
		FROM queue_mark`
	queueDepth = `SELECT waits.depth + held.depth,
			(SELECT created_at FROM message WHERE seq = min(ifnull(waits.first, held.first), ifnull(held.first, waits.first)))
		FROM (SELECT count(*) AS depth, min(d.seq) AS first FROM delivery d WHERE ` + waits + `) waits,
			(SELECT count(*) AS depth, min(seq) AS first FROM held_delivery) held`
)

// Pending implements [store.Queue]. It walks the index once for each key, each
// time for at most as many rows as are asked for, and merges.
func (s *Store) Pending(ctx context.Context, d store.Drain) (list []store.Waiting, err error) {
	defer wrap(&err, "queue pending")
	limit := max(d.Limit, 0)
	for i, k := range d.Keys {
		if slices.Contains(d.Keys[:i], k) {
			continue
		}
		rows, err := s.prepare.pending.QueryContext(ctx, d.Mesh, k.String(), int64(d.After.Priority),
			seqBefore(d.After, k), int64(d.Max), d.Now.UnixMilli(), limit)
		more, err := collect(rows, err, func(row scanner) (store.Waiting, error) {
			m := new(store.Message)
			return store.Waiting{Message: m, Recipient: k}, row.Scan(append(envelope(m), &m.Nonce, &m.Ciphertext)...)
		})
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	slices.SortFunc(list, func(a, b store.Waiting) int {
		return cmp.Or(cmp.Compare(a.Message.Priority, b.Message.Priority), cmp.Compare(a.Message.Seq, b.Message.Seq),
			bytes.Compare(a.Recipient[:], b.Recipient[:]))
	})
	return list[:min(len(list), limit)], nil
}

// seqBefore returns the seq behind which the rows of one key follow the cursor,
// within the cursor's priority. Of a message that is addressed to several keys,
// the larger ones are still to come.
func seqBefore(c store.Cursor, k sdk.Key) int64 {
	if bytes.Compare(k[:], c.Recipient[:]) > 0 {
		return c.Seq - 1
	}
	return c.Seq
}

// FindSent implements [store.Queue].
func (s *Store) FindSent(ctx context.Context, mesh, memberID, clientMessageID string) (sent *store.Sent, err error) {
	defer wrap(&err, "find sent")
	sent = new(store.Sent)
	err = s.prepare.findSent.QueryRowContext(ctx, mesh, memberID, clientMessageID).
		Scan(&sent.MessageID, (*text)(&sent.Fingerprint))
	if err != nil {
		return nil, err
	}
	return sent, nil
}

// MessageStatus implements [store.Queue].
func (s *Store) MessageStatus(ctx context.Context, mesh, idPrefix string) (found []*store.Status, err error) {
	defer wrap(&err, "message status")
	err = s.view(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, messagesByPrefix, mesh, idPrefix, idPrefix+"\x7f") // ids are ASCII
		found, err = collect(rows, err, func(row scanner) (*store.Status, error) {
			m := new(store.Message)
			return &store.Status{Message: m}, row.Scan(envelope(m)...)
		})
		if err != nil {
			return err
		}
		for _, status := range found {
			rows, err := tx.QueryContext(ctx, deliveriesOf, status.Message.Seq)
			if status.Deliveries, err = collect(rows, err, scanDelivery); err != nil {
				return err
			}
		}
		return nil
	})
	return found, err
}

// LastSeq implements [store.Queue].
func (s *Store) LastSeq(ctx context.Context) (seq int64, err error) {
	defer wrap(&err, "last seq")
	err = s.read.QueryRowContext(ctx, lastSeq).Scan(&seq)
	return seq, err
}

// QueueDepth implements [store.Queue]. It walks the index of what waits, and that
// of what is held.
func (s *Store) QueueDepth(ctx context.Context) (n int64, oldest time.Time, err error) {
	defer wrap(&err, "queue depth")
	err = s.read.QueryRowContext(ctx, queueDepth).Scan(&n, (*millis)(&oldest))
	return n, oldest, err
}

// envelope lists the fields of envelopeColumns.
func envelope(m *store.Message) []any {
	return []any{&m.Seq, &m.ID, &m.MeshID, &m.SenderMemberID, (*key)(&m.SenderMember), (*key)(&m.SenderSession),
		&m.SenderName, &m.TargetSpec, &m.Priority, (*text)(&m.ClientMessageID), (*text)(&m.Fingerprint),
		(*text)(&m.ReplyTo), (*trace)(m), (*millis)(&m.CreatedAt), (*millis)(&m.ExpiresAt), (*extra)(m)}
}

// scanDelivery reads one line of a status. A confirmation that came after the
// delivery was given up counts.
func scanDelivery(row scanner) (d store.DeliveryStatus, err error) {
	var expired time.Time
	err = row.Scan((*key)(&d.Recipient), &d.MemberID, (*millis)(&d.DeliveredAt), (*millis)(&expired))
	d.Expired = d.DeliveredAt.IsZero() && !expired.IsZero()
	return d, err
}
