package lite

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"modernc.org/sqlite"
)

// Phases of a connection.
const (
	ours   = iota // the broker's own statements: anything
	theirs        // a stranger's statement is being compiled: what the policy allows
	shut          // it is compiled: SQLite may compile nothing more
)

// policy says what a statement may be made of. SQLite asks it about each thing
// that a statement would do, while it compiles the statement, and again about
// whatever a view, a trigger or a table-valued function adds: it goes by what
// SQLite has understood, and not by the text.
type policy struct {
	writes bool
	phase  atomic.Int32
	shapes bool   // it makes or changes a table, view or the like
	why    string // what was denied first
}

// reads and writes are all that a statement may do. What is not here is denied,
// such as attaching files, PRAGMA, beginning and ending transactions, and modules
// that SQLite may learn in some later version.
func reads() []sqlite.AuthorizerActionCode {
	return []sqlite.AuthorizerActionCode{sqlite.AuthSelect, sqlite.AuthRead, sqlite.AuthFunction, sqlite.AuthRecursive}
}

func writes() []sqlite.AuthorizerActionCode {
	return []sqlite.AuthorizerActionCode{
		sqlite.AuthInsert, sqlite.AuthUpdate, sqlite.AuthDelete,
		sqlite.AuthCreateTable, sqlite.AuthCreateIndex, sqlite.AuthCreateView, sqlite.AuthCreateTrigger,
		sqlite.AuthDropTable, sqlite.AuthDropIndex, sqlite.AuthDropView, sqlite.AuthDropTrigger,
		sqlite.AuthAlterTable, sqlite.AuthReindex,
	}
}

// shapes are those of writes that add to the catalog.
func shapes() []sqlite.AuthorizerActionCode {
	return []sqlite.AuthorizerActionCode{
		sqlite.AuthCreateTable, sqlite.AuthCreateIndex, sqlite.AuthCreateView, sqlite.AuthCreateTrigger, sqlite.AuthAlterTable,
	}
}

// judge implements [sqlite.AuthorizerFn].
func (p *policy) judge(action sqlite.AuthorizerActionCode, first, second, database, _ string) sqlite.AuthorizerReturnCode {
	switch p.phase.Load() {
	case ours:
		return sqlite.AuthorizerOK
	case shut:
		return p.deny(another)
	}
	if action == sqlite.AuthAlterTable { // its database comes first
		database = first
	}
	switch {
	case action == sqlite.AuthFunction:
		call := strings.ToLower(second)
		if slices.Contains(functions(), call) || p.writes && slices.Contains(alters(), call) {
			return sqlite.AuthorizerOK
		}
		return p.deny("the function " + second)
	case p.writes && database == "temp" && strings.HasPrefix(strings.ToLower(first), "sqlite_temp_"):
		return sqlite.AuthorizerOK // ALTER TABLE looks there too; it is empty, and nobody can write to it
	case database != "" && database != "main":
		return p.deny("the database " + database)
	case action == sqlite.AuthRead && inner(first):
		return p.deny("the table " + first)
	case slices.Contains(reads(), action):
		return sqlite.AuthorizerOK
	case p.writes && slices.Contains(shapes(), action):
		p.shapes = true
		return sqlite.AuthorizerOK
	case p.writes && slices.Contains(writes(), action):
		return sqlite.AuthorizerOK
	case slices.Contains(writes(), action):
		return p.deny(readOnly)
	}
	return p.deny(name(action))
}

// What is denied in words of its own.
const (
	readOnly     = "writing"
	another      = "another statement"
	transactions = "transactions"
)

func (p *policy) deny(what string) sqlite.AuthorizerReturnCode {
	if p.why == "" {
		p.why = what
	}
	return sqlite.AuthorizerDeny
}

// inner reports whether a table shows SQLite's own pages, or what other statements
// do, instead of rows.
func inner(table string) bool {
	table = strings.ToLower(table)
	return table == "dbstat" || strings.HasPrefix(table, "pragma_") ||
		strings.HasPrefix(table, "sqlite_") && !slices.Contains(catalogs(), table)
}

// alters are the functions by which SQLite rewrites its catalog for ALTER TABLE. It
// finds them for nobody else.
func alters() []string {
	return []string{"sqlite_rename_table", "sqlite_rename_column", "sqlite_rename_test", "sqlite_rename_quotefix", "sqlite_drop_column", "sqlite_fail"}
}

// catalogs are the tables of SQLite's own that may be read. Nobody writes them:
// that is what its defensive mode is for.
func catalogs() []string {
	return []string{"sqlite_master", "sqlite_schema", "sqlite_sequence", "sqlite_stat1", "sqlite_stat4"}
}

func name(action sqlite.AuthorizerActionCode) string {
	switch action { //nolint:exhaustive // those that are allowed need no name
	case sqlite.AuthPragma:
		return "PRAGMA"
	case sqlite.AuthAttach, sqlite.AuthDetach:
		return "other database files"
	case sqlite.AuthAnalyze:
		return "ANALYZE"
	case sqlite.AuthTransaction, sqlite.AuthSavepoint:
		return transactions
	case sqlite.AuthCreateVTable, sqlite.AuthDropVTable:
		return "virtual tables"
	case sqlite.AuthCreateTempTable, sqlite.AuthCreateTempIndex, sqlite.AuthCreateTempView, sqlite.AuthCreateTempTrigger,
		sqlite.AuthDropTempTable, sqlite.AuthDropTempIndex, sqlite.AuthDropTempView, sqlite.AuthDropTempTrigger:
		return "temporary tables"
	}
	return fmt.Sprintf("action %d", action)
}
