package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const contextColumns = `mesh_id, member_id, id, name, summary, files_read, key_findings, tags, updated_at`

const (
	insertContext = `INSERT INTO context (` + contextColumns + `, folded) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	shareContext  = insertContext + ` ON CONFLICT (mesh_id, member_id) DO UPDATE SET name = excluded.name, summary = excluded.summary,
			folded = excluded.folded, files_read = excluded.files_read, key_findings = excluded.key_findings,
			tags = excluded.tags, updated_at = excluded.updated_at
		RETURNING id`
	findContexts = `SELECT ` + contextColumns + ` FROM context WHERE mesh_id = $1
		AND (strpos(folded, $2) > 0 OR $3 = ANY (tags)) AND member_id <> ALL ($4::text[])
		ORDER BY updated_at DESC, member_id DESC LIMIT $5`
	listContexts = `SELECT mesh_id, member_id, id, name, summary, '[]', '[]', tags, updated_at FROM context WHERE mesh_id = $1
		AND member_id <> ALL ($2::text[]) ORDER BY updated_at DESC, member_id DESC LIMIT $3`
)

// ShareContext implements [store.Contexts].
func (s *Store) ShareContext(ctx context.Context, c *store.Context, sig *store.Signal) (id string, err error) {
	defer wrap(&err, "share context")
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		id, err = value[string](tx.QueryRow(ctx, shareContext, contextArgs(c)...))
		if err != nil {
			return err
		}
		return appendSignal(ctx, tx, sig)
	})
	return id, err
}

func contextArgs(c *store.Context) []any {
	return []any{
		c.MeshID, c.MemberID, c.ID, c.Name, c.Summary, inJSON{&c.FilesRead}, inJSON{&c.KeyFindings}, texts(c.Tags),
		whole(c.UpdatedAt), strings.ToLower(c.Summary),
	}
}

// FindContexts implements [store.Contexts].
func (s *Store) FindContexts(ctx context.Context, mesh, query string, except []string, limit int) (list []*store.Context, err error) {
	defer wrap(&err, "find contexts")
	return all(ctx, s, scanContext, findContexts, mesh, strings.ToLower(query), query, texts(except), limit)
}

// ListContexts implements [store.Contexts].
func (s *Store) ListContexts(ctx context.Context, mesh string, except []string, limit int) (list []*store.Context, err error) {
	defer wrap(&err, "list contexts")
	return all(ctx, s, scanContext, listContexts, mesh, texts(except), limit)
}

func scanContext(row scanner) (*store.Context, error) {
	c := new(store.Context)
	err := row.Scan(&c.MeshID, &c.MemberID, &c.ID, &c.Name, &c.Summary, inJSON{&c.FilesRead}, inJSON{&c.KeyFindings},
		&c.Tags, (*stamp)(&c.UpdatedAt))
	if err != nil {
		return nil, err
	}
	return c, nil
}
