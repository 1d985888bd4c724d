package feature

import (
	"context"

	"github.com/claudemesh/broker/core/presence"
)

// ChannelEvents is the channel of sessions that come over HTTP to hear, and cannot
// be asked anything.
const ChannelEvents = "http-events"

// Attend begins a session of the member behind a call over HTTP, as a hello does
// for one that comes over a socket, or takes up the one with the same SessionID.
// Whoever asked calls online when the answer has begun: then the session is given
// peer as its connection, and others hear of it.
func (r *Registry) Attend(ctx context.Context, c *Call, peer Peer, about presence.About) (s *presence.Session, online func(), err error) {
	h := r.hello
	saved, err := h.saved(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	groups, err := h.groups(ctx, c.Member, nil, saved)
	if err != nil {
		return nil, nil, err
	}
	asked := *c
	asked.Peer = peer
	at, _, err := h.attach(ctx, &asked, presence.Arrival{
		Member: c.Member, Role: presence.RoleSession, Saved: saved, About: about, Groups: groups, Passing: true,
	})
	if err != nil {
		return nil, nil, err
	}
	h.announce(&asked, at, saved, false)
	return at.Session, asked.After, nil
}
