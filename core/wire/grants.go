package wire

import "github.com/claudemesh/broker/sdk"

// SetGrants changes what the member allows others. What it does not name stays,
// and what it says holds for all that is sent after its answer, a
// [GrantsResult]. Where members of one account are in the mesh it changes all of
// them, so that a block holds whichever of them somebody writes to. Errors:
// invalid; forbidden for a member that was revoked.
type SetGrants struct {
	Grants GrantEdits `json:"grants" required:"true" doc:"by the key of a member or a session, at most 256 keys: a list of read, dm, broadcast, state-read, state-write and file-read, where an empty one blocks, or null for the default, which is read, dm, broadcast and state-read. A member may have 1000 entries"`
}

// FrameType returns set_grants.
func (SetGrants) FrameType() string { return "set_grants" }

// GrantEdits says what is to change, by the key of a sender: 64 hex digits in
// either case. An entry is replaced by a list, and removed by nil.
type GrantEdits map[string]*[]string

// GetGrants asks what the member allows others. Its answer is a [GrantsResult].
type GetGrants struct{}

// FrameType returns get_grants.
func (GetGrants) FrameType() string { return "get_grants" }

// GrantsResult answers a [SetGrants] and a [GetGrants].
type GrantsResult struct {
	Grants map[sdk.Key][]string `json:"grants" doc:"all that the member has said, by the key of a sender: what it allows, possibly nothing. Who is not here has the default"`
}

// FrameType returns grants.
func (GrantsResult) FrameType() string { return "grants" }
