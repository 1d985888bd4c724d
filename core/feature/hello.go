package feature

import (
	"context"
	"errors"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// channelDaemon is the channel of a daemon's control connection.
const channelDaemon = "claudemesh-daemon"

// HelloStore is what a hello reads.
type HelloStore interface {
	State(ctx context.Context, mesh, memberID string, session sdk.Key) (*store.State, error)
}

// Hello begins sessions: hello for members, session_hello for sessions that a
// member vouches for. The auth stage has proved who asks.
func Hello(r *Registry, dir *presence.Directory, st HelloStore, members Roster) {
	h := &hellos{registry: r, dir: dir, store: st, members: members}
	r.hello = h
	On(r, h.member)
	On(r, h.session)
}

type hellos struct {
	registry *Registry
	dir      *presence.Directory
	store    HelloStore
	members  Roster
}

// member answers a plain hello.
func (h *hellos) member(ctx context.Context, c *Call, m *wire.Hello) (wire.HelloAck, error) {
	saved, err := h.saved(ctx, c)
	if err != nil {
		return wire.HelloAck{}, err
	}
	a := presence.Arrival{
		Member: c.Member, Key: c.Env.Sender.Session, Role: presence.RoleSession, Saved: saved,
		About: presence.About{
			Name: c.Env.Sender.Name, SessionID: m.SessionID, Pid: m.Pid, Cwd: m.Cwd, Hostname: m.Hostname,
			PeerType: m.PeerType, Channel: m.Channel, Model: m.Model,
		},
	}
	if m.Channel == channelDaemon {
		a.Role, a.Acks = presence.RoleControl, true
	}
	if a.Groups, err = h.groups(ctx, c.Member, m.Groups, saved); err != nil {
		return wire.HelloAck{}, err
	}
	s, by, err := h.attach(ctx, c, a)
	if err != nil {
		return wire.HelloAck{}, err
	}
	ack := h.ack(s.Session, c.Member, by.mesh)
	if saved != nil {
		restored(&ack, saved, len(m.Groups) == 0 && by.choosesGroups())
	}
	ack.Services = []wire.Service{}
	h.announce(c, s, saved, false)
	return ack, nil
}

// session answers a session_hello. What such a session gets back is its own: a
// sibling's state is not its state.
func (h *hellos) session(ctx context.Context, c *Call, m *wire.SessionHello) (wire.HelloAck, error) {
	saved, err := h.saved(ctx, c)
	if err != nil {
		return wire.HelloAck{}, err
	}
	if saved != nil && saved.SessionKey != c.Env.Sender.Session {
		saved = nil
	}
	groups, err := h.groups(ctx, c.Member, m.Groups, saved)
	if err != nil {
		return wire.HelloAck{}, err
	}
	s, by, err := h.attach(ctx, c, presence.Arrival{
		Member: c.Member, Key: c.Env.Sender.Session, Role: presence.RoleSession, Acks: true, Saved: saved,
		About: presence.About{
			Name: c.Env.Sender.Name, SessionID: m.SessionID, Pid: m.Pid, Cwd: m.Cwd, Hostname: m.Hostname,
			PeerType: m.PeerType, Channel: m.Channel, Model: m.Model,
		},
		Groups: groups,
	})
	if err != nil {
		return wire.HelloAck{}, err
	}
	ack := h.ack(s.Session, c.Member, by.mesh)
	if s.Resumed {
		ack.MemberProfile = nil
	}
	h.announce(c, s, nil, true)
	return ack, nil
}

func (h *hellos) saved(ctx context.Context, c *Call) (*store.State, error) {
	saved, err := h.store.State(ctx, c.Member.MeshID, c.Member.ID, c.Env.Sender.Session)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, core.Unavailable(err)
	}
	return saved, nil
}

// groups returns the groups that a session begins with.
func (h *hellos) groups(ctx context.Context, m *store.Member, asked []wire.Group, saved *store.State) ([]store.Group, error) {
	mesh, err := h.members.Mesh(ctx, m.MeshID)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	if by := (asker{m, mesh}); !by.choosesGroups() {
		return m.DefaultGroups, nil
	}
	return initialGroups(asked, saved, m), nil
}

// initialGroups returns the hello's groups, else the saved ones, else the
// member's default ones.
func initialGroups(asked []wire.Group, saved *store.State, m *store.Member) []store.Group {
	if len(asked) > 0 {
		groups := make([]store.Group, len(asked))
		for i, g := range asked {
			groups[i] = store.Group{Name: g.Name, Role: g.Role}
		}
		return groups
	}
	if saved != nil && len(saved.Groups) > 0 {
		return saved.Groups
	}
	return m.DefaultGroups
}

