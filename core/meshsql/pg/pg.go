// Package pg runs the statements of package meshsql on PostgreSQL: a database and a
// role for each mesh, which is no member of any other role and can connect to
// nothing else.
//
// A statement has a connection of its own, as that role, and it is closed behind
// the statement: no setting, lock, cursor or temporary table is left. Between
// statements the role cannot log in at all. It can for the moment in which the
// broker connects, with a password of that moment, and only while no statement of
// the mesh runs that could change the password: statements of one mesh run one
// after the other, over all replicas.
package pg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/claudemesh/broker/core/meshsql"
)

var _ meshsql.Engine = (*Engine)(nil)

// Options say where the databases are.
type Options struct {
	// URL is the server, with a role that may create roles and databases, and a
	// database that no mesh has: locks are taken there.
	URL string

	// Broker names the broker's own database, and Prefix begins the names of the
	// meshes' databases. Brokers with another of either share nothing.
	Broker, Prefix string

	// Template is the database that a mesh's is a copy of; "" for the server's own,
	// which needs a superuser.
	Template string

	// Databases is how many there may be, over all brokers with this prefix.
	Databases int

	ConnectTimeout time.Duration
	Limits         meshsql.Limits
}

// Engine keeps a database for each mesh.
type Engine struct {
	options Options
	limits  meshsql.Limits
	turns   *meshsql.Turns
	admin   *pgxpool.Pool

	// patience bounds all that is done for one statement, so that a server that no
	// longer answers holds nobody for ever.
	patience time.Duration
}

// adminTime bounds a statement of the broker's own. CREATE DATABASE copies some
// megabytes.
const adminTime = 30 * time.Second

// Open returns an engine. It connects with the first statement: a server that is
// away, or a role that may too little, is then answered as such.
func Open(ctx context.Context, o Options) (*Engine, error) {
	c, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, errors.New("the PostgreSQL URL for mesh SQL cannot be read")
	}
	c.MaxConns, c.MinConns = int32(o.Limits.Statements), 0 //nolint:gosec // at most 64
	c.MaxConnIdleTime = time.Minute
	c.ConnConfig.ConnectTimeout = o.ConnectTimeout
	c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	maps.Copy(c.ConnConfig.RuntimeParams, map[string]string{
		"application_name": "claudemesh-broker (mesh SQL)", "search_path": "pg_catalog",
		"statement_timeout": milliseconds(adminTime), "lock_timeout": milliseconds(o.Limits.Wait),
	})
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("mesh SQL on PostgreSQL: %w", err)
	}
	return &Engine{
		options: o, limits: o.Limits, turns: meshsql.NewTurns(o.Limits), admin: pool,
		patience: adminTime/2 + o.Limits.Wait + 2*(o.Limits.Time+slack),
	}, nil
}

// Close implements [meshsql.Engine].
func (e *Engine) Close() error {
	e.admin.Close()
	return nil
}

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// Run implements [meshsql.Engine].
func (e *Engine) Run(ctx context.Context, a meshsql.Ask) (result *meshsql.Result, err error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	err = e.within(ctx, a.Mesh, a.Member, func(ctx context.Context, d *database) error {
		if err := e.ready(ctx, d, a.Writes); err != nil {
			return err
		}
		if !d.there {
			return meshsql.Fail(meshsql.TextNoTables)
		}
		result, err = e.run(ctx, d, a)
		return err
	})
	return result, err
}

// Schema implements [meshsql.Engine].
func (e *Engine) Schema(ctx context.Context, mesh string) (tables []meshsql.Table, err error) {
	err = e.within(ctx, mesh, "", func(ctx context.Context, d *database) error {
		if err := e.ready(ctx, d, false); err != nil || !d.there {
			return err
		}
		tables, err = e.schema(ctx, d)
		return err
	})
	return tables, err
}

// Drop implements [meshsql.Engine].
func (e *Engine) Drop(ctx context.Context, mesh string) error {
	return e.within(ctx, mesh, "", func(ctx context.Context, d *database) error {
		if err := e.look(ctx, d); err != nil || !d.role && !d.made {
			return err
		}
		return e.drop(ctx, d)
	})
}

// database is a mesh's, for whoever has its lock.
type database struct {
	name  string
	admin *pgx.Conn // in the broker's database, as its role
	role  bool      // the role is there
	made  bool      // the database is there
	there bool      // and has all that it needs
}

// id returns the name for a statement.
func (d *database) id() string { return pgx.Identifier{d.name}.Sanitize() }

// exec runs statements of the broker's own.
func (d *database) exec(ctx context.Context, statements ...string) error {
	for _, sql := range statements {
		if _, err := d.admin.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// within calls f with the lock of a mesh's database, which only one process has at
// a time. The context of f ends with the engine's patience.
func (e *Engine) within(ctx context.Context, mesh, member string, f func(context.Context, *database) error) (err error) {
	done, err := e.turns.Take(ctx, mesh, member)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, e.patience)
	defer cancel()
	conn, err := e.admin.Acquire(ctx)
	if err != nil {
		return operators(err)
	}
	d := &database{name: e.name(mesh), admin: conn.Conn()}
	key := lockKey(d.name)
	if _, err := d.admin.Exec(ctx, "SELECT pg_advisory_lock($1)", key); err != nil {
		conn.Release()
		if code(err) == lockNotAvailable {
			return meshsql.TooBusy()
		}
		return operators(err)
	}
	defer func() {
		// A connection that was cut while it worked is closed by the pool, and its
		// lock ends with it.
		unlock, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if _, gone := d.admin.Exec(unlock, "SELECT pg_advisory_unlock($1)", key); gone != nil {
			_ = d.admin.Close(unlock) // then the server unlocks it
		}
		conn.Release()
	}()
	return f(ctx, d)
}

// SQLSTATEs that are looked for.
const (
	lockNotAvailable = "55P03"
	queryCanceled    = "57014"
	readOnly         = "25006"
	noPrivilege      = "42501"
	badAuthorization = "28000"
	badPassword      = "28P01"
	dependentObjects = "2BP01"
)

func code(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// operators turns an error that only the operator can do something about into a
// refusal that says so; others stay as they are.
func operators(err error) error {
	switch code(err) {
	case noPrivilege, badAuthorization, badPassword:
		return &meshsql.Error{
			Kind: meshsql.Off, Err: err,
			Text: "the broker's role on PostgreSQL may not do what mesh SQL needs: its operator finds what to grant in docs/mesh-sql.md",
		}
	}
	return err
}
