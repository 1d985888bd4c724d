package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"iter"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
)

const auditColumns = `mesh_id, id, event_type, actor_member_id, actor_name, payload, created_at, prev_hash, hash`

const (
	matching   = ` FROM audit_log WHERE mesh_id = ?1 AND ?2 IN ('', actor_member_id) AND ?3 IN ('', event_type)`
	auditPage  = `SELECT ` + auditColumns + matching + ` ORDER BY id DESC LIMIT ?4 OFFSET ?5`
	countAudit = `SELECT count(*)` + matching
	auditChain = `SELECT ` + auditColumns + ` FROM audit_log WHERE mesh_id = ? ORDER BY id`
	auditHead  = `SELECT mesh_id, hash, count, last_id FROM audit_head WHERE mesh_id = ?`

	// Where the chain of a mesh goes on. The head says so; ids also rise above
	// any row that was put into the log behind its back, because otherwise that
	// one row would make every commit fail.
	endOfChain = `SELECT ?1, ifnull(h.hash, ''), ifnull(h.count, 0), max(ifnull(h.last_id, 0),
		(SELECT ifnull(max(id), 0) FROM audit_log WHERE mesh_id = ?1))
		FROM (SELECT 1) LEFT JOIN audit_head h ON h.mesh_id = ?1`
	setAuditHead = `INSERT OR REPLACE INTO audit_head (mesh_id, hash, count, last_id) VALUES (?, ?, ?, ?)`
)

// AuditPage implements [store.Audit].
func (s *Store) AuditPage(ctx context.Context, mesh string, match store.AuditMatch, limit, offset int) (page []*audit.Entry, total int64, err error) {
	defer wrap(&err, "audit page")
	err = s.view(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, countAudit, mesh, match.Actor, match.Event).Scan(&total); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, auditPage, mesh, match.Actor, match.Event, max(limit, 0), max(offset, 0))
		page, err = collect(rows, err, scanEntry)
		return err
	})
	return page, total, err
}

// AuditChain implements [store.Audit]. It holds one of the read connections
// until the loop ends.
func (s *Store) AuditChain(ctx context.Context, mesh string) iter.Seq2[*audit.Entry, error] {
	return func(yield func(*audit.Entry, error) bool) {
		err := stream(ctx, s.read, mesh, yield)
		wrap(&err, "audit chain")
		if err != nil {
			yield(nil, err)
		}
	}
}

// queryer is the read pool, or one transaction on it.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// stream reads a chain entry by entry. It returns nil when yield ends it.
func stream(ctx context.Context, q queryer, mesh string, yield func(*audit.Entry, error) bool) error {
	rows, err := q.QueryContext(ctx, auditChain, mesh)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return err
		}
		if !yield(e, nil) {
			return nil
		}
	}
	return rows.Err()
}

// VerifyAudit implements [store.Audit].
func (s *Store) VerifyAudit(ctx context.Context, mesh string) (result audit.Result, err error) {
	defer wrap(&err, "audit verify")
	err = s.view(ctx, func(tx *sql.Tx) error {
		head, err := scanHead(tx.QueryRowContext(ctx, auditHead, mesh))
		if errors.Is(err, sql.ErrNoRows) {
			head, err = &audit.Head{MeshID: mesh}, nil
		}
		if err != nil {
			return err
		}
		v := audit.NewVerifier(mesh)
		err = stream(ctx, tx, mesh, func(e *audit.Entry, _ error) bool {
			v.Add(e)
			return true
		})
		result = v.Finish(head)
		return err
	})
	return result, err
}

// AuditHead implements [store.Audit].
func (s *Store) AuditHead(ctx context.Context, mesh string) (h *audit.Head, err error) {
	defer wrap(&err, "audit head")
	return scanHead(s.read.QueryRowContext(ctx, auditHead, mesh))
}

func scanHead(row scanner) (*audit.Head, error) {
	h := new(audit.Head)
	if err := row.Scan(&h.MeshID, &h.Hash, &h.Count, &h.LastID); err != nil {
		return nil, err
	}
	return h, nil
}

func entryArgs(args []any, e *audit.Entry) []any {
	return append(args, e.MeshID, e.ID, e.EventType, textArg(e.ActorMemberID), textArg(e.ActorName), string(e.Payload),
		e.CreatedAt.UnixMilli(), e.PrevHash, e.Hash)
}

func scanEntry(row scanner) (*audit.Entry, error) {
	e := new(audit.Entry)
	err := row.Scan(&e.MeshID, &e.ID, &e.EventType, (*text)(&e.ActorMemberID), (*text)(&e.ActorName), &e.Payload,
		(*millis)(&e.CreatedAt), &e.PrevHash, &e.Hash)
	if err != nil {
		return nil, err
	}
	return e, nil
}
