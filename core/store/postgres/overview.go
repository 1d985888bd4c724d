package postgres

import (
	"context"

	"github.com/claudemesh/broker/core/store"
)

const (
	queueByMesh = `SELECT q.mesh_id, q.depth, q.held, m.created_at
		FROM (SELECT w.mesh_id, sum(w.depth)::bigint AS depth, sum(w.held)::bigint AS held, min(w.first) AS first
			FROM (SELECT d.mesh_id, count(*) AS depth, 0 AS held, min(d.seq) AS first FROM delivery d
					WHERE ` + waits + ` GROUP BY d.mesh_id
				UNION ALL SELECT mesh_id, count(*), count(*), min(seq) FROM held_delivery GROUP BY mesh_id) w
			GROUP BY w.mesh_id ORDER BY depth DESC, w.mesh_id LIMIT $1) q
		LEFT JOIN message m ON m.seq = q.first
		ORDER BY q.depth DESC, q.mesh_id`

	auditEnds = `SELECT h.mesh_id, h.hash, h.count, h.last_id, l.created_at
		FROM audit_head h LEFT JOIN audit_log l ON l.mesh_id = h.mesh_id AND l.id = h.last_id
		WHERE h.mesh_id = ANY ($1::text[]) ORDER BY h.mesh_id`

	totals = `SELECT f.files, f.bytes, m.messages
		FROM (SELECT count(*) AS files, coalesce(sum(size), 0)::bigint AS bytes FROM file WHERE gone_at IS NULL) f,
			(SELECT count(*) AS messages FROM topic_message) m`
)

// QueueByMesh implements [store.Overview]. It walks the index of what waits, and
// all that is held.
func (s *Store) QueueByMesh(ctx context.Context, limit int) (list []store.MeshQueue, err error) {
	defer wrap(&err, "queue by mesh")
	return all(ctx, s, func(row scanner) (q store.MeshQueue, err error) {
		err = row.Scan(&q.MeshID, &q.Waiting, &q.Held, (*stamp)(&q.Oldest))
		return q, err
	}, queueByMesh, max(limit, 0))
}

// AuditEnds implements [store.Overview].
func (s *Store) AuditEnds(ctx context.Context, meshes []string) (list []store.AuditEnd, err error) {
	defer wrap(&err, "audit ends")
	if len(meshes) == 0 {
		return nil, nil
	}
	return all(ctx, s, func(row scanner) (e store.AuditEnd, err error) {
		err = row.Scan(&e.MeshID, &e.Hash, &e.Count, &e.LastID, (*stamp)(&e.At))
		return e, err
	}, auditEnds, meshes)
}

// Totals implements [store.Overview].
func (s *Store) Totals(ctx context.Context) (t store.Totals, err error) {
	defer wrap(&err, "totals")
	return one(ctx, s, func(row scanner) (t store.Totals, err error) {
		err = row.Scan(&t.Files, &t.FileBytes, &t.TopicMessages)
		return t, err
	}, totals)
}
