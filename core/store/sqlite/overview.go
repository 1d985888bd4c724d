package sqlite

import (
	"context"
	"encoding/json"

	"github.com/claudemesh/broker/core/store"
)

const (
	queueByMesh = `SELECT q.mesh_id, q.depth, q.held, m.created_at
		FROM (SELECT w.mesh_id, sum(w.depth) AS depth, sum(w.held) AS held, min(w.first) AS first
			FROM (SELECT d.mesh_id, count(*) AS depth, 0 AS held, min(d.seq) AS first FROM delivery d
					WHERE ` + waits + ` GROUP BY d.mesh_id
				UNION ALL SELECT mesh_id, count(*), count(*), min(seq) FROM held_delivery GROUP BY mesh_id) w
			GROUP BY w.mesh_id ORDER BY depth DESC, w.mesh_id LIMIT ?) q
		LEFT JOIN message m ON m.seq = q.first
		ORDER BY q.depth DESC, q.mesh_id`

	auditEnds = `SELECT h.mesh_id, h.hash, h.count, h.last_id, l.created_at
		FROM audit_head h LEFT JOIN audit_log l ON l.mesh_id = h.mesh_id AND l.id = h.last_id
		WHERE h.mesh_id IN (SELECT value FROM json_each(?)) ORDER BY h.mesh_id`

	keptFiles    = `SELECT count(*), coalesce(sum(size), 0) FROM file WHERE gone_at IS NULL`
	keptMessages = `SELECT count(*) FROM topic_message`
)

// QueueByMesh implements [store.Overview]. It walks the index of what waits, and
// all that is held.
func (s *Store) QueueByMesh(ctx context.Context, limit int) (list []store.MeshQueue, err error) {
	defer wrap(&err, "queue by mesh")
	rows, err := s.read.QueryContext(ctx, queueByMesh, max(limit, 0))
	return collect(rows, err, func(row scanner) (q store.MeshQueue, err error) {
		err = row.Scan(&q.MeshID, &q.Waiting, &q.Held, (*millis)(&q.Oldest))
		return q, err
	})
}

// AuditEnds implements [store.Overview].
func (s *Store) AuditEnds(ctx context.Context, meshes []string) (list []store.AuditEnd, err error) {
	defer wrap(&err, "audit ends")
	ids, err := json.Marshal(meshes)
	if err != nil {
		return nil, err
	}
	rows, err := s.read.QueryContext(ctx, auditEnds, string(ids))
	return collect(rows, err, func(row scanner) (e store.AuditEnd, err error) {
		err = row.Scan(&e.MeshID, &e.Hash, &e.Count, &e.LastID, (*millis)(&e.At))
		return e, err
	})
}

// Totals implements [store.Overview].
func (s *Store) Totals(ctx context.Context) (t store.Totals, err error) {
	defer wrap(&err, "totals")
	if err := s.read.QueryRowContext(ctx, keptFiles).Scan(&t.Files, &t.FileBytes); err != nil {
		return store.Totals{}, err
	}
	err = s.read.QueryRowContext(ctx, keptMessages).Scan(&t.TopicMessages)
	return t, err
}
