package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// grace sets how long a session outlives its connection.
func grace(d time.Duration) func(*config.Config) {
	return func(c *config.Config) { c.Presence.Grace = d }
}

// witness is a peer that writes down what it hears of others.
type witness struct {
	mu    sync.Mutex
	heard []string
}

// watch connects a peer of a member of its own.
func (r *rig) watch() *witness {
	r.t.Helper()
	w := new(witness)
	p := r.dial(r.member("witness", store.RoleMember), dial.Options{OnPush: func(_ *dial.Peer, p *wire.Push) {
		if p.Event == "" {
			return
		}
		var about struct{ Name string }
		_ = json.Unmarshal(p.EventData, &about)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.heard = append(w.heard, p.Event+" "+about.Name)
	}})
	r.rowOf(p) // it hears events from the answer on
	return w
}

// wantHeard waits until the witness has heard of so many events, and checks all.
func (r *rig) wantHeard(w *witness, want ...string) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("the witness to hear %q", want), func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.heard) >= len(want)
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := fmt.Sprint(w.heard); got != fmt.Sprint(want) {
		r.t.Errorf("the witness heard %q, want %q", w.heard, want)
	}
}

// online counts the sessions of the mesh that have a connection.
func (r *rig) online() int {
	n := 0
	for _, v := range r.app.Views(r.mesh.ID) {
		if v.Online {
			n++
		}
	}
	return n
}

func (r *rig) wantOnline(n int) {
	r.t.Helper()
	eventually(r.t, fmt.Sprint(n, " sessions to be online"), func() bool { return r.online() == n })
}

// named gives an identity a display name.
func named(id dial.Identity, name string) dial.Identity {
	id.DisplayName = name
	return id
}

func TestSessionThatComesBackInItsGraceTimeWasNeverAway(t *testing.T) {
	r := newRig(t, nil)
	w := r.watch()
	ada := session(r.member("ada", store.RoleMember))
	first := r.dial(ada, dial.Options{})
	r.wantHeard(w, "peer_joined ada")
	for range 3 {
		first.Abort()
		r.wantOnline(1)
		if n := r.app.Sessions(); n != 2 {
			t.Fatalf("in its grace time there are %d sessions, want 2", n)
		}
		again := r.dial(ada, dial.Options{})
		if again.HelloAck().PresenceID != first.HelloAck().PresenceID {
			t.Errorf("presence: got %s, want %s as before", again.HelloAck().PresenceID, first.HelloAck().PresenceID)
		}
		if p := again.HelloAck().MemberProfile; p != nil {
			t.Errorf("the hello_ack of a session that comes back has a profile: %+v", p)
		}
		first = again
	}
	// Behind these events nothing can be on its way.
	r.dial(session(r.member("bo", store.RoleMember)), dial.Options{})
	r.wantHeard(w, "peer_joined ada", "peer_joined bo")
}

func TestSessionLeavesOnceWhenItsGraceTimeIsOver(t *testing.T) {
	r := newRig(t, grace(100*time.Millisecond))
	w := r.watch()
	ada := session(r.member("ada", store.RoleMember))
	r.dial(ada, dial.Options{}).Abort()
	r.wantHeard(w, "peer_joined ada", "peer_left ada")
	r.wantLeft(1, 1)
	// It is a new session now; its member's other sessions do not count.
	r.dial(session(ada), dial.Options{PlainHello: true}).Abort()
	r.wantHeard(w, "peer_joined ada", "peer_left ada", "peer_returned ada", "peer_left ada")
	r.wantLeft(1, 1)
}

// The end of a session is told without a lock, so that it may be told when the
// session is back already. It must not be the last that others hear of it.
func TestEndThatIsToldLateIsNotTheLastWord(t *testing.T) {
	r := newRig(t, nil)
	w := r.watch()
	ada := session(r.member("ada", store.RoleMember))
	r.dial(ada, dial.Options{})
	r.wantHeard(w, "peer_joined ada")
	tell := r.app.EndUntold(r.mesh.ID, ada.RoutingKey())
	r.dial(ada, dial.Options{})
	r.wantHeard(w, "peer_joined ada", "peer_joined ada")
	tell()
	r.dial(session(r.member("bo", store.RoleMember)), dial.Options{})
	r.wantHeard(w, "peer_joined ada", "peer_joined ada", "peer_joined bo")
}

