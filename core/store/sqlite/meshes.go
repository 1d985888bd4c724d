package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/claudemesh/broker/core/store"
)

const meshColumns = `id, slug, name, owner_key, owner_secret, root_key, policy, owner_account, created_at,
	archived_at`

const (
	insertMesh     = `INSERT INTO mesh (` + meshColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	meshByID       = `SELECT ` + meshColumns + ` FROM mesh WHERE id = ?`
	liveMeshByID   = meshByID + ` AND archived_at IS NULL`
	liveMeshBySlug = `SELECT ` + meshColumns + ` FROM mesh WHERE slug = ? AND archived_at IS NULL`
	changeMesh     = `UPDATE mesh SET name = ?, owner_key = ?, owner_secret = ?, root_key = ?, policy = ?,
		owner_account = ?, archived_at = ? WHERE id = ? RETURNING ` + meshColumns
	listMeshes = `SELECT ` + meshColumns + `,
		(SELECT count(*) FROM member WHERE mesh_id = mesh.id AND revoked_at IS NULL)
		FROM mesh WHERE archived_at IS NULL ORDER BY created_at, id`

	archivedMeshes = `SELECT id FROM mesh WHERE archived_at IS NOT NULL`
)

// CreateMesh implements [store.Meshes].
func (s *Store) CreateMesh(ctx context.Context, m *store.Mesh, members []*store.Member) (err error) {
	defer wrap(&err, "create mesh")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, insertMesh, meshArgs(m)...); err != nil {
			return err
		}
		for _, member := range members {
			if err := addMember(ctx, tx, member); err != nil {
				return err
			}
		}
		return nil
	})
}

func meshArgs(m *store.Mesh) []any {
	return []any{
		m.ID, m.Slug, m.Name, m.OwnerKey.String(), m.OwnerSecret, m.RootKey, inJSON{&m.Policy}, m.OwnerAccount,
		m.CreatedAt.UnixMilli(), timeArg(m.ArchivedAt),
	}
}

// Mesh implements [store.Meshes].
func (s *Store) Mesh(ctx context.Context, id string) (m *store.Mesh, err error) {
	defer wrap(&err, "read mesh")
	return scanMesh(s.read.QueryRowContext(ctx, meshByID, id))
}

// FindMesh implements [store.Meshes]. An id goes before a slug that is spelt
// the same.
func (s *Store) FindMesh(ctx context.Context, idOrSlug string) (m *store.Mesh, err error) {
	defer wrap(&err, "find mesh")
	m, err = scanMesh(s.read.QueryRowContext(ctx, liveMeshByID, idOrSlug))
	if errors.Is(err, sql.ErrNoRows) {
		m, err = scanMesh(s.read.QueryRowContext(ctx, liveMeshBySlug, idOrSlug))
	}
	return m, err
}

// ChangeMesh implements [store.Meshes].
func (s *Store) ChangeMesh(ctx context.Context, id string, change func(*store.Mesh) error) (*store.Mesh, error) {
	return edit[store.Mesh]{
		op: "change mesh", read: meshByID, scan: scanMesh, write: changeMesh,
		args: func(m *store.Mesh) []any {
			return []any{
				m.Name, m.OwnerKey.String(), m.OwnerSecret, m.RootKey, inJSON{&m.Policy}, m.OwnerAccount,
				timeArg(m.ArchivedAt),
			}
		},
	}.run(ctx, s, id, change)
}

// ListMeshes implements [store.Meshes].
func (s *Store) ListMeshes(ctx context.Context) (list []store.MeshSummary, err error) {
	defer wrap(&err, "list meshes")
	rows, err := s.read.QueryContext(ctx, listMeshes)
	return collect(rows, err, func(row scanner) (sum store.MeshSummary, err error) {
		sum.Mesh, err = scanMeshAnd(row, &sum.Members)
		return sum, err
	})
}

// ArchivedMeshes implements [store.Meshes].
func (s *Store) ArchivedMeshes(ctx context.Context) (ids []string, err error) {
	defer wrap(&err, "list archived meshes")
	rows, err := s.read.QueryContext(ctx, archivedMeshes)
	return collect(rows, err, func(row scanner) (id string, err error) {
		err = row.Scan(&id)
		return id, err
	})
}

func scanMesh(row scanner) (*store.Mesh, error) { return scanMeshAnd(row) }

// scanMeshAnd reads meshColumns, and into more what follows them.
func scanMeshAnd(row scanner, more ...any) (*store.Mesh, error) {
	m := new(store.Mesh)
	err := row.Scan(append([]any{&m.ID, &m.Slug, &m.Name, (*key)(&m.OwnerKey), &m.OwnerSecret, &m.RootKey,
		inJSON{&m.Policy}, &m.OwnerAccount, (*millis)(&m.CreatedAt), (*millis)(&m.ArchivedAt)}, more...)...)
	if err != nil {
		return nil, err
	}
	return m, nil
}
