package postgres

import (
	"context"
	"errors"
	"iter"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
)

const auditColumns = `mesh_id, id, event_type, actor_member_id, actor_name, payload, created_at, prev_hash, hash`

const (
	matching   = ` FROM audit_log WHERE mesh_id = $1 AND $2 IN ('', actor_member_id) AND $3 IN ('', event_type)`
	auditPage  = `SELECT ` + auditColumns + matching + ` ORDER BY id DESC LIMIT $4 OFFSET $5`
	countAudit = `SELECT count(*)` + matching
	auditChain = `SELECT ` + auditColumns + ` FROM audit_log WHERE mesh_id = $1 ORDER BY id`
	auditHead  = `SELECT mesh_id, hash, count, last_id FROM audit_head WHERE mesh_id = $1`

	// A stream takes as long as who reads it.
	noTimeout = `SET LOCAL statement_timeout = 0`
)

// AuditPage implements [store.Audit].
func (s *Store) AuditPage(ctx context.Context, mesh string, match store.AuditMatch, limit, offset int) (page []*audit.Entry, total int64, err error) {
	defer wrap(&err, "audit page")
	err = s.view(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if total, err = value[int64](tx.QueryRow(ctx, countAudit, mesh, match.Actor, match.Event)); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, auditPage, mesh, match.Actor, match.Event, max(limit, 0), max(offset, 0))
		page, err = collect(rows, err, scanEntry)
		return err
	})
	return page, total, err
}

// AuditChain implements [store.Audit]. It holds one of the connections until
// the loop ends.
func (s *Store) AuditChain(ctx context.Context, mesh string) iter.Seq2[*audit.Entry, error] {
	return func(yield func(*audit.Entry, error) bool) {
		ctx, cancel := context.WithCancel(ctx) // ends the query of a loop that was left early
		defer cancel()
		left := false
		err := s.snapshot(ctx, func(ctx context.Context, tx pgx.Tx) error {
			return stream(ctx, tx, mesh, func(e *audit.Entry) bool {
				if !yield(e, nil) {
					left = true
					cancel()
				}
				return !left
			})
		})
		wrap(&err, "audit chain")
		if err != nil && !left {
			yield(nil, err)
		}
	}
}

// stream reads a chain entry by entry, in constant memory. It returns nil when
// yield ends it.
func stream(ctx context.Context, tx pgx.Tx, mesh string, yield func(*audit.Entry) bool) error {
	if _, err := tx.Exec(ctx, noTimeout); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, auditChain, mesh)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return err
		}
		if !yield(e) {
			return nil
		}
	}
	return rows.Err()
}

// VerifyAudit implements [store.Audit].
func (s *Store) VerifyAudit(ctx context.Context, mesh string) (result audit.Result, err error) {
	defer wrap(&err, "audit verify")
	err = s.again(func() error { return s.snapshot(ctx, verify(mesh, &result)) })
	return result, err
}

// verify walks a chain in a transaction.
func verify(mesh string, result *audit.Result) func(context.Context, pgx.Tx) error {
	return func(ctx context.Context, tx pgx.Tx) error {
		head, err := scanHead(tx.QueryRow(ctx, auditHead, mesh))
		if errors.Is(err, pgx.ErrNoRows) {
			head, err = &audit.Head{MeshID: mesh}, nil
		}
		if err != nil {
			return err
		}
		v := audit.NewVerifier(mesh)
		err = stream(ctx, tx, mesh, func(e *audit.Entry) bool {
			v.Add(e)
			return true
		})
		*result = v.Finish(head)
		return err
	}
}

// AuditHead implements [store.Audit].
func (s *Store) AuditHead(ctx context.Context, mesh string) (h *audit.Head, err error) {
	defer wrap(&err, "audit head")
	return one(ctx, s, scanHead, auditHead, mesh)
}

func scanHead(row scanner) (*audit.Head, error) {
	h := new(audit.Head)
	if err := row.Scan(&h.MeshID, &h.Hash, &h.Count, &h.LastID); err != nil {
		return nil, err
	}
	return h, nil
}

func scanEntry(row scanner) (*audit.Entry, error) {
	e := new(audit.Entry)
	err := row.Scan(&e.MeshID, &e.ID, &e.EventType, (*text)(&e.ActorMemberID), (*text)(&e.ActorName),
		(*opaqueText)(&e.Payload), (*stamp)(&e.CreatedAt), &e.PrevHash, &e.Hash)
	if err != nil {
		return nil, err
	}
	return e, nil
}
