package doctor

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/claudemesh/broker/core/backend"
	"github.com/claudemesh/broker/core/bus/natstest"
	"github.com/claudemesh/broker/core/config"
)

// sql changes the store behind everybody's back.
func (r *rig) sql(query string) {
	r.t.Helper()
	if r.Config.Store.Engine() == "postgres" {
		r.pg(query)
		return
	}
	db, err := sql.Open("sqlite", r.path())
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(r.t.Context(), query); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) path() string { return filepath.Join(r.Config.DataDir, backend.StoreName) }

func (r *rig) pg(query string) {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), r.Config.Store.URL.Reveal())
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(r.t.Context())
	if _, err := conn.Exec(r.t.Context(), query); err != nil {
		r.t.Fatal(err)
	}
}

// TestSQLite breaks the embedded store.
func TestSQLite(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do   func(r *rig)
		want Finding
	}{
		"not there":         {func(r *rig) { r.remove(backend.StoreName) }, Finding{CheckStore, OK, "broker serve makes it", ""}},
		"another file":      {func(r *rig) { r.overwrite(0, strings.Repeat("no database. ", 100)) }, Finding{CheckStore, Fail, "cannot be read: ", "backup"}},
		"a damaged page":    {func(r *rig) { r.overwrite(3*4096, strings.Repeat("\xff", 8*4096)) }, Finding{CheckIntegrity, Fail, "damaged", "backup"}},
		"another program's": {func(r *rig) { r.sql(`DROP TABLE migration_file`) }, Finding{CheckMigrations, Fail, "does not say what was applied", "data_dir"}},
		"a pending migration": {
			func(r *rig) {
				r.sql(`DELETE FROM migration_file WHERE version = (SELECT max(version) FROM migration_file)`)
			},
			Finding{CheckMigrations, Warn, "1 pending (0", "broker serve applies them"},
		},
		"a newer store": {
			func(r *rig) { r.sql(`INSERT INTO migration_file VALUES (9999, '9999_later.sql', 'x', 0)`) },
			Finding{CheckMigrations, Fail, "newer than the program: it is at migration 9999_later.sql", "newer program"},
		},
		"a changed migration": {
			func(r *rig) { r.sql(`UPDATE migration_file SET sha256 = 'x' WHERE version = 1`) },
			Finding{CheckMigrations, Fail, "was changed", "backup"},
		},
		"a clock that was set back": {func(r *rig) { r.touched(10 * time.Second) }, Finding{CheckClock, Warn, "the clock was set back", "NTP"}},
		"a clock of another year":   {func(r *rig) { r.touched(1000 * time.Hour) }, Finding{CheckClock, Fail, "the clock was set back", "NTP"}},
		"a log that is never emptied": {
			func(r *rig) {
				if err := os.Truncate(r.path()+"-wal", largeLog+1); err != nil {
					r.t.Fatal(err)
				}
			}, Finding{CheckStore, Warn, "a log of 256.0 MiB", "reads the store for long"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "")
			if strings.Contains(name, "log") {
				db, err := sql.Open("sqlite", r.path())
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				if _, err := db.ExecContext(t.Context(), `UPDATE mesh SET name = 'x'`); err != nil {
					t.Fatal(err)
				}
			}
			tt.do(r)
			r.wants(tt.want, "store", "migrations", "encryption_key") // which cannot be looked at in what is damaged
		})
	}
}

