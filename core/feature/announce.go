package feature

import (
	"context"

	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Announcer tells the sessions of a mesh, wherever they are connected, of what
// one of them has done. Methods may be called concurrently.
type Announcer interface {
	// Announce has write make a change, and tells of it when it is on disk. The
	// error is that of write, or a refusal of somebody who announces too often;
	// then nothing was written.
	//
	// write gets the signal that the store has to append in the transaction of
	// the change, nil where there are no other nodes. It reports whether anything
	// has changed: if not, the store has appended nothing, and nobody is told. So
	// no change is left untold by a crash, and of two changes of one row everybody
	// hears in the order in which the store has them.
	//
	// Sessions that are away hear nothing, and neither do those that are too slow.
	Announce(ctx context.Context, n Notice, write Write) error
}

// Write makes the change that a [Notice] tells of.
type Write func(ctx context.Context, sig *store.Signal) (changed bool, err error)

// Notice is a frame for the sessions of a mesh. Nodes of different releases read
// each other's: fields are only ever added.
type Notice struct {
	Mesh string `json:"mesh"`
	From Origin `json:"from"`

	// Needs is what a recipient and the member that the notice is from must
	// allow each other. Sessions of that member itself need nothing.
	Needs store.Capability `json:"needs,omitempty"`

	// Frame is the same for everybody who gets it. It is text, so that it comes
	// out of the signal log byte by byte as it went in.
	Frame string `json:"frame"`
}

// Origin is the session that a notice is from. It does not hear of its own doing,
// but the other sessions of its member do.
type Origin struct {
	MemberID string  `json:"memberId"`
	Member   sdk.Key `json:"member"`
	Session  sdk.Key `json:"session"`  // zero for a session without a key of its own
	Presence string  `json:"presence"` // presence id
}

// From returns the session that a call comes from.
func From(c *Call) Origin {
	by := c.Env.Sender
	o := Origin{MemberID: by.MemberID, Member: by.Member, Session: by.Session}
	if c.Session != nil {
		o.Presence = c.Session.ID
	}
	return o
}

// Tell writes the notice to the sessions that are connected to this node.
func (n *Notice) Tell(ctx context.Context, dir *presence.Directory, who Roster) {
	dir.TellOthers(n.Mesh, []byte(n.Frame), n.From.Presence, func(s *presence.Session) bool {
		return n.concerns(ctx, s, who)
	})
}

// concerns reports whether a session may hear of the notice. Whoever's grants
// cannot be read has allowed nothing.
func (n *Notice) concerns(ctx context.Context, s *presence.Session, who Roster) bool {
	if n.Needs == "" || s.MemberID == n.From.MemberID {
		return true
	}
	to, err := who.MemberByID(ctx, s.MemberID)
	if err != nil || !to.Grants.Allows(n.From.Member, n.From.Session, n.Needs) {
		return false
	}
	from, err := who.MemberByID(ctx, n.From.MemberID)
	return err == nil && from.Grants.Allows(s.Member, s.Key, n.Needs)
}
