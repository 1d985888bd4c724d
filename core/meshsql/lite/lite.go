// Package lite runs the statements of package meshsql on SQLite: a file for each
// mesh, in a directory that holds nothing else.
//
// A statement has a connection of its own to one file, which can open no other. It
// is compiled under a policy of what it may do, and closed with its connection, so
// that nothing of it is left but what it wrote.
package lite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"modernc.org/sqlite"

	"github.com/claudemesh/broker/core/meshsql"
)

var _ meshsql.Engine = (*Engine)(nil)

// Engine keeps a file for each mesh.
type Engine struct {
	dir    string
	limits meshsql.Limits
	turns  *meshsql.Turns
	driver *sqlite.Driver
}

// Open returns an engine on a directory, which is made with the first table.
func Open(dir string, l meshsql.Limits) (*Engine, error) {
	d, err := newDriver()
	if err != nil {
		return nil, err
	}
	return &Engine{dir: dir, limits: l, turns: meshsql.NewTurns(l), driver: d}, nil
}

// Close implements [meshsql.Engine]: nothing is open between statements.
func (*Engine) Close() error { return nil }

// Run implements [meshsql.Engine].
func (e *Engine) Run(ctx context.Context, a meshsql.Ask) (*meshsql.Result, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	done, err := e.turns.Take(ctx, a.Mesh, a.Member)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := e.ready(a); err != nil {
		return nil, err
	}
	s, err := e.open(ctx, a)
	if err != nil {
		return nil, err
	}
	result, err := s.run(ctx, a.SQL)
	return result, errors.Join(err, s.close())
}

// Schema implements [meshsql.Engine].
func (e *Engine) Schema(ctx context.Context, mesh string) ([]meshsql.Table, error) {
	done, err := e.turns.Take(ctx, mesh, "")
	if err != nil {
		return nil, err
	}
	defer done()
	a := meshsql.Ask{Mesh: mesh}
	if _, err := os.Stat(e.path(mesh)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	s, err := e.open(ctx, a)
	if err != nil {
		return nil, err
	}
	tables, err := s.schema(ctx)
	return tables, errors.Join(err, s.close())
}

// Drop implements [meshsql.Engine].
func (e *Engine) Drop(ctx context.Context, mesh string) error {
	done, err := e.turns.Take(ctx, mesh, "")
	if err != nil {
		return err
	}
	defer done()
	for _, suffix := range []string{"-journal", ""} {
		if err := os.Remove(e.path(mesh) + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("drop the database of a mesh: %w", err)
		}
	}
	return nil
}

// path returns a mesh's file. The id is hashed, since no rule says what an id that
// came from another broker is made of.
func (e *Engine) path(mesh string) string {
	sum := sha256.Sum256([]byte("mesh sql|" + mesh))
	return filepath.Join(e.dir, hex.EncodeToString(sum[:16])+".db")
}

// ready makes the file for a statement that may write, readable by its owner only.
func (e *Engine) ready(a meshsql.Ask) error {
	path := e.path(a.Mesh)
	if _, err := os.Stat(path); err == nil {
		return nil
	} else if !a.Writes && errors.Is(err, fs.ErrNotExist) {
		return meshsql.Fail(meshsql.TextNoTables)
	}
	if err := os.MkdirAll(e.dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of mesh SQL: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("make the database of a mesh: %w", err)
	}
	return f.Close()
}

// pageBytes is SQLite's default size of a page.
const pageBytes = 4096

// name returns what the driver opens, with all settings that a statement could
// change if it were allowed PRAGMA, which it is not.
func (e *Engine) name(a meshsql.Ask) string {
	q := url.Values{"_defensive": {"1"}, "_dqs": {"0"}}
	for _, setting := range []string{
		"trusted_schema(0)", "cell_size_check(1)", "foreign_keys(1)", "mmap_size(0)", "temp_store(1)", "cache_size(-1024)",
		"busy_timeout(" + strconv.FormatInt(e.limits.Wait.Milliseconds(), 10) + ")",
		"max_page_count(" + strconv.FormatInt(max(e.limits.MeshBytes/pageBytes, 4), 10) + ")",
	} {
		q.Add("_pragma", setting)
	}
	if !a.Writes {
		q.Set("_query_only", "1")
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: e.path(a.Mesh), RawQuery: q.Encode()}
	return u.String()
}

// connector opens one name with a driver that database/sql does not know.
type connector struct {
	driver *sqlite.Driver
	name   string
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.name) }

func (c connector) Driver() driver.Driver { return c.driver }

// open connects to a mesh's file for one statement.
func (e *Engine) open(ctx context.Context, a meshsql.Ask) (_ *statement, err error) {
	s := &statement{limits: e.limits, policy: &policy{writes: a.Writes}}
	s.db = sql.OpenDB(connector{e.driver, e.name(a)})
	s.db.SetMaxOpenConns(1)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.conn, err = s.db.Conn(ctx); err != nil {
		return nil, fmt.Errorf("open the database of a mesh: %w", err)
	}
	if err := s.conn.Raw(func(c any) error {
		r, ok := c.(sqlite.AuthorizerRegisterer)
		if !ok {
			return errors.New("the SQLite driver has no authorizer")
		}
		return r.RegisterAuthorizer(s.policy.judge)
	}); err != nil {
		return nil, err
	}
	for id, most := range bounds() {
		if _, err := sqlite.Limit(s.conn, id, most); err != nil {
			return nil, err
		}
	}
	return s, nil
}
