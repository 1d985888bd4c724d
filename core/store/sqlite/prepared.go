package sqlite

import (
	"context"
	"database/sql"
	"errors"
)

// prepared are the reads that every connect or send does, and every request over
// HTTP with a token. All others are parsed when they run.
type prepared struct {
	memberByKey, memberByID, sessionKeyOwner, state, findSent, pending, tokenByHash *sql.Stmt
}

func (p *prepared) open(ctx context.Context, db *sql.DB) error {
	var errs []error
	prepare := func(query string) *sql.Stmt {
		stmt, err := db.PrepareContext(ctx, query)
		errs = append(errs, err)
		return stmt
	}
	*p = prepared{
		memberByKey:     prepare(memberByKey),
		memberByID:      prepare(memberByID),
		sessionKeyOwner: prepare(sessionKeyOwner),
		state:           prepare(readState),
		findSent:        prepare(findSent),
		pending:         prepare(pending),
		tokenByHash:     prepare(tokenByHash),
	}
	return errors.Join(errs...)
}
