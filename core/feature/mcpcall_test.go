package feature

import (
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store"
)

// Who may not use tools any more offers none either.
func TestMcpEndsWithThePermission(t *testing.T) {
	r := newRig(t)
	bo, cy := r.join("bo"), r.join("cy")
	bo.mustOffer("clock", "")
	wantText(t, cy.servers(), "clock*")
	r.edit("bo", func(m *store.Member) { m.Permissions = store.Permissions{store.CanUseTools: false} })
	wantText(t, cy.servers(), "")
	if got := cy.use("clock", "t"); !strings.Contains(got, "not found in mesh") {
		t.Errorf("got %s", got)
	}
}

// Who may not know of a server does not hear that an admin has unregistered it.
func TestMcpIsUnregisteredForItsHost(t *testing.T) {
	r := newRig(t)
	bo, cy, gil := r.join("bo"), r.join("cy"), r.join("gil")
	r.allow("bo", "cy", store.CapStateRead)
	bo.mustOffer("clock", "")
	gil.heard()
	if got, _ := gil.ask(`{"type":"mcp_unregister","serverName":"clock"}`); got != "" {
		t.Errorf("got %s", got)
	}
	cy.wantHeard()
	gil.wantHeard()
	bo.wantHeard(`mcp_unregistered {"serverName":"clock","hostedBy":"bo"}`)
}

// A name whose session this node does not know is not given away before every node
// has to know it.
func TestMcpNamesOfUnknownSessions(t *testing.T) {
	for name, tt := range map[string]struct {
		age  time.Duration
		want string
	}{
		"of one that came just now": {time.Second, `"toolCount":0,"error":"forbidden: this name belongs to another member`},
		"of one that has ended":     {time.Hour, `"toolCount":1`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			bo, cy := r.members["bo"], r.join("cy")
			err := r.store.SetMcpServer(t.Context(), &store.McpServer{
				MeshID: r.mesh.ID, Name: "clock", MemberID: bo.ID, Host: "bo", PresenceID: "elsewhere", Tools: []byte("[]"),
				RegisteredAt: time.Now().Add(-tt.age),
			}, nil, store.Room{Mesh: 1, Member: 1})
			if err != nil {
				t.Fatal(err)
			}
			if got := cy.offer("clock", ""); !strings.Contains(got, tt.want) {
				t.Errorf("got %s", got)
			}
		})
	}
}
