package app_test

import (
	"testing"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
)

// The page of one replica tells of all: who is connected where, and which
// replicas live.
func TestConsoleOfSeveralNodes(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	a.dial(session(a.member("ada", store.RoleMember)), dial.Options{ConfirmPushes: true})
	b.dial(session(b.member("bo", store.RoleMember)), dial.Options{ConfirmPushes: true})
	b.dial(session(b.member("cy", store.RoleMember)), dial.Options{ConfirmPushes: true})
	n.wantMeets(3)
	for _, want := range []struct {
		*rig
		here, there int
	}{{a, 1, 2}, {b, 2, 1}} {
		s, err := want.app.ConsoleSource(t.Context(), app.Console{}).Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Meshes) != 1 || s.Meshes[0].Peers != want.here || s.Meshes[0].There != want.there || s.Broker.Sessions != want.here {
			t.Errorf("got %+v and %d sessions, want %d here and %d there", s.Meshes, s.Broker.Sessions, want.here, want.there)
		}
		own := 0
		for _, node := range s.Nodes {
			if !node.Held || node.Lease.Before(s.At) {
				t.Errorf("the node %+v", node)
			}
			if node.Self && node.BusUp && node.ID == s.Broker.Node {
				own++
			}
		}
		if len(s.Nodes) != 2 || own != 1 || len(s.Broker.Warnings) > 0 {
			t.Errorf("nodes: %+v; warnings: %q", s.Nodes, s.Broker.Warnings)
		}
	}
}
