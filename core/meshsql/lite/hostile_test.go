package lite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/meshsql"
	"github.com/claudemesh/broker/core/meshsql/sqltest"
)

// refusedAttacks reach outside the file, or change how the broker uses it.
func refusedAttacks(beside string) []string {
	return []string{
		"ATTACH DATABASE '" + beside + "' AS other",
		"ATTACH ':memory:' AS other",
		"ATTACH/**/DATABASE'" + beside + "'AS other",
		"DETACH main",
		"VACUUM", "VACUUM INTO '" + beside + ".copy'", "VACUUM main INTO '" + beside + ".copy'",
		"SELECT load_extension('" + beside + "')",
		"SELECT LOAD_Extension('" + beside + "', 'f')",
		"SELECT readfile('/etc/passwd')", "SELECT writefile('" + beside + ".x', 'x')", "SELECT edit('x')",
		"SELECT fts3_tokenizer('x')", "SELECT sqlite_log(1, 'x')", "SELECT sqlite_compileoption_get(1)", "SELECT sqlite_source_id()",
		"PRAGMA writable_schema = 1", "PRAGMA writable_schema = RESET", "pragma journal_mode = off", "PRAGMA journal_mode(wal)",
		"PRAGMA max_page_count = 1000000", "PRAGMA temp_store_directory = '/'", "PRAGMA data_store_directory = '/'",
		"PRAGMA cache_size = -10000000", "PRAGMA hard_heap_limit = 1", "PRAGMA soft_heap_limit = 1", "PRAGMA mmap_size = 99999999999",
		"PRAGMA query_only = 0", "PRAGMA trusted_schema = 1", "PRAGMA database_list", "PRAGMA table_info(n)", "PRAGMA key = 'x'",
		"PRAGMA locking_mode = exclusive", "PRAGMA synchronous = 0", "PRAGMA foreign_keys = 0", "PRAGMA user_version = 9",
		"PRAGMA application_id = 9", "PRAGMA auto_vacuum = 1", "PRAGMA page_size = 512", "PRAGMA incremental_vacuum", "PRAGMA optimize",
		"PRAGMA wal_checkpoint", "PRAGMA shrink_memory", "PRAGMA busy_timeout = 99999999", "PRAGMA threads = 8", "PRAGMA secure_delete = 1",
		"SELECT * FROM pragma_database_list", "SELECT file FROM pragma_database_list()", "SELECT * FROM pragma_compile_options",
		"SELECT * FROM pragma_table_info('n')", "SELECT * FROM pragma_user_version", "SELECT * FROM pragma_function_list",
		"SELECT * FROM pragma_journal_mode", "SELECT * FROM main.pragma_database_list",
		"SELECT * FROM sqlite_dbpage", "SELECT data FROM sqlite_dbpage('main')", "UPDATE sqlite_dbpage SET data = zeroblob(4096)",
		"SELECT * FROM dbstat", "SELECT * FROM sqlite_stmt", "SELECT * FROM bytecode('SELECT 1')", "SELECT * FROM tables_used('SELECT 1')",
		"UPDATE sqlite_temp_master SET sql = 'x'", "INSERT INTO temp.sqlite_master VALUES (1, 2, 3, 4, 5)",
		"CREATE VIRTUAL TABLE f USING fts5(x)", "CREATE VIRTUAL TABLE r USING rtree(a, b, c)", "CREATE VIRTUAL TABLE d USING dbstat(main)",
		"CREATE VIRTUAL TABLE p USING sqlite_dbpage", "CREATE VIRTUAL TABLE c USING csv(filename='/etc/passwd')",
		"CREATE TEMP TABLE x (i)", "CREATE TEMPORARY VIEW x AS SELECT 1", "CREATE TABLE temp.x (i)", "CREATE TEMP TRIGGER x AFTER INSERT ON n BEGIN SELECT 1; END",
		"INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 0, 'CREATE TABLE x (i)')",
		"UPDATE sqlite_master SET sql = 'x'", "DELETE FROM sqlite_master", "UPDATE sqlite_schema SET rootpage = 1", "DROP TABLE sqlite_master",
		"ALTER TABLE sqlite_master ADD COLUMN x", "CREATE TABLE sqlite_x (i)", "CREATE TRIGGER x AFTER INSERT ON sqlite_master BEGIN SELECT 1; END",
		"BEGIN", "BEGIN EXCLUSIVE", "COMMIT", "END", "ROLLBACK", "SAVEPOINT s", "RELEASE s", "ROLLBACK TO s",
		"SELECT 1; ATTACH '" + beside + "' AS other", "COMMIT; PRAGMA writable_schema = 1; BEGIN", "SELECT 1; SELECT 2",
		"EXPLAIN PRAGMA journal_mode = off", "SELECT 1 --\n; PRAGMA query_only = 0",
		"SELECT json_patch(t, t) FROM n", "SELECT json_group_array(t) FROM n", "SELECT json_pretty(t, t) FROM n", "SELECT geopoly_svg(t) FROM n",
		"SELECT * FROM '" + beside + "'.secrets", "SELECT * FROM other.secrets",
		"SELECT \"plum\"", "SELECT :x", "SELECT ?", "SELECT @x", "SELECT $x",
		"SELECT zeroblob(70000)", "SELECT hex(zeroblob(60000))", "SELECT printf('%.*c', 999999999, 'x')", "SELECT randomblob(999999999)",
		"ANALYZE", "ANALYZE main", "SELECT sqlite_rename_table('main', 'table', 'n', 'x', 'n', 'm', 0)", "SELECT sqlite_drop_column(0, '', 0)",
		"SELECT " + strings.Repeat("1,", 300) + "1",
		"SELECT 1 IN (" + strings.Repeat("1,", 15_000) + "1)",
		strings.Repeat("SELECT 1 UNION ALL ", 100) + "SELECT 1",
		"SELECT t LIKE '" + strings.Repeat("%a", 100) + "' FROM n",
		"WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x) SELECT count(*) FROM x a, x b, x c",
		"SELECT replace(replace(replace('" + strings.Repeat("a", 500) + "', 'a', '" + strings.Repeat("a", 500) + "'), 'a', 'aaaaaaaaaa'), 'a', 'aaaaaaaaaa')",
	}
}

