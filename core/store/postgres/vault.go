package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const vaultColumns = `mesh_id, member_id, key, type, created_at, updated_at, mount_path, description, nonce, sealed_key, ciphertext`

const (
	vaultEntries = `SELECT mesh_id, member_id, key, type, created_at, updated_at, mount_path, description, '', '', ''
		FROM vault_entry WHERE mesh_id = $1 AND member_id = $2 ORDER BY key`
	vaultSecrets = `SELECT ` + vaultColumns + ` FROM vault_entry WHERE mesh_id = $1 AND member_id = $2
		AND key = ANY ($3::text[]) ORDER BY key`

	// Who sets a secret waits for its turn, so that no two are the last that fits,
	// and no two are the first under a key.
	vaultTurn  = `SELECT pg_advisory_xact_lock($1)`
	countVault = `SELECT count(*), count(*) FILTER (WHERE member_id = $2) FROM vault_entry WHERE mesh_id = $1`

	insertVaultEntry = `INSERT INTO vault_entry (` + vaultColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	changeVaultEntry = `UPDATE vault_entry SET type = $4, updated_at = $5, mount_path = $6, description = $7, nonce = $8,
		sealed_key = $9, ciphertext = $10 WHERE mesh_id = $1 AND member_id = $2 AND key = $3`
	deleteVaultEntry = `DELETE FROM vault_entry WHERE mesh_id = $1 AND member_id = $2 AND key = $3`
)

// VaultEntries implements [store.Vault].
func (s *Store) VaultEntries(ctx context.Context, mesh, member string) (list []*store.VaultEntry, err error) {
	defer wrap(&err, "list vault entries")
	return all(ctx, s, scanVaultEntry, vaultEntries, mesh, member)
}

// VaultSecrets implements [store.Vault].
func (s *Store) VaultSecrets(ctx context.Context, mesh, member string, keys []string) (list []*store.VaultEntry, err error) {
	defer wrap(&err, "read vault entries")
	return all(ctx, s, scanVaultEntry, vaultSecrets, mesh, member, texts(keys))
}

// SetVaultEntry implements [store.Vault].
func (s *Store) SetVaultEntry(ctx context.Context, e *store.VaultEntry, room store.Room) (err error) {
	defer wrap(&err, "set vault entry")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, vaultTurn, lockKey("vault of "+e.MeshID)); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, changeVaultEntry, e.MeshID, e.MemberID, e.Key, e.Type, whole(e.UpdatedAt), e.MountPath,
			e.Description, e.Nonce, e.SealedKey, e.Ciphertext)
		if err != nil || tag.RowsAffected() == 1 {
			return err
		}
		return addVaultEntry(ctx, tx, e, room)
	})
}

// addVaultEntry writes a secret whose key is free, if there is room.
func addVaultEntry(ctx context.Context, tx pgx.Tx, e *store.VaultEntry, room store.Room) error {
	var mesh, member int
	if err := tx.QueryRow(ctx, countVault, e.MeshID, e.MemberID).Scan(&mesh, &member); err != nil {
		return err
	}
	if err := room.Fits(mesh, member); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, insertVaultEntry, e.MeshID, e.MemberID, e.Key, e.Type, whole(e.CreatedAt), whole(e.UpdatedAt),
		e.MountPath, e.Description, e.Nonce, e.SealedKey, e.Ciphertext)
	return err
}

// DeleteVaultEntry implements [store.Vault].
func (s *Store) DeleteVaultEntry(ctx context.Context, mesh, member, key string) (err error) {
	defer wrap(&err, "delete vault entry")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return oneFound(tx.Exec(ctx, deleteVaultEntry, mesh, member, key))
	})
}

func scanVaultEntry(row scanner) (*store.VaultEntry, error) {
	e := new(store.VaultEntry)
	err := row.Scan(&e.MeshID, &e.MemberID, &e.Key, &e.Type, (*stamp)(&e.CreatedAt), (*stamp)(&e.UpdatedAt), &e.MountPath,
		&e.Description, &e.Nonce, &e.SealedKey, &e.Ciphertext)
	if err != nil {
		return nil, err
	}
	return e, nil
}
