package pg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/meshsql"
)

// schemaName is the schema of a mesh's database that its role may make tables in.
const schemaName = "mesh"

// complete is the comment of a database that has all it needs. A broker that was
// killed while it made one has left another, or none.
const complete = "mesh SQL 1"

// look finds out what there is.
func (e *Engine) look(ctx context.Context, d *database) error {
	var comment string
	err := d.admin.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1::text),
		EXISTS (SELECT FROM pg_database WHERE datname = $1::text),
		coalesce((SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1::text), '')`, d.name).
		Scan(&d.role, &d.made, &comment)
	d.there = d.role && d.made && comment == complete
	return operators(err)
}

// ready makes the database where there is none and something is to be written.
func (e *Engine) ready(ctx context.Context, d *database, writes bool) error {
	if err := e.look(ctx, d); err != nil || d.there || !writes {
		return err
	}
	var count int
	if err := d.admin.QueryRow(ctx, "SELECT count(*) FROM pg_database WHERE starts_with(datname, $1)", e.options.Prefix+"_").Scan(&count); err != nil {
		return err
	}
	if count >= e.options.Databases && !d.made {
		return &meshsql.Error{Kind: meshsql.Full, Text: fmt.Sprintf("this broker has %d databases of meshes, and that is all it may have: its operator can raise mesh_sql.databases", count)}
	}
	if err := e.make(ctx, d); err != nil {
		return errors.Join(operators(err), e.drop(ctx, d)) // so that it is made anew when the operator has helped
	}
	d.there = true
	return nil
}

// make makes what is missing, in an order in which a mesh can reach nothing that
// is not finished, and which can be begun again.
func (e *Engine) make(ctx context.Context, d *database) error {
	if !d.role {
		// What is not said is no: no superuser, no roles, no databases, no
		// replication, no login.
		if err := d.exec(ctx, "CREATE ROLE "+d.id()+" NOINHERIT NOLOGIN CONNECTION LIMIT 1"); err != nil {
			return err
		}
	}
	if err := d.exec(ctx, "GRANT "+d.id()+" TO CURRENT_USER"); err != nil { // to end its connections, and drop it
		return err
	}
	if !d.made {
		if err := d.exec(ctx, "CREATE DATABASE "+d.id()+e.template()); err != nil {
			return err
		}
	}
	if err := d.exec(ctx, "REVOKE ALL ON DATABASE "+d.id()+" FROM PUBLIC"); err != nil {
		return err
	}
	if err := e.furnish(ctx, d); err != nil {
		return err
	}
	return d.exec(ctx, "GRANT CONNECT ON DATABASE "+d.id()+" TO "+d.id(), "COMMENT ON DATABASE "+d.id()+" IS '"+complete+"'")
}

// template is what a database is copied from: the server's empty one, or the
// operator's.
func (e *Engine) template() string {
	if e.options.Template == "" {
		return " TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
	}
	return " TEMPLATE " + pgx.Identifier{e.options.Template}.Sanitize()
}

// furnish makes the schema in a database that nobody has used yet. The broker's
// role is never in it again: what a mesh has made there could be called by it.
func (e *Engine) furnish(ctx context.Context, d *database) (err error) {
	c := e.admin.Config().ConnConfig
	c.Database = d.name
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return err
	}
	inside := &database{name: d.name, admin: conn}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		err = errors.Join(err, conn.Close(ctx))
	}()
	if err := inside.exec(ctx,
		"REVOKE ALL ON SCHEMA public FROM PUBLIC", // a warning where it is not ours, and harmless then
		"CREATE SCHEMA IF NOT EXISTS "+schemaName,
		"GRANT USAGE, CREATE ON SCHEMA "+schemaName+" TO "+d.id()); err != nil {
		return err
	}
	return harden(ctx, inside)
}

// reaching are the functions and languages that everybody may use in a new database,
// and by which one statement uses up what all databases of a server share: the table
// of locks, the write-ahead log, the memory of a sort. What a mesh can see does not
// depend on them.
const reaching = `SELECT 'FUNCTION ' || p.oid::regprocedure FROM pg_proc p
	WHERE p.pronamespace = 'pg_catalog'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE') AND (
		p.proname LIKE 'pg\_%advisory%' OR p.proname LIKE 'lo\_%' OR p.proname IN ('loread', 'lowrite', 'pg_notify', 'set_config',
		'pg_logical_emit_message', 'pg_export_snapshot'))
	UNION ALL SELECT 'LANGUAGE ' || quote_ident(l.lanname) FROM pg_language l
	WHERE l.lanpltrusted AND has_language_privilege('public', l.oid, 'USAGE')`

// harden takes these from everybody, which only a superuser can. For another role
// the operator has done it in the template that the database was copied from. It
// limits the files of sorts too.
func harden(ctx context.Context, d *database) error {
	var super bool
	if err := d.admin.QueryRow(ctx, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user").Scan(&super); err != nil {
		return err
	}
	rows, err := d.admin.Query(ctx, reaching)
	if err != nil {
		return err
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	if !super && len(list) > 0 {
		return &meshsql.Error{
			Kind: meshsql.Off, Err: fmt.Errorf("everybody may use %d functions and languages that reach beyond a database, such as %s", len(list), list[0]),
			Text: "the broker's role on PostgreSQL is no superuser, and has no template for databases of meshes: its operator finds how to make one in docs/mesh-sql.md",
		}
	}
	for _, what := range list {
		// Some have a grant to PUBLIC and no more: their owner keeps its own.
		if err := d.exec(ctx, "REVOKE ALL ON "+what+" FROM PUBLIC"); err != nil {
			return err
		}
	}
	// Settings are no part of a template. Without the right to this one, the time of
	// a statement is what bounds its files.
	if err := d.exec(ctx, "ALTER DATABASE "+d.id()+" SET temp_file_limit = '256MB'"); err != nil && code(err) != noPrivilege {
		return err
	}
	return nil
}

// drop ends what runs there, and deletes the database and its role. A role to which
// another mesh has granted something stays, and is no more than a name: nobody can
// log in as it, and it has nothing.
func (e *Engine) drop(ctx context.Context, d *database) error {
	if err := d.exec(ctx, "DROP DATABASE IF EXISTS "+d.id()+" WITH (FORCE)"); err != nil {
		return err
	}
	err := d.exec(ctx, "DROP ROLE IF EXISTS "+d.id())
	if code(err) == dependentObjects {
		return nil
	}
	return err
}
