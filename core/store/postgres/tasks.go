package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

const taskColumns = `id, mesh_id, title, assignee, priority, tags, status, creator_id, creator, created_at, claimer_id,
	claimer, claimer_presence, claimed_at, result, completed_at, request`

const (
	insertTask = `INSERT INTO task (` + taskColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
		$15, $16, $17)`
	sameRequest = `SELECT id FROM task WHERE mesh_id = $1 AND request = $2 AND status <> 'done'`
	taskByID    = `SELECT ` + taskColumns + ` FROM task WHERE id = $1`
	listTasks   = `SELECT ` + taskColumns + ` FROM task WHERE mesh_id = $1 AND ($2 = '' OR status = $2)
		AND ($3 = '' OR assignee = $3) AND creator_id <> ALL ($4::text[]) ORDER BY created_at DESC, id DESC LIMIT $5`

	// Who creates a task waits for its turn, so that no two are the last that fits.
	taskTurn        = `SELECT pg_advisory_xact_lock($1)`
	countTasks      = `SELECT count(*) FROM task WHERE mesh_id = $1`
	countByStatus   = `SELECT status, count(*) FROM task WHERE mesh_id = $1 GROUP BY status`
	countUnfinished = `SELECT count(*) FROM task WHERE mesh_id = $1 AND creator_id = $2 AND status <> 'done'`
	deleteOldest    = `DELETE FROM task WHERE id = (SELECT id FROM task WHERE mesh_id = $1 AND status = 'done'
		ORDER BY created_at, id LIMIT 1)`

	changeTask = `UPDATE task SET status = $2, claimer_id = $3, claimer = $4, claimer_presence = $5, claimed_at = $6, result = $7,
		completed_at = $8 WHERE id = $1 RETURNING ` + taskColumns
)

// CreateTask implements [store.Tasks].
func (s *Store) CreateTask(ctx context.Context, t *store.Task, room store.Room) (id string, fresh bool, err error) {
	defer wrap(&err, "create task")
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		id, fresh = "", false
		if _, err := tx.Exec(ctx, taskTurn, lockKey("tasks of "+t.MeshID)); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, sameRequest, t.MeshID, keyArg(sdk.Key(t.Request))).Scan(&id); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if err := makeRoom(ctx, tx, t, room); err != nil {
			return err
		}
		id, fresh = t.ID, true
		_, err := tx.Exec(ctx, insertTask, taskArgs(t)...)
		return err
	})
	return id, fresh, err
}

// makeRoom deletes tasks that are done where the mesh has no room for another.
func makeRoom(ctx context.Context, tx pgx.Tx, t *store.Task, room store.Room) error {
	mesh, err := value[int](tx.QueryRow(ctx, countTasks, t.MeshID))
	if err != nil {
		return err
	}
	member, err := value[int](tx.QueryRow(ctx, countUnfinished, t.MeshID, t.CreatorID))
	if err != nil {
		return err
	}
	if err := room.Fits(0, member); err != nil {
		return err
	}
	for ; mesh >= room.Mesh; mesh-- {
		gone, err := tx.Exec(ctx, deleteOldest, t.MeshID)
		switch {
		case err != nil:
			return err
		case gone.RowsAffected() == 0:
			return &store.FullError{Most: room.Mesh}
		}
	}
	return nil
}

func taskArgs(t *store.Task) []any {
	return []any{
		t.ID, t.MeshID, t.Title, t.Assignee, t.Priority, inJSON{&t.Tags}, string(t.Status), t.CreatorID, t.Creator,
		whole(t.CreatedAt), t.ClaimerID, t.Claimer, t.ClaimerPresence, timeArg(t.ClaimedAt), t.Result,
		timeArg(t.CompletedAt), keyArg(sdk.Key(t.Request)),
	}
}

// Task implements [store.Tasks].
func (s *Store) Task(ctx context.Context, mesh, id string) (t *store.Task, err error) {
	defer wrap(&err, "read task")
	t, err = one(ctx, s, scanTask, taskByID, id)
	if err == nil && t.MeshID != mesh {
		return nil, pgx.ErrNoRows
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
	return all(ctx, s, scanTask, listTasks, mesh, string(match.Status), match.Assignee, texts(match.Except), limit)
}

// CountTasks implements [store.Tasks].
func (s *Store) CountTasks(ctx context.Context, mesh string) (counts map[store.TaskStatus]int64, err error) {
	defer wrap(&err, "count tasks")
	counts = map[store.TaskStatus]int64{}
	_, err = all(ctx, s, func(row scanner) (none struct{}, err error) {
		var status store.TaskStatus
		var n int64
		err = row.Scan(&status, &n)
		counts[status] = n
		return none, err
	}, countByStatus, mesh)
	return counts, err
}

func scanTask(row scanner) (*store.Task, error) {
	t := new(store.Task)
	err := row.Scan(&t.ID, &t.MeshID, &t.Title, &t.Assignee, &t.Priority, inJSON{&t.Tags}, &t.Status, &t.CreatorID, &t.Creator,
		(*stamp)(&t.CreatedAt), &t.ClaimerID, &t.Claimer, &t.ClaimerPresence, (*stamp)(&t.ClaimedAt), &t.Result,
		(*stamp)(&t.CompletedAt), (*hash)(&t.Request))
	if err != nil {
		return nil, err
	}
	return t, nil
}
