package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const meshColumns = `id, slug, name, owner_key, owner_secret, root_key, policy, owner_account, created_at,
	archived_at`

const (
	insertMesh     = `INSERT INTO mesh (` + meshColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	meshByID       = `SELECT ` + meshColumns + ` FROM mesh WHERE id = $1`
	liveMeshByID   = meshByID + ` AND archived_at IS NULL`
	liveMeshBySlug = `SELECT ` + meshColumns + ` FROM mesh WHERE slug = $1 AND archived_at IS NULL`
	changeMesh     = `UPDATE mesh SET name = $2, owner_key = $3, owner_secret = $4, root_key = $5, policy = $6,
		owner_account = $7, archived_at = $8 WHERE id = $1 RETURNING ` + meshColumns
	listMeshes = `SELECT ` + meshColumns + `,
		(SELECT count(*) FROM member WHERE mesh_id = mesh.id AND revoked_at IS NULL)
		FROM mesh WHERE archived_at IS NULL ORDER BY created_at, id`

	archivedMeshes = `SELECT id FROM mesh WHERE archived_at IS NOT NULL`
)

// CreateMesh implements [store.Meshes].
func (s *Store) CreateMesh(ctx context.Context, m *store.Mesh, members []*store.Member) (err error) {
	defer wrap(&err, "create mesh")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, insertMesh, meshArgs(m)...); err != nil {
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
		m.ID, m.Slug, m.Name, m.OwnerKey[:], m.OwnerSecret, m.RootKey, inJSON{&m.Policy}, m.OwnerAccount,
		whole(m.CreatedAt), timeArg(m.ArchivedAt),
	}
}

// Mesh implements [store.Meshes].
func (s *Store) Mesh(ctx context.Context, id string) (m *store.Mesh, err error) {
	defer wrap(&err, "read mesh")
	return one(ctx, s, scanMesh, meshByID, id)
}

// FindMesh implements [store.Meshes]. An id goes before a slug that is spelt
// the same.
func (s *Store) FindMesh(ctx context.Context, idOrSlug string) (m *store.Mesh, err error) {
	defer wrap(&err, "find mesh")
	m, err = one(ctx, s, scanMesh, liveMeshByID, idOrSlug)
	if errors.Is(err, pgx.ErrNoRows) {
		m, err = one(ctx, s, scanMesh, liveMeshBySlug, idOrSlug)
	}
	return m, err
}

// ChangeMesh implements [store.Meshes].
func (s *Store) ChangeMesh(ctx context.Context, id string, change func(*store.Mesh) error) (*store.Mesh, error) {
	return edit[store.Mesh]{
		op: "change mesh", read: meshByID, scan: scanMesh, write: changeMesh, signal: store.SignalMesh,
		args: func(m *store.Mesh) []any {
			return []any{
				m.Name, m.OwnerKey[:], m.OwnerSecret, m.RootKey, inJSON{&m.Policy}, m.OwnerAccount, timeArg(m.ArchivedAt),
			}
		},
	}.run(ctx, s, id, change)
}

// ListMeshes implements [store.Meshes].
func (s *Store) ListMeshes(ctx context.Context) (list []store.MeshSummary, err error) {
	defer wrap(&err, "list meshes")
	return all(ctx, s, func(row scanner) (sum store.MeshSummary, err error) {
		sum.Mesh, err = scanMeshAnd(row, &sum.Members)
		return sum, err
	}, listMeshes)
}

// ArchivedMeshes implements [store.Meshes].
func (s *Store) ArchivedMeshes(ctx context.Context) (ids []string, err error) {
	defer wrap(&err, "list archived meshes")
	return all(ctx, s, func(row scanner) (id string, err error) {
		err = row.Scan(&id)
		return id, err
	}, archivedMeshes)
}

func scanMesh(row scanner) (*store.Mesh, error) { return scanMeshAnd(row) }

// scanMeshAnd reads meshColumns, and into more what follows them.
func scanMeshAnd(row scanner, more ...any) (*store.Mesh, error) {
	m := new(store.Mesh)
	err := row.Scan(append([]any{&m.ID, &m.Slug, &m.Name, (*key)(&m.OwnerKey), &m.OwnerSecret, &m.RootKey,
		inJSON{&m.Policy}, &m.OwnerAccount, (*stamp)(&m.CreatedAt), (*stamp)(&m.ArchivedAt)}, more...)...)
	if err != nil {
		return nil, err
	}
	return m, nil
}
