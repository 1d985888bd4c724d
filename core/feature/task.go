package feature

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Reasons of requests about tasks.
const (
	ReasonTaskNotClaimable sdk.Reason = "task_not_claimable"
	ReasonTaskNotFound     sdk.Reason = "task_not_found"
)

// Limits of tasks. Those that are done make room for new ones, the oldest first.
const (
	tasksPerMesh   = 10_000
	tasksPerMember = 2_000 // that it created and that are not done
	listedTasks    = 100   // in one answer
)

// TaskStore keeps tasks.
type TaskStore interface {
	CreateTask(ctx context.Context, t *store.Task, room store.Room) (id string, fresh bool, err error)
	Task(ctx context.Context, mesh, id string) (*store.Task, error)
	ChangeTask(ctx context.Context, mesh, id string, change func(*store.Task) error) (*store.Task, error)
	ListTasks(ctx context.Context, mesh string, match store.TaskMatch, limit int) ([]*store.Task, error)
	CountTasks(ctx context.Context, mesh string) (map[store.TaskStatus]int64, error)
}

// Tasks lets the members of a mesh share what is to be done.
func Tasks(r *Registry, st TaskStore, who Roster) {
	t := &tasks{store: st, roster: who}
	On(r, t.create).Needs(store.CanWriteState).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.TaskCreated{Error: worded(why, text)}
	})
	On(r, t.claim).Needs(store.CanWriteState)
	On(r, t.complete).Needs(store.CanWriteState)
	On(r, t.list).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.TaskList{Tasks: []wire.TaskRow{}, Error: worded(why, text)}
	})
	r.Inform(t.inform)
}

type tasks struct {
	store  TaskStore
	roster Roster
}

func (t *tasks) create(ctx context.Context, c *Call, m *wire.CreateTask) (wire.TaskCreated, error) {
	if m.Title == "" {
		return wire.TaskCreated{}, core.Refuse(sdk.ReasonInvalid, "title: want at least one byte")
	}
	by, err := whoAsks(ctx, t.roster, c)
	if err != nil {
		return wire.TaskCreated{}, err
	}
	now := time.Now() // its microseconds lead the id, and keep tasks of one millisecond in order
	id, fresh, err := t.store.CreateTask(ctx, &store.Task{
		ID: identity.NewMessageID(now), MeshID: c.Env.Mesh, Title: m.Title, Assignee: m.Assignee, Priority: cmp.Or(m.Priority, "normal"),
		Tags: m.Tags, Status: store.TaskOpen, CreatorID: by.ID, Creator: by.DisplayName, CreatedAt: now,
		Request: requestOf(c),
	}, store.Room{Mesh: tasksPerMesh, Member: tasksPerMember})
	if err != nil {
		return wire.TaskCreated{}, noRoom(err, "tasks that are not done", "complete some")
	}
	if fresh {
		c.Env.Records = append(c.Env.Records, ofTask("task_created", id))
	}
	return wire.TaskCreated{ID: id}, nil
}

// requestOf returns what tells a request from all others but its repetitions: the
// session, the _reqId and the content. Without a _reqId, which alone says that two
// requests are meant as one, it is zero.
func requestOf(c *Call) [32]byte {
	if c.ReqID == nil {
		return [32]byte{}
	}
	text, _ := json.Marshal([]any{c.Session.ID, c.ReqID, c.Request}) // both came as JSON
	return sha256.Sum256(text)
}

// ofTask is the record of what was done to a task. The log keeps no title.
func ofTask(event, id string) sdk.Record {
	return sdk.Record{Event: event, Payload: audit.Object(audit.String("taskId", id))}
}

var (
	errNotClaimable = core.Refuse(ReasonTaskNotClaimable, "task is not open or does not exist")
	errTaskNotFound = core.Refuse(ReasonTaskNotFound, "task not found in this mesh")
	errNotYours     = core.Refuse(sdk.ReasonForbidden,
		"only the member that claimed this task, the one that created it, the owner of the mesh and its admins may complete it: claim it first")

	// errSame ends a change that has been made already.
	errSame = errors.New("nothing changes")
)

// claim takes an open task for the session that asks. A session that claims again
// what it has claimed keeps it.
func (t *tasks) claim(ctx context.Context, c *Call, m *wire.ClaimTask) (wire.TaskList, error) {
	by, err := whoAsks(ctx, t.roster, c)
	if err != nil {
		return wire.TaskList{}, err
	}
	row, err := t.known(ctx, c, m.TaskID, errNotClaimable)
	if err != nil {
		return wire.TaskList{}, err
	}
	gone, err := t.claimerIsGone(ctx, row)
	if err != nil {
		return wire.TaskList{}, err
	}
	_, err = t.store.ChangeTask(ctx, c.Env.Mesh, m.TaskID, func(task *store.Task) error {
		switch {
		case task.Status == store.TaskOpen:
		case task.Status != store.TaskClaimed:
			return errNotClaimable
		case task.ClaimerPresence == c.Session.ID:
			return errSame
		case !gone || task.ClaimerID != row.ClaimerID:
			return errNotClaimable
		}
		task.Status, task.ClaimerID, task.Claimer = store.TaskClaimed, by.ID, by.DisplayName
		task.ClaimerPresence, task.ClaimedAt = c.Session.ID, time.Now()
		return nil
	})
	return t.changed(ctx, c, ofTask("task_claimed", m.TaskID), err, errNotClaimable)
}