// attach begins a session, or takes one up again, for whom it also returns.
func (h *hellos) attach(ctx context.Context, c *Call, a presence.Arrival) (presence.Attached, asker, error) {
	s, err := h.dir.Attach(a)
	if errors.Is(err, presence.ErrFull) {
		return s, asker{}, core.Refuse(sdk.ReasonCapacity, "the mesh has as many sessions as it may: close one, or ask the operator for more")
	}
	if err != nil {
		return s, asker{}, err
	}
	by, how, err := h.still(ctx, a.Member)
	if err != nil {
		h.dir.End(s.Session, int(how.Code), how.Reason)
		return s, by, err
	}
	c.Bound = s.Session
	h.dir.Arrived(s.Session, by.AccountID, c.Peer.Local())
	return s, by, nil
}

// still reads a member and its mesh again behind Attach: a ban, or the end of the
// mesh, that came after the proof has not seen the session. The roster will do,
// for whoever makes it forget a row looks for sessions after that, on this node as
// on the others: a session is seen by them, or the new row by it. With an error
// comes how the session ends.
func (h *hellos) still(ctx context.Context, who *store.Member) (asker, wire.Close, error) {
	m, err := h.members.MemberByID(ctx, who.ID)
	switch {
	case err != nil:
		return asker{}, wire.CloseBanned, core.Unavailable(err)
	case !m.Live():
		return asker{}, wire.CloseBanned, core.Refuse(sdk.ReasonRevoked, "your access to this mesh was revoked: contact its owner")
	}
	mesh, err := h.members.Mesh(ctx, who.MeshID)
	switch {
	case err != nil:
		return asker{}, wire.CloseArchived, core.Unavailable(err)
	case !mesh.ArchivedAt.IsZero():
		return asker{}, wire.CloseArchived, core.Refuse(sdk.ReasonUnauthorized, "this mesh has been archived")
	}
	return asker{m, mesh}, wire.Close{}, nil
}

func (h *hellos) ack(s *presence.Session, m *store.Member, mesh *store.Mesh) wire.HelloAck {
	ack := wire.HelloAck{
		PresenceID:        s.ID,
		MemberDisplayName: h.dir.View(s).Name,
		MemberProfile:     &wire.MemberProfile{Groups: wireGroups(m.DefaultGroups), MessageMode: m.MessageMode},
		MeshPolicy:        &wire.MeshPolicy{SelfEditable: wire.SelfEditable(mesh.Policy)},
	}
	if m.RoleTag != "" {
		ack.MemberProfile.RoleTag = &m.RoleTag
	}
	return ack
}

// restored tells a member what it left.
func restored(ack *wire.HelloAck, saved *store.State, askedNoGroups bool) {
	ack.Restored = true
	ack.LastSummary = saved.Summary
	ack.LastSeenAt = saved.LastSeenAt
	if askedNoGroups && len(saved.Groups) > 0 {
		ack.RestoredGroups = wireGroups(saved.Groups)
	}
	totals := wire.Totals(saved.Stats)
	ack.RestoredStats = &totals
}

func wireGroups(groups []store.Group) []wire.Group {
	out := make([]wire.Group, len(groups))
	for i, g := range groups {
		out[i] = wire.Group(g)
	}
	return out
}

// announce tells the mesh and the audit log that a session is here, unless it
// only changed its connection. The session gets its connection, and what waits
// for it, behind its hello_ack.
func (h *hellos) announce(c *Call, s presence.Attached, saved *store.State, vouched bool) {
	view := h.dir.View(s.Session)
	if !s.Resumed {
		c.Env.Records = append(c.Env.Records, joined(view, saved != nil, vouched))
	}
	peer, now := c.Peer, c.Env.Arrived
	c.After = func() {
		h.dir.Online(s, peer)
		if s.Resumed {
			return
		}
		h.registry.Arrived(context.Background(), view)
		if !view.Visible {
			return
		}
		frame := joinedFrame(view, saved, now)
		except := presence.Except{Session: s.ID}
		if !vouched {
			except.Member = s.Member
		}
		h.dir.Announce(s.Mesh, frame, except)
	}
}

// joined is the audit record of a session that begins.
func joined(v presence.View, restored, vouched bool) sdk.Record {
	fields := []audit.Field{
		audit.String("pubkey", v.Member.String()),
		audit.Strings("groups", groupNames(v.Groups)),
		audit.Bool("restored", restored),
		audit.String("role", string(v.Role)),
	}
	if vouched {
		fields = append(fields, audit.String("session_pubkey", v.Key.String()), audit.String("via", "session_hello"))
	}
	return sdk.Record{Event: "peer_joined", Payload: audit.Object(fields...)}
}

func groupNames(groups []store.Group) []string {
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.Name
	}
	return names
}

// joinedFrame is the event that others see.
func joinedFrame(v presence.View, saved *store.State, now time.Time) []byte {
	data := wire.PeerNews(v.Name, v.Routing())
	data.Groups = wireGroups(v.Groups)
	name := wire.EventPeerJoined
	if saved != nil {
		name = wire.EventPeerReturned
		data.LastSeenAt, data.Summary = saved.LastSeenAt, saved.Summary
	}
	return EventFrame(v.Mesh, name, data, now)
}