// harmlessAttacks do what they say and nothing more, or nothing at all.
func harmlessAttacks() []string {
	return []string{
		"DROP TABLE n",
		"REINDEX", "SELECT * FROM sqlite_temp_master", "SELECT * FROM temp.sqlite_master",
		"CREATE TRIGGER x AFTER INSERT ON n BEGIN INSERT INTO n VALUES (1, 'again'); END",
		"CREATE VIEW v AS SELECT load_extension('x')",
		"CREATE VIEW v AS SELECT * FROM pragma_database_list",
		"CREATE TABLE x (i DEFAULT (load_extension('x')))",
		"CREATE TABLE x (i GENERATED ALWAYS AS (abs(-1)))",
		"CREATE TRIGGER y AFTER DELETE ON n BEGIN DELETE FROM sqlite_sequence; END",
		"SELECT sql FROM sqlite_master", "SELECT * FROM json_each('[1,2]')", "EXPLAIN SELECT * FROM n", "EXPLAIN QUERY PLAN DELETE FROM n",
		"SELECT 'grant', 'drop schema', 'attach'",
		"SELECT randomblob(60000)",
		"-- nothing",
		"/* nothing",
		"ALTER TABLE n RENAME TO \"sqlite\"\"x\"",
		"SELECT " + strings.Repeat("instr(t, t) + ", 2000) + "0 FROM n",
	}
}

func TestHostile(t *testing.T) {
	beside := filepath.Join(t.TempDir(), "beside.db")
	victim, err := Open(t.TempDir(), sqltest.Limits())
	if err != nil {
		t.Fatal(err)
	}
	s := &sqltest.Session{T: t, Engine: victim, Mesh: "m"}
	s.Must("CREATE TABLE secrets (word TEXT)", "INSERT INTO secrets VALUES ('plum')")
	if err := os.Rename(victim.path("m"), beside); err != nil {
		t.Fatal(err)
	}
	attacks := refusedAttacks(beside)
	refused := map[string]bool{}
	for _, sql := range attacks {
		refused[sql] = true
	}
	sqltest.Hostile(t, opener(t), append(attacks, harmlessAttacks()...), func(sql string) bool { return refused[sql] })
	files, err := os.ReadDir(filepath.Dir(beside))
	if err != nil || len(files) != 1 {
		t.Errorf("there are other files than before: %v, %v", files, err)
	}
}

// What a view or a trigger does is judged when it is used, and not when it is made.
func TestHostileLater(t *testing.T) {
	s := &sqltest.Session{T: t, Engine: opener(t)(t, sqltest.Limits()), Mesh: "m"}
	s.Must("CREATE TABLE n (i INTEGER)")
	for name, body := range map[string]string{
		"a": "SELECT load_extension('x')", "b": "SELECT * FROM pragma_database_list", "c": "SELECT * FROM sqlite_dbpage", "d": "SELECT * FROM dbstat",
	} {
		if _, err := s.Execute("CREATE VIEW " + name + " AS " + body); err != nil {
			continue
		}
		for _, writes := range []bool{false, true} {
			s.Refused("SELECT * FROM "+name, writes)
		}
	}
}

