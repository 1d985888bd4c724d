package dial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

func TestSendWritesAllFields(t *testing.T) {
	got := make(chan *wire.Send, 1)
	url := serve(t, func(c *fakeConn) {
		c.greet()
		m := expect[wire.Send](c, "send")
		got <- m
		c.write(`{"type":"ack","id":` + string(m.ID) + `,"messageId":"q1","queued":true}`)
		c.drain()
	})
	p := connect(t, url, newIdentity(t), Options{})
	o := SendOptions{ClientMessageID: "c1", Fingerprint: "f", ReplyToID: "r", Mentions: []string{"bo"}, BodyVersion: 2, Traceparent: "tp"}
	ack, err := p.Send(t.Context(), target, sdk.PriorityLow, "bg==", "Yw==", o)
	if err != nil {
		t.Fatal(err)
	}
	sent := <-got
	if want := (wire.Ack{ID: sent.ID, MessageID: "q1", Queued: true}); !cmp.Equal(ack, want) {
		t.Errorf("got ack %+v, want %+v", ack, want)
	}
	want := &wire.Send{
		ID: sent.ID, TargetSpec: target, Priority: sdk.PriorityLow, Nonce: "bg==", Ciphertext: "Yw==",
		ClientMessageID: "c1", RequestFingerprint: "f", ReplyToID: "r", Mentions: []string{"bo"}, BodyVersion: 2, Traceparent: "tp",
	}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSendFromManyGoroutines answers in reverse order: each sender must get the
// ack of its own message.
func TestSendFromManyGoroutines(t *testing.T) {
	const senders, each = 20, 25
	url := serve(t, func(c *fakeConn) {
		c.greet()
		for range each {
			var acks []string
			for range senders {
				m := expect[wire.Send](c, "send")
				acks = append(acks, `{"type":"ack","id":`+string(m.ID)+`,"messageId":"`+m.Ciphertext+`","queued":true}`)
			}
			for _, ack := range slices.Backward(acks) {
				c.write(ack)
			}
		}
		c.drain()
	})
	p := connect(t, url, newIdentity(t), Options{})
	var running sync.WaitGroup
	for s := range senders {
		running.Go(func() {
			for i := range each {
				body := fmt.Sprintf("m%d-%d", s, i)
				ack, err := p.Send(t.Context(), target, sdk.PriorityNow, "", body, SendOptions{})
				if err != nil || ack.MessageID != body {
					t.Errorf("got %+v, %v, want the ack of %s", ack, err, body)
				}
			}
		})
	}
	running.Wait()
	if n := len(p.calls.waiting); n != 0 {
		t.Errorf("%d calls are left", n)
	}
}

func TestSendAsyncCallsBackInOrder(t *testing.T) {
	const messages = 100
	url := serve(t, func(c *fakeConn) {
		c.greet()
		for range messages {
			m := expect[wire.Send](c, "send")
			c.write(`{"type":"ack","id":` + string(m.ID) + `,"messageId":"` + m.Ciphertext + `","queued":true}`)
		}
		c.drain()
	})
	p := connect(t, url, newIdentity(t), Options{})
	acks := make(chan string, messages)
	for i := range messages {
		err := p.SendAsync(target, sdk.PriorityNow, "", fmt.Sprint(i), SendOptions{}, func(ack wire.Ack, err error) {
			if err != nil {
				t.Error(err)
			}
			acks <- ack.MessageID
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range messages {
		if got, want := <-acks, fmt.Sprint(i); got != want {
			t.Fatalf("got ack of %s, want %s", got, want)
		}
	}
}

func TestSendRefused(t *testing.T) {
	answers := map[string]string{
		"ack":   `{"type":"ack","id":%s,"messageId":"","queued":false,"error":"rate_limit: wait"}`,
		"error": `{"type":"error","id":%s,"code":"invalid","message":"no"}`,
	}
	url := serve(t, func(c *fakeConn) {
		c.greet()
		for range answers {
			m := expect[wire.Send](c, "send")
			c.write(fmt.Sprintf(answers[m.Ciphertext], m.ID))
		}
		c.drain()
	})
	p := connect(t, url, newIdentity(t), Options{})
	ack, err := p.Send(t.Context(), target, sdk.PriorityNow, "", "ack", SendOptions{})
	if err != nil || ack.Queued || ack.Error != "rate_limit: wait" {
		t.Errorf("got %+v, %v, want a refusing ack", ack, err)
	}
	_, err = p.Send(t.Context(), target, sdk.PriorityNow, "", "error", SendOptions{})
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok || refused.Code != sdk.ReasonInvalid || err.Error() != "invalid: no" {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestSendGivesUpWithContext(t *testing.T) {
	others := make(chan string, 1)
	answer := make(chan struct{})
	url := serve(t, func(c *fakeConn) {
		c.greet()
		m := expect[wire.Send](c, "send")
		<-answer
		c.write(`{"type":"ack","id":` + string(m.ID) + `,"messageId":"late","queued":true}`)
		c.drain()
	})
	p := connect(t, url, newIdentity(t), Options{OnFrame: func(typ string, frame []byte) { others <- typ + " " + string(frame) }})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Send(ctx, target, sdk.PriorityNow, "", "", SendOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's end", err)
	}
	close(answer)
	if got := <-others; !strings.HasPrefix(got, "ack ") || !strings.Contains(got, "late") {
		t.Errorf("got %s, want the late ack", got)
	}
}

func TestRequest(t *testing.T) {
	url := serve(t, func(c *fakeConn) {
		c.greet()
		for {
			frame := c.next()
			if frame == nil {
				return
			}
			h, err := wire.Peek(frame)
			if err != nil {
				t.Errorf("%s: %v", frame, err)
			}
			id := string(h.ReqID)
			switch string(h.Type) {
			case "list_peers":
				c.write(`{"type":"peers_list","peers":[],"_reqId":` + id + `}`)
			case "set_visible":
				c.write(`{"type":"ack","id":` + id + `,"messageId":"","queued":false,"_reqId":` + id + `}`)
			case "message_status":
				c.write(`{"type":"error","code":"not_found","message":"no such message","_reqId":` + id + `}`)
			case "custom":
				c.write(`{"type":"custom_result","got":` + string(frame) + `,"_reqId":` + id + `}`)
			case "set_summary":
				if h.ReqID != nil {
					t.Errorf("%s has a _reqId", frame)
				}
			}
		}
	})
	p := connect(t, url, newIdentity(t), Options{})

	if err := p.Tell(wire.SetSummary{Summary: "x"}); err != nil {
		t.Errorf("tell: %v", err)
	}
	list, err := Ask[wire.PeersList](t.Context(), p, wire.ListPeers{})
	if err != nil || len(list.Peers) != 0 {
		t.Errorf("list_peers: got %+v, %v", list, err)
	}
	if _, err := Ask[wire.Ack](t.Context(), p, wire.SetVisible{}); err != nil {
		t.Errorf("set_visible: %v", err)
	}
	_, err = p.Request(t.Context(), wire.MessageStatus{MessageID: "q1"})
	if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Code != sdk.ReasonNotFound {
		t.Errorf("message_status: got %v, want not_found", err)
	}
	reply, err := p.Request(t.Context(), map[string]any{"type": "custom", "x": 1})
	if err != nil || !strings.Contains(string(reply), `"x":1`) {
		t.Errorf("custom: got %s, %v", reply, err)
	}
	for _, bad := range []any{5, map[string]any{}, func() {}, wire.AuditEntry{Payload: jsontext.Value("{")}} {
		if _, err := p.Request(t.Context(), bad); err == nil {
			t.Errorf("%T: got no error", bad)
		}
		if err := p.Tell(bad); err == nil {
			t.Errorf("tell %T: got no error", bad)
		}
	}
	if n := len(p.calls.waiting); n != 0 {
		t.Errorf("%d calls are left", n)
	}
}

func TestRequestGivesUpWithContext(t *testing.T) {
	url := serve(t, func(c *fakeConn) {
		c.greet()
		c.drain()
	})
	p := connect(t, url, newIdentity(t), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Request(ctx, wire.ListPeers{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's end", err)
	}
}

func TestWriteSendsBytesAsTheyAre(t *testing.T) {
	got := make(chan string, 1)
	url := serve(t, func(c *fakeConn) {
		c.greet()
		got <- string(c.next())
		c.drain()
	})
	p := connect(t, url, newIdentity(t), Options{})
	if err := p.Write([]byte("{no")); err != nil {
		t.Fatal(err)
	}
	if got := <-got; got != "{no" {
		t.Errorf("got %s, want {no", got)
	}
}
