package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/migrate"
	"github.com/claudemesh/broker/migrations"
)

// oldestPostgres is the oldest version that the store's statements are for, as
// server_version_num.
const oldestPostgres = 130000

// busConnections are those that a broker has beside its pool: the bus's two, and
// one that holds locks.
const busConnections = 3

const (
	pgServer = `SELECT current_setting('server_version'), current_setting('server_version_num')::int,
		pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool, current_user`
	pgRights = `SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'broker' AND c.relname = 'migration_file'),
		has_database_privilege(current_database(), 'CREATE'),
		coalesce((SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = 'broker'), false),
		coalesce((SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = 'broker'), false),
		(SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'broker' AND c.relkind IN ('r', 'p') AND CASE
			WHEN c.relname = 'goose_db_version' THEN $1 AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT'))
			WHEN c.relname = 'migration_file' THEN NOT (has_table_privilege(c.oid, 'SELECT') AND (NOT $1 OR has_table_privilege(c.oid, 'INSERT')))
			ELSE NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
				AND (c.relname = 'audit_log' OR has_table_privilege(c.oid, 'UPDATE'))
				AND (c.relname = ANY ($2) OR has_table_privilege(c.oid, 'DELETE')))
			END)`
	pgRoom = `SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
		(SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user),
		(SELECT datconnlimit FROM pg_database WHERE datname = current_database())`
	pgNodes      = `SELECT count(*) FROM broker.node WHERE expires_at > clock_timestamp()`
	pgMigrations = `SELECT version, name, sha256 FROM broker.migration_file ORDER BY version`
	pgMeshes     = `SELECT id, slug, owner_secret, root_key FROM broker.mesh WHERE archived_at IS NULL`
	pgClock      = `SELECT clock_timestamp()`
)

// keptTables are those of which a broker deletes no row.
var keptTables = []string{"account", "audit_log", "context", "member", "memory_forgotten", "mesh", "peer_state", "queue_mark", "session_key"}

// postgres looks at the database, over one connection.
func (r *round) postgres(ctx context.Context) {
	conn, err := r.connect(ctx)
	if err != nil {
		r.fail(CheckStore, "look whether PostgreSQL runs, and whether store.url or DATABASE_URL names it, its user and the password", "PostgreSQL does not take the connection: %v", err)
		return
	}
	defer hangUp(conn)
	ctx, cancel := context.WithTimeout(ctx, 4*checkTime)
	defer cancel()
	if !r.pgServer(ctx, conn) {
		return
	}
	begun, may := r.pgRights(ctx, conn)
	r.pgRoom(ctx, conn, begun && may)
	if may {
		r.pgTables(ctx, conn, begun)
	}
	r.pgClock(ctx, conn)
}

// connect connects as the store does.
func (r *round) connect(ctx context.Context) (*pgx.Conn, error) {
	c, err := pgx.ParseConfig(r.Config.Store.URL.Reveal())
	if err != nil {
		return nil, err // pgx leaves the password out
	}
	c.ConnectTimeout = r.Config.Store.ConnectTimeout
	c.RuntimeParams["application_name"] = "claudemesh-broker doctor"
	ctx, cancel := context.WithTimeout(ctx, r.Config.Store.ConnectTimeout+checkTime)
	defer cancel()
	return pgx.ConnectConfig(ctx, c)
}

func hangUp(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // its error only says that the server is away
}

// pgServer looks at the server itself. It reports whether the rest makes sense.
func (r *round) pgServer(ctx context.Context, conn *pgx.Conn) bool {
	var version, user string
	var number int
	var standby, readOnly bool
	err := conn.QueryRow(ctx, pgServer).Scan(&version, &number, &standby, &readOnly, &user)
	name := conn.Config().Host + "/" + conn.Config().Database
	switch {
	case err != nil:
		r.fail(CheckStore, "look at the log of PostgreSQL", "%s does not answer: %v", name, err)
		return false
	case number < oldestPostgres:
		r.fail(CheckStore, "upgrade PostgreSQL to 13 or newer", "%s is PostgreSQL %s", name, version)
	case standby:
		r.fail(CheckStore, "name the primary in store.url, or add target_session_attrs=read-write to it", "%s is a standby, which cannot be written", name)
	case readOnly:
		r.fail(CheckStore, "ALTER ROLE "+user+" SET default_transaction_read_only = off", "%s lets %s only read", name, user)
	default:
		r.ok(CheckStore, "PostgreSQL %s at %s, as %s", version, name, user)
	}
	return true
}

