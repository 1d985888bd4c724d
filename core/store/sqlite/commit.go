package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
)

const (
	insertMessages = `INSERT INTO message (seq, id, mesh_id, sender_member_id, sender_key, sender_session, sender_name,
		target_spec, priority, nonce, ciphertext, client_message_id, fingerprint, reply_to, trace, created_at,
		expires_at, extra) VALUES `
	insertDeliveries  = `INSERT INTO delivery (seq, recipient, mesh_id, member_id, priority, expires_at) VALUES `
	insertHeld        = `INSERT INTO held_delivery (seq, recipient, mesh_id, member_id, priority, expires_at, not_before) VALUES `
	insertSent        = `INSERT INTO sent (mesh_id, member_id, client_message_id, message_id, fingerprint, seq) VALUES `
	insertAudit       = `INSERT INTO audit_log (` + auditColumns + `) VALUES `
	putPresences      = `INSERT OR REPLACE INTO presence (` + presenceColumns + `) VALUES `
	putStates         = `INSERT OR REPLACE INTO peer_state (` + stateColumns + `) VALUES `
	insertSessionKeys = `INSERT OR IGNORE INTO session_key (mesh_id, pubkey, member_id, claimed_at) VALUES `
	settle            = `UPDATE delivery SET settled_at = ? WHERE seq = ? AND recipient = ? AND settled_at IS NULL`
)

// committer writes batches. Whoever holds the write connection may use it.
type committer struct {
	messages, deliveries, held, sent, history, notifications, audit, presences, states, keys many

	settle, head, setHead *sql.Stmt

	bySeq map[int64]*store.Message // of the batch in work
	chain []*audit.Entry           // the batch's entries, mesh by mesh
}

func newCommitter(ctx context.Context, db *sql.DB) (*committer, error) {
	c := &committer{bySeq: make(map[int64]*store.Message)}
	var errs []error
	for _, p := range []struct {
		to      *many
		head    string
		columns int
		tail    string
	}{
		{&c.messages, insertMessages, 18, ""},
		{&c.deliveries, insertDeliveries, 6, " ON CONFLICT DO NOTHING"},
		{&c.held, insertHeld, 7, " ON CONFLICT DO NOTHING"},
		{&c.sent, insertSent, 6, " ON CONFLICT DO NOTHING"},
		{&c.history, insertTopicMessages, 15, " ON CONFLICT DO NOTHING"},
		{&c.notifications, insertNotifications, 9, " ON CONFLICT DO NOTHING"},
		{&c.audit, insertAudit, 9, ""},
		{&c.presences, putPresences, 11, ""},
		{&c.states, putStates, 13, ""},
		{&c.keys, insertSessionKeys, 4, ""},
	} {
		m, err := prepareMany(ctx, db, p.head, p.columns, p.tail)
		*p.to = m
		errs = append(errs, err)
	}
	for _, p := range []struct {
		to    **sql.Stmt
		query string
	}{
		{&c.settle, settle}, {&c.head, endOfChain}, {&c.setHead, setAuditHead},
	} {
		stmt, err := db.PrepareContext(ctx, p.query) //nolint:sqlclosecheck // closed with its pool
		*p.to = stmt
		errs = append(errs, err)
	}
	return c, errors.Join(errs...)
}

// Commit implements [store.Committer].
func (s *Store) Commit(ctx context.Context, b *store.Batch) (err error) {
	if b.Empty() {
		return nil
	}
	defer wrap(&err, "commit")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error { return s.commit.write(ctx, tx, b) })
}

func (c *committer) write(ctx context.Context, tx *sql.Tx, b *store.Batch) error {
	if err := write(ctx, tx, &c.messages, b.Messages, messageArgs); err != nil {
		return fmt.Errorf("messages: %w", err)
	}
	if err := c.writeDeliveries(ctx, tx, b); err != nil {
		return fmt.Errorf("deliveries: %w", err)
	}
	if err := write(ctx, tx, &c.sent, b.Sent, sentArgs); err != nil {
		return fmt.Errorf("sent: %w", err)
	}
	if err := c.writeHistory(ctx, tx, b.History); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if err := c.writeSettled(ctx, tx, b.Settled); err != nil {
		return fmt.Errorf("settled: %w", err)
	}
	if err := c.writeAudit(ctx, tx, b.Audit); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if err := write(ctx, tx, &c.presences, b.Presences, presenceArgs); err != nil {
		return fmt.Errorf("presences: %w", err)
	}
	if err := write(ctx, tx, &c.states, b.States, stateArgs); err != nil {
		return fmt.Errorf("states: %w", err)
	}
	if err := write(ctx, tx, &c.keys, b.SessionKeys, sessionKeyArgs); err != nil {
		return fmt.Errorf("session keys: %w", err)
	}
	return nil
}

