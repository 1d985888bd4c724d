package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/claudemesh/broker/core/store"
)

const signInColumns = `id, device_hash, user_code, hostname, platform, arch, remote, created_at, expires_at, approved_at,
	account_id, consumed_at`

const (
	insertSignIn     = `INSERT INTO sign_in (` + signInColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	signInByDevice   = `SELECT ` + signInColumns + ` FROM sign_in WHERE device_hash = ?`
	signInByID       = `SELECT ` + signInColumns + ` FROM sign_in WHERE id = ?`
	signInByUserCode = `SELECT ` + signInColumns + ` FROM sign_in WHERE user_code = ?`
	signInExists     = `SELECT 1 FROM sign_in WHERE id = ?`
	approveSignIn    = `UPDATE sign_in SET approved_at = ?1, account_id = ?2
		WHERE id = ?3 AND approved_at IS NULL AND expires_at > ?1`
	consumeSignIn = `UPDATE sign_in SET consumed_at = ?
		WHERE id = ? AND account_id = ? AND approved_at IS NOT NULL AND consumed_at IS NULL`

	insertCode  = `INSERT INTO one_time_code (hash, account_id, expires_at) VALUES (?, ?, ?)`
	codeAccount = `SELECT account_id FROM one_time_code WHERE hash = ? AND expires_at > ?`
	spendCode   = `DELETE FROM one_time_code WHERE hash = ? AND expires_at > ? RETURNING account_id`
)

// CreateSignIn implements [store.SignIns].
func (s *Store) CreateSignIn(ctx context.Context, in *store.SignIn) (err error) {
	defer wrap(&err, "create sign-in")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, insertSignIn, in.ID, hashArg(in.DeviceHash), in.UserCode, in.Hostname, in.Platform,
			in.Arch, in.Remote, in.CreatedAt.UnixMilli(), in.ExpiresAt.UnixMilli(), timeArg(in.ApprovedAt),
			textArg(in.AccountID), timeArg(in.ConsumedAt))
		return noAccount(err)
	})
}

// SignInByDevice implements [store.SignIns].
func (s *Store) SignInByDevice(ctx context.Context, hash [32]byte) (in *store.SignIn, err error) {
	defer wrap(&err, "read sign-in")
	return scanSignIn(s.read.QueryRowContext(ctx, signInByDevice, hashArg(hash)))
}

// SignInByCode implements [store.SignIns]. An id goes before a user code that
// is spelt the same.
func (s *Store) SignInByCode(ctx context.Context, idOrUserCode string) (in *store.SignIn, err error) {
	defer wrap(&err, "read sign-in")
	in, err = scanSignIn(s.read.QueryRowContext(ctx, signInByID, idOrUserCode))
	if errors.Is(err, sql.ErrNoRows) {
		in, err = scanSignIn(s.read.QueryRowContext(ctx, signInByUserCode, idOrUserCode))
	}
	return in, err
}

// ApproveSignIn implements [store.SignIns].
func (s *Store) ApproveSignIn(ctx context.Context, id, account string, at time.Time) (err error) {
	defer wrap(&err, "approve sign-in")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return step(ctx, tx, id, approveSignIn, at.UnixMilli(), account, id)
	})
}

// ConsumeSignIn implements [store.SignIns].
func (s *Store) ConsumeSignIn(ctx context.Context, id string, t *store.Token) (err error) {
	defer wrap(&err, "consume sign-in")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := step(ctx, tx, id, consumeSignIn, t.CreatedAt.UnixMilli(), id, t.AccountID); err != nil {
			return err
		}
		return addToken(ctx, tx, t)
	})
}

// step runs the statement that takes a sign-in one step further. A sign-in that
// is elsewhere than where the step begins is a conflict.
func step(ctx context.Context, tx *sql.Tx, id, query string, args ...any) error {
	r, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return noAccount(err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 1 {
		return err
	}
	var one int
	if err := tx.QueryRowContext(ctx, signInExists, id).Scan(&one); err != nil {
		return err
	}
	return store.ErrConflict
}

// CreateCode implements [store.SignIns].
func (s *Store) CreateCode(ctx context.Context, hash [32]byte, account string, expires time.Time) (err error) {
	defer wrap(&err, "create one-time code")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, insertCode, hashArg(hash), account, expires.UnixMilli())
		return noAccount(err)
	})
}

// CodeAccount implements [store.SignIns].
func (s *Store) CodeAccount(ctx context.Context, hash [32]byte, now time.Time) (account string, err error) {
	defer wrap(&err, "read one-time code")
	err = s.read.QueryRowContext(ctx, codeAccount, hashArg(hash), now.UnixMilli()).Scan(&account)
	return account, err
}

// SpendCode implements [store.SignIns].
func (s *Store) SpendCode(ctx context.Context, hash [32]byte, now time.Time) (account string, err error) {
	defer wrap(&err, "spend one-time code")
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, spendCode, hashArg(hash), now.UnixMilli()).Scan(&account)
	})
	return account, err
}

func scanSignIn(row scanner) (*store.SignIn, error) {
	in := new(store.SignIn)
	err := row.Scan(&in.ID, (*hash)(&in.DeviceHash), &in.UserCode, &in.Hostname, &in.Platform, &in.Arch, &in.Remote,
		(*millis)(&in.CreatedAt), (*millis)(&in.ExpiresAt), (*millis)(&in.ApprovedAt), (*text)(&in.AccountID),
		(*millis)(&in.ConsumedAt))
	if err != nil {
		return nil, err
	}
	return in, nil
}
