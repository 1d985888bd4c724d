package feature

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/bucket"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/relay"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Limits of tool servers. With all of them a list of a mesh has 6 MB, in pages.
const (
	serversPerMesh   = 200
	serversPerMember = 20
	toolBytes        = 32 << 10 // of JSON, of one server
	listedAtATime    = 16       // read in one query

	// How often one member may register and unregister. Each costs a write to disk
	// and a frame for everybody in the mesh.
	registerRate  = 2 // a second
	registerBurst = 40
)

// McpStore keeps what sessions offer.
type McpStore interface {
	McpServer(ctx context.Context, mesh, name string) (*store.McpServer, error)
	ListMcpServers(ctx context.Context, mesh, after string, limit int) ([]*store.McpServer, error)
	SetMcpServer(ctx context.Context, m, over *store.McpServer, room store.Room) error
	DeleteMcpServer(ctx context.Context, mesh, name, memberID string) error
	EndMcpServers(ctx context.Context, mesh, presenceID string, at time.Time) ([]*store.McpServer, error)
	ReturnMcpServers(ctx context.Context, mesh, memberID string, key sdk.Key, presenceID string) ([]*store.McpServer, error)
}

// Mcp lets sessions offer tools, and call those of others.
func Mcp(r *Registry, dir *presence.Directory, st McpStore, who Roster, cast Caster, via *relay.Relay) {
	s := &mcpServers{dir: dir, store: st, roster: who, cast: cast, relay: via, rates: bucket.New[memberID](bucket.Size{
		Count: registerRate, Per: time.Second, Burst: registerBurst, Most: publishers,
	}, time.Now())}
	On(r, s.register).Needs(store.CanUseTools).RefuseWith(refusedRegister)
	On(r, s.unregister).Needs(store.CanUseTools).RefuseWith(refusedPresence)
	On(r, s.list).RefuseWith(func(_ *Call, why sdk.Reason, text string) wire.Frame {
		return wire.McpListResult{Servers: []wire.McpRow{}, Error: worded(why, text)}
	})
	OnLater[wire.McpCall, wire.McpCallResult](r, s.call).Needs(store.CanUseTools).RefuseWith(refusedMcpCall)
	On(r, s.answer).RefuseWith(s.refusedAnswer)
	r.OnArrived(s.arrived)
	r.OnLeft(s.left)
}

type mcpServers struct {
	dir    *presence.Directory
	store  McpStore
	roster Roster
	cast   Caster
	relay  *relay.Relay
	rates  *bucket.Set[memberID]
}

func refusedRegister(c *Call, why sdk.Reason, text string) wire.Frame {
	refused := wire.McpRegisterAck{Error: worded(why, text)}
	if m, ok := c.Request.(*wire.McpRegister); ok && m != nil {
		refused.ServerName = m.ServerName
	}
	return refused
}

// register offers a server.
func (s *mcpServers) register(ctx context.Context, c *Call, m *wire.McpRegister) (wire.McpRegisterAck, error) {
	tools, err := checkServer(m)
	if err != nil {
		return wire.McpRegisterAck{}, err
	}
	if err := s.seldom(c); err != nil {
		return wire.McpRegisterAck{}, err
	}
	host, _ := s.dir.Live(c.Session)
	row := &store.McpServer{
		MeshID: c.Env.Mesh, Name: m.ServerName, MemberID: c.Env.Sender.MemberID, Host: host, PresenceID: c.Session.ID,
		SessionKey: c.Session.Key, Description: m.Description, Tools: tools, Persistent: m.Persistent, RegisteredAt: time.Now(),
	}
	s.dir.Serves(c.Session) // before the row is there, which somebody has to look after
	if err := s.set(ctx, row); err != nil {
		return wire.McpRegisterAck{}, err
	}
	c.Env.Records = append(c.Env.Records, sdk.Record{Event: "mcp_registered", Payload: audit.Object(audit.String("serverName", row.Name))})
	s.after(c, row, From(c), wire.EventMcpRegistered, wire.McpEvent{
		ServerName: row.Name, Description: row.Description, Tools: toolNames(m.Tools), HostedBy: row.Host,
	})
	return wire.McpRegisterAck{ServerName: row.Name, ToolCount: int64(len(m.Tools))}, nil
}