// claimerIsGone reports whether nobody is left who would do a task that was
// claimed: its claimer was banned, or came with another database and is unknown.
func (t *tasks) claimerIsGone(ctx context.Context, row *store.Task) (bool, error) {
	if row.Status != store.TaskClaimed || row.ClaimerID == "" {
		return true, nil
	}
	claimer, err := t.roster.MemberByID(ctx, row.ClaimerID)
	if err != nil {
		return false, core.Unavailable(err)
	}
	return !claimer.Live(), nil
}

// complete makes a task done, whatever its status: who created it may find that it
// is done already.
func (t *tasks) complete(ctx context.Context, c *Call, m *wire.CompleteTask) (wire.TaskList, error) {
	by, err := whoAsks(ctx, t.roster, c)
	if err != nil {
		return wire.TaskList{}, err
	}
	if _, err := t.known(ctx, c, m.TaskID, errTaskNotFound); err != nil {
		return wire.TaskList{}, err
	}
	_, err = t.store.ChangeTask(ctx, c.Env.Mesh, m.TaskID, func(task *store.Task) error {
		switch {
		case task.CreatorID != by.ID && task.ClaimerID != by.ID && !by.admin():
			return errNotYours
		case task.Status == store.TaskDone && task.Result == m.Result:
			return errSame
		}
		task.Status, task.Result, task.CompletedAt = store.TaskDone, m.Result, time.Now()
		return nil
	})
	return t.changed(ctx, c, ofTask("task_completed", m.TaskID), err, errTaskNotFound)
}

// known returns a task that concerns the member that asks: it may see what the
// creator wrote, or has claimed it. Of others it learns as little as of none.
func (t *tasks) known(ctx context.Context, c *Call, id string, unknown *core.Error) (*store.Task, error) {
	row, err := t.store.Task(ctx, c.Env.Mesh, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, unknown
	}
	if err != nil {
		return nil, core.Unavailable(err)
	}
	if row.ClaimerID == c.Env.Sender.MemberID {
		return row, nil
	}
	seen, err := sightOf(c, t.roster)(ctx, row.CreatorID)
	if err == nil && !seen {
		err = unknown
	}
	return row, err
}

// changed answers a change that ended with err by the list of all tasks.
func (t *tasks) changed(ctx context.Context, c *Call, done sdk.Record, err error, unknown *core.Error) (wire.TaskList, error) {
	refused, isRefusal := errors.AsType[*core.Error](err)
	switch {
	case err == nil:
		c.Env.Records = append(c.Env.Records, done)
	case errors.Is(err, errSame):
	case isRefusal:
		return wire.TaskList{}, refused
	case errors.Is(err, store.ErrNotFound): // it gave way to another one meanwhile
		return wire.TaskList{}, unknown
	default:
		return wire.TaskList{}, core.Unavailable(err)
	}
	return t.list(ctx, c, &wire.ListTasks{})
}

// list returns the newest tasks.
func (t *tasks) list(ctx context.Context, c *Call, m *wire.ListTasks) (wire.TaskList, error) {
	match := store.TaskMatch{Status: store.TaskStatus(m.Status), Assignee: m.Assignee}
	found, err := inSight(ctx, sightOf(c, t.roster), func(row *store.Task) string { return row.CreatorID },
		func(except []string) ([]*store.Task, error) {
			match.Except = except
			return t.store.ListTasks(ctx, c.Env.Mesh, match, listedTasks)
		})
	if err != nil {
		return wire.TaskList{}, err
	}
	found = found[:fitting(len(found), func(row int, add func(...string)) {
		task := found[row]
		add(task.Title, task.Assignee, task.Priority, task.Claimer, task.Creator, task.Result)
		add(task.Tags...)
	})]
	list := wire.TaskList{Tasks: make([]wire.TaskRow, len(found))}
	for i, row := range found {
		list.Tasks[i] = wire.TaskRow{
			ID: row.ID, Title: row.Title, Assignee: orNull(row.Assignee), ClaimedBy: orNull(row.Claimer), Status: string(row.Status),
			Priority: row.Priority, CreatedBy: orNull(row.Creator), Tags: row.Tags, CreatedAt: row.CreatedAt, Result: row.Result,
		}
	}
	return list, nil
}

// orNull returns nil for an empty text.
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// inform tells mesh_info how many tasks there are.
func (t *tasks) inform(ctx context.Context, c *Call, info *wire.MeshInfoResult) error {
	counts, err := t.store.CountTasks(ctx, c.Env.Mesh)
	if err != nil {
		return core.Unavailable(err)
	}
	info.Tasks = wire.TaskCounts{Open: counts[store.TaskOpen], Claimed: counts[store.TaskClaimed], Done: counts[store.TaskDone]}
	return nil
}
