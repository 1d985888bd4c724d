package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/claudemesh/broker/core/meshsql"
)

// loginTime is how long a password is good for. The broker needs it for some
// milliseconds; a broker that is killed meanwhile leaves it behind.
const loginTime = 30 * time.Second

// connectTries is how often a connection is tried that the one before holds the
// place of: a server process ends a moment after its connection.
const connectTries = 50

// connect logs in as a mesh's role, for one statement. It begins with ending what
// is left of one before, such as that of a broker that was killed: while a password
// is good, nothing runs that could set another one.
func (e *Engine) connect(ctx context.Context, d *database, writes bool) (conn *pgconn.PgConn, err error) {
	plain, verifier, err := password()
	if err != nil {
		return nil, err
	}
	if err := e.quiet(ctx, d); err != nil {
		return nil, err
	}
	// A role may set its own defaults, but not its limits.
	if _, err := d.admin.PgConn().Exec(ctx, fmt.Sprintf(
		"ALTER ROLE %[1]s RESET ALL; ALTER ROLE %[1]s IN DATABASE %[1]s RESET ALL; ALTER ROLE %[1]s LOGIN CONNECTION LIMIT 1 PASSWORD '%[2]s' VALID UNTIL '%[3]s'",
		d.id(), verifier, time.Now().Add(loginTime).UTC().Format(time.RFC3339))).ReadAll(); err != nil {
		return nil, err
	}
	defer func() {
		shut, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
		defer cancel()
		if locked := d.exec(shut, "ALTER ROLE "+d.id()+" NOLOGIN"); locked != nil {
			if conn != nil {
				locked = errors.Join(locked, conn.Close(shut))
			}
			conn, err = nil, errors.Join(err, locked)
		}
	}()
	conn, err = pgconn.ConnectConfig(ctx, e.config(d, plain, writes))
	return conn, operators(err)
}

// quiet ends the connections of a mesh, and waits until none is left.
func (e *Engine) quiet(ctx context.Context, d *database) error {
	for range connectTries {
		var left int
		if err := d.admin.QueryRow(ctx, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1", d.name).Scan(&left); err != nil || left == 0 {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return meshsql.TooBusy()
}

// config is how a mesh's role connects. What stands here outranks what the role
// has set for itself.
func (e *Engine) config(d *database, password string, writes bool) *pgconn.Config {
	c := e.admin.Config().ConnConfig.Config.Copy()
	c.User, c.Password, c.Database = d.name, password, d.name
	c.OnNotice, c.OnNotification = nil, nil
	c.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(&framed{r: r, most: mostMessage(e.limits)}, w)
	}
	c.RuntimeParams = map[string]string{
		"application_name": "mesh SQL", "search_path": schemaName, "client_encoding": "UTF8", "timezone": "UTC", "datestyle": "ISO, MDY",
		"intervalstyle": "postgres", "bytea_output": "hex", "extra_float_digits": "1", "jit": "off",
		"statement_timeout": milliseconds(e.limits.Time), "lock_timeout": milliseconds(e.limits.Time),
		"idle_in_transaction_session_timeout": milliseconds(2 * e.limits.Time),
		"work_mem":                            "4MB", "maintenance_work_mem": "16MB", "hash_mem_multiplier": "1", "max_parallel_workers_per_gather": "0",
		"max_parallel_maintenance_workers": "0", "temp_buffers": "800kB",
		"default_transaction_read_only": map[bool]string{true: "off", false: "on"}[writes],
	}
	return c
}
