package sqlite

import (
	"context"
	"database/sql"

	"github.com/claudemesh/broker/core/audit"
)

// No index serves actors: one more to keep would make every commit dearer, for
// a question that is rarely asked. These walk the mesh's part of the log.
const (
	auditBy     = ` FROM audit_log WHERE mesh_id = ?1 AND ?2 IN ('', actor_member_id) AND ?3 IN ('', event_type)`
	auditPageBy = `SELECT ` + auditColumns + auditBy + ` ORDER BY id DESC LIMIT ?4 OFFSET ?5`
	countBy     = `SELECT count(*)` + auditBy
)

// AuditPageBy implements [store.Audit].
func (s *Store) AuditPageBy(ctx context.Context, mesh, actor, event string, limit, offset int) (page []*audit.Entry, total int64, err error) {
	if actor == "" {
		return s.AuditPage(ctx, mesh, event, limit, offset)
	}
	defer wrap(&err, "audit page")
	err = s.view(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, countBy, mesh, actor, event).Scan(&total); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, auditPageBy, mesh, actor, event, max(limit, 0), max(offset, 0))
		page, err = collect(rows, err, scanEntry)
		return err
	})
	return page, total, err
}