// checkServer returns the tools of a server as they are kept.
func checkServer(m *wire.McpRegister) ([]byte, error) {
	if err := checkName("serverName", m.ServerName); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for i, tool := range m.Tools {
		field := fmt.Sprintf("tools[%d]", i)
		if err := checkName(field+".name", tool.Name); err != nil {
			return nil, err
		}
		if seen[tool.Name] {
			return nil, core.Refuse(sdk.ReasonInvalid, field+".name: comes twice")
		}
		seen[tool.Name] = true
		if tool.InputSchema != nil && tool.InputSchema.Kind() != jsontext.KindBeginObject {
			return nil, core.Refuse(sdk.ReasonInvalid, field+".inputSchema: want an object")
		}
	}
	tools := m.Tools
	if tools == nil {
		tools = []wire.McpTool{}
	}
	b, err := json.Marshal(tools)
	switch {
	case err != nil:
		return nil, core.Refuse(sdk.ReasonInvalid, "tools: want a list of objects")
	case len(b) > toolBytes:
		return nil, core.Refuse(sdk.ReasonInvalid, fmt.Sprintf("tools: want at most %d bytes of JSON: shorten the schemas, or offer two servers", toolBytes))
	}
	return b, nil
}

func (s *mcpServers) seldom(c *Call) error {
	if wait, ok := s.rates.Take(memberID(c.Env.Sender.MemberID), time.Now()); !ok {
		return &core.Error{
			Code: sdk.ReasonRateLimit, RetryAfter: wait,
			Message: fmt.Sprintf("rate_limit: a member may register %d servers/s (burst %d)", registerRate, registerBurst),
		}
	}
	return nil
}

// maxTries is how often a server is written that others write at the same time.
const maxTries = 5

// set writes a server in place of the member's own of that name, or of one that
// nobody keeps.
func (s *mcpServers) set(ctx context.Context, row *store.McpServer) error {
	for range maxTries {
		over, err := s.store.McpServer(ctx, row.MeshID, row.Name)
		switch {
		case errors.Is(err, store.ErrNotFound):
			over = nil
		case err != nil:
			return core.Unavailable(err)
		default:
			if err := s.mayReplace(ctx, over, row.MemberID); err != nil {
				return err
			}
		}
		err = s.store.SetMcpServer(ctx, row, over, store.Room{Mesh: serversPerMesh, Member: serversPerMember})
		switch {
		case errors.Is(err, store.ErrConflict):
		case err != nil:
			return noRoom(err, "tool servers", "unregister some")
		default:
			return nil
		}
	}
	return core.Refuse(sdk.ReasonUnavailable, "others register this name at the same time: try again")
}

// settledAfter is how long after a server was registered every node knows its
// session: the name of a younger one is not given to others because this node does
// not know that yet.
const settledAfter = 2 * time.Minute

// mayReplace refuses to take a name from another member that keeps it.
func (s *mcpServers) mayReplace(ctx context.Context, over *store.McpServer, memberID string) error {
	if over.MemberID == memberID || s.abandoned(over) && time.Since(over.RegisteredAt) > settledAfter {
		return nil
	}
	owner, err := s.roster.MemberByID(ctx, over.MemberID)
	switch {
	case err != nil:
		return core.Unavailable(err)
	case !owner.Live():
		return nil
	default:
		return core.Refuse(sdk.ReasonForbidden, "this name belongs to another member: choose another one")
	}
}

