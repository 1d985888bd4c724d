package adopt

import (
	"cmp"
	"context"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/claudemesh/broker/core/store"
)

// writings reads what members wrote for each other: memories, contexts and tasks.
func (w *work) writings(ctx context.Context, c *store.MeshCopy) (err error) {
	if c.Memories, err = w.memories(ctx); err != nil {
		return err
	}
	if c.Contexts, err = w.contexts(ctx); err != nil {
		return err
	}
	c.Tasks, err = w.tasks(ctx)
	return err
}

// memories returns what was not forgotten.
func (w *work) memories(ctx context.Context) (list []*store.Memory, err error) {
	for row, err := range w.src.read(ctx, "memory", "WHERE t.mesh_id = $1 AND t.forgotten_at IS NULL ORDER BY t.id", w.id) {
		if err != nil {
			return nil, err
		}
		list = append(list, &store.Memory{
			ID: row.text("id"), MeshID: w.id, Content: row.text("content"), Tags: w.texts(row, "tags", "memory"),
			MemberID: w.writer(row.text("remembered_by")), Author: row.text("remembered_by_name"),
			CreatedAt: row.timeOr("remembered_at", w.o.Now),
		})
	}
	return list, nil
}

// writer returns the member with an id, "" for one that is not imported.
func (w *work) writer(id string) string {
	if m := w.byID[id]; m != nil {
		return m.ID
	}
	return ""
}

// contexts returns one context of each member.
func (w *work) contexts(ctx context.Context) (list []*store.Context, err error) {
	for row, err := range w.src.read(ctx, "context", "WHERE t.mesh_id = $1 ORDER BY t.id", w.id) {
		if err != nil {
			return nil, err
		}
		member := w.writer(row.text("member_id"))
		if member == "" {
			w.notes.skipped("context", row.text("id"), "its member is not imported")
			continue
		}
		list = append(list, &store.Context{
			ID: row.text("id"), MeshID: w.id, MemberID: member, Name: row.text("peer_name"), Summary: row.text("summary"),
			FilesRead: w.texts(row, "files_read", "context"), KeyFindings: w.texts(row, "key_findings", "context"),
			Tags: w.texts(row, "tags", "context"), UpdatedAt: row.timeOr("updated_at", w.o.Now),
		})
	}
	return list, nil
}

// tasks returns all tasks. The original keeps names and no members, so nobody's
// grants keep a task from anybody, one that is claimed can be claimed again, and
// only admins complete what nobody claims here.
func (w *work) tasks(ctx context.Context) (list []*store.Task, err error) {
	for row, err := range w.src.read(ctx, "task", "WHERE t.mesh_id = $1 ORDER BY t.id", w.id) {
		if err != nil {
			return nil, err
		}
		task := &store.Task{
			ID: row.text("id"), MeshID: w.id, Title: row.text("title"), Assignee: row.text("assignee"),
			Priority: cmp.Or(row.text("priority"), "normal"), Tags: w.texts(row, "tags", "task"),
			Status: store.TaskStatus(row.text("status")), Creator: row.text("created_by_name"),
			CreatedAt: row.timeOr("created_at", w.o.Now), Claimer: row.text("claimed_by_name"), Result: row.text("result"),
		}
		switch task.Status {
		case store.TaskDone:
			task.CompletedAt = row.timeOr("completed_at", w.o.Now)
			fallthrough
		case store.TaskClaimed:
			task.ClaimedAt = row.timeOr("claimed_at", task.CompletedAt)
		case store.TaskOpen:
		default:
			w.notes.changed("task", task.ID, "its status is none of open, claimed and done: it is open now")
			task.Status = store.TaskOpen
		}
		list = append(list, task)
	}
	return list, nil
}

// texts reads a list of texts, as the database prints an array.
func (w *work) texts(row record, column, kind string) (list []string) {
	text, ok := row.get(column)
	if !ok {
		return nil
	}
	if err := pgtype.NewMap().Scan(pgtype.TextArrayOID, pgtype.TextFormatCode, []byte(text), &list); err != nil {
		w.notes.changed(kind, row.text("id"), column+" has another form and starts empty")
		return nil
	}
	return list
}
