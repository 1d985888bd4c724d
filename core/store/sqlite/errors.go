package sqlite

import (
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/claudemesh/broker/core/store"
)

// wrap puts the operation in front of an error, and turns those of the database
// that callers tell apart into the store's. It is deferred.
func wrap(err *error, op string) {
	switch {
	case *err == nil:
	case errors.Is(*err, sql.ErrNoRows):
		*err = fmt.Errorf("%s: %w", op, store.ErrNotFound)
	case taken(*err):
		*err = fmt.Errorf("%s: %w: %w", op, store.ErrConflict, *err)
	default:
		*err = fmt.Errorf("%s: %w", op, *err)
	}
}

// taken reports whether a row was refused because another one has its unique
// columns.
func taken(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return true
	}
	return false
}

// noAccount returns [store.ErrNotFound] for a row that was refused because the
// account that it is of is not there.
func noAccount(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) && e.Code() == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY {
		return fmt.Errorf("account: %w", store.ErrNotFound)
	}
	return err
}

// changed returns [store.ErrNotFound] when a statement changed no row.
func changed(r sql.Result, err error) error {
	n, err := affected(r, err)
	if err == nil && n == 0 {
		return store.ErrNotFound
	}
	return err
}
