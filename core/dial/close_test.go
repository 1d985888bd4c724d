package dial

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// isClose reports whether err is the broker's close with a code and a reason.
func isClose(err error, code wire.CloseCode, reason string) bool {
	end, ok := errors.AsType[*CloseError](err)
	return ok && end.Code == code && end.Reason == reason
}

func TestBrokerCloses(t *testing.T) {
	url := serve(t, func(c *fakeConn) {
		c.greet()
		c.next()
		c.next()
		c.write(`{"type":"error","code":"revoked","message":"ask the owner"}`)
		c.close(websocket.StatusCode(wire.CodeBanned), "banned")
	})
	p := connect(t, url, newIdentity(t), Options{})
	if err := p.Err(); err != nil {
		t.Errorf("got %v from a live peer", err)
	}
	failed := make(chan error, 1)
	if err := p.SendAsync(target, sdk.PriorityNow, "", "", SendOptions{}, func(_ wire.Ack, err error) { failed <- err }); err != nil {
		t.Fatal(err)
	}
	_, err := p.Request(t.Context(), wire.ListPeers{})
	later := p.Tell(wire.ListPeers{})
	_, send := p.Send(t.Context(), target, sdk.PriorityNow, "", "", SendOptions{})
	<-p.Done()
	for name, err := range map[string]error{"waiting send": <-failed, "waiting request": err, "later request": later, "later send": send, "Err": p.Err()} {
		if !isClose(err, wire.CodeBanned, "banned") || !strings.HasSuffix(err.Error(), "4002 banned (ask the owner)") {
			t.Errorf("%s: got %v, want 4002 banned", name, err)
		}
	}
}

func TestBrokerVanishes(t *testing.T) {
	url := serve(t, func(c *fakeConn) {
		c.greet()
		c.next()
	})
	p := connect(t, url, newIdentity(t), Options{})
	_, err := p.Send(t.Context(), target, sdk.PriorityNow, "", "", SendOptions{})
	if !isClose(err, codeAbnormal, "") || !strings.HasPrefix(err.Error(), "connection lost: ") {
		t.Errorf("got %v, want a lost connection", err)
	}
}

func TestCloseIsPolite(t *testing.T) {
	code := make(chan websocket.StatusCode, 1)
	url := serve(t, func(c *fakeConn) {
		c.greet()
		if frame := c.next(); !strings.Contains(string(frame), "send") {
			t.Errorf("got %s, want what was written before the close", frame)
		}
		_, _, err := c.ws.Read(c.ctx)
		code <- websocket.CloseStatus(err)
	})
	p := connect(t, url, newIdentity(t), Options{})
	failed := make(chan error, 1)
	if err := p.SendAsync(target, sdk.PriorityNow, "", "", SendOptions{}, func(_ wire.Ack, err error) { failed <- err }); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if got := <-code; got != websocket.StatusNormalClosure {
		t.Errorf("the broker saw %d, want 1000", got)
	}
	if err := p.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	p.Abort()
	_, later := p.Send(t.Context(), target, sdk.PriorityNow, "", "", SendOptions{})
	_, request := p.Request(t.Context(), wire.ListPeers{})
	_, recv := p.Recv(t.Context())
	for name, err := range map[string]error{"waiting send": <-failed, "later send": later, "request": request, "tell": p.Tell(wire.ListPeers{}), "recv": recv, "Err": p.Err()} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: got %v, want ErrClosed", name, err)
		}
	}
}

func TestAbortCuts(t *testing.T) {
	code := make(chan websocket.StatusCode, 1)
	url := serve(t, func(c *fakeConn) {
		c.greet()
		_, _, err := c.ws.Read(c.ctx)
		code <- websocket.CloseStatus(err)
	})
	p := connect(t, url, newIdentity(t), Options{})
	p.Abort()
	if got := <-code; got != -1 {
		t.Errorf("the broker saw a close with %d, want none", got)
	}
	if !errors.Is(p.Err(), ErrClosed) {
		t.Errorf("got %v, want ErrClosed", p.Err())
	}
}

// TestWriteThatStalls writes to a broker that does not read, until the network
// takes no more.
func TestWriteThatStalls(t *testing.T) {
	stop := make(chan struct{})
	url := serve(t, func(c *fakeConn) {
		c.greet()
		<-stop
	})
	p := connect(t, url, newIdentity(t), Options{WriteTimeout: 50 * time.Millisecond})
	defer close(stop)
	_, err := p.Send(t.Context(), target, sdk.PriorityNow, "", strings.Repeat("x", 32<<20), SendOptions{})
	if !isClose(err, codeAbnormal, "") {
		t.Errorf("got %v, want a lost connection", err)
	}
}

func TestReadsLargeFrames(t *testing.T) {
	body := strings.Repeat("x", 2<<20)
	url := serve(t, func(c *fakeConn) {
		c.greet()
		c.write(`{"type":"push","messageId":"q1","ciphertext":"` + body + `"}`)
		c.drain()
	})
	p := connect(t, url, newIdentity(t), Options{})
	push, err := p.Recv(t.Context())
	if err != nil || push.Ciphertext != body {
		t.Errorf("got %v, want 2 MiB", err)
	}
}
