package dial

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeConn is the broker's end of one connection, played by a test.
type fakeConn struct {
	t   *testing.T
	ctx context.Context
	ws  *websocket.Conn
}

// serve starts a broker that plays script on every connection, and returns its
// address. A script that returns cuts its connection.
func serve(t *testing.T, script func(*fakeConn)) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	var running sync.WaitGroup
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		ws.SetReadLimit(64 << 20)
		running.Add(1)
		defer running.Done()
		defer ws.CloseNow()
		script(&fakeConn{t, ctx, ws})
	}))
	t.Cleanup(func() {
		cancel()
		server.Close()
		running.Wait()
	})
	return "ws" + server.URL[len("http"):] + "/ws"
}

// next returns the next frame, or nil when there will be none.
func (c *fakeConn) next() []byte {
	_, frame, err := c.ws.Read(c.ctx)
	if err != nil {
		return nil
	}
	return frame
}

func (c *fakeConn) write(frame string) {
	_ = c.ws.Write(c.ctx, websocket.MessageText, []byte(frame)) // the peer may be gone
}

func (c *fakeConn) close(code websocket.StatusCode, reason string) { _ = c.ws.Close(code, reason) }

// welcome acknowledges a hello.
func (c *fakeConn) welcome() {
	c.write(`{"type":"hello_ack","presenceId":"p","memberDisplayName":"x"}`)
}

// greet reads a hello and acknowledges it.
func (c *fakeConn) greet() {
	c.next()
	c.welcome()
}

// drain reads until the peer closes, and answers its close.
func (c *fakeConn) drain() {
	for {
		if c.next() == nil {
			return
		}
	}
}

// expect reads a frame of one type.
func expect[T any](c *fakeConn, typ string) *T {
	c.t.Helper()
	frame := c.next()
	h, err := wire.Peek(frame)
	if err != nil || string(h.Type) != typ {
		c.t.Errorf("got frame %s (%v), want a %s", frame, err, typ)
		return new(T)
	}
	v, err := wire.Decode[T](frame)
	if err != nil {
		c.t.Errorf("%s: %v", frame, err)
		return new(T)
	}
	return v
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, secret := identity.NewKeypair()
	return secret
}

func newIdentity(t *testing.T) Identity {
	t.Helper()
	return Identity{MeshID: "mesh-1", MemberID: "member-1", Key: newKey(t), DisplayName: "ada"}
}

// connect dials and closes with the test.
func connect(t *testing.T, url string, id Identity, o Options) *Peer {
	t.Helper()
	p, err := Dial(t.Context(), url, id, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return p
}

// target is somebody to send to.
var target = sdk.Key{7}.String()
