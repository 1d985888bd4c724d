package vector

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver
)

// disk keeps documents in an SQLite file, and looks at every vector of a
// collection when it searches: exact, and quick enough for as many as a mesh may
// have. It has nothing in memory, so that the instances before and after a reload
// see the same.
type disk struct {
	db    *sql.DB
	turns turns // of searches, which take long where much is kept
}

// diskConns is how many requests work on the file at a time.
const diskConns = 8

// diskSchema has the vectors in front of the texts, which a search would read too
// otherwise. The index holds what a put counts, and nothing else.
const diskSchema = `
CREATE TABLE IF NOT EXISTS document (
	mesh TEXT NOT NULL, collection TEXT NOT NULL, id TEXT NOT NULL,
	model TEXT NOT NULL, vector BLOB NOT NULL,
	text TEXT NOT NULL, metadata TEXT NOT NULL, stored_by TEXT NOT NULL, stored_at INTEGER NOT NULL,
	PRIMARY KEY (mesh, collection, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS document_place ON document (mesh, collection);`

// diskCount says whether a document is there, how many the mesh has, and in how many
// other collections.
const diskCount = `SELECT count(*) FILTER (WHERE collection = ?2 AND id = ?3), count(*),
	count(DISTINCT collection) FILTER (WHERE collection <> ?2) FROM document WHERE mesh = ?1`

func openDisk(ctx context.Context, dir string) (*disk, error) {
	path, err := filepath.Abs(filepath.Join(dir, "vectors.db"))
	if err != nil {
		return nil, err
	}
	if err := makePrivate(path); err != nil {
		return nil, err
	}
	query := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(3000)"}, "_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(diskConns)
	if _, err := db.ExecContext(ctx, diskSchema); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), db.Close())
	}
	return &disk{db: db}, nil
}

// makePrivate makes an empty file that only its owner reads; SQLite's files beside
// it get the same mode. One that is there is not opened: to close it would end the
// locks of an instance before a reload, which is in this process too.
func makePrivate(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func (k *disk) close() error { return k.db.Close() }

func (k *disk) put(ctx context.Context, d *document, most int) error {
	tx, err := k.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	var here, all, collections int
	err = tx.QueryRowContext(ctx, diskCount, d.Mesh, d.Collection, d.ID).Scan(&here, &all, &collections)
	switch {
	case err != nil:
		return err
	case here == 0 && (all >= most || collections >= mostCollections):
		return errFull
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO document (mesh, collection, id, text, metadata, stored_by, stored_at, model, vector)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (mesh, collection, id) DO UPDATE SET model = excluded.model, vector = excluded.vector`,
		d.Mesh, d.Collection, d.ID, d.Text, string(d.Metadata), d.StoredBy, d.StoredAt.UnixMilli(), d.Model, blob(d.Vector))
	if err != nil {
		return err
	}
	return tx.Commit()
}

func (k *disk) search(ctx context.Context, mesh, collection, model string, v []float32, limit int) ([]found, error) {
	end, err := k.turns.begin(ctx, mesh)
	if err != nil {
		return nil, err
	}
	defer end()
	best, err := k.rank(ctx, mesh, collection, model, v, limit)
	if err != nil {
		return nil, err
	}
	list := make([]found, 0, len(best))
	for _, f := range best {
		var metadata string
		var at int64
		err := k.db.QueryRowContext(ctx, `SELECT text, metadata, stored_by, stored_at FROM document WHERE mesh = ? AND collection = ? AND id = ?`,
			mesh, collection, f.ID).Scan(&f.Text, &metadata, &f.StoredBy, &at)
		if errors.Is(err, sql.ErrNoRows) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		f.Metadata, f.StoredAt = json.RawMessage(metadata), time.UnixMilli(at)
		list = append(list, f)
	}
	return list, nil
}

// rank reads the vectors of a collection and keeps the best.
func (k *disk) rank(ctx context.Context, mesh, collection, model string, v []float32, limit int) (best []found, err error) {
	rows, err := k.db.QueryContext(ctx, `SELECT id, vector FROM document WHERE mesh = ? AND collection = ? AND model = ?`, mesh, collection, model)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var raw sql.RawBytes
	for rows.Next() {
		var f found
		if err := rows.Scan(&f.ID, &raw); err != nil {
			return nil, err
		}
		f.Score = similarity(v, vectorOf(raw))
		i, _ := slices.BinarySearchFunc(best, f, func(a, b found) int {
			return cmp.Or(cmp.Compare(b.Score, a.Score), strings.Compare(a.ID, b.ID))
		})
		if i < limit {
			best = slices.Insert(best, i, f)
			best = best[:min(len(best), limit)]
		}
	}
	return best, rows.Err()
}

func (k *disk) remove(ctx context.Context, mesh, collection, id, author string) error {
	var by string
	err := k.db.QueryRowContext(ctx, `SELECT stored_by FROM document WHERE mesh = ? AND collection = ? AND id = ?`, mesh, collection, id).Scan(&by)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return errNotFound
	case err != nil:
		return err
	case author != "" && author != by:
		return errNotYours
	}
	_, err = k.db.ExecContext(ctx, `DELETE FROM document WHERE mesh = ? AND collection = ? AND id = ?`, mesh, collection, id)
	return err
}

func (k *disk) collections(ctx context.Context, mesh string) (names []string, err error) {
	rows, err := k.db.QueryContext(ctx, `SELECT DISTINCT collection FROM document WHERE mesh = ? ORDER BY collection`, mesh)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// blob is a vector as it is kept: 32-bit floats, little endian.
func blob(v []float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

func vectorOf(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}
