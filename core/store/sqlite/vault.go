package sqlite

import (
	"context"
	"database/sql"

	"github.com/claudemesh/broker/core/store"
)

const vaultColumns = `mesh_id, member_id, key, type, created_at, updated_at, mount_path, description, nonce, sealed_key, ciphertext`

const (
	vaultEntries = `SELECT mesh_id, member_id, key, type, created_at, updated_at, mount_path, description, '', '', ''
		FROM vault_entry WHERE mesh_id = ? AND member_id = ? ORDER BY key`
	vaultSecrets = `SELECT ` + vaultColumns + ` FROM vault_entry WHERE mesh_id = ? AND member_id = ?
		AND key IN (SELECT value FROM json_each(?)) ORDER BY key`
	countVault = `SELECT count(*), count(*) FILTER (WHERE member_id = ?2) FROM vault_entry WHERE mesh_id = ?1`

	insertVaultEntry = `INSERT INTO vault_entry (` + vaultColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	changeVaultEntry = `UPDATE vault_entry SET type = ?4, updated_at = ?6, mount_path = ?7, description = ?8, nonce = ?9,
		sealed_key = ?10, ciphertext = ?11 WHERE mesh_id = ?1 AND member_id = ?2 AND key = ?3`
	deleteVaultEntry = `DELETE FROM vault_entry WHERE mesh_id = ? AND member_id = ? AND key = ?`
)

// VaultEntries implements [store.Vault].
func (s *Store) VaultEntries(ctx context.Context, mesh, member string) (list []*store.VaultEntry, err error) {
	defer wrap(&err, "list vault entries")
	rows, err := s.read.QueryContext(ctx, vaultEntries, mesh, member)
	return collect(rows, err, scanVaultEntry)
}

// VaultSecrets implements [store.Vault].
func (s *Store) VaultSecrets(ctx context.Context, mesh, member string, keys []string) (list []*store.VaultEntry, err error) {
	defer wrap(&err, "read vault entries")
	rows, err := s.read.QueryContext(ctx, vaultSecrets, mesh, member, texts(keys))
	return collect(rows, err, scanVaultEntry)
}

// SetVaultEntry implements [store.Vault].
func (s *Store) SetVaultEntry(ctx context.Context, e *store.VaultEntry, room store.Room) (err error) {
	defer wrap(&err, "set vault entry")
	args := vaultArgs(e)
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if n, err := affected(tx.ExecContext(ctx, changeVaultEntry, args...)); err != nil || n == 1 {
			return err
		}
		var mesh, member int
		if err := tx.QueryRowContext(ctx, countVault, e.MeshID, e.MemberID).Scan(&mesh, &member); err != nil {
			return err
		}
		if err := room.Fits(mesh, member); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, insertVaultEntry, args...)
		return err
	})
}

// DeleteVaultEntry implements [store.Vault].
func (s *Store) DeleteVaultEntry(ctx context.Context, mesh, member, key string) (err error) {
	defer wrap(&err, "delete vault entry")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return changed(tx.ExecContext(ctx, deleteVaultEntry, mesh, member, key))
	})
}

func vaultArgs(e *store.VaultEntry) []any {
	return []any{
		e.MeshID, e.MemberID, e.Key, e.Type, e.CreatedAt.UnixMilli(), e.UpdatedAt.UnixMilli(), e.MountPath, e.Description,
		e.Nonce, e.SealedKey, e.Ciphertext,
	}
}

func scanVaultEntry(row scanner) (*store.VaultEntry, error) {
	e := new(store.VaultEntry)
	err := row.Scan(&e.MeshID, &e.MemberID, &e.Key, &e.Type, (*millis)(&e.CreatedAt), (*millis)(&e.UpdatedAt), &e.MountPath,
		&e.Description, &e.Nonce, &e.SealedKey, &e.Ciphertext)
	if err != nil {
		return nil, err
	}
	return e, nil
}
