package feature

import (
	"context"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Ender ends what peers hold. Close codes and reasons are those of the wire
// package.
type Ender interface {
	// End ends a session for good: it closes the connection and tells the mesh
	// and the audit log. It reports false for a session that had ended already.
	End(s *presence.Session, code int, reason string) bool

	// Disconnect closes a session's connection. The session has its grace time
	// to come back.
	Disconnect(s *presence.Session, code int, reason string)

	// Revoked ends every session of a member that was revoked, also those that
	// only other nodes know of yet.
	Revoked(memberID string)
}

// ModerationRoster is a roster that can be told that a row has changed, and
// that knows whose the key of a session was.
type ModerationRoster interface {
	Roster
	Forget(memberID string)
	SessionKeyOwner(ctx context.Context, mesh string, key sdk.Key) (memberID string, err error)
}

// ModerationStore reads and changes who is banned.
type ModerationStore interface {
	ListMembers(ctx context.Context, mesh string) ([]*store.Member, error)
	SetRevoked(ctx context.Context, id string, at time.Time) error
}

// Moderation lets the owner of a mesh and its admins send peers away.
func Moderation(r *Registry, dir *presence.Directory, st ModerationStore, who ModerationRoster, e Ender) {
	m := &moderation{dir: dir, store: st, roster: who, ender: e}
	On(r, m.disconnect)
	On(r, m.kick)
	On(r, m.ban)
	On(r, m.unban)
	On(r, m.listBans)
}

type moderation struct {
	dir    *presence.Directory
	store  ModerationStore
	roster ModerationRoster
	ender  Ender
}

// disconnect makes peers connect again. That takes nothing from anybody, so the
// owner is no exception.
func (m *moderation) disconnect(ctx context.Context, c *Call, req *wire.Disconnect) (wire.DisconnectAck, error) {
	if _, err := m.moderator(ctx, c); err != nil {
		return wire.DisconnectAck{}, err
	}
	choice := wire.Kick(*req)
	views, err := m.chosen(c, &choice)
	if err != nil {
		return wire.DisconnectAck{}, err
	}
	how := wire.CloseDisconnected
	if byStale(&choice) {
		how = wire.CloseDisconnectedStale
	}
	names := []string{}
	for i := range views {
		if views[i].Online {
			m.ender.Disconnect(views[i].Session, int(how.Code), how.Reason)
			names = append(names, views[i].Name)
		}
	}
	return wire.DisconnectAck{Kicked: names, Affected: names}, nil
}

// kick ends sessions. A daemon's own connection is spared, which would only
// come back and meanwhile serve none of its sessions, and so are the owner's
// sessions unless the owner asks.
func (m *moderation) kick(ctx context.Context, c *Call, req *wire.Kick) (wire.KickAck, error) {
	by, err := m.moderator(ctx, c)
	if err != nil {
		return wire.KickAck{}, err
	}
	views, err := m.chosen(c, req)
	if err != nil {
		return wire.KickAck{}, err
	}
	others, err := m.withoutOwner(ctx, by, views)
	switch {
	case err != nil:
		return wire.KickAck{}, err
	case len(views) > 0 && len(others) == 0 && byTarget(req):
		return wire.KickAck{}, errOwner
	}
	how := wire.CloseKicked
	if byStale(req) {
		how = wire.CloseKickedStale
	}
	ack := wire.KickAck{Kicked: []string{}}
	for i := range others {
		switch v := &others[i]; {
		case v.Role == presence.RoleControl:
			ack.SkippedControlPlane = append(ack.SkippedControlPlane, v.Name)
		case m.ender.End(v.Session, int(how.Code), how.Reason):
			ack.Kicked = append(ack.Kicked, v.Name)
			c.Env.Records = append(c.Env.Records, moderated("member_kicked", v.Name, v.Member))
		}
	}
	ack.Affected = ack.Kicked
	return ack, nil
}

// withoutOwner leaves out the sessions of the mesh's owner, unless the owner
// asks. Whose a session is, its member's row says: a session knows no account.
func (m *moderation) withoutOwner(ctx context.Context, by asker, views []presence.View) ([]presence.View, error) {
	if by.owner() {
		return views, nil
	}
	others := make([]presence.View, 0, len(views))
	for i := range views {
		row, err := m.roster.MemberByID(ctx, views[i].MemberID)
		if err != nil {
			return nil, core.Unavailable(err)
		}
		if !by.mesh.OwnedBy(row) {
			others = append(others, views[i])
		}
	}
	return others, nil
}

var errOwner = core.Refuse(sdk.ReasonForbidden, "only the owner can send the owner of a mesh away")

// moderator returns who asks, or why it may not.
func (m *moderation) moderator(ctx context.Context, c *Call) (asker, error) {
	by, err := whoAsks(ctx, m.roster, c)
	if err == nil && !by.admin() {
		err = core.Refuse(sdk.ReasonForbidden, "only the owner of the mesh and its admins may do this: ask one of them")
	}
	return by, err
}

// chosen returns the sessions that a request means: never the one that asks.
func (m *moderation) chosen(c *Call, req *wire.Kick) ([]presence.View, error) {
	views := keep(m.dir.Views(c.Env.Mesh), func(v *presence.View) bool { return v.Session != c.Session })
	switch {
	case req.All:
		return views, nil
	case byStale(req):
		return keep(views, func(v *presence.View) bool {
			return c.Env.Arrived.Sub(v.LastSeen).Milliseconds() >= req.Stale
		}), nil
	case byTarget(req):
		return parseTarget(req.Target).sessions(views)
	default:
		return nil, core.Refuse(sdk.ReasonInvalid, "say whom: all, stale (a positive number of ms), or target")
	}
}

// Of the ways to choose, the first that is given counts: all, stale, target.
func byStale(req *wire.Kick) bool { return !req.All && req.Stale > 0 }
func byTarget(req *wire.Kick) bool {
	return !req.All && req.Stale == 0 && !parseTarget(req.Target).empty()
}

// keep returns the views that ok returns true for, in the slice that they are in.
func keep(views []presence.View, ok func(*presence.View) bool) []presence.View {
	kept := views[:0]
	for i := range views {
		if ok(&views[i]) {
			kept = append(kept, views[i])
		}
	}
	return kept
}

// moderated is the audit record of something that was done to a member. Names
// are not unique, so the key comes with the name.
func moderated(event, name string, key sdk.Key) sdk.Record {
	return sdk.Record{Event: event, Payload: audit.Object(
		audit.String("target", name),
		audit.String("targetPubkey", key.String()),
	)}
}
