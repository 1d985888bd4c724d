package doctor

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/backend"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/migrate"
	"github.com/claudemesh/broker/migrations"
)

// integrityTime is how long the whole store is read for. Meanwhile a broker that
// runs cannot begin its log anew, which grows by what it commits.
const integrityTime = 10 * time.Second

// aloneTime is how long it is read for while no broker can start, which waits
// five seconds.
const aloneTime = 3 * time.Second

// largeLog is more than a log has that is copied into the database now and then.
const largeLog = 256 << 20 // bytes

const (
	sqliteMigrations = `SELECT version, name, sha256, applied_at FROM migration_file ORDER BY version`
	sqliteMeshes     = `SELECT id, slug, owner_secret, root_key FROM mesh WHERE archived_at IS NULL`
)

// sqlite looks at the embedded store.
func (r *round) sqlite(ctx context.Context) {
	path := filepath.Join(r.Config.DataDir, backend.StoreName)
	_, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && r.running != nil:
		r.warn(CheckStore, "give this command the broker's --config or DATABASE_URL too, so that it can look at it",
			"the broker that runs has no store in %s: it uses one that this command was not told of", r.Config.DataDir)
		return
	case errors.Is(err, fs.ErrNotExist):
		r.ok(CheckStore, "none in %s yet: broker serve makes it", r.Config.DataDir)
		r.key(ctx, nil)
		return
	case err != nil:
		r.fail(CheckStore, "run this as the user that the broker runs as", "%v", err)
		return
	}
	r.sqliteLooks(ctx, path)
	r.sqliteClock(path)
}

// sqliteLooks looks at the store, and once more where it fails and was written
// meanwhile by somebody whom it could not see. What is not a failure is told of
// at once, and once.
func (r *round) sqliteLooks(ctx context.Context, path string) {
	told := map[string]bool{}
	for last := false; ; last = true {
		var failed []Finding
		look := *r
		look.report = func(f Finding) {
			switch {
			case f.State == Fail:
				failed = append(failed, f)
			case !told[f.Check]:
				told[f.Check] = true
				r.report(f)
			}
		}
		changed := look.sqliteLook(ctx, path)
		if changed && len(failed) > 0 && last {
			r.warn(CheckStore, "run this again, best while no command and no broker writes", "%s was changed meanwhile, so that this may mean nothing: %s", path, failed[0].Found)
			return
		}
		if !changed || len(failed) == 0 {
			for _, f := range failed {
				r.report(f)
			}
			return
		}
	}
}

// sqliteLook looks at the store once. It reports whether somebody wrote it
// meanwhile without being seen, so that a failure may be none.
func (r *round) sqliteLook(ctx context.Context, path string) (changed bool) {
	s, err := openStore(path)
	if err != nil {
		r.fail(CheckStore, "run this as the user that the broker runs as", "%v", err)
		return false
	}
	defer s.close()
	if r.sqliteAnswers(ctx, s.db, path) {
		r.sqliteIntegrity(ctx, s)
		r.sqliteTables(ctx, s.db)
	}
	return s.changed()
}

func (r *round) sqliteAnswers(ctx context.Context, db *sql.DB, path string) bool {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	var version string
	var tables int
	if err := db.QueryRowContext(ctx, `SELECT sqlite_version(), (SELECT count(*) FROM sqlite_schema)`).Scan(&version, &tables); err != nil {
		r.fail(CheckStore, "if it is no database, or damaged, stop the broker and restore it from a backup", "%s cannot be read: %v", path, err)
		return false
	}
	size, log := footprintOf(path).size, footprintOf(path+"-wal").size
	if log > largeLog {
		r.warn(CheckStore, "end what reads the store for long, such as a backup or a shell; starting the broker again empties the log",
			"SQLite %s, %s, and a log of %s that is not copied into it", version, bytes(uint64(size)), bytes(uint64(log))) //nolint:gosec // sizes
	} else {
		r.ok(CheckStore, "SQLite %s, %s, log of %s", version, bytes(uint64(size)), bytes(uint64(log))) //nolint:gosec // sizes
	}
	return true
}

// sqliteIntegrity reads all pages, but not for long.
func (r *round) sqliteIntegrity(ctx context.Context, s *storeFile) {
	limit := integrityTime
	if s.alone {
		limit = aloneTime
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	found, err := texts(ctx, s.db, `PRAGMA quick_check(3)`)
	switch {
	case ctx.Err() != nil:
		r.ok(CheckIntegrity, "nothing found in the %v that it was read for; sqlite3 %s 'PRAGMA quick_check' reads all of it", limit, backend.StoreName)
	case err != nil || len(found) != 1 || found[0] != "ok":
		if err != nil {
			found = append(found, err.Error())
		}
		r.fail(CheckIntegrity, "stop the broker, keep a copy of the data directory, and restore the store from a backup",
			"the store is damaged: %s", strings.Join(strings.Fields(strings.Join(found, "; ")), " "))
	default:
		r.ok(CheckIntegrity, "quick_check finds nothing wrong")
	}
}

// sqliteTables looks at the migrations, and at what is sealed.
func (r *round) sqliteTables(ctx context.Context, db *sql.DB) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	files, err := fs.Sub(migrations.SQLite, "sqlite")
	if err != nil {
		r.fail(CheckMigrations, "build the program anew", "%v", err)
		return
	}
	applied, err := listAll(ctx, db, sqliteMigrations, func(rows *sql.Rows) (m migrate.Migration, err error) {
		var at int64
		err = rows.Scan(&m.Version, &m.Name, &m.SHA256, &at)
		return m, err
	})
	if err != nil {
		r.fail(CheckMigrations, "set data_dir to a directory that a broker has made: this file is another program's, or was left half made",
			"the store does not say what was applied to it: %v", err)
		return
	}
	if !r.migrations(files, applied) {
		return
	}
	meshes, err := listAll(ctx, db, sqliteMeshes, func(rows *sql.Rows) (store.MeshSummary, error) { return scanSealed(rows) })
	if err != nil {
		r.fail(CheckStore, "restore the store from a backup", "its meshes cannot be read: %v", err)
		return
	}
	r.key(ctx, meshes)
}

func scanSealed(rows interface{ Scan(...any) error }) (store.MeshSummary, error) {
	m := new(store.Mesh)
	err := rows.Scan(&m.ID, &m.Slug, &m.OwnerSecret, &m.RootKey)
	return store.MeshSummary{Mesh: m}, err
}

// sqliteClock compares the clock with what it has written before.
func (r *round) sqliteClock(path string) {
	newest := footprintOf(path).at
	if log := footprintOf(path + "-wal").at; log.After(newest) {
		newest = log
	}
	r.clock(newest.Sub(r.Machine.Now()), 0, "the store was last written %v from now: the clock was set back",
		"not behind what the store was last written at")
}

func texts(ctx context.Context, db *sql.DB, query string) ([]string, error) {
	return listAll(ctx, db, query, func(rows *sql.Rows) (text string, err error) {
		err = rows.Scan(&text)
		return text, err
	})
}

func listAll[T any](ctx context.Context, db *sql.DB, query string, scan func(*sql.Rows) (T, error)) (list []T, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		each, err := scan(rows)
		if err != nil {
			return list, err
		}
		list = append(list, each)
	}
	return list, rows.Err()
}
