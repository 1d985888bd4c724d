package pg

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/meshsql"
	"github.com/claudemesh/broker/core/meshsql/sqltest"
	"github.com/claudemesh/broker/core/store/pgtest"
)

// refusedAttacks reach outside the mesh's own tables.
func refusedAttacks() []string {
	return []string{
		// Files and programs of the server.
		"SELECT pg_read_file('/etc/passwd')", "SELECT pg_read_binary_file('PG_VERSION')", "SELECT pg_ls_dir('.')", "SELECT pg_stat_file('.')",
		"SELECT * FROM pg_ls_waldir()", "SELECT pg_ls_logdir()", "COPY n TO PROGRAM 'id'", "COPY n FROM PROGRAM 'id'", "COPY n TO '/tmp/mesh-sql-x'",
		"COPY n FROM '/etc/passwd'", "SELECT lo_import('/etc/passwd')", "SELECT lo_export(1, '/tmp/mesh-sql-x')", "SELECT pg_file_write('x', 'y', false)",
		"LOAD '/tmp/x.so'", "CREATE FUNCTION f() RETURNS int LANGUAGE c AS '/tmp/x.so', 'f'", "CREATE FUNCTION f() RETURNS int LANGUAGE internal AS 'int4in'",
		"CREATE LANGUAGE plpython3u", "CREATE TABLESPACE x LOCATION '/tmp'", "SELECT * FROM pg_hba_file_rules", "SELECT pg_current_logfile()",
		// Other roles.
		"SELECT * FROM pg_authid", "SELECT * FROM pg_shadow", "CREATE ROLE x", "CREATE USER x SUPERUSER", "DROP ROLE postgres", "ALTER ROLE postgres PASSWORD 'x'",
		"ALTER ROLE CURRENT_USER SUPERUSER", "ALTER ROLE CURRENT_USER CREATEROLE CREATEDB", "ALTER ROLE CURRENT_USER LOGIN", "ALTER ROLE CURRENT_USER BYPASSRLS",
		"ALTER ROLE CURRENT_USER CONNECTION LIMIT -1", "ALTER ROLE CURRENT_USER VALID UNTIL 'infinity'", "ALTER ROLE ALL SET work_mem = '1GB'",
		"GRANT pg_read_server_files TO CURRENT_USER", "GRANT pg_execute_server_program TO CURRENT_USER", "SET ROLE postgres", "SET  /**/ ROLE postgres",
		"SET LOCAL ROLE pg_read_all_data", "SET SESSION AUTHORIZATION postgres", "SELECT set_config('role', 'postgres', true)",
		"SELECT set_config('session_authorization', 'postgres', false)", "ALTER TABLE n OWNER TO postgres", "REASSIGN OWNED BY CURRENT_USER TO postgres",
		"DO $$ BEGIN RESET ROLE; EXECUTE 'SELECT pg_read_file(''/etc/passwd'')'; END $$", "ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT ALL ON TABLES TO PUBLIC",
		// Other databases and schemas.
		"CREATE DATABASE x", "DROP DATABASE postgres", "ALTER DATABASE postgres SET work_mem = '1GB'", "SELECT * FROM postgres.public.x", "SELECT * FROM mesh.member",
		"CREATE SCHEMA x", "CREATE SCHEMA AUTHORIZATION CURRENT_USER", "DROP SCHEMA mesh CASCADE", "DROP SCHEMA public", "ALTER SCHEMA mesh RENAME TO x",
		"CREATE TABLE public.x (i int)", "CREATE TABLE pg_catalog.x (i int)", "CREATE TABLE information_schema.x (i int)", "CREATE TEMP TABLE x (i int)",
		"CREATE EXTENSION dblink", "CREATE EXTENSION postgres_fdw", "CREATE EXTENSION file_fdw", "CREATE EXTENSION pgcrypto", "CREATE EXTENSION hstore",
		"DROP EXTENSION plpgsql", "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw", "CREATE FOREIGN DATA WRAPPER w", "IMPORT FOREIGN SCHEMA x FROM SERVER s INTO mesh",
		"CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1' PUBLICATION p", "CREATE PUBLICATION p FOR ALL TABLES", "SELECT * FROM dblink('dbname=postgres', 'SELECT 1') AS t(i int)",
		// The server.
		"ALTER SYSTEM SET shared_preload_libraries = 'x'", "SELECT pg_reload_conf()", "SELECT pg_switch_wal()", "SELECT pg_promote()", "CHECKPOINT",
		"SELECT pg_create_physical_replication_slot('x')", "SELECT pg_create_logical_replication_slot('x', 'pgoutput')", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
		"CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION f()", "SET log_statement = 'none'", "SET session_preload_libraries = 'x'", "SELECT pg_stat_reset()",
		"UPDATE pg_database SET datconnlimit = 0", "DELETE FROM pg_class", "DROP TABLE pg_class", "TRUNCATE pg_class", "LOCK TABLE pg_authid", "SET allow_system_table_mods = on",
		"VACUUM", "VACUUM FULL", "CLUSTER", "REINDEX SYSTEM postgres", "CREATE INDEX CONCURRENTLY x ON n (i)", "COMMENT ON DATABASE postgres IS 'x'",
		// The broker's own transaction.
		"COMMIT", "ROLLBACK", "END", "ABORT", "COMMIT; SET statement_timeout = 0", "SELECT 1; SELECT 2", "PREPARE TRANSACTION 'x'", "RELEASE x", "ROLLBACK TO x",
		"DISCARD ALL", "COMMIT PREPARED 'x'", "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$; CALL p()",
		// Too much.
		"SELECT repeat('x', 300000000)", "SELECT repeat('x', 900000000), repeat('y', 900000000)", "WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x) SELECT count(*) FROM x",
		"SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b", "SELECT pg_sleep(60)", "SELECT $1", "COPY n FROM STDIN",
	}
}

