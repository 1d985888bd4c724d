// Package meshsql is a small SQL database for each mesh, which any of its members
// may fill and ask.
//
// A statement comes from a stranger and is run as it is: what it can reach is
// decided by where it runs, never by the words that it is made of. Two engines run
// it, lite (a SQLite file for each mesh) and pg (a PostgreSQL database and role for
// each mesh); the suite in sqltest holds both to the same behaviour. docs/adr/0024
// has the threats.
package meshsql

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// MostStatement is how many bytes of SQL one statement may have. What a statement
// costs to take apart grows with it, before any limit of time can end it.
const MostStatement = 32 << 10

// Limits bound what one statement, and one mesh, may use.
type Limits struct {
	Time       time.Duration // that a statement may run
	Wait       time.Duration // that it may wait for its turn
	Rows       int           // of one answer
	Bytes      int           // of JSON in one answer
	MeshBytes  int64         // of disk that a mesh may fill
	Statements int           // that run at a time, over all meshes, in this process
	Pending    int           // of one member that run or wait, in this process
}

// Ask is one statement.
type Ask struct {
	Mesh   string // id
	Member string // id of who asks: its turns are counted
	SQL    string
	Writes bool // it may change something
}

// Engine runs statements. All methods may be called concurrently, also by several
// processes that share the databases. Their errors are [*Error], or say that the
// database is away.
type Engine interface {
	// Run runs one statement. A statement that only reads, or fails, leaves
	// nothing behind.
	Run(ctx context.Context, a Ask) (*Result, error)

	// Schema returns the tables and views of a mesh; none when it has no database.
	Schema(ctx context.Context, mesh string) ([]Table, error)

	// Drop deletes the database of a mesh, if there is one.
	Drop(ctx context.Context, mesh string) error

	// Close ends what is under way.
	Close() error
}

// Table is one table or view.
type Table struct {
	Name    string
	Columns []Column
}

// Column is one column of a table.
type Column struct {
	Name     string
	Type     string // in the database's own words
	Nullable bool
}

// MostColumns is how many columns of all tables a schema lists.
const MostColumns = 2000

// Kind says what an [Error] means.
type Kind uint8

// Kinds of errors.
const (
	Failed Kind = iota // the database refuses the statement, in its own words
	Full               // the mesh has as much on disk as it may
	Busy               // too many statements at a time
	Off                // the operator has to do something first
)

// Error says why a statement was not run. Text is for who asked: it names nothing
// of the broker's.
type Error struct {
	Kind Kind
	Text string
	Err  error // for the log; may be nil
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Text + ": " + e.Err.Error()
	}
	return e.Text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fail returns an error with the database's own words.
func Fail(format string, args ...any) *Error {
	return &Error{Kind: Failed, Text: fmt.Sprintf(format, args...)}
}

// Refused returns an error of this package, nil for others.
func Refused(err error) *Error {
	e, _ := errors.AsType[*Error](err)
	return e
}

// Texts of refusals that both engines give.
const (
	TextOneStatement = "one statement at a time: nothing may follow its semicolon"
	TextTransactions = "transactions are not a statement's to begin or to end: each statement is one"
	TextReadOnly     = "mesh_query only reads: use mesh_execute to change something"
	TextNoTables     = "the mesh has no tables yet: make one with mesh_execute"
)

// TooSlow says that a statement has run for too long.
func TooSlow(limit time.Duration) *Error {
	return Fail("the statement took longer than %s, and was undone: ask for less at a time", limit)
}

// TooMuch says that a mesh has no room left.
func TooMuch(limit int64) *Error {
	return &Error{Kind: Full, Text: fmt.Sprintf("the database of the mesh may have %d bytes, and this does not fit: delete rows or drop a table", limit)}
}

// Check refuses what is no statement, before a database sees it.
func (a *Ask) Check() error {
	switch {
	case len(a.SQL) > MostStatement:
		return Fail("the statement has %d bytes, and %d are the most", len(a.SQL), MostStatement)
	case !clean(a.SQL):
		return Fail("the statement holds a NUL byte or is not UTF-8")
	case blank(a.SQL):
		return Fail("there is no statement")
	}
	return nil
}
