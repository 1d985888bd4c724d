package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

var _ store.Importer = (*Store)(nil)

// Which messages were imported. Only stores that took over another database
// have this table, so no migration makes it.
const createAdopted = `
CREATE TABLE IF NOT EXISTS adopted_message (
    mesh_id TEXT    NOT NULL,
    id      TEXT    NOT NULL,
    until   INTEGER NOT NULL, -- the other database's row is too old to be imported from then on
    PRIMARY KEY (mesh_id, id)
) STRICT, WITHOUT ROWID`

// Which other rows were imported that somebody may have deleted here since.
const createAdoptedRows = `
CREATE TABLE IF NOT EXISTS adopted_row (
    mesh_id TEXT NOT NULL,
    kind    TEXT NOT NULL,
    id      TEXT NOT NULL,
    PRIMARY KEY (mesh_id, kind, id)
) STRICT, WITHOUT ROWID`

const (
	unlessHere = ` ON CONFLICT DO NOTHING`

	meshSlug      = `SELECT slug FROM mesh WHERE id = ?`
	memberPlace   = `SELECT id, revoked_at FROM member WHERE mesh_id = ? AND pubkey = ?`
	putState      = `INSERT INTO peer_state (` + stateColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)` + unlessHere
	auditHash     = `SELECT hash FROM audit_log WHERE mesh_id = ? AND id = ?`
	adopt         = `INSERT INTO adopted_message (mesh_id, id, until) VALUES (?, ?, ?)` + unlessHere
	forgetAdopted = `DELETE FROM adopted_message WHERE until <= ?`
	seqTaken      = `SELECT EXISTS (SELECT 1 FROM message WHERE seq = ?1) OR EXISTS (SELECT 1 FROM sent WHERE seq = ?1)
		OR EXISTS (SELECT 1 FROM topic_message WHERE seq = ?1)`
)

// errRehearsed rolls a rehearsal back.
var errRehearsed = errors.New("rehearsed")

// ImportMesh implements [store.Importer].
func (s *Store) ImportMesh(ctx context.Context, c *store.MeshCopy) (r *store.ImportResult, err error) {
	defer wrap(&err, "import mesh")
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, query := range []string{createAdopted, createAdoptedRows} {
			if _, err := tx.ExecContext(ctx, query); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, forgetAdopted, c.Now.UnixMilli()); err != nil {
			return err
		}
		r, err = store.Import(ctx, importTx{tx, s.commit}, c)
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

// importTx is a write transaction that imports a mesh.
type importTx struct {
	tx     *sql.Tx
	commit *committer // the transaction holds the write connection
}

// put runs an insert that does nothing where a row is in the way.
func (t importTx) put(ctx context.Context, query string, args ...any) (bool, error) {
	n, err := affected(t.tx.ExecContext(ctx, query, args...))
	return n > 0, err
}

// PutAccount implements [store.ImportTx].
func (t importTx) PutAccount(ctx context.Context, a *store.Account) (bool, error) {
	return t.put(ctx, insertAccount+unlessHere, accountArgs(a)...)
}

// MeshSlug implements [store.ImportTx].
func (t importTx) MeshSlug(ctx context.Context, id string) (slug string, err error) {
	err = t.tx.QueryRowContext(ctx, meshSlug, id).Scan(&slug)
	return slug, notFound(err)
}

// notFound is the store's error for a row that is not there.
func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	return err
}

// PutMesh implements [store.ImportTx].
func (t importTx) PutMesh(ctx context.Context, m *store.Mesh) (bool, error) {
	return t.put(ctx, insertMesh+unlessHere, meshArgs(m)...)
}

// MemberByKey implements [store.ImportTx].
func (t importTx) MemberByKey(ctx context.Context, mesh string, k sdk.Key) (id string, revoked time.Time, err error) {
	err = t.tx.QueryRowContext(ctx, memberPlace, mesh, k.String()).Scan(&id, (*millis)(&revoked))
	return id, revoked, notFound(err)
}

// PutMember implements [store.ImportTx].
func (t importTx) PutMember(ctx context.Context, m *store.Member) (bool, error) {
	return t.put(ctx, insertMember+unlessHere, memberArgs(m)...)
}

// HasInvite implements [store.ImportTx].
func (t importTx) HasInvite(ctx context.Context, mesh, id string) (bool, error) {
	var one int
	err := t.tx.QueryRowContext(ctx, inviteExists, id, mesh).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// PutInvite implements [store.ImportTx].
func (t importTx) PutInvite(ctx context.Context, inv *store.Invite) (bool, error) {
	return t.put(ctx, insertInvite+unlessHere, inviteArgs(inv)...)
}

// PutState implements [store.ImportTx].
func (t importTx) PutState(ctx context.Context, st *store.State) (bool, error) {
	return t.put(ctx, putState, stateArgs(nil, st)...)
}

// PutValue implements [store.ImportTx].
func (t importTx) PutValue(ctx context.Context, v *store.Value) (bool, error) {
	return t.put(ctx, insertValue, valueArgs(v)...)
}

// PutMemory implements [store.ImportTx].
func (t importTx) PutMemory(ctx context.Context, m *store.Memory) (bool, error) {
	var gone bool
	if err := t.tx.QueryRowContext(ctx, wasForgotten, m.ID).Scan(&gone); err != nil || gone {
		return false, err
	}
	return addMemory(ctx, t.tx, m, insertMemory+unlessHere)
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
	return t.put(ctx, insertSessionKeys+`(?, ?, ?, ?)`, sessionKeyArgs(nil, k)...)
}

// AuditHead implements [store.ImportTx]. The transaction holds the file's only
// write lock.
func (t importTx) AuditHead(ctx context.Context, mesh string) (*audit.Head, error) {
	return scanHead(t.tx.StmtContext(ctx, t.commit.head).QueryRowContext(ctx, mesh)) //nolint:sqlclosecheck // closed with its transaction
}

// SetAuditHead implements [store.ImportTx].
func (t importTx) SetAuditHead(ctx context.Context, h *audit.Head) error {
	_, err := t.tx.ExecContext(ctx, setAuditHead, h.MeshID, h.Hash, h.Count, h.LastID)
	return err
}

// PutAudit implements [store.ImportTx].
func (t importTx) PutAudit(ctx context.Context, entries []*audit.Entry) error {
	return write(ctx, t.tx, &t.commit.audit, entries, entryArgs)
}

// AuditHash implements [store.ImportTx].
func (t importTx) AuditHash(ctx context.Context, mesh string, id int64) (hash string, err error) {
	err = t.tx.QueryRowContext(ctx, auditHash, mesh, id).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return hash, err
}

// Adopt implements [store.ImportTx].
func (t importTx) Adopt(ctx context.Context, mesh, id string, until time.Time) (bool, error) {
	return t.put(ctx, adopt, mesh, id, until.UnixMilli())
}

// SeqTaken implements [store.ImportTx].
func (t importTx) SeqTaken(ctx context.Context, seq int64) (taken bool, err error) {
	err = t.tx.QueryRowContext(ctx, seqTaken, seq).Scan(&taken)
	return taken, err
}

// PutMessage implements [store.ImportTx].
func (t importTx) PutMessage(ctx context.Context, m *store.Message, recipients []store.Delivery) (bool, error) {
	var one int
	err := t.tx.QueryRowContext(ctx, `SELECT 1 FROM message WHERE mesh_id = ? AND id = ?`, m.MeshID, m.ID).Scan(&one)
	if !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	b := &store.Batch{Messages: []*store.Message{m}, Deliveries: recipients}
	if m.ClientMessageID != "" {
		b.Sent = b.Messages
	}
	return true, t.commit.write(ctx, t.tx, b)
}
