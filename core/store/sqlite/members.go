package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

const memberColumns = `id, mesh_id, pubkey, display_name, role, role_tag, default_groups, message_mode, grants,
	permissions, account_id, joined_at, revoked_at`

const (
	liveOthers = `SELECT ` + memberColumns + ` FROM member
		WHERE mesh_id = (SELECT mesh_id FROM member WHERE id = ?1) AND id <> ?1 AND revoked_at IS NULL ORDER BY joined_at, id`

	insertMember = `INSERT INTO member (` + memberColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	memberByKey  = `SELECT ` + memberColumns + ` FROM member WHERE mesh_id = ? AND pubkey = ?`
	memberByID   = `SELECT ` + memberColumns + ` FROM member WHERE id = ?`
	listMembers  = `SELECT ` + memberColumns + ` FROM member WHERE mesh_id = ? ORDER BY joined_at, id`
	setRevoked   = `UPDATE member SET revoked_at = ? WHERE id = ?`
	revokedAt    = `SELECT revoked_at FROM member WHERE id = ?`
	changeMember = `UPDATE member SET display_name = ?, role = ?, role_tag = ?, default_groups = ?, message_mode = ?,
		grants = ?, permissions = ?, account_id = ? WHERE id = ? RETURNING ` + memberColumns

	sessionKeyOwner = `SELECT member_id FROM session_key WHERE mesh_id = ? AND pubkey = ?`
)

// AddMember implements [store.Members].
func (s *Store) AddMember(ctx context.Context, m *store.Member) (err error) {
	defer wrap(&err, "add member")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error { return addMember(ctx, tx, m) })
}

func addMember(ctx context.Context, tx *sql.Tx, m *store.Member) error {
	_, err := tx.ExecContext(ctx, insertMember, memberArgs(m)...)
	return err
}

func memberArgs(m *store.Member) []any {
	return []any{
		m.ID, m.MeshID, m.Key.String(), m.DisplayName, string(m.Role), m.RoleTag, inJSON{&m.DefaultGroups}, m.MessageMode,
		inJSON{&m.Grants}, inJSON{&m.Permissions}, m.AccountID, m.JoinedAt.UnixMilli(), timeArg(m.RevokedAt),
	}
}

// Member implements [store.Members].
func (s *Store) Member(ctx context.Context, mesh string, k sdk.Key) (m *store.Member, err error) {
	defer wrap(&err, "read member")
	return scanMember(s.prepare.memberByKey.QueryRowContext(ctx, mesh, k.String()))
}

// MemberByID implements [store.Members].
func (s *Store) MemberByID(ctx context.Context, id string) (m *store.Member, err error) {
	defer wrap(&err, "read member")
	return scanMember(s.prepare.memberByID.QueryRowContext(ctx, id))
}

// ListMembers implements [store.Members].
func (s *Store) ListMembers(ctx context.Context, mesh string) (list []*store.Member, err error) {
	defer wrap(&err, "list members")
	rows, err := s.read.QueryContext(ctx, listMembers, mesh)
	return collect(rows, err, scanMember)
}

// SetRevoked implements [store.Members].
func (s *Store) SetRevoked(ctx context.Context, id string, at time.Time) (err error) {
	defer wrap(&err, "revoke member")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var before time.Time
		if err := tx.QueryRowContext(ctx, revokedAt, id).Scan((*millis)(&before)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, setRevoked, timeArg(at), id); err != nil {
			return err
		}
		// Also when it comes back: a broker of an older release has ended none.
		_, err := tx.ExecContext(ctx, endAPIKeys, id, timeArg(at), timeArg(before))
		return err
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
	e.first = func(ctx context.Context, tx *sql.Tx) (err error) {
		rows, err := tx.QueryContext(ctx, liveOthers, id)
		others, err = collect(rows, err, scanMember)
		return err
	}
	return e.run(ctx, s, id, func(m *store.Member) error { return change(m, others) })
}

func editMember(op string) edit[store.Member] {
	return edit[store.Member]{
		op: op, read: memberByID, scan: scanMember, write: changeMember,
		args: func(m *store.Member) []any {
			return []any{
				m.DisplayName, string(m.Role), m.RoleTag, inJSON{&m.DefaultGroups}, m.MessageMode, inJSON{&m.Grants},
				inJSON{&m.Permissions}, m.AccountID,
			}
		},
	}
}

func sessionKeyArgs(args []any, k *store.SessionKey) []any {
	return append(args, k.MeshID, k.Key.String(), k.MemberID, k.ClaimedAt.UnixMilli())
}

// SessionKeyOwner implements [store.SessionKeys].
func (s *Store) SessionKeyOwner(ctx context.Context, mesh string, k sdk.Key) (memberID string, err error) {
	defer wrap(&err, "read session key")
	return s.sessionKeyOwner(ctx, mesh, k)
}

func (s *Store) sessionKeyOwner(ctx context.Context, mesh string, k sdk.Key) (memberID string, err error) {
	err = s.prepare.sessionKeyOwner.QueryRowContext(ctx, mesh, k.String()).Scan(&memberID)
	return memberID, err
}

func scanMember(row scanner) (*store.Member, error) {
	m := new(store.Member)
	err := row.Scan(&m.ID, &m.MeshID, (*key)(&m.Key), &m.DisplayName, &m.Role, &m.RoleTag, inJSON{&m.DefaultGroups},
		&m.MessageMode, inJSON{&m.Grants}, inJSON{&m.Permissions}, &m.AccountID, (*millis)(&m.JoinedAt),
		(*millis)(&m.RevokedAt))
	if err != nil {
		return nil, err
	}
	return m, nil
}