func (r *rig) overwrite(at int64, text string) {
	r.t.Helper()
	f, err := os.OpenFile(r.path(), os.O_WRONLY, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Seek(at, io.SeekStart); err != nil {
		r.t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		r.t.Fatal(err)
	}
}

// touched has the store be written so long from now.
func (r *rig) touched(ahead time.Duration) {
	r.t.Helper()
	at := time.Now().Add(ahead)
	if err := os.Chtimes(r.path(), at, at); err != nil {
		r.t.Fatal(err)
	}
}

// leastGrants are those of a role that is given what a broker uses, and no more.
const leastGrants = `GRANT USAGE ON SCHEMA broker TO %[1]s;
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA broker TO %[1]s;
	REVOKE ALL ON broker.migration_file, broker.goose_db_version FROM %[1]s; GRANT SELECT ON broker.migration_file TO %[1]s;
	REVOKE DELETE ON broker.account, broker.member, broker.mesh, broker.session_key FROM %[1]s;
	REVOKE UPDATE, DELETE ON broker.audit_log FROM %[1]s`

// TestKeptTables holds that rows of tables of which that right is not asked are
// deleted nowhere.
func TestKeptTables(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../store/postgres/*.go")
	if err != nil || len(files) < 20 {
		t.Fatal(files, err)
	}
	deleted := map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`DELETE FROM (?:broker\.)?(\w+)`).FindAllStringSubmatch(string(text), -1) {
			deleted[m[1]] = true
		}
	}
	for _, name := range keptTables {
		if deleted[name] {
			t.Errorf("rows of %s are deleted, and the right to is not asked for", name)
		}
	}
	if !deleted["delivery"] {
		t.Errorf("only these were found: %v", deleted)
	}
}

// TestPostgres breaks a database.
func TestPostgres(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do   func(r *rig)
		want Finding
		more string
	}{
		"not there": {
			func(r *rig) { r.Config.Store.URL = "postgres://ada:" + password + "@127.0.0.1:1/mesh" },
			Finding{CheckStore, Fail, "connection refused", "DATABASE_URL"}, "bus",
		},
		"a URL that is none": {
			func(r *rig) { r.Config.Store.URL = "postgres://ada:" + password + "@h:port/mesh" },
			Finding{CheckStore, Fail, "PostgreSQL does not take the connection", "store.url"}, "bus",
		},
		"no such database": {func(r *rig) { r.url(func(u *url.URL) { u.Path = "/none" }) }, Finding{CheckStore, Fail, `"none" does not exist`, "store.url"}, "bus"},
		"a role that may nothing": {
			func(r *rig) { r.role("", "") }, Finding{CheckPermissions, Fail, "may not use the schema broker", "GRANT USAGE"}, "migrations connections",
		},
		"a role that may only read": {
			func(r *rig) {
				r.role("", "GRANT USAGE, CREATE ON SCHEMA broker TO %[1]s; GRANT SELECT ON ALL TABLES IN SCHEMA broker TO %[1]s")
			},
			Finding{CheckPermissions, Fail, "tables", "GRANT ALL ON ALL TABLES"}, "migrations",
		},
		"a role that migrates nothing, and need not": {
			func(r *rig) { r.Config.Store.Migrate = false; r.role("", leastGrants) },
			Finding{CheckPermissions, OK, "may read and write", ""}, "",
		},
		"a role that cannot migrate, and has to": {
			func(r *rig) { r.role("", leastGrants) },
			Finding{CheckPermissions, Fail, "may not migrate", "GRANT USAGE, CREATE ON SCHEMA broker TO"}, "migrations",
		},
		"a role that migrates nothing, and cannot write one table": {
			func(r *rig) {
				r.Config.Store.Migrate = false
				r.role("", leastGrants+"; REVOKE DELETE ON broker.delivery FROM %[1]s")
			},
			Finding{CheckPermissions, Fail, "1 of its tables", "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES"}, "migrations",
		},
		"a session that only reads": {
			func(r *rig) {
				r.url(func(u *url.URL) {
					q := u.Query()
					q.Set("default_transaction_read_only", "on")
					u.RawQuery = q.Encode()
				})
			},
			Finding{CheckStore, Fail, "only read", "default_transaction_read_only"}, "",
		},
		"a pool that is too large": {func(r *rig) { r.Config.Store.Pool = 900 }, Finding{CheckConnections, Fail, "store.pool 900", "max_connections"}, ""},
		"a role with few connections": {
			func(r *rig) {
				r.role("CONNECTION LIMIT 8", "GRANT USAGE, CREATE ON SCHEMA broker TO %[1]s; GRANT ALL ON ALL TABLES IN SCHEMA broker TO %[1]s")
			},
			Finding{CheckConnections, Fail, "of 8 that PostgreSQL takes", "store.pool to 4"}, "",
		},
		"more brokers than connections": {
			func(r *rig) {
				r.sql(`INSERT INTO broker.node (id, slot, host, version, started_at, expires_at)
					SELECT 'n' || s, s, 'h', 'v', now(), now() + interval '1 hour' FROM generate_series(1, 40) s`)
			}, Finding{CheckConnections, Warn, "41 broker(s)", "store.pool to 4"}, "",
		},
		"a pending migration": {
			func(r *rig) {
				r.sql(`DELETE FROM broker.migration_file WHERE version = (SELECT max(version) FROM broker.migration_file)`)
			},
			Finding{CheckMigrations, Warn, "1 pending", "broker serve applies"}, "",
		},
		"a pending migration, and nobody applies it": {
			func(r *rig) {
				r.sql(`DELETE FROM broker.migration_file WHERE version = (SELECT max(version) FROM broker.migration_file)`)
				r.Config.Store.Migrate = false
			}, Finding{CheckMigrations, Fail, "store.migrate is off", "broker migrate up"}, "",
		},
		"a newer database": {
			func(r *rig) { r.sql(`INSERT INTO broker.migration_file VALUES (9999, '9999_later.sql', 'x', now())`) },
			Finding{CheckMigrations, Fail, "newer than the program", "newer program"}, "",
		},
		"an empty database": {func(r *rig) { r.sql(`DROP SCHEMA broker CASCADE`) }, Finding{CheckMigrations, Warn, "pending", "broker serve"}, ""},
		"a clock that is behind": {
			func(r *rig) { r.Machine.Now = func() time.Time { return time.Now().Add(-5 * time.Second) } },
			Finding{CheckClock, Warn, "the clock of the database is 5", "NTP"}, "",
		},
		"a clock that is ahead": {
			func(r *rig) { r.Machine.Now = func() time.Time { return time.Now().Add(5 * time.Minute) } },
			Finding{CheckClock, Fail, "the clock of the database is -5m0", "NTP"}, "",
		},
		"a bus that others do not hear": {func(r *rig) { r.Config.Bus.Type = config.BusLocal }, Finding{CheckBus, Warn, "not heard", "auto"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := postgresRig(t)
			tt.do(r)
			r.wants(tt.want, strings.Fields(tt.more)...)
		})
	}
}

// url changes the store's URL.
func (r *rig) url(change func(*url.URL)) {
	r.t.Helper()
	u, err := url.Parse(r.Config.Store.URL.Reveal())
	if err != nil {
		r.t.Fatal(err)
	}
	change(u)
	r.Config.Store.URL = config.Secret(u.String())
}

// role makes a role and connects as it.
func (r *rig) role(options, grants string) {
	r.t.Helper()
	var name string
	r.url(func(u *url.URL) { name = "doctor_" + strings.TrimPrefix(u.Path, "/") })
	admin := r.Config.Store.URL
	name = name[:min(len(name), 60)]
	r.pg(fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s' %s", name, password, options))
	r.t.Cleanup(func() { // before the database is dropped
		conn, err := pgx.Connect(context.Background(), admin.Reveal())
		if err != nil {
			r.t.Fatal(err)
		}
		defer conn.Close(context.Background())
		if _, err := conn.Exec(context.Background(), fmt.Sprintf("DROP OWNED BY %[1]s; DROP ROLE %[1]s", name)); err != nil {
			r.t.Error(err)
		}
	})
	if grants != "" {
		r.pg(fmt.Sprintf(grants, name))
	}
	r.url(func(u *url.URL) { u.User = url.UserPassword(name, password) })
}

// TestNATS breaks a NATS server.
func TestNATS(t *testing.T) {
	t.Parallel()
	with := func(t *testing.T, o server.Options) (*rig, *natstest.Server) {
		t.Helper()
		s := natstest.Start(t, o)
		r := newRig(t, "")
		r.Config.Bus.Type = config.BusNATS
		r.Config.Bus.NATS.URLs = []string{s.URL()}
		return r, s
	}
	t.Run("it works", func(t *testing.T) {
		r, _ := with(t, server.Options{})
		r.wants(Finding{CheckBus, OK, "NATS, there and back", ""})
	})
	t.Run("it is gone", func(t *testing.T) {
		r, s := with(t, server.Options{})
		s.Stop()
		r.wants(Finding{CheckBus, Fail, "NATS: ", "bus.nats.urls"})
	})
	t.Run("it wants another password", func(t *testing.T) {
		r, _ := with(t, server.Options{Username: "ada", Password: "right"})
		r.Config.Bus.NATS.User, r.Config.Bus.NATS.Password = "ada", password
		r.wants(Finding{CheckBus, Fail, "authorization violation", "credentials"})
	})
}