// pgRights looks at what the role may do, and asks no more of it than a broker
// with this config uses. It reports whether a broker has used the database, and
// whether this role can.
func (r *round) pgRights(ctx context.Context, conn *pgx.Conn) (begun, may bool) {
	var mayMake, uses, creates bool
	var closed int
	migrates := r.Config.Store.Migrate
	err := conn.QueryRow(ctx, pgRights, migrates, keptTables).Scan(&begun, &mayMake, &uses, &creates, &closed)
	user := conn.Config().User
	const orOwner = "; or connect as the role that owns them"
	switch {
	case err != nil:
		r.fail(CheckPermissions, "look at the log of PostgreSQL", "%v", err)
	case !begun && migrates && !mayMake && (!uses || !creates):
		r.fail(CheckPermissions, "GRANT CREATE ON DATABASE "+conn.Config().Database+" TO "+user,
			"there is no schema broker, and %s may not make it", user)
	case begun && (!uses || closed > 0) && !migrates:
		r.fail(CheckPermissions, "GRANT USAGE ON SCHEMA broker TO "+user+"; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA broker TO "+user+orOwner,
			"%s may not use the schema broker, or %d of its tables", user, closed)
	case begun && uses && migrates && !creates:
		r.fail(CheckPermissions, grantAll(user)+orOwner+"; or set store.migrate to false, and run broker migrate up as that role",
			"%s may not migrate: it may make nothing in the schema broker", user)
	case begun && (!uses || closed > 0):
		r.fail(CheckPermissions, grantAll(user)+orOwner, "%s may not use the schema broker, or %d of its tables", user, closed)
	case migrates:
		r.ok(CheckPermissions, "%s may read, write and migrate", user)
		may = true
	default:
		r.ok(CheckPermissions, "%s may read and write; it migrates nothing (store.migrate)", user)
		may = true
	}
	return begun, may
}

func grantAll(user string) string {
	return "GRANT USAGE, CREATE ON SCHEMA broker TO " + user + "; GRANT ALL ON ALL TABLES IN SCHEMA broker TO " + user
}

// pgRoom compares what the brokers may open with what the server takes.
func (r *round) pgRoom(ctx context.Context, conn *pgx.Conn, begun bool) {
	var most, ofRole, ofDatabase int
	if err := conn.QueryRow(ctx, pgRoom).Scan(&most, &ofRole, &ofDatabase); err != nil {
		r.warn(CheckConnections, "look at the log of PostgreSQL", "%v", err)
		return
	}
	for _, limit := range []int{ofRole, ofDatabase} { // -1 is none
		if limit >= 0 {
			most = min(most, limit)
		}
	}
	nodes := 0
	if begun {
		if err := conn.QueryRow(ctx, pgNodes).Scan(&nodes); err != nil {
			nodes = 0 // tables of an older version
		}
	}
	if r.running == nil {
		nodes++
	}
	each := r.Config.Store.Pool + busConnections
	what := fmt.Sprintf("%d broker(s) with up to %d connections each (store.pool %d and %d more), of %d that PostgreSQL takes",
		max(nodes, 1), each, r.Config.Store.Pool, busConnections, most)
	fix := fmt.Sprintf("raise max_connections of PostgreSQL, or the limit of the role, or set store.pool to %d or less", max(most/max(nodes, 1)-busConnections-1, 4))
	switch {
	case each > most:
		r.fail(CheckConnections, fix, "%s", what)
	case max(nodes, 1)*each > most:
		r.warn(CheckConnections, fix, "%s", what)
	default:
		r.ok(CheckConnections, "%s", what)
	}
}

// pgTables looks at the migrations, and at what is sealed.
func (r *round) pgTables(ctx context.Context, conn *pgx.Conn, begun bool) {
	files, err := fs.Sub(migrations.Postgres, "postgres")
	if err != nil {
		r.fail(CheckMigrations, "build the program anew", "%v", err)
		return
	}
	var applied []migrate.Migration
	if begun {
		rows, _ := conn.Query(ctx, pgMigrations) // its error is that of the rows
		applied, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (m migrate.Migration, err error) {
			err = row.Scan(&m.Version, &m.Name, &m.SHA256)
			return m, err
		})
		if err != nil {
			r.fail(CheckMigrations, "look at the log of PostgreSQL", "they cannot be read: %v", err)
			return
		}
	}
	if !r.migrations(files, applied) {
		return
	}
	rows, _ := conn.Query(ctx, pgMeshes)
	meshes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.MeshSummary, error) { return scanSealed(row) })
	if err != nil {
		r.fail(CheckKey, "look at the log of PostgreSQL", "the meshes cannot be read: %v", err)
		return
	}
	r.key(ctx, meshes)
}

// pgClock compares our clock with the database's, in the middle of the shortest
// of a few questions.
func (r *round) pgClock(ctx context.Context, conn *pgx.Conn) {
	const questions = 3
	var ahead, shortest time.Duration
	for i := range questions {
		asked := r.Machine.Now()
		var theirs time.Time
		if err := conn.QueryRow(ctx, pgClock).Scan(&theirs); err != nil {
			r.warn(CheckClock, "look at the log of PostgreSQL", "%v", err)
			return
		}
		took := r.Machine.Now().Sub(asked)
		if i == 0 || took < shortest {
			shortest, ahead = took, theirs.Sub(asked.Add(took/2).Round(0))
		}
	}
	r.clock(ahead, shortest/2+time.Microsecond, "the clock of the database is %v from this machine's", "that of the database agrees")
}

// listenNotify has a notification of ours come back to us. The channel is one
// that no broker listens to.
func (r *round) listenNotify(ctx context.Context) error {
	conn, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer hangUp(conn)
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	channel := pgx.Identifier{fmt.Sprintf("doctor_%d_%d", conn.PgConn().PID(), r.began.UnixNano())}.Sanitize()
	for _, command := range []string{"LISTEN ", "NOTIFY "} {
		if _, err := conn.Exec(ctx, command+channel); err != nil {
			return fmt.Errorf("%s: %w", strings.TrimSpace(command), err)
		}
	}
	if _, err := conn.WaitForNotification(ctx); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return errors.New("what was notified never came back: is there a pooler in between that gives each transaction another session?")
		}
		return err
	}
	return nil
}
