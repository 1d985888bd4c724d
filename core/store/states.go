package store

import (
	"context"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Presence is the stored fact that a session is here, or was last seen.
type Presence struct {
	ID             string
	MeshID         string
	MemberID       string
	SessionKey     sdk.Key // zero for a session without a key of its own
	SessionID      string  // the client's name for its launch
	DisplayName    string
	Role           string // control-plane or session
	Pid            int64
	Cwd            string
	ConnectedAt    time.Time
	DisconnectedAt time.Time // zero while the session is here

	// What nodes that share a store tell each other; see [Roll]. Stores of one
	// process do not keep it.
	Node    string // the node that the session is connected to
	Version int64  // rises with each change of the session
	Details []byte // JSON: the session as other nodes show it
}

// State is what a session gets back when it returns: one row per session key,
// and one per member (zero SessionKey) for sessions that bring a new key.
type State struct {
	MeshID          string
	MemberID        string
	SessionKey      sdk.Key
	Groups          []Group
	Profile         Profile
	Visible         bool
	Summary         string
	Status          string // idle, working or dnd
	StatusSource    string // hook, manual or jsonl
	StatusUpdatedAt time.Time
	Stats           Stats
	LastSeenAt      time.Time
	Kept            Kept // of rows with a session key alone
}

// Kept is what a session has taken up and need not take up again when it comes
// back. Programs of different releases read each other's: fields are only ever
// added.
type Kept struct {
	Streams []string `json:"streams,omitempty"` // that it subscribes to
	Serves  bool     `json:"serves,omitempty"`  // it offers tools
}

// Profile is how a session presents itself. A nil field was never set.
type Profile struct {
	Avatar       *string   `json:"avatar,omitempty"`
	Title        *string   `json:"title,omitempty"`
	Bio          *string   `json:"bio,omitempty"`
	Capabilities *[]string `json:"capabilities,omitempty"`
}

// Stats are the counters that a session reports about itself. Uptime is in
// seconds and is not restored.
type Stats struct {
	MessagesIn  float64 `json:"messagesIn"`
	MessagesOut float64 `json:"messagesOut"`
	ToolCalls   float64 `json:"toolCalls"`
	Errors      float64 `json:"errors"`
}

// States reads what sessions left behind. It is written through a Batch.
type States interface {
	// State returns the row of the session key, or, when there is none, the
	// member's. ErrNotFound: the member was never here.
	State(ctx context.Context, mesh, memberID string, session sdk.Key) (*State, error)

	// CloseOpenPresences marks every open presence of an earlier process as
	// ended, at the given time, and returns how many there were. In a store
	// that nodes share, the presences of registered nodes whose lease holds are
	// theirs and stay; the version of those that it ends rises by one.
	CloseOpenPresences(ctx context.Context, at time.Time) (int64, error)

	// PrunePresences deletes presences that ended before t.
	PrunePresences(ctx context.Context, t time.Time) (int64, error)
}
