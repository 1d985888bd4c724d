package postgres

import (
	"bytes"
	"context"
	"time"

	"github.com/jackc/pgx/v5"

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

	// waitsAnywhere is the same for the index over all keys.
	waitsAnywhere = waits + ` AND d.seq > 0`
)

const (
	// The index gives the deliveries of each key in the order that is asked
	// for, at most as many as are asked for; only those that are left after
	// merging have their message looked up.
	pending = `SELECT ` + envelopeColumns + `, m.nonce, m.ciphertext, w.recipient
		FROM (SELECT d.seq, d.priority, d.recipient
			FROM unnest($2::bytea[], $3::bigint[]) k (recipient, after) CROSS JOIN LATERAL (
				SELECT d.seq, d.priority, d.recipient FROM delivery d
				WHERE d.mesh_id = $1 AND d.recipient = k.recipient AND (d.priority, d.seq) > ($4::smallint, k.after)
				AND d.priority <= $5 AND d.expires_at > $6 AND ` + waits + `
				ORDER BY d.priority, d.seq LIMIT $7) d
			ORDER BY d.priority, d.seq, d.recipient LIMIT $7) w
		JOIN message m ON m.seq = w.seq
		ORDER BY w.priority, w.seq, w.recipient`

	waiting = `SELECT k.recipient FROM unnest($2::bytea[]) k (recipient) CROSS JOIN LATERAL (
		SELECT FROM delivery d WHERE d.mesh_id = $1 AND d.recipient = k.recipient AND ` + waits + ` LIMIT 1) d`

	findSent = `SELECT message_id, fingerprint FROM sent
		WHERE mesh_id = $1 AND member_id = $2 AND client_message_id = $3`

	messagesByPrefix = `SELECT ` + envelopeColumns + ` FROM message m
		WHERE m.mesh_id = $1 AND m.id >= $2 AND m.id < $3 ORDER BY m.id LIMIT 2`
	deliveriesOf = `SELECT recipient, member_id, settled_at, expired_at FROM delivery WHERE seq = $1
		UNION ALL SELECT recipient, member_id, NULL, NULL FROM held_delivery WHERE seq = $1 ORDER BY recipient`

	lastSeq = `SELECT greatest(last_seq, (SELECT max(seq) FROM message), (SELECT max(seq) FROM sent)) FROM queue_mark`

	queueDepth = `SELECT w.depth + (SELECT count(*) FROM held_delivery),
			(SELECT created_at FROM message WHERE seq = least(w.first, (SELECT min(seq) FROM held_delivery)))
		FROM (SELECT count(*) AS depth, min(d.seq) AS first FROM delivery d WHERE ` + waitsAnywhere + `) w`
)

// Pending implements [store.Queue].
func (s *Store) Pending(ctx context.Context, d store.Drain) (list []store.Waiting, err error) {
	defer wrap(&err, "queue pending")
	if len(d.Keys) == 0 || d.Limit <= 0 {
		return nil, nil
	}
	seen := make(map[sdk.Key]bool, len(d.Keys))
	keys, after := make([][]byte, 0, len(d.Keys)), make([]int64, 0, len(d.Keys))
	for i := range d.Keys {
		if k := &d.Keys[i]; !seen[*k] {
			seen[*k] = true
			keys, after = append(keys, k[:]), append(after, seqBefore(d.After, k))
		}
	}
	return all(ctx, s, func(row scanner) (w store.Waiting, err error) {
		w.Message = new(store.Message)
		err = row.Scan(append(envelope(w.Message), (*opaque)(&w.Message.Nonce), (*opaque)(&w.Message.Ciphertext),
			(*key)(&w.Recipient))...)
		return w, err
	}, pending, d.Mesh, keys, after, int16(d.After.Priority), int16(d.Max), whole(d.Now), d.Limit)
}

// seqBefore returns the seq behind which the rows of one key follow the cursor,
// within the cursor's priority. Of a message that is addressed to several keys,
// the larger ones are still to come.
func seqBefore(c store.Cursor, k *sdk.Key) int64 {
	if bytes.Compare(k[:], c.Recipient[:]) > 0 {
		return c.Seq - 1
	}
	return c.Seq
}

// Waiting implements [store.Shared].
func (s *Store) Waiting(ctx context.Context, mesh string, keys []sdk.Key) (list []sdk.Key, err error) {
	defer wrap(&err, "queue waiting")
	if len(keys) == 0 {
		return nil, nil
	}
	return all(ctx, s, func(row scanner) (k sdk.Key, err error) {
		err = row.Scan((*key)(&k))
		return k, err
	}, waiting, mesh, keyArgs(keys))
}

// FindSent implements [store.Queue].
func (s *Store) FindSent(ctx context.Context, mesh, memberID, clientMessageID string) (sent *store.Sent, err error) {
	defer wrap(&err, "find sent")
	return one(ctx, s, scanSent, findSent, mesh, memberID, clientMessageID)
}

func scanSent(row scanner) (*store.Sent, error) {
	sent := new(store.Sent)
	if err := row.Scan(&sent.MessageID, (*opaque)(&sent.Fingerprint)); err != nil {
		return nil, err
	}
	return sent, nil
}

// MessageStatus implements [store.Queue].
func (s *Store) MessageStatus(ctx context.Context, mesh, idPrefix string) (found []*store.Status, err error) {
	defer wrap(&err, "message status")
	err = s.view(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, messagesByPrefix, mesh, idPrefix, idPrefix+"\x7f") // ids are ASCII
		found, err = collect(rows, err, func(row scanner) (*store.Status, error) {
			m := new(store.Message)
			return &store.Status{Message: m}, row.Scan(envelope(m)...)
		})
		if err != nil {
			return err
		}
		for _, status := range found {
			rows, err := tx.Query(ctx, deliveriesOf, status.Message.Seq)
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
	return one(ctx, s, value[int64], lastSeq)
}

// QueueDepth implements [store.Queue]. It walks the index of what waits, and what
// is held.
func (s *Store) QueueDepth(ctx context.Context) (n int64, oldest time.Time, err error) {
	defer wrap(&err, "queue depth")
	n, err = one(ctx, s, func(row scanner) (n int64, err error) {
		err = row.Scan(&n, (*stamp)(&oldest))
		return n, err
	}, queueDepth)
	return n, oldest, err
}

// envelope lists the fields of envelopeColumns.
func envelope(m *store.Message) []any {
	return []any{&m.Seq, &m.ID, &m.MeshID, &m.SenderMemberID, (*key)(&m.SenderMember), (*key)(&m.SenderSession),
		&m.SenderName, &m.TargetSpec, &m.Priority, (*text)(&m.ClientMessageID), (*opaque)(&m.Fingerprint),
		(*text)(&m.ReplyTo), (*trace)(m), (*stamp)(&m.CreatedAt), (*stamp)(&m.ExpiresAt), (*extra)(m)}
}

// scanDelivery reads one line of a status. A confirmation that came after the
// delivery was given up counts.
func scanDelivery(row scanner) (d store.DeliveryStatus, err error) {
	var expired time.Time
	err = row.Scan((*key)(&d.Recipient), &d.MemberID, (*stamp)(&d.DeliveredAt), (*stamp)(&expired))
	d.Expired = d.DeliveredAt.IsZero() && !expired.IsZero()
	return d, err
}
