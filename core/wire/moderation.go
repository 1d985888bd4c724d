package wire

import (
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Disconnect closes connections; their peers come back at once. Owners and
// admins only, else forbidden. Of its fields the first that is given counts;
// invalid without any. A target that could mean two keys is ambiguous_prefix.
type Disconnect struct {
	All    bool   `json:"all,omitzero" doc:"every connection of the mesh but the caller's own"`
	Stale  int64  `json:"stale,omitzero" doc:"connections silent for so many ms, but not the caller's own"`
	Target string `json:"target,omitempty" max:"256" doc:"a display name, the key of a session or of a member with all its sessions, or 8 digits or more of a key"`
}

// FrameType returns disconnect.
func (Disconnect) FrameType() string { return "disconnect" }

// DisconnectAck answers a [Disconnect].
type DisconnectAck struct {
	Kicked   []string `json:"kicked" doc:"display names of whom it closed"`
	Affected []string `json:"affected" doc:"the same"`
}

// FrameType returns disconnect_ack.
func (DisconnectAck) FrameType() string { return "disconnect_ack" }

// Kick ends sessions; connections of the control plane are left alone, and only
// the owner ends sessions of the owner. Owners and admins only, else forbidden.
// What [Disconnect] says about its fields holds here too.
type Kick struct {
	All    bool   `json:"all,omitzero" doc:"every session of the mesh but the caller's own"`
	Stale  int64  `json:"stale,omitzero" doc:"sessions silent for so many ms, but not the caller's own"`
	Target string `json:"target,omitempty" max:"256" doc:"a display name, the key of a session or of a member with all its sessions, or 8 digits or more of a key"`
}

// FrameType returns kick.
func (Kick) FrameType() string { return "kick" }

// KickAck answers a [Kick].
type KickAck struct {
	Kicked              []string `json:"kicked" doc:"display names of whom it closed"`
	Affected            []string `json:"affected" doc:"the same"`
	SkippedControlPlane []string `json:"skipped_control_plane,omitempty" doc:"display names of matching connections that were left alone"`
}

// FrameType returns kick_ack.
func (KickAck) FrameType() string { return "kick_ack" }

// Ban revokes a member and ends its sessions. Owners and admins only, and
// nobody bans the owner, else forbidden; invalid without a target and for the
// caller itself; not_found; ambiguous_prefix for a target that could mean two
// members.
type Ban struct {
	Target string `json:"target" max:"256" doc:"a display name or a key, of the member or of a session, or 8 digits or more of a key"`
	Reason string `json:"reason,omitempty" max:"1024" doc:"accepted and ignored"`
}

// FrameType returns ban.
func (Ban) FrameType() string { return "ban" }

// BanAck answers a [Ban].
type BanAck struct {
	Banned string `json:"banned" doc:"display name of the member"`
}

// FrameType returns ban_ack.
func (BanAck) FrameType() string { return "ban_ack" }

// Unban lets a revoked member come back. Owners and admins only, else
// forbidden; invalid without a target; not_found; ambiguous_prefix.
type Unban struct {
	Target string `json:"target" max:"256" doc:"a display name or a key, or 8 digits or more of a key"`
}

// FrameType returns unban.
func (Unban) FrameType() string { return "unban" }

// UnbanAck answers an [Unban].
type UnbanAck struct {
	Unbanned string `json:"unbanned" doc:"display name of the member"`
}

// FrameType returns unban_ack.
func (UnbanAck) FrameType() string { return "unban_ack" }

// ListBans asks who is banned. Any member may.
type ListBans struct{}

// FrameType returns list_bans.
func (ListBans) FrameType() string { return "list_bans" }

// ListBansResult answers a [ListBans].
type ListBansResult struct {
	Bans []BanRow `json:"bans" doc:"revoked members"`
}

// FrameType returns list_bans_result.
func (ListBansResult) FrameType() string { return "list_bans_result" }

// BanRow is one revoked member.
type BanRow struct {
	Name      string    `json:"name" doc:"display name"`
	Pubkey    sdk.Key   `json:"pubkey" doc:"member key"`
	RevokedAt time.Time `json:"revokedAt" doc:"since when"`
}
