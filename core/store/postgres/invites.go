package postgres

import (
	"context"
	"crypto/md5"
	"encoding/hex"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const inviteColumns = `id, mesh_id, token, sealed_token, code, capability, created_by, max_uses, used_count, role, preset,
	expires_at, created_at, revoked_at`

const (
	insertInvite = `INSERT INTO invite (` + inviteColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
		$13, $14)`

	// The index is over the MD5 of the column: tokens of before may be longer than
	// an index allows. The second argument is the MD5 of the token itself, so that
	// the server and its log never see the token.
	inviteByToken = `SELECT ` + inviteColumns + ` FROM invite WHERE md5(token) IN (md5($1::text), $2::text)`

	inviteByCode = `SELECT ` + inviteColumns + ` FROM invite WHERE code = $1`
	inviteExists = `SELECT 1 FROM invite WHERE id = $1 AND mesh_id = $2`
	spendInvite  = `UPDATE invite SET used_count = used_count + 1, used_at = $2
		WHERE id = $1 AND used_count < max_uses AND revoked_at IS NULL`
)

// CreateInvite implements [store.Invites].
func (s *Store) CreateInvite(ctx context.Context, inv *store.Invite) (err error) {
	defer wrap(&err, "create invite")
	_, err = s.exec(ctx, insertInvite, inviteArgs(inv)...)
	return err
}

func inviteArgs(inv *store.Invite) []any {
	return []any{
		inv.ID, inv.MeshID, store.TokenColumn(inv.TokenHash), inv.SealedToken, textArg(inv.Code), inv.Capability, inv.CreatedBy,
		inv.MaxUses, inv.UsedCount, string(inv.Role), inJSON{&inv.Preset}, whole(inv.ExpiresAt), whole(inv.CreatedAt),
		timeArg(inv.RevokedAt),
	}
}

// InviteByToken implements [store.Invites].
func (s *Store) InviteByToken(ctx context.Context, token string) (inv *store.Invite, err error) {
	defer wrap(&err, "read invite")
	hash := store.HashInvite(token)
	inv, err = one(ctx, s, scanInvite, inviteByToken, store.TokenColumn(hash), shortHash(token))
	if err == nil && inv.TokenHash != hash { // the token is spelt like the hash of another one
		return nil, pgx.ErrNoRows
	}
	return inv, err
}

// shortHash is md5 as the server has it.
func shortHash(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// InviteByCode implements [store.Invites].
func (s *Store) InviteByCode(ctx context.Context, code string) (inv *store.Invite, err error) {
	defer wrap(&err, "read invite")
	return one(ctx, s, scanInvite, inviteByCode, code)
}

// RedeemInvite implements [store.Invites]. The member goes first, so that a key
// which is enrolled already learns that, whatever became of the invite.
func (s *Store) RedeemInvite(ctx context.Context, inviteID string, m *store.Member) (err error) {
	defer wrap(&err, "redeem invite")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := value[int](tx.QueryRow(ctx, inviteExists, inviteID, m.MeshID)); err != nil {
			return err
		}
		if err := addMember(ctx, tx, m); err != nil {
			return err
		}
		spent, err := tx.Exec(ctx, spendInvite, inviteID, whole(m.JoinedAt))
		if err == nil && spent.RowsAffected() == 0 {
			return store.ErrExhausted
		}
		return err
	})
}

func scanInvite(row scanner) (*store.Invite, error) {
	inv, token := new(store.Invite), ""
	err := row.Scan(&inv.ID, &inv.MeshID, &token, &inv.SealedToken, (*text)(&inv.Code), &inv.Capability, &inv.CreatedBy,
		&inv.MaxUses, &inv.UsedCount, &inv.Role, inJSON{&inv.Preset}, (*stamp)(&inv.ExpiresAt), (*stamp)(&inv.CreatedAt), (*stamp)(&inv.RevokedAt))
	if err != nil {
		return nil, err
	}
	inv.ReadToken(token)
	return inv, nil
}
