package app_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// row is what a peer list says about a session, as far as it is restored.
type row struct {
	Status, Summary, Title string
	Groups                 []wire.Group
	Visible                bool
}

// rowOf asks a peer for its own row.
func (r *rig) rowOf(p *dial.Peer) row {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	list, err := dial.Ask[wire.PeersList](ctx, p, wire.ListPeers{})
	if err != nil {
		r.t.Fatalf("list peers: %v", err)
	}
	for _, peer := range list.Peers {
		if peer.Pubkey != p.Key() {
			continue
		}
		got := row{Status: peer.Status, Groups: peer.Groups, Visible: peer.Visible == nil || *peer.Visible}
		if peer.Summary != nil {
			got.Summary = *peer.Summary
		}
		if peer.Profile.Title != nil {
			got.Title = *peer.Profile.Title
		}
		return got
	}
	r.t.Fatalf("%v is not in its own list", p.Key())
	return row{}
}

// settleIn lets a peer say everything that can come back.
func (r *rig) settleIn(p *dial.Peer) {
	r.t.Helper()
	for _, f := range []wire.Frame{
		wire.JoinGroup{Name: "dev/web", Role: "lead"}, wire.SetSummary{Summary: "writes tests"},
		wire.SetStatus{Status: "dnd"}, wire.SetStats{Stats: wire.Stats{MessagesIn: new(4.0), ToolCalls: new(2.0)}},
	} {
		if err := p.Tell(f); err != nil {
			r.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, f := range []wire.Frame{wire.SetProfile{Title: wire.Set("tester")}, wire.SetVisible{Visible: false}} {
		if _, err := p.Request(ctx, f); err != nil {
			r.t.Fatal(err)
		}
	}
}

func TestWhatASessionLeftComesBack(t *testing.T) {
	all := row{Status: "dnd", Summary: "writes tests", Title: "tester", Groups: []wire.Group{{Name: "dev/web", Role: "lead"}}}
	none := row{Status: "idle", Groups: []wire.Group{}, Visible: true}
	same := func(id dial.Identity) dial.Identity { return id }
	relaunched := func(id dial.Identity) dial.Identity { return session(id) }
	keyless := func(id dial.Identity) dial.Identity { id.SessionKey = nil; return id }
	tests := []struct {
		name     string
		plain    bool
		again    func(dial.Identity) dial.Identity
		want     row
		restored bool // as told by the hello_ack
	}{
		{"to the same session, by hello", true, same, all, true},
		{"to another session of the member, by hello", true, relaunched, all, true},
		{"to a member without a session key", true, keyless, all, true},
		{"to the same session, by session_hello", false, same, all, false},
		{"to no other session, by session_hello", false, relaunched, none, false},
	}
	ends := []struct {
		name string
		end  func(*rig, *dial.Peer) *rig // returns the broker that serves then
	}{
		{"after a goodbye", func(r *rig, p *dial.Peer) *rig {
			if err := p.Close(); err != nil {
				r.t.Fatal(err)
			}
			r.wantLeft(0, 0)
			return r
		}},
		{"after its grace time", func(r *rig, p *dial.Peer) *rig {
			p.Abort()
			r.wantLeft(0, 0)
			return r
		}},
		{"after a restart", func(r *rig, _ *dial.Peer) *rig {
			r.stop()
			again := start(r.t, r.file, nil)
			again.mesh = r.mesh
			return again
		}},
	}
	for _, end := range ends {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("it comes back %s, %s", tt.name, end.name), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, grace(50*time.Millisecond))
				id := session(r.member("ada", store.RoleMember))
				p := r.dial(id, dial.Options{PlainHello: tt.plain})
				r.settleIn(p)
				before := time.Now().Add(-time.Second)
				r = end.end(r, p)
				again := r.dial(tt.again(id), dial.Options{PlainHello: tt.plain})
				if diff := cmp.Diff(tt.want, r.rowOf(again)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				wantRestored(t, again.HelloAck(), tt.restored, before)
			})
		}
	}
}

// wantRestored checks what a hello_ack tells of what was restored.
func wantRestored(t *testing.T, ack wire.HelloAck, restored bool, since time.Time) {
	t.Helper()
	if !restored {
		if ack.Restored || ack.RestoredStats != nil || ack.RestoredGroups != nil || !ack.LastSeenAt.IsZero() || ack.LastSummary != "" {
			t.Errorf("hello_ack: got %+v, want it to tell of nothing restored", ack)
		}
		return
	}
	want := wire.HelloAck{
		Restored: true, LastSummary: "writes tests", RestoredStats: &wire.Totals{MessagesIn: 4, ToolCalls: 2},
		RestoredGroups: []wire.Group{{Name: "dev/web", Role: "lead"}},
	}
	got := wire.HelloAck{Restored: ack.Restored, LastSummary: ack.LastSummary, RestoredStats: ack.RestoredStats, RestoredGroups: ack.RestoredGroups}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hello_ack (-want +got):\n%s", diff)
	}
	if ack.LastSeenAt.Before(since) || ack.LastSeenAt.After(time.Now()) {
		t.Errorf("lastSeenAt: got %v, want the time of its end", ack.LastSeenAt)
	}
}

// Groups that a hello names are the session's, whatever was saved.
func TestNamedGroupsComeBeforeSavedOnes(t *testing.T) {
	r := newRig(t, nil)
	id := session(r.member("ada", store.RoleMember))
	first := r.dial(id, dial.Options{PlainHello: true})
	r.settleIn(first)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	r.wantLeft(0, 0)
	id.Groups = []wire.Group{{Name: "ops"}}
	again := r.dial(id, dial.Options{PlainHello: true})
	if got := r.rowOf(again).Groups; !cmp.Equal(got, id.Groups) {
		t.Errorf("groups: got %v, want %v", got, id.Groups)
	}
	if got := again.HelloAck().RestoredGroups; got != nil {
		t.Errorf("restoredGroups: got %v, want none", got)
	}
}

// A client loads restoredStats into its own counters and reports those totals.
func TestRestoredStatsDoNotDouble(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	r := start(t, path, nil)
	r.newMesh()
	member := r.member("ada", store.RoleMember)
	want := wire.Totals{MessagesIn: 1, MessagesOut: 2, ToolCalls: 3, Errors: 4}
	for n := range 5 {
		p := r.dial(session(member), dial.Options{PlainHello: true})
		totals := p.HelloAck().RestoredStats
		if n == 0 {
			totals = &want
		}
		if *totals != want {
			t.Fatalf("session %d: got %+v, want %+v", n, *totals, want)
		}
		stats := wire.Stats{
			MessagesIn: &totals.MessagesIn, MessagesOut: &totals.MessagesOut, ToolCalls: &totals.ToolCalls,
			Errors: &totals.Errors, Uptime: new(60.0),
		}
		if err := p.Tell(wire.SetStats{Stats: stats}); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		r.wantLeft(0, 0)
		if n == 2 {
			r.stop()
			again := start(t, path, nil)
			again.mesh = r.mesh
			r = again
		}
	}
}

// Who was here before returns; who was not, joins.
func TestReturningIsToldApartFromJoining(t *testing.T) {
	r := newRig(t, nil)
	w := r.watch()
	ada := r.member("ada", store.RoleMember)
	if err := r.dial(ada, dial.Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	r.wantHeard(w, "peer_joined ada", "peer_left ada")
	r.dial(ada, dial.Options{})
	r.wantHeard(w, "peer_joined ada", "peer_left ada", "peer_returned ada")
}
