package app_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

func TestRevocationClosesAllConnections(t *testing.T) {
	r := newRig(t, nil)
	w := r.watch()
	ada := r.member("ada", store.RoleMember)
	r.app.Forget(ada.MemberID) // knows nobody by heart
	first := r.dial(ada, dial.Options{})
	inGrace := session(ada)
	r.dial(inGrace, dial.Options{}).Abort()
	second := r.dial(session(ada), dial.Options{})
	r.wantHeard(w, "peer_joined ada", "peer_joined ada", "peer_joined ada")
	r.revoke(ada)
	for _, p := range []*dial.Peer{first, second} {
		var closed *dial.CloseError
		if !errors.As(r.ended(p), &closed) || closed.Code != 4002 || closed.Reason != "banned" {
			t.Errorf("got %v, want 4002 banned", p.Err())
		}
	}
	r.wantLeft(1, 1)
	r.wantHeard(w, "peer_joined ada", "peer_joined ada", "peer_joined ada", "peer_left ada", "peer_left ada", "peer_left ada")

	for _, hello := range []frame{r.hello(ada, time.Now()), r.vouched(inGrace, time.Now())} {
		s := open(t, r.url, socketOptions{})
		s.write(hello.String())
		s.wantError("revoked")
		s.wantClosed(4002, "banned")
	}
	bo := r.dial(session(r.member("bo", store.RoleMember)), dial.Options{})
	for _, key := range []sdk.Key{ada.RoutingKey(), inGrace.RoutingKey()} {
		if ack := r.send(bo, key.String(), sdk.PriorityNext, "x"); ack.Queued {
			t.Errorf("a message to the revoked key %v was taken", key)
		}
	}
}

// A revocation that comes while a hello is on its way wins, wherever the hello
// is at that moment.
func TestRevocationWinsAgainstAHello(t *testing.T) {
	tests := []struct {
		name string
		hold func(*hooked, *gate)
	}{
		{"that has just read the member", func(h *hooked, g *gate) { h.MemberFn = func(*store.Member) { g.pass() } }},
		{"that has just been let in", func(h *hooked, g *gate) { h.StateFn = func(string, string) { g.pass() } }},
	}
	for _, tt := range tests {
		t.Run("it wins against a hello "+tt.name, func(t *testing.T) {
			var g gate
			r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), nil, func(o *app.Options) {
				h := &hooked{Store: o.Store}
				tt.hold(h, &g)
				o.Store = h
			})
			t.Cleanup(g.open)
			r.newMesh()
			ada := r.member("ada", store.RoleMember)
			g.close()
			s := open(t, r.url, socketOptions{})
			s.write(r.hello(ada, time.Now()).String())
			eventually(t, "the hello to be on its way", func() bool { return g.held() > 0 })
			r.revoke(ada)
			g.open()
			if code, reason := s.closed(); code != 4002 {
				t.Errorf("the hello's connection: closed with %d %s, want 4002", code, reason)
			}
			r.wantLeft(0, 0)
			next := open(t, r.url, socketOptions{})
			next.write(r.hello(ada, time.Now()).String())
			next.wantError("revoked")
		})
	}
}
