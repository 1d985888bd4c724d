package feature

import (
	"context"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Presence lets sessions say what they are doing and how they present
// themselves.
func Presence(r *Registry, dir *presence.Directory) {
	p := &presences{dir: dir}
	On(r, p.setStatus)
	On(r, p.setSummary)
	On(r, p.setStats)
	On(r, p.setVisible).RefuseWith(refusedPresence)
	On(r, p.setProfile).RefuseWith(refusedPresence)
}

type presences struct{ dir *presence.Directory }

func (p *presences) setStatus(_ context.Context, c *Call, m *wire.SetStatus) (Silent, error) {
	status, ok := presence.ParseStatus(m.Status)
	if !ok {
		return Silent{}, core.Refuse(sdk.ReasonInvalid, `status: want "idle", "working" or "dnd"`)
	}
	p.dir.SetStatus(c.Session, status, presence.Manual)
	return Silent{}, nil
}

func (p *presences) setSummary(_ context.Context, c *Call, m *wire.SetSummary) (Silent, error) {
	p.dir.SetSummary(c.Session, m.Summary)
	return Silent{}, nil
}

func (p *presences) setStats(_ context.Context, c *Call, m *wire.SetStats) (Silent, error) {
	stats := presence.Stats(m.Stats)
	p.dir.SetStats(c.Session, &stats)
	return Silent{}, nil
}

// setVisible hides or shows the session, and tells the mesh if that is news.
func (p *presences) setVisible(_ context.Context, c *Call, m *wire.SetVisible) (wire.Ack, error) {
	if !p.dir.SetVisible(c.Session, m.Visible) {
		return presenceAck(c), nil
	}
	name := wire.EventPeerHidden
	if m.Visible {
		name = wire.EventPeerVisible
	}
	s, now := c.Session, c.Env.Arrived
	c.After = func() {
		frame := EventFrame(s.Mesh, name, wire.PeerNews(p.dir.View(s).Name, s.Routing()), now)
		p.dir.Announce(s.Mesh, frame, presence.Except{Session: s.ID})
	}
	return presenceAck(c), nil
}

func (p *presences) setProfile(_ context.Context, c *Call, m *wire.SetProfile) (wire.Ack, error) {
	p.dir.EditProfile(c.Session, func(profile *store.Profile) {
		m.Avatar.Apply(&profile.Avatar)
		m.Title.Apply(&profile.Title)
		m.Bio.Apply(&profile.Bio)
		m.Capabilities.Apply(&profile.Capabilities)
	})
	return presenceAck(c), nil
}

// presenceAck answers a request that is no message, in the shape that clients
// wait for: they match it by the _reqId, which is repeated as the id, and never
// look at queued.
func presenceAck(c *Call) wire.Ack {
	if c.ReqID == nil {
		return wire.Ack{ID: []byte(`""`)}
	}
	return wire.Ack{ID: c.ReqID}
}

func refusedPresence(c *Call, r sdk.Reason, text string) wire.Frame {
	ack := presenceAck(c)
	ack.Error = worded(r, text)
	return ack
}
