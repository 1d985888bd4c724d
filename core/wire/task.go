package wire

import "time"

// CreateTask puts something to do on the list of the mesh. Its answer is a
// [TaskCreated]. A session that repeats a request, with its _reqId, gets the id of
// the same task, until that is done. Errors: invalid; forbidden; capacity when
// there are too many.
type CreateTask struct {
	Title    string   `json:"title" required:"true" max:"4096" doc:"what is to be done, at least one byte"`
	Assignee string   `json:"assignee,omitempty" max:"256" doc:"whom it is meant for: any text, and others may claim it too"`
	Priority string   `json:"priority,omitempty" max:"64" doc:"any text; normal when absent"`
	Tags     []string `json:"tags,omitempty" max:"32" each:"128" doc:"words about it"`
}

// FrameType returns create_task.
func (CreateTask) FrameType() string { return "create_task" }

// TaskCreated answers a [CreateTask].
type TaskCreated struct {
	ID    string `json:"id,omitempty" doc:"id of the task; absent when it was refused"`
	Error string `json:"error,omitempty" doc:"why it was refused: the reason and what to do about it"`
}

// FrameType returns task_created.
func (TaskCreated) FrameType() string { return "task_created" }

// ClaimTask takes an open task: of many that try, on whatever node, one session
// gets it. A task whose claimer was banned from the mesh can be claimed again. Its
// answer is a [TaskList] of all tasks. Errors: task_not_claimable; forbidden.
type ClaimTask struct {
	TaskID string `json:"taskId" required:"true" max:"256" doc:"id of the task"`
}

// FrameType returns claim_task.
func (ClaimTask) FrameType() string { return "claim_task" }

// CompleteTask makes a task done. The member that claimed it may, the one that
// created it, the owner of the mesh and its admins, and they may change the result
// later. Its answer is a [TaskList] of all tasks. Errors: task_not_found;
// forbidden for others.
type CompleteTask struct {
	TaskID string `json:"taskId" required:"true" max:"256" doc:"id of the task"`
	Result string `json:"result,omitempty" max:"8192" doc:"what came of it"`
}

// FrameType returns complete_task.
func (CompleteTask) FrameType() string { return "complete_task" }

// ListTasks asks for tasks. Its answer is a [TaskList].
type ListTasks struct {
	Status   string `json:"status,omitempty" max:"64" doc:"only those that are open, claimed or done"`
	Assignee string `json:"assignee,omitempty" max:"256" doc:"only those with exactly this assignee"`
}

// FrameType returns list_tasks.
func (ListTasks) FrameType() string { return "list_tasks" }

// TaskList answers a [ListTasks], a [ClaimTask] and a [CompleteTask]. An answer
// with more than a megabyte of tasks ends there.
type TaskList struct {
	Tasks []TaskRow `json:"tasks" doc:"at most 100, the newest first, without those whose creator does not let the asker read"`
	Error string    `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns task_list.
func (TaskList) FrameType() string { return "task_list" }

// TaskRow is one task.
type TaskRow struct {
	ID        string    `json:"id" doc:"id of the task"`
	Title     string    `json:"title" doc:"what is to be done"`
	Assignee  *string   `json:"assignee" doc:"whom it is meant for; null for nobody"`
	ClaimedBy *string   `json:"claimedBy" doc:"name of the member that took it, at that time; null for nobody"`
	Status    string    `json:"status" enum:"open,claimed,done" doc:"where it stands"`
	Priority  string    `json:"priority" doc:"as it was created"`
	CreatedBy *string   `json:"createdBy" doc:"name of the member that created it, at that time; null when it is not known"`
	Tags      []string  `json:"tags" doc:"words about it"`
	CreatedAt time.Time `json:"createdAt" doc:"when it was created"`
	Result    string    `json:"result,omitempty" doc:"what came of it, when it is done"`
}
