package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const memoryColumns = `id, mesh_id, content, tags, member_id, author, created_at`

const (
	insertMemory = `INSERT INTO memory (` + memoryColumns + `, digest, words)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, to_tsvector('pg_catalog.english', $9) || array_to_tsvector(ARRAY['=' || $2::text]))
		ON CONFLICT DO NOTHING`
	sameMemory = `SELECT id FROM memory WHERE mesh_id = $1 AND member_id = $2 AND digest = $3`
	memoryByID = `SELECT ` + memoryColumns + ` FROM memory WHERE id = $1 AND mesh_id = $2`

	// Who adds a memory waits for its turn, so that no two are the last that fits.
	memoryTurn    = `SELECT pg_advisory_xact_lock($1)`
	countMemories = `SELECT count(*), count(*) FILTER (WHERE member_id = $2) FROM memory WHERE mesh_id = $1`

	countMemoriesIn = `SELECT count(*) FROM memory WHERE mesh_id = $1`

	// The mesh is quoted as one word. Without a word of the query's it would be
	// all that is looked for.
	recall = `SELECT ` + memoryColumns + ` FROM memory, (SELECT plainto_tsquery('pg_catalog.english', $2) AS query,
			('''=' || replace(replace($1::text, '\', '\\'), '''', '''''') || '''')::tsquery AS mesh) q
		WHERE numnode(q.query) > 0 AND words @@ (q.mesh && q.query) AND mesh_id = $1 AND member_id <> ALL ($3::text[])
		ORDER BY ts_rank(words, q.query) DESC, created_at DESC, id DESC LIMIT $4`

	wasForgotten = `SELECT EXISTS (SELECT FROM memory_forgotten WHERE id = $1)`
	forgetMemory = `WITH gone AS (DELETE FROM memory WHERE id = $1 AND mesh_id = $2 RETURNING id, mesh_id)
		INSERT INTO memory_forgotten (id, mesh_id, forgotten_at) SELECT id, mesh_id, $3 FROM gone`
)

// Remember implements [store.Memories].
func (s *Store) Remember(ctx context.Context, m *store.Memory, room store.Room) (id string, fresh bool, err error) {
	defer wrap(&err, "remember")
	digest := m.Digest()
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		same := func() error { return tx.QueryRow(ctx, sameMemory, m.MeshID, m.MemberID, digest[:]).Scan(&id) }
		id, fresh = "", false
		if err := same(); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if _, err := tx.Exec(ctx, memoryTurn, lockKey("memories of "+m.MeshID)); err != nil {
			return err
		}
		var mesh, member int
		if err := tx.QueryRow(ctx, countMemories, m.MeshID, m.MemberID).Scan(&mesh, &member); err != nil {
			return err
		}
		if err := room.Fits(mesh, member); err != nil {
			return err
		}
		added, err := tx.Exec(ctx, insertMemory, memoryArgs(m)...)
		switch {
		case err != nil:
			return err
		case added.RowsAffected() == 0: // another request was first with the same
			return same()
		}
		id, fresh = m.ID, true
		return nil
	})
	return id, fresh, err
}

func memoryArgs(m *store.Memory) []any {
	digest := m.Digest()
	return []any{
		m.ID, m.MeshID, m.Content, inJSON{&m.Tags}, m.MemberID, m.Author, whole(m.CreatedAt), digest[:],
		store.Words(m.Content),
	}
}

// Recall implements [store.Memories].
func (s *Store) Recall(ctx context.Context, mesh, query string, except []string, limit int) (list []*store.Memory, err error) {
	defer wrap(&err, "recall")
	return all(ctx, s, scanMemory, recall, mesh, store.Words(query), texts(except), limit)
}

// CountMemories implements [store.Memories].
func (s *Store) CountMemories(ctx context.Context, mesh string) (n int64, err error) {
	defer wrap(&err, "count memories")
	return one(ctx, s, value[int64], countMemoriesIn, mesh)
}

// Memory implements [store.Memories].
func (s *Store) Memory(ctx context.Context, mesh, id string) (m *store.Memory, err error) {
	defer wrap(&err, "read memory")
	return one(ctx, s, scanMemory, memoryByID, id, mesh)
}

// ForgetMemory implements [store.Memories].
func (s *Store) ForgetMemory(ctx context.Context, mesh, id string, at time.Time) (err error) {
	defer wrap(&err, "forget")
	return changed(s.exec(ctx, forgetMemory, id, mesh, whole(at)))
}

func scanMemory(row scanner) (*store.Memory, error) {
	m := new(store.Memory)
	err := row.Scan(&m.ID, &m.MeshID, &m.Content, inJSON{&m.Tags}, &m.MemberID, &m.Author, (*stamp)(&m.CreatedAt))
	if err != nil {
		return nil, err
	}
	return m, nil
}