// harmlessAttacks change nothing for the next statement, whatever they say.
func harmlessAttacks() []string {
	return []string{
		"BEGIN", "SAVEPOINT x", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "START TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET TRANSACTION READ WRITE", "SET TRANSACTION READ ONLY",
		"RESET ROLE", "RESET SESSION AUTHORIZATION", "RESET ALL", "SET search_path = pg_temp", "SET statement_timeout = 0", "SET work_mem = '1GB'", "SET default_transaction_read_only = on",
		"SET client_encoding = 'SQL_ASCII'", "SET datestyle = 'German'", "SET standard_conforming_strings = off", "SET bytea_output = 'escape'", "SET row_security = off",
		"ALTER ROLE CURRENT_USER PASSWORD 'mine'", "ALTER ROLE CURRENT_USER SET statement_timeout = 1", "ALTER ROLE CURRENT_USER SET search_path = 'nowhere'",
		"ALTER ROLE CURRENT_USER SET default_transaction_read_only = on", "ALTER ROLE CURRENT_USER SET client_min_messages = 'debug5'", "ALTER ROLE CURRENT_USER SET local_preload_libraries = 'x'",
		"ALTER ROLE CURRENT_USER SET enable_seqscan = off", "ALTER ROLE CURRENT_USER SET role = 'nobody'", "ALTER ROLE CURRENT_USER SET log_min_messages = 'debug5'",
		"LISTEN claudemesh", "NOTIFY claudemesh, 'x'", "UNLISTEN *", "SELECT pg_notify('claudemesh', 'x')", "SELECT pg_advisory_lock(1)", "SELECT pg_advisory_lock(i) FROM generate_series(1, 100000) i",
		"LOCK TABLE n IN ACCESS EXCLUSIVE MODE", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "PREPARE p AS SELECT 1", "EXECUTE p", "COPY n TO STDOUT", "COPY (SELECT 1) TO STDOUT",
		"SELECT lo_create(1)", "SELECT lo_from_bytea(0, '\\x00')", "GRANT ALL ON n TO PUBLIC", "GRANT ALL ON SCHEMA mesh TO PUBLIC", "REVOKE ALL ON SCHEMA mesh FROM CURRENT_USER", "REVOKE ALL ON n FROM CURRENT_USER",
		"REVOKE CONNECT ON DATABASE postgres FROM PUBLIC",
		"CREATE TABLE pg_class (oid int, relname text)", "CREATE VIEW pg_database AS SELECT 1 AS oid, 'x'::name AS datname", "CREATE TYPE text AS ENUM ('a')", "CREATE DOMAIN int4 AS bigint",
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'", "CREATE FUNCTION pg_backend_pid() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$",
		"CREATE FUNCTION format_type(oid, int4) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$", "DO $$ BEGIN PERFORM 1; END $$", "DO $$ BEGIN LOOP END LOOP; END $$",
		"DO $$ BEGIN EXECUTE 'ALTER ROLE ' || current_user || ' PASSWORD ''x'''; END $$",
		"SELECT pg_terminate_backend(pg_backend_pid())", "SELECT pg_cancel_backend(pg_backend_pid())", "SELECT query_to_xml('SELECT 1', true, true, '')", "SELECT current_setting('data_directory', true)",
		"SELECT usename, query FROM pg_stat_activity", "SELECT datname FROM pg_database", "SELECT rolname FROM pg_roles", "EXPLAIN ANALYZE SELECT * FROM n", "SELECT 'grant', 'set role', 'drop schema'",
		"CREATE RULE r AS ON SELECT TO n DO INSTEAD SELECT pg_sleep(60)", "CREATE UNLOGGED TABLE u (i int)", "DROP TABLE n", "DROP OWNED BY CURRENT_USER CASCADE", "SELECT", "-- nothing", "/* nothing */",
	}
}

