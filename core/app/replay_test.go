package app_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
)

// Whoever overhears a signed hello cannot use it: not in another session's
// name, and not from elsewhere.
func TestSignedHelloIsGoodOnce(t *testing.T) {
	tests := []struct {
		name     string
		vouched  bool // session_hello
		change   func(frame) frame
		from     string
		accepted bool
	}{
		{"the same session that comes back", false, nil, "", true},
		{"the same session that comes back by session_hello", true, nil, "", true},
		{"another session key", false, func(f frame) frame { return f.with("sessionPubkey", quote(freshKey())) }, "", false},
		{"no session key", false, func(f frame) frame { return f.without("sessionPubkey") }, "", false},
		{"another launch", false, func(f frame) frame { return f.with("sessionId", `"other"`) }, "", false},
		{"another host", false, func(f frame) frame { return f.with("hostname", `"other"`) }, "", false},
		{"another address", false, nil, "127.0.0.2", false},
		{"another launch, by session_hello", true, func(f frame) frame { return f.with("sessionId", `"other"`) }, "", false},
		{"another address, by session_hello", true, nil, "127.0.0.2", false},
		{"another launch, with the signature in capitals", false, func(f frame) frame {
			return f.with("sessionId", `"other"`).with("signature", strings.ToUpper(f.value("signature")))
		}, "", false},
	}
	r := newRig(t, nil)
	for _, tt := range tests {
		verb := map[bool]string{true: "takes", false: "refuses"}[tt.accepted]
		t.Run("it "+verb+" a hello again from "+tt.name, func(t *testing.T) {
			id := session(r.member("ada", store.RoleMember))
			hello := r.hello(id, time.Now())
			if tt.vouched {
				hello = r.vouched(id, time.Now())
			}
			r.greet(hello, socketOptions{}).cut()
			if tt.change != nil {
				hello = tt.change(hello)
			}
			s := open(t, r.url, socketOptions{from: tt.from})
			s.write(hello.String())
			if tt.accepted {
				s.wantFrame("hello_ack")
				return
			}
			s.wantError("replayed")
			s.wantClosed(1008, "replayed")
		})
	}
}

func freshKey() string {
	key, _ := identity.NewKeypair()
	return key.String()
}

// A session key is the member's that used it first, for good.
func TestSessionKeyBelongsToItsFirstMember(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	r := start(t, path, nil)
	r.newMesh()
	ada, eve := session(r.member("ada", store.RoleMember)), r.member("eve", store.RoleMember)
	thief := eve
	thief.SessionKey, thief.SessionID = ada.SessionKey, ada.SessionID
	refused := func(r *rig, when string, hello frame) {
		t.Run("it is refused to another "+when, func(t *testing.T) {
			s := open(t, r.url, socketOptions{})
			s.write(hello.String())
			s.wantError("session_key_taken")
			s.wantClosed(1008, "session_key_taken")
		})
	}

	own := r.greet(r.vouched(ada, time.Now()), socketOptions{})
	refused(r, "while it is here, by hello", r.hello(thief, time.Now()))
	refused(r, "while it is here, by session_hello", r.vouched(thief, time.Now()))
	own.settle() // and has not been replaced
	own.cut()
	refused(r, "in its grace time", r.hello(thief, time.Now()))
	own = r.greet(r.vouched(ada, time.Now()), socketOptions{})
	own.bye()
	r.wantLeft(0, 0)
	refused(r, "when it is over", r.hello(thief, time.Now()))
	r.stop()

	again := start(t, path, nil)
	again.mesh = r.mesh
	refused(again, "after a restart", again.hello(thief, time.Now()))
	again.greet(again.vouched(ada, time.Now()), socketOptions{})
}

// A hello that is refused leaves nothing behind, no claim to a key either: a
// signed hello does not cover the session key that it names.
func TestRefusedHelloClaimsNoSessionKey(t *testing.T) {
	r := newRig(t, nil)
	ada, bo := session(r.member("ada", store.RoleMember)), session(r.member("bo", store.RoleMember))
	overheard := r.hello(ada, time.Now())
	r.greet(overheard, socketOptions{})

	thief := open(t, r.url, socketOptions{from: "127.0.0.2"})
	thief.write(overheard.with("sessionPubkey", quote(bo.RoutingKey().String())).String())
	thief.wantError("replayed")

	s := open(t, r.url, socketOptions{})
	s.write(r.vouched(bo, time.Now()).String())
	s.wantFrame("hello_ack")
}
