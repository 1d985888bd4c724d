package postgres

import (
	"context"

	"github.com/claudemesh/broker/core/store"
)

const (
	importWebhook = `INSERT INTO webhook (` + webhookColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, NULL)` +
		unlessHere

	liveMember = `SELECT EXISTS (SELECT FROM member WHERE mesh_id = $1 AND id = $2 AND revoked_at IS NULL)`
	wasAdopted = `SELECT EXISTS (SELECT FROM adopted_row WHERE mesh_id = $1 AND kind = $2 AND id = $3)`
	setAdopted = `INSERT INTO adopted_row (mesh_id, kind, id) VALUES ($1, $2, $3)` + unlessHere
)

// PutStream implements [store.ImportTx].
func (t importTx) PutStream(ctx context.Context, st *store.Stream) (bool, error) {
	return t.put(ctx, insertStream+unlessHere, st.ID, st.MeshID, st.Name, st.MemberID, st.Author, whole(st.CreatedAt))
}

// PutSkill implements [store.ImportTx].
func (t importTx) PutSkill(ctx context.Context, sk *store.Skill) (bool, error) {
	return t.put(ctx, insertSkill, sk.MeshID, sk.Name, sk.MemberID, sk.Author, whole(sk.CreatedAt), whole(sk.UpdatedAt),
		inJSON{&sk.Tags}, sk.Description, sk.Instructions, string(sk.Manifest), sk.Searched())
}

// PutVaultEntry implements [store.ImportTx].
func (t importTx) PutVaultEntry(ctx context.Context, e *store.VaultEntry) (bool, error) {
	return t.put(ctx, insertVaultEntry+unlessHere, e.MeshID, e.MemberID, e.Key, e.Type, whole(e.CreatedAt), whole(e.UpdatedAt),
		e.MountPath, e.Description, e.Nonce, e.SealedKey, e.Ciphertext)
}

// PutAPIKey implements [store.ImportTx].
func (t importTx) PutAPIKey(ctx context.Context, k *store.APIKey) (bool, error) {
	return t.put(ctx, insertAPIKey+unlessHere, k.ID, k.MeshID, k.MemberID, k.Label, k.Prefix, k.Hash[:],
		inJSON{&k.Capabilities}, inJSON{texts(k.Topics)}, whole(k.CreatedAt), timeArg(k.ExpiresAt), timeArg(k.LastUsedAt),
		timeArg(k.RevokedAt))
}

// PutWebhook implements [store.ImportTx].
func (t importTx) PutWebhook(ctx context.Context, w *store.Webhook) (bool, error) {
	return t.put(ctx, importWebhook, w.ID, w.MeshID, w.Name, w.MemberID, w.Author, w.Target, w.Signature, w.SigningKey,
		whole(w.CreatedAt), w.Secret[:])
}

// LiveMember implements [store.ImportTx].
func (t importTx) LiveMember(ctx context.Context, mesh, id string) (bool, error) {
	return value[bool](t.tx.QueryRow(ctx, liveMember, mesh, id))
}

// Adopted implements [store.ImportTx].
func (t importTx) Adopted(ctx context.Context, mesh, kind, id string) (bool, error) {
	return value[bool](t.tx.QueryRow(ctx, wasAdopted, mesh, kind, id))
}

// SetAdopted implements [store.ImportTx].
func (t importTx) SetAdopted(ctx context.Context, mesh, kind, id string) error {
	_, err := t.tx.Exec(ctx, setAdopted, mesh, kind, id)
	return err
}