// abandoned reports whether a server has ended with its session, and its row not
// yet.
func (s *mcpServers) abandoned(row *store.McpServer) bool {
	return !row.Persistent && s.dir.ByID(row.MeshID, row.PresenceID) == nil
}

// unregister takes a server back.
func (s *mcpServers) unregister(ctx context.Context, c *Call, m *wire.McpUnregister) (Silent, error) {
	if err := s.seldom(c); err != nil {
		return Silent{}, err
	}
	row, err := s.store.McpServer(ctx, c.Env.Mesh, m.ServerName)
	if errors.Is(err, store.ErrNotFound) {
		return Silent{}, nil
	}
	if err != nil {
		return Silent{}, core.Unavailable(err)
	}
	by, err := whoAsks(ctx, s.roster, c)
	if err != nil {
		return Silent{}, err
	}
	if row.MemberID != by.ID && !by.admin() {
		return Silent{}, core.Refuse(sdk.ReasonForbidden, "this server belongs to another member: ask it, or an admin of the mesh, to unregister it")
	}
	from, err := s.host(ctx, c, row)
	if err != nil {
		return Silent{}, err
	}
	err = s.store.DeleteMcpServer(ctx, row.MeshID, row.Name, row.MemberID)
	if errors.Is(err, store.ErrConflict) {
		return Silent{}, nil // gone meanwhile
	}
	if err != nil {
		return Silent{}, core.Unavailable(err)
	}
	c.Env.Records = append(c.Env.Records, sdk.Record{Event: "mcp_unregistered", Payload: audit.Object(audit.String("serverName", row.Name))})
	s.after(c, row, from, wire.EventMcpUnregistered, wire.McpEvent{ServerName: row.Name, HostedBy: row.Host})
	return Silent{}, nil
}

// host returns whose server it is, but for the session that a call comes from: who
// may not know of the server does not hear of its end.
func (s *mcpServers) host(ctx context.Context, c *Call, row *store.McpServer) (Origin, error) {
	if row.MemberID == c.Env.Sender.MemberID {
		return From(c), nil
	}
	host, err := s.roster.MemberByID(ctx, row.MemberID)
	if err != nil {
		return Origin{}, core.Unavailable(err)
	}
	return Origin{MemberID: host.ID, Member: host.Key, Session: row.SessionKey, Presence: c.Session.ID}, nil
}

// after tells the mesh behind the answer. Who does not accept messages of the host
// hears nothing of its tools.
func (s *mcpServers) after(c *Call, row *store.McpServer, from Origin, name string, data wire.McpEvent) {
	now := c.Env.Arrived
	c.After = func() { s.tell(context.Background(), row.MeshID, from, name, data, now) }
}

func (s *mcpServers) tell(ctx context.Context, mesh string, from Origin, name string, data wire.McpEvent, now time.Time) {
	s.cast.Cast(ctx, Notice{Mesh: mesh, From: from, Needs: store.CapDM, Frame: string(EventFrame(mesh, name, data, now))})
}

// arrived gives a session that has offered tools before, under the same key, what
// it has offered: it serves them again. Another session of the member does not.
func (s *mcpServers) arrived(ctx context.Context, v presence.View) {
	if !v.Serves || v.Key.IsZero() {
		return
	}
	rows, err := s.store.ReturnMcpServers(ctx, v.Mesh, v.MemberID, v.Key, v.ID)
	if err != nil {
		return // it registers again, or nobody can call it
	}
	for _, row := range rows {
		s.tell(ctx, v.Mesh, Origin{MemberID: v.MemberID, Member: v.Member, Session: v.Key},
			wire.EventMcpRestored, wire.McpEvent{ServerName: row.Name, HostedBy: row.Host}, time.Now())
	}
}

