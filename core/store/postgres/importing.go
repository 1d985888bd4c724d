package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

var _ store.Importer = (*Store)(nil)

// Which messages were imported. Only stores that took over another database
// have this table, so no migration makes it. From until on, the other
// database's row is too old to be imported.
const createAdopted = `
CREATE TABLE IF NOT EXISTS adopted_message (
    mesh_id text COLLATE "C" NOT NULL,
    id      text COLLATE "C" NOT NULL,
    until   timestamptz      NOT NULL,
    PRIMARY KEY (mesh_id, id)
)`

// Which other rows were imported that somebody may have deleted here since.
const createAdoptedRows = `
CREATE TABLE IF NOT EXISTS adopted_row (
    mesh_id text COLLATE "C" NOT NULL,
    kind    text             NOT NULL,
    id      text COLLATE "C" NOT NULL,
    PRIMARY KEY (mesh_id, kind, id)
)`

// An import takes as long as whoever it is read from.
const noIdleTimeout = `SET LOCAL idle_in_transaction_session_timeout = 0`

const (
	unlessHere = ` ON CONFLICT DO NOTHING`

	forgetAdopted = `DELETE FROM adopted_message WHERE until <= $1`
	adopt         = `INSERT INTO adopted_message (mesh_id, id, until) VALUES ($1, $2, $3)` + unlessHere

	meshSlug    = `SELECT slug FROM mesh WHERE id = $1`
	memberPlace = `SELECT id, revoked_at FROM member WHERE mesh_id = $1 AND pubkey = $2`
	hasInvite   = `SELECT EXISTS (SELECT FROM invite WHERE mesh_id = $1 AND id = $2)`
	putState    = `INSERT INTO peer_state (` + stateColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)` + unlessHere

	lockHead = `SELECT FROM audit_head WHERE mesh_id = $1 FOR UPDATE`

	// Where the chain of a mesh goes on: see the engine on SQLite.
	endOfChain = `SELECT $1::text, coalesce(h.hash, ''), coalesce(h.count, 0), greatest(coalesce(h.last_id, 0),
			(SELECT coalesce(max(id), 0) FROM audit_log WHERE mesh_id = $1::text))
		FROM (SELECT) AS always LEFT JOIN audit_head h ON h.mesh_id = $1::text`
	setHead = `INSERT INTO audit_head (mesh_id, hash, count, last_id) VALUES ($1, $2, $3, $4)
		ON CONFLICT (mesh_id) DO UPDATE SET hash = excluded.hash, count = excluded.count, last_id = excluded.last_id`
	auditHash = `SELECT hash FROM audit_log WHERE mesh_id = $1 AND id = $2`

	seqTaken = `SELECT EXISTS (SELECT FROM message WHERE seq = $1) OR EXISTS (SELECT FROM sent WHERE seq = $1)
		OR EXISTS (SELECT FROM topic_message WHERE seq = $1)`

	importMessage = `INSERT INTO message (seq, id, mesh_id, sender_member_id, sender_key, sender_session, sender_name,
			target_spec, priority, nonce, ciphertext, client_message_id, fingerprint, reply_to, trace, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)` + unlessHere
	importDelivery = `INSERT INTO delivery (seq, recipient, mesh_id, member_id, priority, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6)` + unlessHere
	importSent = `INSERT INTO sent (mesh_id, member_id, client_message_id, message_id, fingerprint, seq)
		VALUES ($1, $2, $3, $4, $5, $6)` + unlessHere
)

// errRehearsed rolls a rehearsal back.
var errRehearsed = errors.New("rehearsed")

// ImportMesh implements [store.Importer]. It does not try again when others get
// in the way: nobody is there, and the copy's messages can be asked for once.
func (s *Store) ImportMesh(ctx context.Context, c *store.MeshCopy) (r *store.ImportResult, err error) {
	defer wrap(&err, "import mesh")
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		for _, query := range []string{noIdleTimeout, createAdopted, createAdoptedRows} {
			if _, err := tx.Exec(ctx, query); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, forgetAdopted, whole(c.Now)); err != nil {
			return err
		}
		r, err = store.Import(ctx, importTx{tx}, c)
		if err == nil && c.Rehearse {
			return errRehearsed
		}
		return err
	})
	if errors.Is(err, errRehearsed) {
		err = nil
	}
	return r, err
}

// importTx is a transaction that imports a mesh.
type importTx struct{ tx pgx.Tx }

// put runs an insert that does nothing where a row is in the way.
func (t importTx) put(ctx context.Context, query string, args ...any) (bool, error) {
	tag, err := t.tx.Exec(ctx, query, args...)
	return tag.RowsAffected() > 0, err
}

// notFound is the store's error for a row that is not there.
func notFound(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return store.ErrNotFound
	}
	return err
}

// PutAccount implements [store.ImportTx].
func (t importTx) PutAccount(ctx context.Context, a *store.Account) (bool, error) {
	return t.put(ctx, insertAccount+unlessHere, accountArgs(a)...)
}

// MeshSlug implements [store.ImportTx].
func (t importTx) MeshSlug(ctx context.Context, id string) (string, error) {
	slug, err := value[string](t.tx.QueryRow(ctx, meshSlug, id))
	return slug, notFound(err)
}

// PutMesh implements [store.ImportTx].
func (t importTx) PutMesh(ctx context.Context, m *store.Mesh) (bool, error) {
	return t.put(ctx, insertMesh+unlessHere, meshArgs(m)...)
}

// MemberByKey implements [store.ImportTx].
func (t importTx) MemberByKey(ctx context.Context, mesh string, k sdk.Key) (id string, revoked time.Time, err error) {
	err = t.tx.QueryRow(ctx, memberPlace, mesh, k[:]).Scan(&id, (*stamp)(&revoked))
	return id, revoked, notFound(err)
}

// PutMember implements [store.ImportTx].
func (t importTx) PutMember(ctx context.Context, m *store.Member) (bool, error) {
	return t.put(ctx, insertMember+unlessHere, memberArgs(m)...)
}

// HasInvite implements [store.ImportTx].
func (t importTx) HasInvite(ctx context.Context, mesh, id string) (bool, error) {
	return value[bool](t.tx.QueryRow(ctx, hasInvite, mesh, id))
}

// PutInvite implements [store.ImportTx].
func (t importTx) PutInvite(ctx context.Context, inv *store.Invite) (bool, error) {
	return t.put(ctx, insertInvite+unlessHere, inviteArgs(inv)...)
}

// PutState implements [store.ImportTx].
func (t importTx) PutState(ctx context.Context, st *store.State) (bool, error) {
	return t.put(ctx, putState, st.MeshID, st.MemberID, stateKey(st.SessionKey), inJSON{&st.Groups}, inJSON{&st.Profile},
		st.Visible, st.Summary, st.Status, st.StatusSource, timeArg(st.StatusUpdatedAt), inJSON{&st.Stats},
		timeArg(st.LastSeenAt), inJSON{&st.Kept})
}

// PutValue implements [store.ImportTx].
func (t importTx) PutValue(ctx context.Context, v *store.Value) (bool, error) {
	return t.put(ctx, insertValue, valueArgs(v)...)
}

// PutMemory implements [store.ImportTx].
func (t importTx) PutMemory(ctx context.Context, m *store.Memory) (bool, error) {
	gone, err := value[bool](t.tx.QueryRow(ctx, wasForgotten, m.ID))
	if err != nil || gone {
		return false, err
	}
	return t.put(ctx, insertMemory, memoryArgs(m)...)
}

// PutContext implements [store.ImportTx].
func (t importTx) PutContext(ctx context.Context, c *store.Context) (bool, error) {
	return t.put(ctx, insertContext+unlessHere, contextArgs(c)...)
}

// PutTask implements [store.ImportTx].
func (t importTx) PutTask(ctx context.Context, task *store.Task) (bool, error) {
	return t.put(ctx, insertTask+unlessHere, taskArgs(task)...)
}

// PutSchedule implements [store.ImportTx].
func (t importTx) PutSchedule(ctx context.Context, s *store.Schedule) (bool, error) {
	return t.put(ctx, insertSchedule+unlessHere, scheduleArgs(s)...)
}

// PutSessionKey implements [store.ImportTx].
func (t importTx) PutSessionKey(ctx context.Context, k *store.SessionKey) (bool, error) {
	return t.put(ctx, claimSessionKey, k.MeshID, k.Key[:], k.MemberID, whole(k.ClaimedAt))
}

// AuditHead implements [store.ImportTx].
func (t importTx) AuditHead(ctx context.Context, mesh string) (*audit.Head, error) {
	if _, err := t.tx.Exec(ctx, lockHead, mesh); err != nil {
		return nil, err
	}
	return scanHead(t.tx.QueryRow(ctx, endOfChain, mesh))
}

// SetAuditHead implements [store.ImportTx].
func (t importTx) SetAuditHead(ctx context.Context, h *audit.Head) error {
	_, err := t.tx.Exec(ctx, setHead, h.MeshID, h.Hash, h.Count, h.LastID)
	return err
}

// PutAudit implements [store.ImportTx].
func (t importTx) PutAudit(ctx context.Context, entries []*audit.Entry) error {
	columns := []string{
		"mesh_id", "id", "event_type", "actor_member_id", "actor_name", "payload", "created_at", "prev_hash", "hash",
	}
	_, err := t.tx.CopyFrom(ctx, pgx.Identifier{Schema, "audit_log"}, columns,
		pgx.CopyFromSlice(len(entries), func(i int) ([]any, error) {
			e := entries[i]
			return []any{
				e.MeshID, e.ID, e.EventType, textArg(e.ActorMemberID), textArg(e.ActorName), string(e.Payload),
				whole(e.CreatedAt), e.PrevHash, e.Hash,
			}, nil
		}))
	return err
}

// AuditHash implements [store.ImportTx].
func (t importTx) AuditHash(ctx context.Context, mesh string, id int64) (string, error) {
	hash, err := value[string](t.tx.QueryRow(ctx, auditHash, mesh, id))
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return hash, err
}

// Adopt implements [store.ImportTx].
func (t importTx) Adopt(ctx context.Context, mesh, id string, until time.Time) (bool, error) {
	return t.put(ctx, adopt, mesh, id, whole(until))
}

// SeqTaken implements [store.ImportTx].
func (t importTx) SeqTaken(ctx context.Context, seq int64) (bool, error) {
	return value[bool](t.tx.QueryRow(ctx, seqTaken, seq))
}

// PutMessage implements [store.ImportTx].
func (t importTx) PutMessage(ctx context.Context, m *store.Message, recipients []store.Delivery) (bool, error) {
	added, err := t.put(ctx, importMessage, m.Seq, m.ID, m.MeshID, m.SenderMemberID, m.SenderMember[:],
		keyArg(m.SenderSession), m.SenderName, m.TargetSpec, int16(m.Priority), []byte(m.Nonce), []byte(m.Ciphertext),
		textArg(m.ClientMessageID), opaqueArg(m.Fingerprint), textArg(m.ReplyTo), textArg(m.Trace), whole(m.CreatedAt),
		whole(m.ExpiresAt))
	if err != nil || !added {
		return false, err
	}
	for _, d := range recipients {
		if _, err := t.put(ctx, importDelivery, d.Seq, d.Recipient[:], m.MeshID, d.MemberID, int16(m.Priority),
			whole(m.ExpiresAt)); err != nil {
			return false, err
		}
	}
	if m.ClientMessageID != "" {
		_, err = t.put(ctx, importSent, m.MeshID, m.SenderMemberID, m.ClientMessageID, m.ID, opaqueArg(m.Fingerprint), m.Seq)
	}
	return err == nil, err
}

// opaqueArg is NULL for nothing.
func opaqueArg(s string) any {
	if s == "" {
		return nil
	}
	return []byte(s)
}
