package feature

import (
	"time"

	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Left fills env, the broker's own announcement to the chain's observers that a
// session is over. It returns what tells the mesh, which comes after that is
// recorded.
func Left(dir *presence.Directory, v presence.View, env *sdk.Envelope, now time.Time) (tell func()) {
	env.Kind, env.Mesh, env.Arrived = sdk.KindPeerLeft, v.Mesh, now
	env.Sender = sdk.Sender{MemberID: v.MemberID, Member: v.Member, Session: v.Key, Name: v.Name}
	return func() {
		if !v.Visible || dir.Reached(v.Mesh, v.Routing()) {
			return // nobody knew of it, or it is back already: that must be the last word
		}
		frame := EventFrame(v.Mesh, wire.EventPeerLeft, wire.PeerNews(v.Name, v.Routing()), now)
		dir.Announce(v.Mesh, frame, presence.Except{Member: v.Member})
	}
}
