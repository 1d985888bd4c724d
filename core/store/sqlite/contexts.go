package sqlite

import (
	"context"
	"database/sql"
	"strings"

	"github.com/claudemesh/broker/core/store"
)

const contextColumns = `mesh_id, member_id, id, name, summary, files_read, key_findings, tags, updated_at`

const (
	insertContext = `INSERT INTO context (` + contextColumns + `, folded) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	shareContext  = insertContext + ` ON CONFLICT (mesh_id, member_id) DO UPDATE SET name = excluded.name, summary = excluded.summary,
			folded = excluded.folded, files_read = excluded.files_read, key_findings = excluded.key_findings,
			tags = excluded.tags, updated_at = excluded.updated_at
		RETURNING id`
	findContexts = `SELECT ` + contextColumns + ` FROM context WHERE mesh_id = ?1
		AND (instr(folded, ?2) > 0 OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?3))
		AND member_id NOT IN (SELECT value FROM json_each(?4))
		ORDER BY updated_at DESC, member_id DESC LIMIT ?5`
	listContexts = `SELECT mesh_id, member_id, id, name, summary, '[]', '[]', tags, updated_at FROM context WHERE mesh_id = ?
		AND member_id NOT IN (SELECT value FROM json_each(?)) ORDER BY updated_at DESC, member_id DESC LIMIT ?`
)

// ShareContext implements [store.Contexts]. There are no other nodes to tell.
func (s *Store) ShareContext(ctx context.Context, c *store.Context, _ *store.Signal) (id string, err error) {
	defer wrap(&err, "share context")
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, shareContext, contextArgs(c)...).Scan(&id)
	})
	return id, err
}

func contextArgs(c *store.Context) []any {
	return []any{
		c.MeshID, c.MemberID, c.ID, c.Name, c.Summary, inJSON{&c.FilesRead}, inJSON{&c.KeyFindings}, inJSON{&c.Tags},
		c.UpdatedAt.UnixMilli(), strings.ToLower(c.Summary),
	}
}

// FindContexts implements [store.Contexts].
func (s *Store) FindContexts(ctx context.Context, mesh, query string, except []string, limit int) (list []*store.Context, err error) {
	defer wrap(&err, "find contexts")
	rows, err := s.read.QueryContext(ctx, findContexts, mesh, strings.ToLower(query), query, texts(except), limit)
	return collect(rows, err, scanContext)
}

// ListContexts implements [store.Contexts].
func (s *Store) ListContexts(ctx context.Context, mesh string, except []string, limit int) (list []*store.Context, err error) {
	defer wrap(&err, "list contexts")
	rows, err := s.read.QueryContext(ctx, listContexts, mesh, texts(except), limit)
	return collect(rows, err, scanContext)
}

func scanContext(row scanner) (*store.Context, error) {
	c := new(store.Context)
	err := row.Scan(&c.MeshID, &c.MemberID, &c.ID, &c.Name, &c.Summary, inJSON{&c.FilesRead}, inJSON{&c.KeyFindings},
		inJSON{&c.Tags}, (*millis)(&c.UpdatedAt))
	if err != nil {
		return nil, err
	}
	return c, nil
}
