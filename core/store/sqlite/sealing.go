package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strconv"

	"github.com/claudemesh/broker/core/store"
)

const (
	allMeshes    = `SELECT ` + meshColumns + ` FROM mesh ORDER BY created_at, id`
	plainInvites = `SELECT ` + inviteColumns + ` FROM invite
		WHERE sealed_token = '' AND id > ? AND token NOT GLOB 'sha256:*' ORDER BY id LIMIT ?`
	sealInvite = `UPDATE invite SET sealed_token = ?3, token = iif(EXISTS (SELECT 1 FROM invite WHERE token = ?4), ?5, ?4)
		WHERE id = ?1 AND token = ?2`
)

// AllMeshes implements [store.Sealing].
func (s *Store) AllMeshes(ctx context.Context) (list []*store.Mesh, err error) {
	defer wrap(&err, "list all meshes")
	rows, err := s.read.QueryContext(ctx, allMeshes)
	return collect(rows, err, scanMesh)
}

// PlainInvites implements [store.Sealing].
func (s *Store) PlainInvites(ctx context.Context, after string, limit int) (list []*store.Invite, err error) {
	defer wrap(&err, "list plain invites")
	rows, err := s.read.QueryContext(ctx, plainInvites, after, limit)
	return collect(rows, err, scanInvite)
}

// SealInvites implements [store.Sealing]. What is deleted in it is overwritten,
// and the log, which has the pages as they were, is copied and cut. Copies that
// earlier changes left in free space go with the next VACUUM.
func (s *Store) SealInvites(ctx context.Context, list []*store.Invite) (err error) {
	defer wrap(&err, "seal invites")
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()

	ctx = context.WithoutCancel(ctx)
	var before int
	if err := conn.QueryRowContext(ctx, `PRAGMA secure_delete`).Scan(&before); err != nil {
		return err
	}
	defer func() {
		if e := pragma(ctx, conn, `secure_delete = `+strconv.Itoa(before)); e != nil {
			// A new connection begins with the setting that the store was opened with.
			err = errors.Join(err, e, conn.Raw(func(any) error { return driver.ErrBadConn }))
		}
	}()
	if err := pragma(ctx, conn, `secure_delete = ON`); err != nil {
		return err
	}
	err = transact(ctx, conn, func(ctx context.Context, tx *sql.Tx) error {
		for _, inv := range list {
			_, err := tx.ExecContext(ctx, sealInvite, inv.ID, inv.PlainToken, inv.SealedToken,
				store.TokenColumn(inv.TokenHash), inv.TwinColumn())
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return pragma(ctx, conn, `wal_checkpoint(TRUNCATE)`) // somebody who reads can keep the log: it is cut later
}

// pragma runs a PRAGMA and drops its answer.
func pragma(ctx context.Context, conn *sql.Conn, text string) error {
	rows, err := conn.QueryContext(ctx, `PRAGMA `+text)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() { // what it says does not matter
	}
	return rows.Err()
}
