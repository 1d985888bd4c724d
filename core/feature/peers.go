package feature

import (
	"context"
	"slices"

	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Peers tells sessions who else is in their mesh.
func Peers(r *Registry, dir *presence.Directory) {
	p := &peers{dir: dir}
	On(r, p.list).RefuseWith(func(*Call, sdk.Reason, string) wire.Frame {
		return wire.PeersList{Peers: []wire.PeerRow{}}
	})
}

type peers struct{ dir *presence.Directory }

func (p *peers) list(_ context.Context, c *Call, _ *wire.ListPeers) (wire.PeersList, error) {
	views := shown(p.dir.Views(c.Env.Mesh), c.Env.Sender.Member)
	list := wire.PeersList{Peers: make([]wire.PeerRow, len(views))}
	for i := range views {
		list.Peers[i] = peerRow(&views[i])
	}
	return list, nil
}

// shown leaves out of a mesh's sessions those that a member must not know of:
// the hidden ones of other members.
func shown(views []presence.View, to sdk.Key) []presence.View {
	return slices.DeleteFunc(views, func(v presence.View) bool { return !v.Visible && v.Member != to })
}

func peerRow(v *presence.View) wire.PeerRow {
	row := wire.PeerRow{
		Pubkey: v.Routing(), MemberPubkey: v.Member, DisplayName: v.Name,
		Status: string(v.Status), Groups: wireGroups(v.Groups),
		SessionID: v.SessionID, ConnectedAt: v.Since, Cwd: v.Cwd, Hostname: v.Hostname,
		PeerType: v.PeerType, Channel: v.Channel, Model: v.Model, PeerRole: string(v.Role),
		Visible: new(v.Visible), Profile: wire.Profile(v.Profile),
	}
	if v.Summary != "" {
		row.Summary = new(v.Summary)
	}
	if v.Stats != nil {
		row.Stats = new(wire.Stats(*v.Stats))
	}
	return row
}
