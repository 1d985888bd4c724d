package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const signInColumns = `id, device_hash, user_code, hostname, platform, arch, remote, created_at, expires_at, approved_at,
	account_id, consumed_at`

const (
	insertSignIn     = `INSERT INTO sign_in (` + signInColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`
	signInByDevice   = `SELECT ` + signInColumns + ` FROM sign_in WHERE device_hash = $1`
	signInByID       = `SELECT ` + signInColumns + ` FROM sign_in WHERE id = $1`
	signInByUserCode = `SELECT ` + signInColumns + ` FROM sign_in WHERE user_code = $1`
	signInExists     = `SELECT 1 FROM sign_in WHERE id = $1`
	approveSignIn    = `UPDATE sign_in SET approved_at = $1, account_id = $2
		WHERE id = $3 AND approved_at IS NULL AND expires_at > $1`
	consumeSignIn = `UPDATE sign_in SET consumed_at = $1
		WHERE id = $2 AND account_id = $3 AND approved_at IS NOT NULL AND consumed_at IS NULL`

	insertCode  = `INSERT INTO one_time_code (hash, account_id, expires_at) VALUES ($1, $2, $3)`
	codeAccount = `SELECT account_id FROM one_time_code WHERE hash = $1 AND expires_at > $2`
	spendCode   = `DELETE FROM one_time_code WHERE hash = $1 AND expires_at > $2 RETURNING account_id`
)

// CreateSignIn implements [store.SignIns].
func (s *Store) CreateSignIn(ctx context.Context, in *store.SignIn) (err error) {
	defer wrap(&err, "create sign-in")
	_, err = s.exec(ctx, insertSignIn, in.ID, in.DeviceHash[:], in.UserCode, in.Hostname, in.Platform, in.Arch, in.Remote,
		whole(in.CreatedAt), whole(in.ExpiresAt), timeArg(in.ApprovedAt), textArg(in.AccountID), timeArg(in.ConsumedAt))
	return noAccount(err)
}

// SignInByDevice implements [store.SignIns].
func (s *Store) SignInByDevice(ctx context.Context, hash [32]byte) (in *store.SignIn, err error) {
	defer wrap(&err, "read sign-in")
	return one(ctx, s, scanSignIn, signInByDevice, hash[:])
}

// SignInByCode implements [store.SignIns]. An id goes before a user code that
// is spelt the same.
func (s *Store) SignInByCode(ctx context.Context, idOrUserCode string) (in *store.SignIn, err error) {
	defer wrap(&err, "read sign-in")
	in, err = one(ctx, s, scanSignIn, signInByID, idOrUserCode)
	if errors.Is(err, pgx.ErrNoRows) {
		in, err = one(ctx, s, scanSignIn, signInByUserCode, idOrUserCode)
	}
	return in, err
}

// ApproveSignIn implements [store.SignIns].
func (s *Store) ApproveSignIn(ctx context.Context, id, account string, at time.Time) (err error) {
	defer wrap(&err, "approve sign-in")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return step(ctx, tx, id, approveSignIn, whole(at), account, id)
	})
}

// ConsumeSignIn implements [store.SignIns].
func (s *Store) ConsumeSignIn(ctx context.Context, id string, t *store.Token) (err error) {
	defer wrap(&err, "consume sign-in")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := step(ctx, tx, id, consumeSignIn, whole(t.CreatedAt), id, t.AccountID); err != nil {
			return err
		}
		return addToken(ctx, tx, t)
	})
}

// step runs the statement that takes a sign-in one step further. A sign-in that
// is elsewhere than where the step begins is a conflict.
func step(ctx context.Context, tx pgx.Tx, id, query string, args ...any) error {
	tag, err := tx.Exec(ctx, query, args...)
	if err != nil || tag.RowsAffected() == 1 {
		return noAccount(err)
	}
	if _, err := value[int](tx.QueryRow(ctx, signInExists, id)); err != nil {
		return err
	}
	return store.ErrConflict
}

// CreateCode implements [store.SignIns].
func (s *Store) CreateCode(ctx context.Context, hash [32]byte, account string, expires time.Time) (err error) {
	defer wrap(&err, "create one-time code")
	_, err = s.exec(ctx, insertCode, hash[:], account, whole(expires))
	return noAccount(err)
}

// CodeAccount implements [store.SignIns].
func (s *Store) CodeAccount(ctx context.Context, hash [32]byte, now time.Time) (account string, err error) {
	defer wrap(&err, "read one-time code")
	return one(ctx, s, value[string], codeAccount, hash[:], whole(now))
}

// SpendCode implements [store.SignIns].
func (s *Store) SpendCode(ctx context.Context, hash [32]byte, now time.Time) (account string, err error) {
	defer wrap(&err, "spend one-time code")
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		account, err = value[string](tx.QueryRow(ctx, spendCode, hash[:], whole(now)))
		return err
	})
	return account, err
}

func scanSignIn(row scanner) (*store.SignIn, error) {
	in := new(store.SignIn)
	err := row.Scan(&in.ID, (*hash)(&in.DeviceHash), &in.UserCode, &in.Hostname, &in.Platform, &in.Arch, &in.Remote,
		(*stamp)(&in.CreatedAt), (*stamp)(&in.ExpiresAt), (*stamp)(&in.ApprovedAt), (*text)(&in.AccountID),
		(*stamp)(&in.ConsumedAt))
	if err != nil {
		return nil, err
	}
	return in, nil
}
