package sqlite

import (
	"context"

	"github.com/claudemesh/broker/core/store"
)

const (
	importWebhook = `INSERT INTO webhook (` + webhookColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)` + unlessHere

	liveMember = `SELECT EXISTS (SELECT 1 FROM member WHERE mesh_id = ? AND id = ? AND revoked_at IS NULL)`
	wasAdopted = `SELECT EXISTS (SELECT 1 FROM adopted_row WHERE mesh_id = ? AND kind = ? AND id = ?)`
	setAdopted = `INSERT INTO adopted_row (mesh_id, kind, id) VALUES (?, ?, ?)` + unlessHere
)

// PutStream implements [store.ImportTx].
func (t importTx) PutStream(ctx context.Context, st *store.Stream) (bool, error) {
	return t.put(ctx, insertStream+unlessHere, st.ID, st.MeshID, st.Name, st.MemberID, st.Author, st.CreatedAt.UnixMilli())
}

// PutSkill implements [store.ImportTx].
func (t importTx) PutSkill(ctx context.Context, sk *store.Skill) (bool, error) {
	return t.put(ctx, insertSkill, skillArgs(sk)...)
}

// PutVaultEntry implements [store.ImportTx].
func (t importTx) PutVaultEntry(ctx context.Context, e *store.VaultEntry) (bool, error) {
	return t.put(ctx, insertVaultEntry+unlessHere, vaultArgs(e)...)
}

// PutAPIKey implements [store.ImportTx].
func (t importTx) PutAPIKey(ctx context.Context, k *store.APIKey) (bool, error) {
	return t.put(ctx, insertAPIKey+unlessHere, k.ID, k.MeshID, k.MemberID, k.Label, k.Prefix, hashArg(k.Hash),
		inJSON{&k.Capabilities}, texts(k.Topics), k.CreatedAt.UnixMilli(), timeArg(k.ExpiresAt), timeArg(k.LastUsedAt),
		timeArg(k.RevokedAt))
}

// PutWebhook implements [store.ImportTx].
func (t importTx) PutWebhook(ctx context.Context, w *store.Webhook) (bool, error) {
	return t.put(ctx, importWebhook, w.ID, w.MeshID, w.Name, w.MemberID, w.Author, w.Target, w.Signature, w.SigningKey,
		w.CreatedAt.UnixMilli(), hashArg(w.Secret))
}

// LiveMember implements [store.ImportTx].
func (t importTx) LiveMember(ctx context.Context, mesh, id string) (live bool, err error) {
	err = t.tx.QueryRowContext(ctx, liveMember, mesh, id).Scan(&live)
	return live, err
}

// Adopted implements [store.ImportTx].
func (t importTx) Adopted(ctx context.Context, mesh, kind, id string) (was bool, err error) {
	err = t.tx.QueryRowContext(ctx, wasAdopted, mesh, kind, id).Scan(&was)
	return was, err
}

// SetAdopted implements [store.ImportTx].
func (t importTx) SetAdopted(ctx context.Context, mesh, kind, id string) error {
	_, err := t.tx.ExecContext(ctx, setAdopted, mesh, kind, id)
	return err
}