// writeDeliveries completes each row from its message.
func (c *committer) writeDeliveries(ctx context.Context, tx *sql.Tx, b *store.Batch) error {
	if len(b.Deliveries)+len(b.Held) == 0 {
		return nil
	}
	defer clear(c.bySeq)
	for _, m := range b.Messages {
		c.bySeq[m.Seq] = m
	}
	for _, list := range [][]store.Delivery{b.Deliveries, b.Held} {
		for _, d := range list {
			if c.bySeq[d.Seq] == nil {
				return fmt.Errorf("message %d is not in the batch", d.Seq)
			}
		}
	}
	if err := write(ctx, tx, &c.deliveries, b.Deliveries, c.deliveryArgs); err != nil {
		return err
	}
	return write(ctx, tx, &c.held, b.Held, func(args []any, d store.Delivery) []any {
		return append(c.deliveryArgs(args, d), c.bySeq[d.Seq].NotBefore.UnixMilli())
	})
}

func (c *committer) deliveryArgs(args []any, d store.Delivery) []any {
	m := c.bySeq[d.Seq]
	return append(args, d.Seq, d.Recipient.String(), m.MeshID, d.MemberID, int64(m.Priority), m.ExpiresAt.UnixMilli())
}

func (c *committer) writeSettled(ctx context.Context, tx *sql.Tx, settled []store.Settlement) error {
	if len(settled) == 0 {
		return nil
	}
	stmt := tx.StmtContext(ctx, c.settle) //nolint:sqlclosecheck // closed with its transaction
	for _, s := range settled {
		if _, err := stmt.ExecContext(ctx, s.At.UnixMilli(), s.Seq, s.Recipient.String()); err != nil {
			return err
		}
	}
	return nil
}

// writeAudit continues the chain of each mesh in the batch. The transaction
// holds the file's only write lock, so nobody else can continue it meanwhile.
func (c *committer) writeAudit(ctx context.Context, tx *sql.Tx, entries []*audit.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	c.chain = append(c.chain[:0], entries...)
	defer clear(c.chain)
	slices.SortStableFunc(c.chain, func(a, b *audit.Entry) int { return strings.Compare(a.MeshID, b.MeshID) })

	for rest := c.chain; len(rest) > 0; {
		mesh := rest[0].MeshID
		n := slices.IndexFunc(rest, func(e *audit.Entry) bool { return e.MeshID != mesh })
		if n < 0 {
			n = len(rest)
		}
		if err := c.link(ctx, tx, mesh, rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return write(ctx, tx, &c.audit, c.chain, entryArgs)
}

// link hashes the entries of one mesh and moves the end of its chain.
func (c *committer) link(ctx context.Context, tx *sql.Tx, mesh string, entries []*audit.Entry) error {
	read, write := tx.StmtContext(ctx, c.head), tx.StmtContext(ctx, c.setHead) //nolint:sqlclosecheck // closed with their transaction
	head, err := scanHead(read.QueryRowContext(ctx, mesh))
	if err != nil {
		return err
	}
	for i, e := range entries {
		e.ID = head.LastID + 1 + int64(i)
	}
	if err := audit.Append(head, entries); err != nil {
		return err
	}
	_, err = write.ExecContext(ctx, mesh, head.Hash, head.Count, head.LastID)
	return err
}

func messageArgs(args []any, m *store.Message) []any {
	return append(args, m.Seq, m.ID, m.MeshID, m.SenderMemberID, m.SenderMember.String(), keyArg(m.SenderSession),
		m.SenderName, m.TargetSpec, int64(m.Priority), m.Nonce, m.Ciphertext, textArg(m.ClientMessageID),
		textArg(m.Fingerprint), textArg(m.ReplyTo), textArg(m.StoredTrace()), m.CreatedAt.UnixMilli(), m.ExpiresAt.UnixMilli(),
		textArg(m.StoredExtra()))
}

func sentArgs(args []any, m *store.Message) []any {
	return append(args, m.MeshID, m.SenderMemberID, m.ClientMessageID, m.ID, textArg(m.Fingerprint), m.Seq)
}
