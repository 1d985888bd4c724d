package sqlite

import (
	"context"
	"database/sql"

	"github.com/claudemesh/broker/core/store"
)

const accountColumns = `account.id, account.email, account.name, account.created_at, account.disabled_at, account.no_legacy`

const (
	insertAccount = `INSERT INTO account (id, email, name, created_at, disabled_at, no_legacy) VALUES (?, ?, ?, ?, ?, ?)`
	accountByID   = `SELECT ` + accountColumns + ` FROM account WHERE id = ?`
	listAccounts  = `SELECT ` + accountColumns + ` FROM account ORDER BY id`
	changeAccount = `UPDATE account SET email = ?, name = ?, disabled_at = ?, no_legacy = ? WHERE id = ?
		RETURNING ` + accountColumns

	// Live members of an account, the one that it acts as in a mesh first. That
	// the account is not '' makes the index of those who have one fit.
	accountMembers = `SELECT ` + memberColumns + ` FROM member
		WHERE account_id = ? AND account_id <> '' AND revoked_at IS NULL ORDER BY mesh_id, role <> 'admin', joined_at, id`
	accountMember = `SELECT ` + memberColumns + ` FROM member
		WHERE mesh_id = ? AND account_id = ? AND account_id <> '' AND revoked_at IS NULL
		ORDER BY role <> 'admin', joined_at, id LIMIT 1`
	accountMeshes = `SELECT ` + meshColumns + `,
		(SELECT count(*) FROM member WHERE mesh_id = mesh.id AND revoked_at IS NULL)
		FROM mesh WHERE archived_at IS NULL AND id IN (
			SELECT id FROM mesh WHERE owner_account = ?1 AND owner_account <> ''
			UNION SELECT mesh_id FROM member WHERE account_id = ?1 AND account_id <> '' AND revoked_at IS NULL)
		ORDER BY created_at, id`
)

// CreateAccount implements [store.Accounts].
func (s *Store) CreateAccount(ctx context.Context, a *store.Account) (err error) {
	defer wrap(&err, "create account")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, insertAccount, accountArgs(a)...)
		return err
	})
}

func accountArgs(a *store.Account) []any {
	return []any{a.ID, a.Email, a.Name, a.CreatedAt.UnixMilli(), timeArg(a.DisabledAt), a.NoLegacy}
}

// AddAccountFor implements [store.Accounts].
func (s *Store) AddAccountFor(ctx context.Context, member string, a *store.Account) (m *store.Member, err error) {
	defer wrap(&err, "add account for a member")
	e := editMember("tie")
	e.first = func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, insertAccount, accountArgs(a)...)
		return err
	}
	return e.run(ctx, s, member, func(m *store.Member) error {
		switch {
		case !m.Live():
			return store.ErrNotFound
		case m.AccountID != "":
			return store.ErrConflict
		}
		m.AccountID = a.ID
		return nil
	})
}

// Account implements [store.Accounts].
func (s *Store) Account(ctx context.Context, id string) (a *store.Account, err error) {
	defer wrap(&err, "read account")
	return scanAccount(s.read.QueryRowContext(ctx, accountByID, id))
}

// ListAccounts implements [store.Accounts].
func (s *Store) ListAccounts(ctx context.Context) (list []*store.Account, err error) {
	defer wrap(&err, "list accounts")
	rows, err := s.read.QueryContext(ctx, listAccounts)
	return collect(rows, err, scanAccount)
}

// ChangeAccount implements [store.Accounts].
func (s *Store) ChangeAccount(ctx context.Context, id string, change func(*store.Account) error) (*store.Account, error) {
	return edit[store.Account]{
		op: "change account", read: accountByID, scan: scanAccount, write: changeAccount,
		args: func(a *store.Account) []any { return []any{a.Email, a.Name, timeArg(a.DisabledAt), a.NoLegacy} },
	}.run(ctx, s, id, change)
}

// AccountMeshes implements [store.Accounts].
func (s *Store) AccountMeshes(ctx context.Context, account string) (list []store.AccountMesh, err error) {
	defer wrap(&err, "list meshes of an account")
	err = s.view(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, accountMembers, account)
		members, err := collect(rows, err, scanMember)
		if err != nil {
			return err
		}
		acting := make(map[string]*store.Member)
		for _, m := range members {
			if acting[m.MeshID] == nil {
				acting[m.MeshID] = m
			}
		}
		rows, err = tx.QueryContext(ctx, accountMeshes, account)
		list, err = collect(rows, err, func(row scanner) (m store.AccountMesh, err error) {
			if m.Mesh, err = scanMeshAnd(row, &m.Members); err == nil {
				m.Member = acting[m.Mesh.ID]
			}
			return m, err
		})
		return err
	})
	return list, err
}

// AccountMember implements [store.Accounts].
func (s *Store) AccountMember(ctx context.Context, mesh, account string) (m *store.Member, err error) {
	defer wrap(&err, "read member of an account")
	return scanMember(s.read.QueryRowContext(ctx, accountMember, mesh, account))
}

func scanAccount(row scanner) (*store.Account, error) {
	a := new(store.Account)
	if err := row.Scan(accountFields(a)...); err != nil {
		return nil, err
	}
	return a, nil
}

// accountFields are where accountColumns are read into.
func accountFields(a *store.Account) []any {
	return []any{&a.ID, &a.Email, &a.Name, (*millis)(&a.CreatedAt), (*millis)(&a.DisabledAt), &a.NoLegacy}
}
