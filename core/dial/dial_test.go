package dial

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

func TestDialSaysHello(t *testing.T) {
	id := newIdentity(t)
	id.Groups = []wire.Group{{Name: "ops", Role: "lead"}}
	url := serve(t, func(c *fakeConn) {
		h := expect[wire.Hello](c, "hello")
		proof := identity.HelloProof{MeshID: h.MeshID, MemberID: h.MemberID, Pubkey: h.Pubkey, TimestampToken: h.Timestamp, Signature: h.Signature}
		if r := identity.CheckHello(proof, time.Now()); !r.OK() {
			t.Errorf("the hello is refused: %s", r)
		}
		if h.MeshID != id.MeshID || h.MemberID != id.MemberID || h.DisplayName != "ada" || h.Cwd != "/" || h.Pid == 0 || h.SessionID == "" || h.SessionPubkey != "" {
			t.Errorf("got hello %+v", h)
		}
		if diff := cmp.Diff(id.Groups, h.Groups); diff != "" {
			t.Errorf("groups (-want +got):\n%s", diff)
		}
		c.write(`{"type":"hello_ack","presenceId":"p1","memberDisplayName":"ada"}`)
		c.drain()
	})
	p := connect(t, url, id, Options{})
	if got := p.HelloAck(); got.PresenceID != "p1" || got.MemberDisplayName != "ada" {
		t.Errorf("got hello_ack %+v", got)
	}
	if p.Key() != identity.PublicKey(id.Key) {
		t.Errorf("got key %s, want the member's", p.Key())
	}
	if err := p.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
}

func TestDialSaysSessionHello(t *testing.T) {
	id := newIdentity(t)
	id.SessionKey = newKey(t)
	url := serve(t, func(c *fakeConn) {
		h := expect[wire.SessionHello](c, "session_hello")
		a := h.ParentAttestation
		word := identity.AttestationProof{ParentPubkey: a.ParentMemberPubkey, SessionPubkey: a.SessionPubkey, ExpiresToken: a.ExpiresAt, Signature: a.Signature}
		if r := identity.CheckAttestation(word, time.Now()); !r.OK() {
			t.Errorf("the attestation is refused: %s", r)
		}
		proof := identity.SessionHelloProof{MeshID: h.MeshID, ParentPubkey: h.ParentMemberPubkey, SessionPubkey: h.SessionPubkey, TimestampToken: h.Timestamp, Signature: h.Signature}
		if r := identity.CheckSessionHello(proof, time.Now()); !r.OK() {
			t.Errorf("the session_hello is refused: %s", r)
		}
		if a.SessionPubkey != h.SessionPubkey || a.ParentMemberPubkey != h.ParentMemberPubkey || h.ParentMemberID != id.MemberID {
			t.Errorf("got session_hello %+v", h)
		}
		c.welcome()
		c.drain()
	})
	p := connect(t, url, id, Options{})
	if p.Key() != identity.PublicKey(id.SessionKey) {
		t.Errorf("got key %s, want the session's", p.Key())
	}
}

func TestDialNamesSessionInPlainHello(t *testing.T) {
	id := newIdentity(t)
	id.SessionKey = newKey(t)
	url := serve(t, func(c *fakeConn) {
		h := expect[wire.Hello](c, "hello")
		proof := identity.SessionProof{MeshID: h.MeshID, Pubkey: h.Pubkey, SessionPubkey: h.SessionPubkey, TimestampToken: h.Timestamp, Signature: h.SessionProof}
		if r := identity.CheckSessionProof(proof, time.Now()); !r.OK() {
			t.Errorf("the proof is refused: %s", r)
		}
		c.welcome()
		c.drain()
	})
	connect(t, url, id, Options{PlainHello: true})
}

func TestDialSendsGivenHello(t *testing.T) {
	url := serve(t, func(c *fakeConn) {
		if h := expect[wire.Hello](c, "hello"); h.Signature != "forged" {
			t.Errorf("got signature %q, want the forged one", h.Signature)
		}
		c.welcome()
		c.drain()
	})
	connect(t, url, newIdentity(t), Options{Hello: wire.Hello{Signature: "forged"}})
}

func TestDialRefused(t *testing.T) {
	url := serve(t, func(c *fakeConn) {
		c.next()
		c.write(`{"type":"error","code":"unauthorized","message":"not a member"}`)
		c.close(1008, "unauthorized")
	})
	_, err := Dial(t.Context(), url, newIdentity(t), Options{})
	end, ok := errors.AsType[*CloseError](err)
	if !ok {
		t.Fatalf("got %v, want a CloseError", err)
	}
	want := wire.Error{Code: sdk.ReasonUnauthorized, Message: "not a member"}
	if end.Code != wire.CodeRefused || end.Reason != "unauthorized" || end.Frame == nil || !cmp.Equal(*end.Frame, want) {
		t.Errorf("got %d %s %+v, want 1008 unauthorized %+v", end.Code, end.Reason, end.Frame, want)
	}
	if want := "hello: closed by the broker: 1008 unauthorized (not a member)"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestDialWithoutAnswer(t *testing.T) {
	url := serve(t, func(c *fakeConn) {
		c.next()
		c.write(`{"type":"push","messageId":"q1"}`) // anything but hello_ack
		c.drain()
	})
	t.Run("gives up after the timeout", func(t *testing.T) {
		_, err := Dial(t.Context(), url, newIdentity(t), Options{HelloTimeout: 10 * time.Millisecond})
		if err == nil || !strings.Contains(err.Error(), "no hello_ack within 10ms") {
			t.Errorf("got %v, want the timeout", err)
		}
	})
	t.Run("gives up with the context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		id := newIdentity(t)
		_, err := Dial(ctx, url, id, Options{OnPush: func(*Peer, *wire.Push) { cancel() }})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's end", err)
		}
	})
}

func TestDialWithoutBroker(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	for _, url := range []string{"ws" + web.URL[len("http"):] + "/ws", "ws://127.0.0.1:1/ws"} {
		if p, err := Dial(t.Context(), url, newIdentity(t), Options{}); err == nil {
			p.Abort()
			t.Errorf("%s: got a peer, want an error", url)
		}
	}
}
