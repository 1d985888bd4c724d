package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

const taskColumns = `id, mesh_id, title, assignee, priority, tags, status, creator_id, creator, created_at, claimer_id,
	claimer, claimer_presence, claimed_at, result, completed_at, request`

const (
	insertTask  = `INSERT INTO task (` + taskColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	sameRequest = `SELECT id FROM task WHERE mesh_id = ? AND request = ? AND status <> 'done'`
	taskByID    = `SELECT ` + taskColumns + ` FROM task WHERE id = ?`
	listTasks   = `SELECT ` + taskColumns + ` FROM task WHERE mesh_id = ?1 AND (?2 = '' OR status = ?2)
		AND (?3 = '' OR assignee = ?3) AND creator_id NOT IN (SELECT value FROM json_each(?4))
		ORDER BY created_at DESC, id DESC LIMIT ?5`

	countTasks      = `SELECT count(*) FROM task WHERE mesh_id = ?`
	countByStatus   = `SELECT status, count(*) FROM task WHERE mesh_id = ? GROUP BY status`
	countUnfinished = `SELECT count(*) FROM task WHERE mesh_id = ? AND creator_id = ? AND status <> 'done'`
	deleteOldest    = `DELETE FROM task WHERE id = (SELECT id FROM task WHERE mesh_id = ? AND status = 'done'
		ORDER BY created_at, id LIMIT 1)`

	changeTask = `UPDATE task SET status = ?, claimer_id = ?, claimer = ?, claimer_presence = ?, claimed_at = ?, result = ?,
		completed_at = ? WHERE id = ? RETURNING ` + taskColumns
)

// CreateTask implements [store.Tasks].
func (s *Store) CreateTask(ctx context.Context, t *store.Task, room store.Room) (id string, fresh bool, err error) {
	defer wrap(&err, "create task")
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, sameRequest, t.MeshID, keyArg(sdk.Key(t.Request))).Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := makeRoom(ctx, tx, t, room); err != nil {
			return err
		}
		id, fresh = t.ID, true
		_, err = tx.ExecContext(ctx, insertTask, taskArgs(t)...)
		return err
	})
	if err != nil {
		return "", false, err
	}
	return id, fresh, nil
}

// makeRoom deletes tasks that are done where the mesh has no room for another.
func makeRoom(ctx context.Context, tx *sql.Tx, t *store.Task, room store.Room) error {
	var mesh, member int
	if err := tx.QueryRowContext(ctx, countTasks, t.MeshID).Scan(&mesh); err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, countUnfinished, t.MeshID, t.CreatorID).Scan(&member); err != nil {
		return err
	}
	if err := room.Fits(0, member); err != nil {
		return err
	}
	for ; mesh >= room.Mesh; mesh-- {
		if err := changed(tx.ExecContext(ctx, deleteOldest, t.MeshID)); err != nil {
			return full(err, room)
		}
	}
	return nil
}

// full returns a [*store.FullError] where nothing was found to delete.
func full(err error, room store.Room) error {
	if errors.Is(err, store.ErrNotFound) {
		return &store.FullError{Most: room.Mesh}
	}
	return err
}

func taskArgs(t *store.Task) []any {
	return []any{
		t.ID, t.MeshID, t.Title, t.Assignee, t.Priority, inJSON{&t.Tags}, string(t.Status), t.CreatorID, t.Creator,
		t.CreatedAt.UnixMilli(), t.ClaimerID, t.Claimer, t.ClaimerPresence, timeArg(t.ClaimedAt), t.Result,
		timeArg(t.CompletedAt), keyArg(sdk.Key(t.Request)),
	}
}

// Task implements [store.Tasks].
func (s *Store) Task(ctx context.Context, mesh, id string) (t *store.Task, err error) {
	defer wrap(&err, "read task")
	t, err = scanTask(s.read.QueryRowContext(ctx, taskByID, id))
	if err == nil && t.MeshID != mesh {
		return nil, sql.ErrNoRows
	}
	return t, err
}

// ChangeTask implements [store.Tasks].
func (s *Store) ChangeTask(ctx context.Context, mesh, id string, change func(*store.Task) error) (*store.Task, error) {
	e := edit[store.Task]{
		op: "change task", read: taskByID, scan: scanTask, write: changeTask,
		args: func(t *store.Task) []any {
			return []any{
				string(t.Status), t.ClaimerID, t.Claimer, t.ClaimerPresence, timeArg(t.ClaimedAt), t.Result,
				timeArg(t.CompletedAt),
			}
		},
	}
	return e.run(ctx, s, id, store.OfMesh(mesh, change))
}

// ListTasks implements [store.Tasks].
func (s *Store) ListTasks(ctx context.Context, mesh string, match store.TaskMatch, limit int) (list []*store.Task, err error) {
	defer wrap(&err, "list tasks")
	rows, err := s.read.QueryContext(ctx, listTasks, mesh, string(match.Status), match.Assignee, texts(match.Except), limit)
	return collect(rows, err, scanTask)
}

// CountTasks implements [store.Tasks].
func (s *Store) CountTasks(ctx context.Context, mesh string) (counts map[store.TaskStatus]int64, err error) {
	defer wrap(&err, "count tasks")
	counts = map[store.TaskStatus]int64{}
	rows, err := s.read.QueryContext(ctx, countByStatus, mesh)
	_, err = collect(rows, err, func(row scanner) (none struct{}, err error) {
		var status store.TaskStatus
		var n int64
		err = row.Scan(&status, &n)
		counts[status] = n
		return none, err
	})
	return counts, err
}

func scanTask(row scanner) (*store.Task, error) {
	t := new(store.Task)
	err := row.Scan(&t.ID, &t.MeshID, &t.Title, &t.Assignee, &t.Priority, inJSON{&t.Tags}, &t.Status, &t.CreatorID, &t.Creator,
		(*millis)(&t.CreatedAt), &t.ClaimerID, &t.Claimer, &t.ClaimerPresence, (*millis)(&t.ClaimedAt), &t.Result,
		(*millis)(&t.CompletedAt), (*hash)(&t.Request))
	if err != nil {
		return nil, err
	}
	return t, nil
}
