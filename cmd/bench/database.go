package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/store/postgres"
)

// database is a database of PostgreSQL for one trial, on a server on this
// machine.
type database struct {
	admin      string // URL of a role that may create databases
	name       string
	url        string
	postmaster int // the server's first process
}

// createDatabase makes an empty one.
func createDatabase(ctx context.Context, admin string) (*database, error) {
	u, err := url.Parse(admin)
	if err != nil {
		return nil, errors.New("--database-url is no URL") // it may hold a password
	}
	d := &database{admin: admin, name: "bench_" + strings.ToLower(rand.Text()[:13])}
	u.Path, u.RawPath = "/"+d.name, ""
	d.url = u.String()
	if d.postmaster, err = findPostmaster(ctx, admin); err != nil {
		return nil, err
	}
	return d, d.execute(ctx, "CREATE DATABASE "+d.name+" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'", "CHECKPOINT")
}

// drop removes the database.
func (d *database) drop(ctx context.Context) error {
	return d.execute(ctx, "DROP DATABASE "+d.name+" WITH (FORCE)")
}

// execute runs statements on a connection of its own.
func (d *database) execute(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, d.admin)
	if err != nil {
		return fmt.Errorf("--database-url: %w", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // the statements' answers are all that counts
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// findPostmaster returns the process that all processes of a server descend
// from: the parent of the one that serves our connection.
func findPostmaster(ctx context.Context, admin string) (pid int, err error) {
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return 0, fmt.Errorf("--database-url: %w", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // the answer is all that counts
	var backend int
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		return 0, fmt.Errorf("--database-url: %w", err)
	}
	s, err := statOf(backend)
	if err != nil {
		return 0, fmt.Errorf("--database-url: the server must run on this machine, and be seen in /proc: %w", err)
	}
	return s.parent, nil
}

// verify verifies the audit chains of meshes and returns how many entries they
// have.
func (d *database) verify(ctx context.Context, meshes []*admin.NewMesh) (entries int64, err error) {
	st, err := postgres.Open(ctx, postgres.Options{URL: d.url, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	for _, m := range meshes {
		r, err := st.VerifyAudit(ctx, m.ID)
		if err != nil {
			return 0, err
		}
		if !r.Valid {
			return 0, fmt.Errorf("the audit chain of %s is broken at entry %d: %s", m.ID, r.BrokenAt, r.Why)
		}
		entries += r.Entries
	}
	return entries, nil
}
