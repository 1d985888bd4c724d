package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

const memberColumns = `id, mesh_id, pubkey, display_name, role, role_tag, default_groups, message_mode, grants,
	permissions, account_id, joined_at, revoked_at`

const (
	liveOthers = `SELECT ` + memberColumns + ` FROM member
		WHERE mesh_id = (SELECT mesh_id FROM member WHERE id = $1) AND id <> $1 AND revoked_at IS NULL ORDER BY joined_at, id`

	// One change of roles of a mesh at a time.
	lockMeshOf = `SELECT 1 FROM mesh WHERE id = (SELECT mesh_id FROM member WHERE id = $1)` + lockRow

	insertMember = `INSERT INTO member (` + memberColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
		$13)`
	memberByKey  = `SELECT ` + memberColumns + ` FROM member WHERE mesh_id = $1 AND pubkey = $2`
	memberByID   = `SELECT ` + memberColumns + ` FROM member WHERE id = $1`
	listMembers  = `SELECT ` + memberColumns + ` FROM member WHERE mesh_id = $1 ORDER BY joined_at, id`
	setRevoked   = `UPDATE member SET revoked_at = $2 WHERE id = $1`
	revokedAt    = `SELECT revoked_at FROM member WHERE id = $1` + lockRow
	changeMember = `UPDATE member SET display_name = $2, role = $3, role_tag = $4, default_groups = $5, message_mode = $6,
		grants = $7, permissions = $8, account_id = $9 WHERE id = $1 RETURNING ` + memberColumns
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
	_, err := tx.Exec(ctx, insertMember, memberArgs(m)...)
	return err
}

func memberArgs(m *store.Member) []any {
	return []any{
		m.ID, m.MeshID, m.Key[:], m.DisplayName, string(m.Role), m.RoleTag, inJSON{&m.DefaultGroups}, m.MessageMode,
		inJSON{&m.Grants}, inJSON{&m.Permissions}, m.AccountID, whole(m.JoinedAt), timeArg(m.RevokedAt),
	}
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
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var before time.Time
		if err := tx.QueryRow(ctx, revokedAt, id).Scan((*stamp)(&before)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, setRevoked, id, timeArg(at)); err != nil {
			return err
		}
		// Also when it comes back: a broker of an older release has ended none.
		if _, err := tx.Exec(ctx, endAPIKeys, id, timeArg(at), timeArg(before)); err != nil {
			return err
		}
		return signalRow(ctx, tx, kind, id)
	})
}

// ChangeMember implements [store.Members].
func (s *Store) ChangeMember(ctx context.Context, id string, change func(*store.Member) error) (*store.Member, error) {
	return editMember("change member").run(ctx, s, id, change)
}

// ChangeRole implements [store.Members].
func (s *Store) ChangeRole(ctx context.Context, id string, change func(*store.Member, []*store.Member) error) (*store.Member, error) {
	e := editMember("change role")
	var others []*store.Member
	e.first = func(ctx context.Context, tx pgx.Tx) (err error) {
		if _, err := tx.Exec(ctx, lockMeshOf, id); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, liveOthers, id)
		if err != nil {
			return err
		}
		others, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*store.Member, error) { return scanMember(row) })
		return err
	}
	return e.run(ctx, s, id, func(m *store.Member) error { return change(m, others) })
}

func editMember(op string) edit[store.Member] {
	return edit[store.Member]{
		op: op, read: memberByID, scan: scanMember, write: changeMember, signal: store.SignalMember,
		args: func(m *store.Member) []any {
			return []any{
				m.DisplayName, string(m.Role), m.RoleTag, inJSON{&m.DefaultGroups}, m.MessageMode, inJSON{&m.Grants},
				inJSON{&m.Permissions}, m.AccountID,
			}
		},
	}
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
		&m.MessageMode, inJSON{&m.Grants}, inJSON{&m.Permissions}, &m.AccountID, (*stamp)(&m.JoinedAt),
		(*stamp)(&m.RevokedAt))
	if err != nil {
		return nil, err
	}
	return m, nil
}