func TestGoodbyeEndsASessionAtOnce(t *testing.T) {
	r := newRig(t, nil)
	w := r.watch()
	if err := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	r.wantHeard(w, "peer_joined ada", "peer_left ada")
	r.wantLeft(1, 1)
}

func TestNewerConnectionReplacesTheOlder(t *testing.T) {
	tests := []struct {
		name  string
		plain bool
		id    func(*rig) dial.Identity
	}{
		{"of a session key", false, func(r *rig) dial.Identity { return session(r.member("ada", store.RoleMember)) }},
		{"of a session key, by hello", true, func(r *rig) dial.Identity { return session(r.member("ada", store.RoleMember)) }},
		{"of a daemon", true, func(r *rig) dial.Identity { return daemon(r.member("ada", store.RoleMember), "host-1") }},
	}
	for _, tt := range tests {
		t.Run("it replaces the connection "+tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			w := r.watch()
			id := tt.id(r)
			older := r.dial(id, dial.Options{PlainHello: tt.plain})
			newer := r.dial(id, dial.Options{PlainHello: tt.plain})
			var closed *dial.CloseError
			if err := r.ended(older); !errors.As(err, &closed) || closed.Code != 1000 || closed.Reason != "session_replaced" {
				t.Errorf("the older connection ended with %v, want 1000 session_replaced", err)
			}
			r.wantLeft(2, 2)
			bo := r.dial(session(r.member("bo", store.RoleMember)), dial.Options{})
			r.send(bo, newer.Key().String(), sdk.PriorityNow, "hello")
			r.wantText(newer, "hello")
			r.wantHeard(w, "peer_joined ada", "peer_joined bo")
		})
	}
}

// daemon is an identity as the daemon of a host has it.
func daemon(id dial.Identity, host string) dial.Identity {
	id.SessionID, id.Channel, id.Hostname = "daemon-1", "claudemesh-daemon", host
	return id
}

// Launch ids are public, and repeat: they alone evict nobody.
func TestLaunchIDsEvictNobodyElse(t *testing.T) {
	r := newRig(t, nil)
	member, other := r.member("ada", store.RoleMember), r.member("eve", store.RoleMember)
	launched := session(member)
	oneShot := session(member)
	oneShot.SessionID = launched.SessionID
	thief := session(other)
	thief.SessionID = launched.SessionID
	var peers []*dial.Peer
	for _, id := range []dial.Identity{
		launched, daemon(member, "host-1"), daemon(member, "host-2"), daemon(other, "host-1"), thief,
	} {
		peers = append(peers, r.dial(id, dial.Options{}))
	}
	peers = append(peers, r.dial(oneShot, dial.Options{PlainHello: true}))
	for i, p := range peers {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if _, err := p.Request(ctx, wire.ListPeers{}); err != nil {
			t.Errorf("connection %d was evicted: %v", i, err)
		}
		cancel()
	}
	if n := r.online(); n != len(peers) {
		t.Errorf("got %d sessions, want %d", n, len(peers))
	}
}

// Many connections of one session at the same time: one wins, and that one gets
// what is sent.
func TestConnectionsOfOneSessionRace(t *testing.T) {
	r := newRig(t, nil)
	bo := r.dial(session(r.member("bo", store.RoleMember)), dial.Options{})
	for round := range 20 {
		ada := session(r.member("ada", store.RoleMember))
		got := make(chan string, 64)
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				p, err := dial.Dial(ctx, r.url, ada, dial.Options{ConfirmPushes: true, OnPush: func(_ *dial.Peer, p *wire.Push) {
					if p.Event == "" {
						got <- p.Ciphertext
					}
				}})
				if err == nil {
					t.Cleanup(p.Abort)
				}
			})
		}
		wg.Wait()
		want := text(round)
		r.send(bo, ada.RoutingKey().String(), sdk.PriorityNext, want)
		select {
		case text := <-got:
			if text != want {
				t.Fatalf("got %q, want %q", text, want)
			}
		case <-time.After(patience):
			t.Fatalf("round %d: the session is online and gets nothing", round)
		}
	}
}
