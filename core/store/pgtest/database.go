package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// statementTimeout ends a statement that never returns. Many databases are made
// at once on a small machine, and each takes a checkpoint when it is dropped.
const statementTimeout = time.Minute

// maxIdentifier is PostgreSQL's, in bytes; what is longer is cut in silence.
const maxIdentifier = 63

// empty is the template that is empty whatever somebody put into template1.
const empty = "template0"

// createDatabase copies a template, to which nobody may be connected, and
// returns the copy's name, in which the test can be recognised. Many may be
// copied at once.
func createDatabase(admin, test, template string) (string, error) {
	name := databaseName(test)
	err := execute(admin, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+
		" TEMPLATE "+pgx.Identifier{template}.Sanitize()+" ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
	return name, err
}

func dropDatabase(admin, name string) error {
	return execute(admin, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
}

// execute runs one statement on a connection of its own.
func execute(at, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, at)
	if err != nil {
		return fmt.Errorf("connect to the server for tests: %w", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // the statement's answer is all that counts
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// databaseName is pgtest_, random letters, and what is left of the test's name.
func databaseName(test string) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '_'
	}, test)
	name := "pgtest_" + strings.ToLower(rand.Text()[:13]) + "_" + plain
	return name[:min(len(name), maxIdentifier)]
}

// withDatabase is a checked URL with another database.
func withDatabase(from, name string) string {
	u, err := url.Parse(from)
	if err != nil {
		return from // checkURL saw it
	}
	u.Path, u.RawPath = "/"+name, ""
	return u.String()
}

// checkURL says what is wrong with the operator's URL. It does not repeat it:
// there may be a password in it.
func checkURL(given string) error {
	u, err := url.Parse(given)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return errors.New(urlVariable + " is not a URL; write postgres://user@host:port/postgres, with a role that may create databases")
	}
	return nil
}
