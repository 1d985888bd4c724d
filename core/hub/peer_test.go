package hub

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/claudemesh/broker/core/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a hub that echoes frames, on a real port.
func serve(t *testing.T, o Options) (h *Hub, url string) {
	t.Helper()
	h = New(o, slog.New(slog.DiscardHandler))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := h.Accept(w, r, false)
		if err != nil {
			return
		}
		go p.Run(func(frame []byte) {
			p.Bind(func(uint64) {})
			p.Send(frame)
		}, func() { p.Close(wire.CodeRefused, "hello_timeout") })
	}))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		h.Close(ctx, wire.CloseShuttingDown)
		srv.Close()
	})
	return h, "ws" + strings.TrimPrefix(srv.URL, "http")
}

func limits() Options {
	return Options{
		HelloFrameBytes: 1 << 10, FrameBytes: 1 << 20, OutboxBytes: 1 << 20,
		PingEvery: time.Minute, DeadAfter: time.Minute, HelloTimeout: time.Minute,
	}
}

func dial(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	c.SetReadLimit(1 << 21)
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

func echo(t *testing.T, c *websocket.Conn, frame string) error {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		return err
	}
	_, got, err := c.Read(t.Context())
	if err == nil && string(got) != frame {
		t.Errorf("echo of %d bytes: got %d bytes", len(frame), len(got))
	}
	return err
}

func TestFramesAreSmallUntilTheHello(t *testing.T) {
	_, url := serve(t, limits())
	c := dial(t, url)
	if err := echo(t, c, "hello"); err != nil {
		t.Fatalf("first frame: %v", err)
	}
	if err := echo(t, c, strings.Repeat("x", 1<<20)); err != nil {
		t.Errorf("a large frame after the hello: %v, want its echo", err)
	}
	err := echo(t, dial(t, url), strings.Repeat("x", 1<<11))
	if got := websocket.CloseStatus(err); got != websocket.StatusMessageTooBig {
		t.Errorf("a large frame before the hello: got %v, want a close with 1009", err)
	}
}

func TestAHelloMustComeInTime(t *testing.T) {
	o := limits()
	o.HelloTimeout = 20 * time.Millisecond
	_, url := serve(t, o)
	c := dial(t, url)
	_, _, err := c.Read(t.Context())
	if got := websocket.CloseStatus(err); got != websocket.StatusPolicyViolation {
		t.Errorf("got %v, want a close with 1008", err)
	}
}

func TestConnectionsOfOneAddressAreLimited(t *testing.T) {
	o := limits()
	o.PerAddress = 2
	h, url := serve(t, o)
	first := dial(t, url)
	dial(t, url)
	_, resp, err := websocket.Dial(t.Context(), url, nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusTooManyRequests {
		t.Fatalf("third connection: got %v, %v, want status 429", resp, err)
	}
	if err := first.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatalf("close: %v", err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for h.Count() > 1 {
		if time.Now().After(deadline) {
			t.Fatal("the closed connection is still counted")
		}
		time.Sleep(time.Millisecond)
	}
	if err := echo(t, dial(t, url), "again"); err != nil {
		t.Errorf("after one closed: %v, want its place", err)
	}
}

func TestCloseTellsEveryPeerAndWaits(t *testing.T) {
	h, url := serve(t, limits())
	c := dial(t, url)
	if err := echo(t, c, "hello"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, _, err := c.Read(context.Background())
		ended <- err
	}()
	h.Close(t.Context(), wire.CloseShuttingDown)
	if got := websocket.CloseStatus(<-ended); got != websocket.StatusGoingAway {
		t.Errorf("got close %v, want 1001", got)
	}
	if n := h.Count(); n != 0 {
		t.Errorf("%d peers left, want none", n)
	}
}