// left ends what a session has offered.
func (s *mcpServers) left(ctx context.Context, v presence.View) {
	if !v.Serves {
		return
	}
	now := time.Now()
	rows, err := s.store.EndMcpServers(ctx, v.Mesh, v.ID, now)
	if err != nil {
		return // lists do not show it, and the sweep deletes it
	}
	from := Origin{MemberID: v.MemberID, Member: v.Member, Session: v.Key, Presence: v.ID}
	for _, row := range rows {
		s.tell(ctx, v.Mesh, from, wire.EventMcpUnregistered, wire.McpEvent{
			ServerName: row.Name, HostedBy: row.Host, Offline: row.Persistent,
		}, now)
	}
}

// list returns a page of servers.
func (s *mcpServers) list(ctx context.Context, c *Call, m *wire.McpList) (wire.McpListResult, error) {
	answer, size, after := wire.McpListResult{Servers: []wire.McpRow{}}, 0, m.Cursor
	for {
		rows, err := s.store.ListMcpServers(ctx, c.Env.Mesh, after, listedAtATime)
		if err != nil {
			return wire.McpListResult{}, core.Unavailable(err)
		}
		for _, row := range rows {
			shown, err := s.shown(ctx, c, row)
			switch {
			case err != nil:
				return wire.McpListResult{}, err
			case !shown:
			case len(answer.Servers) > 0 && size+len(row.Tools) > answerBytes:
				answer.Next = after
				return answer, nil
			default:
				answer.Servers = append(answer.Servers, s.row(row))
				size += len(row.Tools) + jsonBytes(row.Description) + jsonBytes(row.Name) + jsonBytes(row.Host)
			}
			after = row.Name
		}
		if len(rows) < listedAtATime {
			return answer, nil
		}
	}
}

// shown reports whether the sender of a call may know of a server: one of its own,
// or of a member that accepts its messages and may still offer tools.
func (s *mcpServers) shown(ctx context.Context, c *Call, row *store.McpServer) (bool, error) {
	by := c.Env.Sender
	if s.abandoned(row) {
		return false, nil
	}
	if row.MemberID == by.MemberID {
		return true, nil
	}
	host, err := s.roster.MemberByID(ctx, row.MemberID)
	if err != nil {
		return false, core.Unavailable(err)
	}
	if !host.Live() || !host.Grants.Allows(by.Member, by.Session, store.CapDM) {
		return false, nil
	}
	if len(host.Permissions) == 0 {
		return true, nil // to offer tools is everybody's
	}
	mesh, err := s.roster.Mesh(ctx, row.MeshID)
	if err != nil {
		return false, core.Unavailable(err)
	}
	return mesh.May(host, store.CanUseTools), nil
}

func (s *mcpServers) row(row *store.McpServer) wire.McpRow {
	online, since := s.online(row)
	answer := wire.McpRow{
		Name: row.Name, Description: row.Description, HostedBy: row.Host, Tools: toolsOf(row),
		Online: online, OfflineSince: since, Persistent: row.Persistent,
	}
	return answer
}

// online reports whether the session behind a server is connected, or since when
// it is not; the zero time when nobody knows.
func (s *mcpServers) online(row *store.McpServer) (is bool, since time.Time) {
	session := s.dir.ByID(row.MeshID, row.PresenceID)
	if session == nil {
		return false, row.OfflineSince
	}
	v := s.dir.View(session)
	if v.Online {
		return true, time.Time{}
	}
	return false, v.LastSeen
}

// toolsOf returns the tools of a server.
func toolsOf(row *store.McpServer) []wire.McpTool {
	tools := []wire.McpTool{}
	if err := json.Unmarshal(row.Tools, &tools); err != nil {
		return []wire.McpTool{} // of another program
	}
	return tools
}

func toolNames(tools []wire.McpTool) []string {
	names := make([]string, len(tools))
	for i, tool := range tools {
		names[i] = tool.Name
	}
	return names
}

// hasTool reports whether a server has a tool.
func hasTool(row *store.McpServer, name string) bool {
	return slices.Contains(toolNames(toolsOf(row)), name)
}