// A value that takes long in SQLite's own functions does not.
func TestHostileFunctions(t *testing.T) {
	s := &sqltest.Session{T: t, Engine: opener(t)(t, sqltest.Limits()), Mesh: "m"}
	s.Must("CREATE TABLE n (a TEXT, b TEXT)",
		"INSERT INTO n VALUES (replace(printf('%.40000c', 'a'), 'b', ''), printf('%.20000c', 'a') || 'b')")
	for _, f := range []string{"instr(a, b)", "length(replace(a, b, ''))", "length(trim(a, b))", "length(a LIKE substr(b, 1, 90))"} {
		began := time.Now()
		r, err := s.Query("SELECT " + strings.Repeat(f+" + ", 90) + "0 AS n FROM n")
		t.Log(f, time.Since(began), err)
		if err != nil && !strings.Contains(err.Error(), "longer") {
			t.Error(f, r, err)
		}
	}
}

func TestFunctions(t *testing.T) {
	s := &sqltest.Session{T: t, Engine: opener(t)(t, sqltest.Limits()), Mesh: "m"}
	s.Must("CREATE TABLE n (i INTEGER)")
	for _, tt := range []struct{ sql, want string }{
		{"instr('größer', 'ß')", "4"},
		{"instr(x'00ff', x'ff')", "2"},
		{"instr('a', NULL)", "null"},
		{"instr('a', 'b')", "0"},
		{"replace('a-b-c', '-', '')", `"abc"`},
		{"replace('abc', '', 'x')", `"abc"`},
		{"replace(101, 0, 5)", `"151"`},
		{"trim('xxhixx', 'x')", `"hi"`},
		{"ltrim('xxhixx', 'x')", `"hixx"`},
		{"rtrim('xxhixx', 'x')", `"xxhi"`},
		{"trim('  hi ')", `"hi"`},
		{"1.5 || ''", `"1.5"`},
		{"replace(1e300, 'x', '') = 1e300 || ''", "1"},
		{"replace(1e18, 'x', '') = 1e18 || ''", "1"},
		{"replace(1e-7, 'x', '') = 1e-7 || ''", "1"},
		{"replace(-2.0, 'x', '') = -2.0 || ''", "1"},
		{"replace(0.1, 'x', '') = 0.1 || ''", "1"},
		{"replace(1.25e17, 'x', '') = 1.25e17 || ''", "1"},
		{"replace(-0.0, 'x', '') = -0.0 || ''", "1"},
		{"replace(1234567890123456.0, 'x', '') = 1234567890123456.0 || ''", "1"},
		{"replace(9e999, 'x', '') = 9e999 || ''", "1"},
		{"replace(-9e999, 'x', '') = -9e999 || ''", "1"},
	} {
		if got := s.Rows("SELECT " + tt.sql + " AS v"); got != `{"v":`+tt.want+`}` {
			t.Errorf("%s: got %s, want %s", tt.sql, got, tt.want)
		}
	}
}

// Our own functions are not for what SQLite keeps and runs later, and it says so.
func TestFunctionsInViews(t *testing.T) {
	s := &sqltest.Session{T: t, Engine: opener(t)(t, sqltest.Limits()), Mesh: "m"}
	s.Must("CREATE TABLE n (t TEXT)", "CREATE VIEW v AS SELECT replace(t, 'a', 'b') AS t FROM n", "CREATE VIEW w AS SELECT upper(t) AS t FROM n", "INSERT INTO n VALUES ('a')")
	if e := s.Refused("SELECT * FROM v", false); !strings.Contains(e.Text, "not in a view") {
		t.Error(e)
	}
	if got := s.Rows("SELECT * FROM w"); got != `{"t":"A"}` {
		t.Error(got)
	}
}

func TestDates(t *testing.T) {
	s := &sqltest.Session{T: t, Engine: opener(t)(t, sqltest.Limits()), Mesh: "m"}
	s.Must("CREATE TABLE n (d DATE, t TIMESTAMP)", "INSERT INTO n VALUES ('2026-01-02', '2026-01-02 03:04:05'), ('2026-01-02 03:04', 'soon'), (7, 8)")
	const rows = `{"d":"2026-01-02","t":"2026-01-02T03:04:05Z"} {"d":"2026-01-02T03:04:00Z","t":"soon"} {"d":7,"t":8}`
	if got := s.Rows("SELECT * FROM n"); got != rows {
		t.Error(got)
	}
}

func TestFuzz(t *testing.T) { sqltest.Fuzz(t, opener(t)) }

// The file is nobody else's, and a mesh is not found by its name.
func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sql")
	e, err := Open(dir, sqltest.Limits())
	if err != nil {
		t.Fatal(err)
	}
	s := &sqltest.Session{T: t, Engine: e, Mesh: "../../" + strings.Repeat("x", 500)}
	s.Must("CREATE TABLE n (i INTEGER)")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 || strings.Contains(files[0].Name(), "x.") {
		t.Fatalf("%v, %v", files, err)
	}
	info, err := files[0].Info()
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	// A file that is broken is no refusal, and shows nothing.
	if err := os.WriteFile(filepath.Join(dir, files[0].Name()), []byte(strings.Repeat("no database", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Query("SELECT * FROM n"); err == nil || meshsql.Refused(err) != nil {
		t.Errorf("got %v", err)
	}
}
