package sqlite

import (
	"context"
	"database/sql"

	"github.com/claudemesh/broker/core/store"
)

const inviteColumns = `id, mesh_id, token, sealed_token, code, capability, created_by, max_uses, used_count, role, preset,
	expires_at, created_at, revoked_at`

const (
	insertInvite  = `INSERT INTO invite (` + inviteColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	inviteByToken = `SELECT ` + inviteColumns + ` FROM invite WHERE token IN (?, ?)`
	inviteByCode  = `SELECT ` + inviteColumns + ` FROM invite WHERE code = ?`
	inviteExists  = `SELECT 1 FROM invite WHERE id = ? AND mesh_id = ?`
	spendInvite   = `UPDATE invite SET used_count = used_count + 1, used_at = ?
		WHERE id = ? AND used_count < max_uses AND revoked_at IS NULL`
)

// CreateInvite implements [store.Invites].
func (s *Store) CreateInvite(ctx context.Context, inv *store.Invite) (err error) {
	defer wrap(&err, "create invite")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, insertInvite, inviteArgs(inv)...)
		return err
	})
}

func inviteArgs(inv *store.Invite) []any {
	return []any{
		inv.ID, inv.MeshID, store.TokenColumn(inv.TokenHash), inv.SealedToken, textArg(inv.Code), inv.Capability, inv.CreatedBy,
		inv.MaxUses, inv.UsedCount, string(inv.Role), inJSON{&inv.Preset}, inv.ExpiresAt.UnixMilli(), inv.CreatedAt.UnixMilli(),
		timeArg(inv.RevokedAt),
	}
}

// InviteByToken implements [store.Invites].
func (s *Store) InviteByToken(ctx context.Context, token string) (inv *store.Invite, err error) {
	defer wrap(&err, "read invite")
	hash := store.HashInvite(token)
	inv, err = scanInvite(s.read.QueryRowContext(ctx, inviteByToken, store.TokenColumn(hash), token))
	if err == nil && inv.TokenHash != hash { // the token is spelt like the hash of another one
		return nil, sql.ErrNoRows
	}
	return inv, err
}

// InviteByCode implements [store.Invites].
func (s *Store) InviteByCode(ctx context.Context, code string) (inv *store.Invite, err error) {
	defer wrap(&err, "read invite")
	return scanInvite(s.read.QueryRowContext(ctx, inviteByCode, code))
}

// RedeemInvite implements [store.Invites]. The member goes first, so that a key
// which is enrolled already learns that, whatever became of the invite.
func (s *Store) RedeemInvite(ctx context.Context, inviteID string, m *store.Member) (err error) {
	defer wrap(&err, "redeem invite")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var one int
		if err := tx.QueryRowContext(ctx, inviteExists, inviteID, m.MeshID).Scan(&one); err != nil {
			return err
		}
		if err := addMember(ctx, tx, m); err != nil {
			return err
		}
		if n, err := affected(tx.ExecContext(ctx, spendInvite, m.JoinedAt.UnixMilli(), inviteID)); err != nil || n == 1 {
			return err
		}
		return store.ErrExhausted
	})
}

func scanInvite(row scanner) (*store.Invite, error) {
	inv, token := new(store.Invite), ""
	err := row.Scan(&inv.ID, &inv.MeshID, &token, &inv.SealedToken, (*text)(&inv.Code), &inv.Capability, &inv.CreatedBy,
		&inv.MaxUses, &inv.UsedCount, &inv.Role, inJSON{&inv.Preset}, (*millis)(&inv.ExpiresAt), (*millis)(&inv.CreatedAt), (*millis)(&inv.RevokedAt))
	if err != nil {
		return nil, err
	}
	inv.ReadToken(token)
	return inv, nil
}
