package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/store"
)

const memoryColumns = `id, mesh_id, content, tags, member_id, author, created_at`

const (
	insertMemory = `INSERT INTO memory (` + memoryColumns + `, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
	insertWords  = `INSERT INTO memory_words (rowid, mesh, content) VALUES (?, ?, ?)`
	sameMemory   = `SELECT id FROM memory WHERE mesh_id = ? AND member_id = ? AND digest = ?`
	memoryByID   = `SELECT ` + memoryColumns + ` FROM memory WHERE id = ? AND mesh_id = ?`

	countMemories   = `SELECT count(*) FROM memory WHERE mesh_id = ?`
	countMemoriesOf = `SELECT count(*) FROM memory WHERE mesh_id = ? AND member_id = ?`

	// The weights of the columns: that a memory is in the mesh says nothing about
	// how well it fits.
	recall = `SELECT m.id, m.mesh_id, m.content, m.tags, m.member_id, m.author, m.created_at
		FROM memory_words JOIN memory m ON m.n = memory_words.rowid WHERE memory_words MATCH ?1 AND m.mesh_id = ?2
		AND m.member_id NOT IN (SELECT value FROM json_each(?3))
		ORDER BY bm25(memory_words, 0.0, 1.0), m.created_at DESC, m.id DESC LIMIT ?4`

	forgetMemory = `DELETE FROM memory WHERE id = ? AND mesh_id = ? RETURNING n`
	forgetWords  = `DELETE FROM memory_words WHERE rowid = ?`
	wasForgotten = `SELECT EXISTS (SELECT 1 FROM memory_forgotten WHERE id = ?)`
	forgotten    = `INSERT INTO memory_forgotten (id, mesh_id, forgotten_at) VALUES (?, ?, ?)`
)

// Remember implements [store.Memories].
func (s *Store) Remember(ctx context.Context, m *store.Memory, room store.Room) (id string, fresh bool, err error) {
	defer wrap(&err, "remember")
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, sameMemory, m.MeshID, m.MemberID, hashArg(m.Digest())).Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		var mesh, member int
		if err := tx.QueryRowContext(ctx, countMemories, m.MeshID).Scan(&mesh); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, countMemoriesOf, m.MeshID, m.MemberID).Scan(&member); err != nil {
			return err
		}
		if err := room.Fits(mesh, member); err != nil {
			return err
		}
		id, fresh = m.ID, true
		_, err = addMemory(ctx, tx, m, insertMemory)
		return err
	})
	if err != nil {
		return "", false, err
	}
	return id, fresh, nil
}

// addMemory writes a memory and its words, and reports whether it did: the insert
// may write nothing.
func addMemory(ctx context.Context, tx *sql.Tx, m *store.Memory, insert string) (bool, error) {
	r, err := tx.ExecContext(ctx, insert, m.ID, m.MeshID, m.Content, inJSON{&m.Tags}, m.MemberID, m.Author,
		m.CreatedAt.UnixMilli(), hashArg(m.Digest()))
	if err != nil {
		return false, err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	row, err := r.LastInsertId()
	if err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, insertWords, row, m.MeshID, store.Words(m.Content))
	return err == nil, err
}

// Recall implements [store.Memories].
func (s *Store) Recall(ctx context.Context, mesh, query string, except []string, limit int) (list []*store.Memory, err error) {
	defer wrap(&err, "recall")
	words := searched(query)
	if len(words) == 0 {
		return nil, nil
	}
	rows, err := s.read.QueryContext(ctx, recall, match(mesh, words), mesh, texts(except), limit)
	return collect(rows, err, scanMemory)
}

// match returns what FTS5 is asked: each word is quoted, so that none of them is
// an operator.
func match(mesh string, words []string) string {
	var b strings.Builder
	b.WriteString(`mesh : "` + strings.ReplaceAll(mesh, `"`, `""`) + `"`)
	for _, w := range words {
		b.WriteString(` AND content : "` + w + `"`)
	}
	return b.String()
}

// CountMemories implements [store.Memories].
func (s *Store) CountMemories(ctx context.Context, mesh string) (n int64, err error) {
	defer wrap(&err, "count memories")
	err = s.read.QueryRowContext(ctx, countMemories, mesh).Scan(&n)
	return n, err
}

// Memory implements [store.Memories].
func (s *Store) Memory(ctx context.Context, mesh, id string) (m *store.Memory, err error) {
	defer wrap(&err, "read memory")
	return scanMemory(s.read.QueryRowContext(ctx, memoryByID, id, mesh))
}

// ForgetMemory implements [store.Memories].
func (s *Store) ForgetMemory(ctx context.Context, mesh, id string, at time.Time) (err error) {
	defer wrap(&err, "forget")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var row int64
		if err := tx.QueryRowContext(ctx, forgetMemory, id, mesh).Scan(&row); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, forgetWords, row); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, forgotten, id, mesh, at.UnixMilli())
		return err
	})
}

func scanMemory(row scanner) (*store.Memory, error) {
	m := new(store.Memory)
	err := row.Scan(&m.ID, &m.MeshID, &m.Content, inJSON{&m.Tags}, &m.MemberID, &m.Author, (*millis)(&m.CreatedAt))
	if err != nil {
		return nil, err
	}
	return m, nil
}
