package dial

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

const someone = "aa00000000000000000000000000000000000000000000000000000000000001"

func pushFrame(id, sender string) string {
	return `{"type":"push","messageId":"` + id + `","meshId":"m","senderPubkey":"` + sender +
		`","priority":"now","nonce":"","ciphertext":"","createdAt":"2026-06-14T10:00:00.005Z"}`
}

// TestPushesAreConfirmed sends pushes before and after the hello_ack. All must
// arrive in order, and each be confirmed, but for news from the broker.
func TestPushesAreConfirmed(t *testing.T) {
	const pushes = 50
	receipts := make(chan *wire.ClientAck, pushes)
	url := serve(t, func(c *fakeConn) {
		c.next()
		for i := range pushes {
			if i == pushes/2 {
				c.welcome()
				c.write(pushFrame("news", "system"))
			}
			c.write(pushFrame(fmt.Sprint(i), someone))
		}
		for range pushes {
			receipts <- expect[wire.ClientAck](c, "client_ack")
		}
		c.drain()
	})
	got := make(chan string, pushes+1)
	connect(t, url, newIdentity(t), Options{ConfirmPushes: true, OnPush: func(_ *Peer, push *wire.Push) {
		got <- push.MessageID
	}})
	for i := range pushes {
		id := <-got
		if id == "news" {
			id = <-got
		}
		if want := fmt.Sprint(i); id != want {
			t.Fatalf("got push %s, want %s", id, want)
		}
		want := &wire.ClientAck{ClientMessageID: id, BrokerMessageID: id}
		if diff := cmp.Diff(want, <-receipts); diff != "" {
			t.Errorf("receipt (-want +got):\n%s", diff)
		}
	}
}

func TestRecv(t *testing.T) {
	receipt := make(chan *wire.ClientAck, 1)
	url := serve(t, func(c *fakeConn) {
		c.greet()
		c.write(pushFrame("news", "system"))
		c.write(strings.Replace(pushFrame("q1", someone), `"meshId"`, `"client_message_id":"c1","meshId"`, 1))
		receipt <- expect[wire.ClientAck](c, "client_ack")
		c.write(pushFrame("q2", someone))
		c.write(pushFrame("q3", someone))
		c.close(4001, "kicked")
	})
	p := connect(t, url, newIdentity(t), Options{ConfirmPushes: true})
	push, err := p.RecvMessage(t.Context())
	if err != nil || push.MessageID != "q1" || push.SenderPubkey.String() != someone {
		t.Fatalf("got %+v, %v, want q1", push, err)
	}
	want := &wire.ClientAck{ClientMessageID: "c1", BrokerMessageID: "q1"}
	if diff := cmp.Diff(want, <-receipt); diff != "" {
		t.Errorf("receipt (-want +got):\n%s", diff)
	}
	<-p.Done()
	for _, want := range []string{"q2", "q3"} {
		push, err := p.Recv(t.Context())
		if err != nil || push.MessageID != want {
			t.Fatalf("got %+v, %v, want %s, which came before the end", push, err, want)
		}
	}
	if _, err := p.Recv(t.Context()); !isClose(err, wire.CodeKicked, "kicked") {
		t.Errorf("got %v, want the close", err)
	}
}

func TestRecvGivesUpWithContext(t *testing.T) {
	url := serve(t, func(c *fakeConn) {
		c.greet()
		c.drain()
	})
	p := connect(t, url, newIdentity(t), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Recv(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's end", err)
	}
}

// TestOnFrame gets what nobody waits for, and survives what is no frame.
func TestOnFrame(t *testing.T) {
	frames := []string{
		`{"type":"clock_status","tick":1}`,
		`{"type":"error","code":"no_hello","message":"say hello"}`,
		`{"type":"error","code":5}`,
		`{"type":"push","priority":5}`,
		`{"type":"hello_ack"}`,
		`{"type":"ack","id":"99","queued":true}`,
		`{"type":"peers_list","_reqId":"99"}`,
		`{"type":"peers_list","_reqId":"x"}`,
		`{}`,
		`no frame`,
	}
	url := serve(t, func(c *fakeConn) {
		c.greet()
		for _, f := range frames {
			c.write(f)
		}
		c.drain()
	})
	got := make(chan string, len(frames))
	connect(t, url, newIdentity(t), Options{OnFrame: func(_ string, frame []byte) { got <- string(frame) }})
	for _, want := range frames {
		if got := <-got; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestSealing(t *testing.T) {
	url := serve(t, func(c *fakeConn) {
		c.greet()
		c.drain()
	})
	ada, bo := newIdentity(t), newIdentity(t)
	ada.SessionKey, bo.SessionKey = newKey(t), newKey(t)
	a, b := connect(t, url, ada, Options{}), connect(t, url, bo, Options{})
	push := func(nonce, ciphertext string) *wire.Push {
		return &wire.Push{SenderPubkey: wire.OriginOf(a.Key()), Nonce: nonce, Ciphertext: ciphertext}
	}
	for name, to := range map[string]sdk.Key{"the session": b.Key(), "the member": identity.PublicKey(bo.Key)} {
		nonce, ciphertext, err := a.SealDirect(to, "hello bö")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := b.OpenDirect(push(nonce, ciphertext)); err != nil || got != "hello bö" {
			t.Errorf("sealed for %s: got %q, %v", name, got, err)
		}
		if got, err := a.OpenDirect(push(nonce, ciphertext)); err == nil {
			t.Errorf("sealed for %s: somebody else reads %q", name, got)
		}
	}
	if got, err := b.Open(push(Plain("hello all"))); err != nil || got != "hello all" {
		t.Errorf("plain: got %q, %v", got, err)
	}
	if got, err := b.Open(push("", "not base64")); err == nil {
		t.Errorf("neither: got %q, want an error", got)
	}
}

func TestSendText(t *testing.T) {
	bo := newIdentity(t)
	text := make(chan string, 1)
	ada := newIdentity(t)
	url := serve(t, func(c *fakeConn) {
		c.greet()
		m := expect[wire.Send](c, "send")
		opened, err := identity.OpenFrom(bo.Key, identity.PublicKey(ada.Key), m.Nonce, m.Ciphertext)
		if err != nil || m.TargetSpec != bo.RoutingKey().String() {
			t.Errorf("got %+v, %v", m, err)
		}
		text <- string(opened)
		c.write(`{"type":"ack","id":` + string(m.ID) + `,"messageId":"q1","queued":true}`)
		c.drain()
	})
	p := connect(t, url, ada, Options{})
	ack, err := p.SendText(t.Context(), bo.RoutingKey(), sdk.PriorityNow, "hi", SendOptions{})
	if err != nil || !ack.Queued || <-text != "hi" {
		t.Errorf("got %+v, %v", ack, err)
	}
	if _, err := p.SendText(t.Context(), sdk.Key{1}, sdk.PriorityNow, "hi", SendOptions{}); err == nil {
		t.Error("got no error for a key that nobody can own")
	}
}
