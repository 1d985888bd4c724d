package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/claudemesh/broker/core/store"
)

// Codes of PostgreSQL's errors, by the names that its manual gives them.
const (
	uniqueViolation       = "23505"
	foreignKeyViolation   = "23503"
	characterNotInSet     = "22021" // a NUL byte, or no UTF-8
	untranslatable        = "22P05"
	invalidParameter      = "22023"
	serializationFailure  = "40001"
	deadlockDetected      = "40P01"
	lockNotAvailable      = "55P03"
	readOnlyTransaction   = "25006" // the server is a standby now
	queryCanceled         = "57014" // by a timeout or an operator
	adminShutdown         = "57P01"
	crashShutdown         = "57P02"
	cannotConnectNow      = "57P03"
	idleSessionTimeout    = "57P05"
	idleInTransactionOver = "25P03"
)

// wrap puts the operation in front of an error, and turns those of the database
// that callers tell apart into the store's. It is deferred.
func wrap(err *error, op string) {
	switch kind := kindOf(*err); {
	case *err == nil:
	case kind == nil || errors.Is(*err, kind):
		*err = fmt.Errorf("%s: %w", op, *err)
	case errors.Is(kind, store.ErrNotFound):
		*err = fmt.Errorf("%s: %w", op, kind)
	default:
		*err = fmt.Errorf("%s: %w: %w", op, kind, *err)
	}
}

// kindOf returns the store's error for one of the database's, or nil.
func kindOf(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return nil
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, errLost):
		return store.ErrUnavailable
	case errors.Is(err, pgx.ErrNoRows):
		return store.ErrNotFound
	}
	var e *pgconn.PgError
	switch {
	case !errors.As(err, &e):
		if away(err) {
			return store.ErrUnavailable
		}
		return nil
	case e.Code == uniqueViolation:
		return store.ErrConflict
	case e.Code == characterNotInSet, e.Code == untranslatable:
		return store.ErrText
	case unavailable(e.Code):
		return store.ErrUnavailable
	}
	return nil
}

// unavailable reports whether the server says that it cannot answer now.
func unavailable(code string) bool {
	switch code {
	case queryCanceled, adminShutdown, crashShutdown, cannotConnectNow, idleSessionTimeout, idleInTransactionOver,
		lockNotAvailable, readOnlyTransaction, serializationFailure, deadlockDetected:
		return true
	}
	return strings.HasPrefix(code, "08") || // the connection
		strings.HasPrefix(code, "53") // connections, memory or disk are used up
}

// away reports whether an error that no server sent means that there was no
// server to send one.
func away(err error) bool {
	var (
		connect *pgconn.ConnectError
		network net.Error
		op      *net.OpError
	)
	switch {
	case errors.As(err, &connect), errors.As(err, &network), errors.As(err, &op):
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, net.ErrClosed):
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
	case pgconn.Timeout(err), pgconn.SafeToRetry(err):
	default:
		return false
	}
	return true
}

// broken reports whether an error is that of a connection which was there, and
// not that of a server which is away or slow.
func broken(err error) bool {
	var (
		connect *pgconn.ConnectError
		e       *pgconn.PgError
	)
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.As(err, &connect):
		return false
	case errors.As(err, &e):
		return e.SeverityUnlocalized == "FATAL"
	}
	return away(err)
}

// errLost is an error of a connection that is known to be gone.
var errLost = errors.New("the connection to the database broke")

// noAccount returns [store.ErrNotFound] for a row that was refused because the
// account that it is of is not there.
func noAccount(err error) error {
	var e *pgconn.PgError
	if errors.As(err, &e) && e.Code == foreignKeyViolation {
		return fmt.Errorf("account: %w", store.ErrNotFound)
	}
	return err
}

// changed returns [store.ErrNotFound] when a statement changed no row.
func changed(rows int64, err error) error {
	if err == nil && rows == 0 {
		return store.ErrNotFound
	}
	return err
}

// collided reports whether a transaction failed because of others that ran at
// the same time. Nothing of it was written, and run again it may succeed.
func collided(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == serializationFailure || e.Code == deadlockDetected)
}
