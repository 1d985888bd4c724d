package storetest

import (
	"fmt"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var mcpServers = []test{
	{"a server comes back as it was written", mcpRoundTrip},
	{"a server is replaced only where it is what it was", mcpReplace},
	{"a server is deleted by its member", mcpDelete},
	{"servers are listed by name, page by page", mcpPages},
	{"a mesh and a member have room for so many servers", mcpFull},
	{"what a session offered ends with it, but for what is persistent", mcpEnd},
	{"servers return with the key of their session", mcpReturn},
	{"servers whose session is not open are deleted", mcpPrune},
	{"servers of revoked members are deleted", mcpPruneRevoked},
}

// mcp makes the n-th server of the first mesh.
func mcp(n int) *store.McpServer {
	return &store.McpServer{
		MeshID: id("mesh", 1), Name: fmt.Sprint("größe-", n), MemberID: id("ada", 1), Host: "Ада", PresenceID: id("presence", 1),
		SessionKey: key(9), Description: "tells the time", Tools: []byte(`[{"name":"a","inputSchema":{"b": [1]}}]`),
		RegisteredAt: now(),
	}
}

func (s *suite) setMcp(list ...*store.McpServer) {
	s.Helper()
	for _, m := range list {
		s.must(s.SetMcpServer(s.ctx, m, nil, plenty()))
	}
}

func (s *suite) wantMcps(want ...*store.McpServer) {
	s.Helper()
	got, err := s.ListMcpServers(s.ctx, id("mesh", 1), "", 100)
	s.must(err)
	same(s, got, want)
}

func mcpRoundTrip(s *suite) {
	s.mesh(0)
	bare := mcp(2)
	bare.SessionKey, bare.Persistent, bare.OfflineSince = store.McpServer{}.SessionKey, true, now()
	s.setMcp(mcp(1), bare)
	s.reopen()
	for _, want := range []*store.McpServer{mcp(1), bare} {
		got, err := s.McpServer(s.ctx, want.MeshID, want.Name)
		s.must(err)
		same(s, got, want)
	}
	_, err := s.McpServer(s.ctx, id("mesh", 2), mcp(1).Name)
	s.wantErr(err, store.ErrNotFound)
}

func mcpReplace(s *suite) {
	s.mesh(0)
	s.setMcp(mcp(1))
	next, stale := mcp(1), mcp(1)
	next.PresenceID, next.Tools = id("presence", 2), []byte(`[]`)
	stale.PresenceID = id("presence", 3)
	s.wantErr(s.SetMcpServer(s.ctx, next, nil, plenty()), store.ErrConflict)
	s.wantErr(s.SetMcpServer(s.ctx, next, stale, plenty()), store.ErrConflict)
	s.must(s.SetMcpServer(s.ctx, next, mcp(1), plenty()))
	s.wantErr(s.SetMcpServer(s.ctx, mcp(1), mcp(1), plenty()), store.ErrConflict)
	s.wantMcps(next)
}

func mcpDelete(s *suite) {
	s.mesh(0)
	s.setMcp(mcp(1))
	s.wantErr(s.DeleteMcpServer(s.ctx, mcp(1).MeshID, mcp(1).Name, id("bo", 1)), store.ErrConflict)
	s.wantMcps(mcp(1))
	s.must(s.DeleteMcpServer(s.ctx, mcp(1).MeshID, mcp(1).Name, mcp(1).MemberID))
	s.wantMcps()
}

func mcpPages(s *suite) {
	s.mesh(0)
	s.setMcp(mcp(3), mcp(1), mcp(2))
	s.wantMcps(mcp(1), mcp(2), mcp(3))
	got, err := s.ListMcpServers(s.ctx, id("mesh", 1), mcp(1).Name, 1)
	s.must(err)
	same(s, got, []*store.McpServer{mcp(2)})
}

func mcpFull(s *suite) {
	s.mesh(0)
	room := store.Room{Mesh: 3, Member: 2}
	s.must(s.SetMcpServer(s.ctx, mcp(1), nil, room))
	s.must(s.SetMcpServer(s.ctx, mcp(2), nil, room))
	s.wantErr(s.SetMcpServer(s.ctx, mcp(3), nil, room), store.ErrExhausted)
	s.wantMcps(mcp(1), mcp(2))
	other := mcp(3)
	other.MemberID = id("bo", 1)
	s.must(s.SetMcpServer(s.ctx, other, nil, room))
	other = mcp(4)
	other.MemberID = id("cy", 1)
	s.wantErr(s.SetMcpServer(s.ctx, other, nil, room), store.ErrExhausted)
	s.must(s.SetMcpServer(s.ctx, mcp(1), mcp(1), room)) // in place of itself
}

func mcpEnd(s *suite) {
	s.mesh(0)
	lasting, others := mcp(2), mcp(3)
	lasting.Persistent = true
	others.PresenceID = id("presence", 2)
	s.setMcp(mcp(1), lasting, others)
	got, err := s.EndMcpServers(s.ctx, id("mesh", 1), mcp(1).PresenceID, now().Add(time.Hour))
	s.must(err)
	same(s, got, []*store.McpServer{mcp(1), lasting})
	away := mcp(2)
	away.Persistent, away.OfflineSince = true, now().Add(time.Hour)
	s.wantMcps(away, others)
}

func mcpReturn(s *suite) {
	s.mesh(0)
	away, other := mcp(1), mcp(2)
	away.Persistent, away.OfflineSince = true, now()
	other.SessionKey = key(8)
	s.setMcp(away, other)
	got, err := s.ReturnMcpServers(s.ctx, away.MeshID, id("bo", 1), key(9), id("presence", 4))
	s.must(err)
	same(s, got, nil)
	got, err = s.ReturnMcpServers(s.ctx, away.MeshID, away.MemberID, key(9), id("presence", 4))
	s.must(err)
	back := mcp(1)
	back.Persistent, back.PresenceID = true, id("presence", 4)
	same(s, got, []*store.McpServer{back})
	s.wantMcps(back, other)
}

func mcpPrune(s *suite) {
	s.mesh(0)
	lasting, served, fresh := mcp(2), mcp(3), mcp(4)
	lasting.Persistent = true
	served.PresenceID = id("presence", 5)
	fresh.RegisteredAt = now().Add(time.Hour)
	ended := presence(1)
	ended.DisconnectedAt = now()
	s.commit(store.Batch{Presences: []*store.Presence{ended, presence(5)}})
	s.setMcp(mcp(1), lasting, served, fresh)
	n, err := s.PruneMcpServers(s.ctx, now().Add(time.Minute))
	s.must(err)
	if n != 1 {
		s.Errorf("deleted %d servers, want 1", n)
	}
	s.wantMcps(lasting, served, fresh)
}

func mcpPruneRevoked(s *suite) {
	_, members := s.mesh(2)
	kept, gone := mcp(1), mcp(2)
	kept.MemberID, kept.Persistent = members[0].ID, true
	gone.MemberID, gone.Persistent = members[1].ID, true
	s.setMcp(kept, gone)
	s.must(s.SetRevoked(s.ctx, members[1].ID, now()))
	n, err := s.PruneMcpServers(s.ctx, now().Add(-time.Hour))
	s.must(err)
	if n != 1 {
		s.Errorf("deleted %d servers, want 1", n)
	}
	s.wantMcps(kept)
}
