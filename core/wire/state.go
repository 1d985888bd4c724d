package wire

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// SetState writes a value into the state that the mesh shares, or deletes one.
// The last one to write wins. There is no answer, since clients would take one
// for that of a [GetState]; a refusal is an ack with an error. Everybody else in
// the mesh gets a [StateChange]. Errors: invalid; forbidden for a value of
// somebody who does not let the sender write; capacity when there are too many;
// rate_limit.
type SetState struct {
	Key   string         `json:"key" required:"true" max:"256" doc:"name of the value, at least one byte; those that begin with _context: are the broker's"`
	Value jsontext.Value `json:"value" max:"32768" doc:"any JSON, nested 28 levels at most; null deletes the key"`
}

// FrameType returns set_state.
func (SetState) FrameType() string { return "set_state" }

// GetState asks for one value. Its answer is a [StateResult], and behind it the
// same as a [StateValue].
type GetState struct {
	Key string `json:"key" required:"true" max:"256" doc:"name of the value"`
}

// FrameType returns get_state.
func (GetState) FrameType() string { return "get_state" }

// StateResult answers a [GetState]. A key that nobody has set, and one whose
// writer does not let the asker read, is null.
type StateResult struct {
	Key       string         `json:"key" doc:"as it was asked for"`
	Value     jsontext.Value `json:"value" doc:"what was set, byte by byte but for spaces; null when there is none"`
	UpdatedBy string         `json:"updatedBy" doc:"name, at that time, of the member that set it; empty when there is none"`
	UpdatedAt string         `json:"updatedAt" doc:"when it was set; empty when there is none"`
	Error     string         `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns state_result.
func (StateResult) FrameType() string { return "state_result" }

// Twin implements [Twofold].
func (s StateResult) Twin() Frame {
	v := StateValue{Error: s.Error}
	if s.UpdatedAt != "" {
		v.State = &StateRow{Key: s.Key, Value: s.Value, UpdatedBy: s.UpdatedBy, UpdatedAt: s.UpdatedAt}
	}
	return v
}

// StateValue is a [StateResult] for the newest clients.
type StateValue struct {
	State *StateRow `json:"state" doc:"the value; null when there is none"`
	Error string    `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns state_value.
func (StateValue) FrameType() string { return "state_value" }

// ListState asks for all values. Its answer is a [StateList].
type ListState struct {
	Limit  *int64 `json:"limit,omitzero" doc:"most values to return, taken as 1 to 1000; 1000 when absent"`
	Cursor string `json:"cursor,omitempty" max:"256" doc:"the next of an answer, to go on behind it"`
}

// FrameType returns list_state.
func (ListState) FrameType() string { return "list_state" }

// StateList answers a [ListState]. An answer with more than half a megabyte of
// values ends there, and next says where to go on.
type StateList struct {
	Entries []StateRow `json:"entries" doc:"by the bytes of their keys, without those whose writer does not let the asker read"`
	Next    string     `json:"next,omitempty" doc:"there may be more: the cursor to ask with"`
	Error   string     `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns state_list.
func (StateList) FrameType() string { return "state_list" }

// StateRow is one value.
type StateRow struct {
	Key       string         `json:"key" doc:"name of the value"`
	Value     jsontext.Value `json:"value" doc:"what was set"`
	UpdatedBy string         `json:"updatedBy" doc:"name, at that time, of the member that set it"`
	UpdatedAt string         `json:"updatedAt" doc:"when it was set"`
}

// StateChange tells of a [SetState], to every other session of the mesh, the
// sender's own and hidden ones too, where recipient and sender grant each other
// state-read. It is a hint for who is connected; a [ListState] tells the truth.
type StateChange struct {
	Key       string         `json:"key" doc:"name of the value; _context: and a member's name when that member has shared its context"`
	Value     jsontext.Value `json:"value" doc:"what was set; null when the key was deleted"`
	UpdatedBy string         `json:"updatedBy" doc:"name of the member that did it"`
	UpdatedAt time.Time      `json:"updatedAt" doc:"when"`
}

// FrameType returns state_change.
func (StateChange) FrameType() string { return "state_change" }
