package wire

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// HelloAck opens a session. What was restored comes only with a plain hello of
// a member that was here before.
type HelloAck struct {
	PresenceID        string         `json:"presenceId" doc:"id of this presence"`
	MemberDisplayName string         `json:"memberDisplayName" doc:"name that others see"`
	MemberProfile     *MemberProfile `json:"memberProfile,omitzero" doc:"what the mesh knows about the member; absent when a session came back within its grace"`
	MeshPolicy        *MeshPolicy    `json:"meshPolicy,omitzero" doc:"what members may edit themselves; absent when the mesh says nothing"`
	Restored          bool           `json:"restored,omitzero" doc:"true when the member was here before, else absent"`
	LastSummary       string         `json:"lastSummary,omitempty" doc:"the summary at the last close"`
	LastSeenAt        time.Time      `json:"lastSeenAt,omitzero" doc:"time of the last close"`
	RestoredGroups    []Group        `json:"restoredGroups,omitempty" doc:"groups that were saved, when the hello named none"`
	RestoredStats     *Totals        `json:"restoredStats,omitzero" doc:"counters of all earlier sessions"`
	Services          []Service      `json:"services,omitzero" doc:"running services that the session may use; absent when they could not be looked up"`
}

// FrameType returns hello_ack.
func (HelloAck) FrameType() string { return "hello_ack" }

// MemberProfile is what an operator set for a member.
type MemberProfile struct {
	RoleTag     *string `json:"roleTag" doc:"free text that describes the member's part; null when unset"`
	Groups      []Group `json:"groups" doc:"the member's default groups, possibly none"`
	MessageMode string  `json:"messageMode" doc:"push, inbox or off; only peers heed it"`
}

// MeshPolicy is what a mesh lets its members do.
type MeshPolicy struct {
	SelfEditable SelfEditable `json:"selfEditable" doc:"fields of their own profile that members may edit"`
}

// SelfEditable says which profile fields are the member's own.
type SelfEditable struct {
	DisplayName bool `json:"displayName" doc:"the member may rename itself"`
	RoleTag     bool `json:"roleTag" doc:"the member may change its role tag"`
	Groups      bool `json:"groups" doc:"the member may change its default groups"`
	MessageMode bool `json:"messageMode" doc:"the member may change how messages reach it"`
}

// Totals are counters over all sessions of a member.
type Totals struct {
	MessagesIn  float64 `json:"messagesIn" doc:"messages received"`
	MessagesOut float64 `json:"messagesOut" doc:"messages sent"`
	ToolCalls   float64 `json:"toolCalls" doc:"tool calls made"`
	Errors      float64 `json:"errors" doc:"errors met"`
}

// Service is a running service of the mesh.
type Service struct {
	Name        string           `json:"name" doc:"name, unique in the mesh"`
	Description string           `json:"description" doc:"what it does"`
	Status      string           `json:"status" doc:"running"`
	Tools       []jsontext.Value `json:"tools" doc:"descriptions of its tools, as it gave them; possibly none"`
	DeployedBy  string           `json:"deployed_by" doc:"display name of who deployed it, or unknown"`
}
