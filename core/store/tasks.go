package store

import (
	"context"
	"fmt"
	"time"
)

// TaskStatus says where a task stands.
type TaskStatus string

// States of a task.
const (
	TaskOpen    TaskStatus = "open"
	TaskClaimed TaskStatus = "claimed"
	TaskDone    TaskStatus = "done"
)

// Task is something to do in a mesh.
type Task struct {
	ID        string
	MeshID    string
	Title     string
	Assignee  string // free text, "" for nobody; it binds nobody
	Priority  string // free text
	Tags      []string
	Status    TaskStatus
	CreatorID string // member; "" when that is not known
	Creator   string // its name at that time
	CreatedAt time.Time

	// Who took the task: member, its name at that time, and the presence id of its
	// session. Empty for an open task; a task that was taken over from another
	// database may lack some.
	ClaimerID       string
	Claimer         string
	ClaimerPresence string
	ClaimedAt       time.Time

	Result      string
	CompletedAt time.Time // zero unless it is done

	// Request is a hash of the request that made the task, zero for none. It is
	// written once.
	Request [32]byte
}

// TaskMatch says which tasks are meant. Zero fields match everything.
type TaskMatch struct {
	Status   TaskStatus
	Assignee string
	Except   []string // members whose tasks, those that they created, are left out
}

// Tasks keeps tasks.
type Tasks interface {
	// CreateTask writes a task, and returns its id. Where a task that is not done
	// has the same request, that one's id is returned, nothing is written and
	// fresh is false.
	//
	// The room of a mesh is for all tasks: where it is full, the task that was
	// created first of those that are done is deleted. The room of a member is for
	// those that it created and that are not done. A [*FullError] when there is no
	// room.
	CreateTask(ctx context.Context, t *Task, room Room) (id string, fresh bool, err error)

	// Task returns one task of a mesh. ErrNotFound.
	Task(ctx context.Context, mesh, id string) (*Task, error)

	// ChangeTask lets change edit status, claimer and result of a task, in one
	// transaction with reading it, and returns what was written: nobody changes
	// it meanwhile, on any node. An error of change is returned as it is, and
	// nothing is written. change may run more than once, and must not call the
	// store. ErrNotFound.
	ChangeTask(ctx context.Context, mesh, id string, change func(*Task) error) (*Task, error)

	// ListTasks returns the newest tasks that match, so many at most, the newest
	// first.
	ListTasks(ctx context.Context, mesh string, match TaskMatch, limit int) ([]*Task, error)

	// CountTasks returns how many tasks a mesh has, by status.
	CountTasks(ctx context.Context, mesh string) (map[TaskStatus]int64, error)
}

// OfMesh returns change for tasks of one mesh: there are no others.
func OfMesh(mesh string, change func(*Task) error) func(*Task) error {
	return func(t *Task) error {
		if t.MeshID != mesh {
			return fmt.Errorf("change task: %w", ErrNotFound)
		}
		return change(t)
	}
}