// asRole returns the URL of a database of its own as a role that may some things.
func asRole(t testing.TB, may string) string {
	t.Helper()
	admin := pgtest.URL(t)
	name, secret := "meshsql_"+strings.ToLower(rand.Text()), rand.Text()
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	script(t, admin, fmt.Sprintf("CREATE ROLE %s LOGIN %s PASSWORD '%s'", name, may, secret), "ALTER DATABASE "+strings.Trim(u.Path, "/")+" OWNER TO "+name)
	t.Cleanup(func() {
		script(t, admin, "REASSIGN OWNED BY "+name+" TO CURRENT_USER", "DROP OWNED BY "+name, "DROP ROLE "+name)
	})
	u.User = url.UserPassword(name, secret)
	return u.String()
}

func TestHostile(t *testing.T) {
	t.Parallel()
	refused := map[string]bool{}
	for _, sql := range refusedAttacks() {
		refused[sql] = true
	}
	sqltest.Hostile(t, opener(t), append(refusedAttacks(), harmlessAttacks()...), func(sql string) bool { return refused[sql] })
}

func TestFuzz(t *testing.T) {
	t.Parallel()
	sqltest.Fuzz(t, opener(t))
}

// A role that is no superuser uses a template that the operator has made, with the
// statements of docs/mesh-sql.md.
func TestOrdinaryRole(t *testing.T) {
	t.Parallel()
	at := asRole(t, "CREATEDB CREATEROLE")
	template := "t_" + strings.ToLower(rand.Text())
	admin := pgtest.URL(t)
	script(t, admin, "CREATE DATABASE "+template+" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' IS_TEMPLATE true")
	t.Cleanup(func() {
		script(t, admin, "ALTER DATABASE "+template+" IS_TEMPLATE false", "DROP DATABASE "+template)
	})
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + template
	doc, err := os.ReadFile("../../../docs/mesh-sql.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sql, _ := strings.Cut(string(doc), "<!-- harden -->\n```sql\n")
	sql, _, ok := strings.Cut(sql, "```")
	if !ok {
		t.Fatal("docs/mesh-sql.md has no statements that make a template")
	}
	script(t, u.String(), sql)
	broker, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	script(t, admin, "GRANT SET ON PARAMETER temp_file_limit TO "+broker.User.Username())
	e := engine(t, at)
	e.options.Template = template
	s := &sqltest.Session{T: t, Engine: e, Mesh: "m"}
	s.Must("CREATE TABLE n (i int)", "INSERT INTO n VALUES (1), (2)")
	if got := s.Rows("SHOW temp_file_limit"); got != `{"temp_file_limit":"256MB"}` {
		t.Error(got)
	}
	if got := s.Rows("SELECT sum(i) AS s FROM n"); got != `{"s":3}` {
		t.Error(got)
	}
	s.Refused("SELECT pg_advisory_lock(1)", false)
	s.Refused("DO $$ BEGIN END $$", true)
	if err := e.Drop(t.Context(), "m"); err != nil {
		t.Error(err)
	}
}

// engine returns an engine as it is inside.
func engine(t testing.TB, at string) *Engine {
	t.Helper()
	e, ok := openerAt(t, at)(t, sqltest.Limits()).(*Engine)
	if !ok {
		t.Fatal("another engine")
	}
	return e
}

// script runs statements in a database.
func script(t testing.TB, at string, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, sql := range statements {
		if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// A role that may not create others is answered, and the operator is told.
func TestRoleMayTooLittle(t *testing.T) {
	t.Parallel()
	for _, may := range []string{"", "CREATEDB", "CREATEROLE", "CREATEDB CREATEROLE"} {
		s := &sqltest.Session{T: t, Engine: openerAt(t, asRole(t, may))(t, sqltest.Limits()), Mesh: "m"}
		if e := s.Refused("CREATE TABLE n (i int)", true); e.Kind != meshsql.Off || !strings.Contains(e.Text, "docs/mesh-sql.md") {
			t.Errorf("%q: %v", may, e)
		}
		if e := s.Refused("SELECT 1", false); e.Text != meshsql.TextNoTables {
			t.Errorf("%q: %v", may, e)
		}
	}
}

// What a member learns or sets of the role's password is of no use: nobody can log
// in as it.
func TestHijackLogin(t *testing.T) {
	t.Parallel()
	at := pgtest.URL(t)
	e := engine(t, at)
	s := &sqltest.Session{T: t, Engine: e, Mesh: "m"}
	s.Must("CREATE TABLE n (i int)", "ALTER ROLE CURRENT_USER PASSWORD 'mine'")
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(e.name("m"), "mine")
	for _, database := range []string{u.Path, "/" + e.name("m"), "/postgres"} {
		u.Path = database
		conn, err := pgx.Connect(t.Context(), u.String())
		if err == nil {
			conn.Close(t.Context())
			t.Errorf("%s lets a mesh's role in", database)
		} else if code(err) != badAuthorization && !strings.Contains(err.Error(), "not permitted to log in") {
			t.Errorf("%s: %v", database, err)
		}
	}
	s.Must("INSERT INTO n VALUES (1)")
}

// A connection that a killed broker has left is ended before the next login.
func TestLeftOver(t *testing.T) {
	t.Parallel()
	e := engine(t, pgtest.URL(t))
	s := &sqltest.Session{T: t, Engine: e, Mesh: "m"}
	s.Must("CREATE TABLE n (i int)")
	var left *statement
	if err := e.within(t.Context(), "m", "", func(_ context.Context, d *database) (err error) {
		left, err = e.open(t.Context(), d, true)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s.Must("INSERT INTO n VALUES (1)")
	if err := left.own(t.Context(), "SELECT 1"); err == nil {
		t.Error("it is still there")
	}
	left.close(t.Context())
}

// A broker that was killed while it made a database is no harm to the next.
func TestHalfMade(t *testing.T) {
	t.Parallel()
	e := engine(t, pgtest.URL(t))
	for i, done := range [][]string{{"CREATE ROLE %[1]s"}, {"CREATE ROLE %[1]s", "CREATE DATABASE %[1]s"}, {"CREATE DATABASE %[1]s"}} {
		s := &sqltest.Session{T: t, Engine: e, Mesh: fmt.Sprint("half made ", i)}
		if err := e.within(t.Context(), s.Mesh, "", func(_ context.Context, d *database) error {
			for _, sql := range done {
				if err := d.exec(t.Context(), fmt.Sprintf(sql, d.id())); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if e := s.Refused("SELECT 1", false); e.Text != meshsql.TextNoTables {
			t.Error(e)
		}
		s.Must("CREATE TABLE n (i int)", "INSERT INTO n VALUES (1)")
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	s := &sqltest.Session{T: t, Engine: opener(t)(t, sqltest.Limits()), Mesh: "m"}
	s.Must("CREATE TABLE n (i int)")
	for _, tt := range []struct{ sql, want string }{
		{"true", "true"},
		{"9223372036854775807", `"9223372036854775807"`},
		{"1.10", `"1.10"`},
		{"1.5::float8", "1.5"},
		{"'NaN'::float8", `"NaN"`},
		{"'\\x00ff'::bytea", `"AP8="`},
		{`'{"a":[1, 2.50]}'::json`, `{"a":[1,2.50]}`},
		{`'{"a":1,"a":2}'::json`, `"{\"a\":1,\"a\":2}"`},
		{"'2026-01-02 03:04:05.6+02'::timestamptz", `"2026-01-02T01:04:05.6Z"`},
		{"'2026-01-02 03:04:05'::timestamp", `"2026-01-02T03:04:05"`},
		{"'infinity'::timestamp", `"infinity"`},
		{"ARRAY[1,2]", `"{1,2}"`},
		{"NULL", "null"},
	} {
		got := strings.ReplaceAll(s.Rows("SELECT "+tt.sql+" AS v"), `[1, `, `[1,`)
		if got != `{"v":`+tt.want+`}` {
			t.Errorf("%s: got %s, want %s", tt.sql, got, tt.want)
		}
	}
}

func TestDatabasesAreCounted(t *testing.T) {
	t.Parallel()
	e := engine(t, pgtest.URL(t))
	e.options.Databases = 1
	(&sqltest.Session{T: t, Engine: e, Mesh: "one"}).Must("CREATE TABLE n (i int)")
	if err := (&sqltest.Session{T: t, Engine: e, Mesh: "two"}).Refused("CREATE TABLE n (i int)", true); err.Kind != meshsql.Full {
		t.Error(err)
	}
}

// Another mesh that grants something to a role, whose name it can see, does not keep
// the role's mesh from being deleted.
func TestGrantsToOthers(t *testing.T) {
	t.Parallel()
	e := engine(t, pgtest.URL(t))
	s, other := &sqltest.Session{T: t, Engine: e, Mesh: "m"}, &sqltest.Session{T: t, Engine: e, Mesh: "other"}
	other.Must("CREATE TABLE n (i int)")
	s.Must("CREATE TABLE n (i int)", "GRANT SELECT ON n TO "+e.name("other"))
	if err := e.Drop(t.Context(), "other"); err != nil {
		t.Fatal(err)
	}
	if e := other.Refused("SELECT * FROM n", false); e.Text != meshsql.TextNoTables {
		t.Error(e)
	}
	other.Must("CREATE TABLE n (i int)")
	if err := e.Drop(t.Context(), "m"); err != nil { // and what it granted goes with it
		t.Error(err)
	}
}

// Statements that fill indexes and are undone leave room that a mesh gets back:
// nobody makes its database one that takes no more changes.
func TestUndoneIndexes(t *testing.T) {
	t.Parallel()
	e, ok := opener(t)(t, func() meshsql.Limits {
		l := sqltest.Limits()
		l.MeshBytes = 11 << 20
		return l
	}()).(*Engine)
	if !ok {
		t.Fatal("another engine")
	}
	s := &sqltest.Session{T: t, Engine: e, Mesh: "m"}
	s.Must("CREATE TABLE n (t text)", "CREATE INDEX n_t ON n (t)", "INSERT INTO n VALUES ('kept')")
	for range 10 {
		s.Refused("INSERT INTO n SELECT (SELECT string_agg(md5(i::text || j), '') FROM generate_series(1, 70) j) FROM generate_series(1, 8000) i", true)
		var bytes int64
		if err := e.within(t.Context(), s.Mesh, "", func(_ context.Context, d *database) (err error) {
			bytes, err = size(t.Context(), d)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if bytes > 2*e.limits.MeshBytes {
			s.Must("DELETE FROM n WHERE t = 'gone'", "INSERT INTO n VALUES ('kept too')")
			return
		}
	}
	t.Fatal("the database does not grow")
}

// A constraint that is checked at the end of the transaction has the statement's
// time too, and what is answered as undone is.
func TestDeferredConstraint(t *testing.T) {
	t.Parallel()
	s := &sqltest.Session{T: t, Engine: opener(t)(t, sqltest.Limits()), Mesh: "m"}
	s.Must("CREATE TABLE n (i int PRIMARY KEY)", "CREATE TABLE m (i int REFERENCES n DEFERRABLE INITIALLY DEFERRED)")
	if e := s.Refused("INSERT INTO m VALUES (1)", true); !strings.Contains(e.Text, "foreign key") {
		t.Error(e)
	}
	if got := s.Rows("SELECT count(*) AS n FROM m"); got != `{"n":0}` {
		t.Error(got)
	}
}
