package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

const memberColumns = `id, mesh_id, pubkey, display_name, role, role_tag, default_groups, message_mode, grants,
	joined_at, revoked_at`

const (
	insertMember = `INSERT INTO member (` + memberColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	memberByKey  = `SELECT ` + memberColumns + ` FROM member WHERE mesh_id = $1 AND pubkey = $2`
	memberByID   = `SELECT ` + memberColumns + ` FROM member WHERE id = $1`
	listMembers  = `SELECT ` + memberColumns + ` FROM member WHERE mesh_id = $1 ORDER BY joined_at, id`
	setRevoked   = `UPDATE member SET revoked_at = $2 WHERE id = $1`
	setGrants    = `UPDATE member SET grants = $2 WHERE id = $1`
)

const (
	sessionKeyOwner = `SELECT member_id FROM session_key WHERE mesh_id = $1 AND pubkey = $2`
	claimSessionKey = `INSERT INTO session_key (mesh_id, pubkey, member_id, claimed_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT DO NOTHING`
)

// AddMember implements [store.Members].
func (s *Store) AddMember(ctx context.Context, m *store.Member) (err error) {
	defer wrap(&err, "add member")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error { return addMember(ctx, tx, m) })
}

func addMember(ctx context.Context, tx pgx.Tx, m *store.Member) error {
	_, err := tx.Exec(ctx, insertMember, m.ID, m.MeshID, m.Key[:], m.DisplayName, string(m.Role),
		m.RoleTag, inJSON{&m.DefaultGroups}, m.MessageMode, inJSON{&m.Grants}, whole(m.JoinedAt), timeArg(m.RevokedAt))
	return err
}

// Member implements [store.Members].
func (s *Store) Member(ctx context.Context, mesh string, k sdk.Key) (m *store.Member, err error) {
	defer wrap(&err, "read member")
	return one(ctx, s, scanMember, memberByKey, mesh, k[:])
}

// MemberByID implements [store.Members].
func (s *Store) MemberByID(ctx context.Context, id string) (m *store.Member, err error) {
	defer wrap(&err, "read member")
	return one(ctx, s, scanMember, memberByID, id)
}

// ListMembers implements [store.Members].
func (s *Store) ListMembers(ctx context.Context, mesh string) (list []*store.Member, err error) {
	defer wrap(&err, "list members")
	return all(ctx, s, scanMember, listMembers, mesh)
}

// SetRevoked implements [store.Members].
func (s *Store) SetRevoked(ctx context.Context, id string, at time.Time) (err error) {
	defer wrap(&err, "revoke member")
	kind := store.SignalRevoked
	if at.IsZero() {
		kind = store.SignalMember
	}
	return s.changeMember(ctx, kind, id, setRevoked, timeArg(at))
}

// SetGrants implements [store.Members].
func (s *Store) SetGrants(ctx context.Context, id string, g store.Grants) (err error) {
	defer wrap(&err, "set grants")
	return s.changeMember(ctx, store.SignalMember, id, setGrants, inJSON{&g})
}

// changeMember changes a member's row and tells all nodes, both or neither.
func (s *Store) changeMember(ctx context.Context, kind, id, query string, value any) error {
	payload, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, query, id, value)
		if err := changed(tag.RowsAffected(), err); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, insertSignal, lockKey(signalLock), "", kind, string(payload))
		return err
	})
}

// SessionKeyOwner implements [store.SessionKeys].
func (s *Store) SessionKeyOwner(ctx context.Context, mesh string, k sdk.Key) (memberID string, err error) {
	defer wrap(&err, "read session key")
	return one(ctx, s, value[string], sessionKeyOwner, mesh, k[:])
}

// ClaimSessionKey implements [store.Shared]. A claim that another process is
// about to make is waited for.
func (s *Store) ClaimSessionKey(ctx context.Context, k *store.SessionKey) (owner string, err error) {
	defer wrap(&err, "claim session key")
	n, err := s.exec(ctx, claimSessionKey, k.MeshID, k.Key[:], k.MemberID, whole(k.ClaimedAt))
	if err != nil || n == 1 {
		return k.MemberID, err
	}
	return one(ctx, s, value[string], sessionKeyOwner, k.MeshID, k.Key[:])
}

func scanMember(row scanner) (*store.Member, error) {
	m := new(store.Member)
	err := row.Scan(&m.ID, &m.MeshID, (*key)(&m.Key), &m.DisplayName, &m.Role, &m.RoleTag, inJSON{&m.DefaultGroups},
		&m.MessageMode, inJSON{&m.Grants}, (*stamp)(&m.JoinedAt), (*stamp)(&m.RevokedAt))
	if err != nil {
		return nil, err
	}
	return m, nil
}
