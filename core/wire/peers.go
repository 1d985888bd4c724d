package wire

import (
	"time"

	"github.com/claudemesh/broker/sdk"
)

// ListPeers asks who is here. Its answer is a [PeersList].
type ListPeers struct{}

// FrameType returns list_peers.
func (ListPeers) FrameType() string { return "list_peers" }

// PeersList answers a [ListPeers].
type PeersList struct {
	Peers []PeerRow `json:"peers" doc:"open sessions by time of connecting, the asker's own included; hidden ones only for the same member"`
}

// FrameType returns peers_list.
func (PeersList) FrameType() string { return "peers_list" }

// Values of PeerRow.PeerRole. Peers hide connections of the control plane from
// people.
const (
	RoleControlPlane = "control-plane" // a daemon's connection on behalf of a member
	RoleSession      = "session"       // a launched session
)

// PeerRow is one open session.
type PeerRow struct {
	Pubkey       sdk.Key   `json:"pubkey" doc:"key to send to: the session's, else the member's"`
	MemberPubkey sdk.Key   `json:"memberPubkey" doc:"the member's lasting key"`
	DisplayName  string    `json:"displayName" doc:"name shown to others"`
	Status       string    `json:"status" enum:"idle,working,dnd" doc:"what the session is doing"`
	Summary      *string   `json:"summary" doc:"what it works on; null when unset"`
	Groups       []Group   `json:"groups" doc:"groups that it is in, possibly none"`
	SessionID    string    `json:"sessionId" doc:"the peer's own name for its launch"`
	ConnectedAt  time.Time `json:"connectedAt" doc:"when the session began"`
	Cwd          string    `json:"cwd" doc:"working directory"`
	Hostname     string    `json:"hostname,omitempty" doc:"host that it runs on"`
	PeerType     string    `json:"peerType,omitempty" doc:"ai, human, connector or bridge"`
	Channel      string    `json:"channel,omitempty" doc:"program that speaks"`
	Model        string    `json:"model,omitempty" doc:"language model behind it"`
	PeerRole     string    `json:"peerRole,omitempty" enum:"control-plane,session" doc:"kind of connection"`
	Stats        *Stats    `json:"stats,omitzero" doc:"its last report"`
	Visible      *bool     `json:"visible,omitzero" doc:"false for a hidden session, which only its own member sees"`
	Profile      Profile   `json:"profile,omitzero" doc:"how it presents itself; absent when nothing is set"`
}

// Profile is how a session presents itself; nil fields are unset.
type Profile struct {
	Avatar       *string   `json:"avatar,omitzero" doc:"an emoji, a URL or a data URL"`
	Title        *string   `json:"title,omitzero" doc:"a few words"`
	Bio          *string   `json:"bio,omitzero" doc:"a few sentences"`
	Capabilities *[]string `json:"capabilities,omitzero" doc:"what it says it can do"`
}
