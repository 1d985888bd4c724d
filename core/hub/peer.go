package hub

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/claudemesh/broker/core/wire"
)

// NoCode is what Run returns when the peer said nothing: its connection broke,
// or we ended it.
const NoCode wire.CloseCode = 0

const (
	// readBuffer holds frame headers and small frames; larger payloads bypass it.
	readBuffer = 1 << 10

	// controlBuffer fits the largest control frame, so that the library writes
	// each with one call (see Outbox).
	controlBuffer = 160
)

// Peer is one live WebSocket connection. One session may hold several, for a
// moment, while it reconnects.
type Peer struct {
	// Set by Accept, never changed.
	id     uint64 // unique in this process
	hub    *Hub
	conn   *websocket.Conn
	out    *Outbox
	remote string
	done   chan struct{} // closed when Run has returned

	// Owned by whoever answers the hello.
	bound      atomic.Bool // a session is bound to this peer
	helloTimer *time.Timer

	// Set by the reader, read by the watchdog. Unix nanoseconds.
	lastSeen atomic.Int64

	closeOnce sync.Once
	closing   atomic.Bool // we ended the connection, not the peer
	onPong    atomic.Pointer[func(confirmed uint64)]
}

// Accept upgrades an HTTP request. The caller must then call [Peer.Run] from a
// goroutine that outlives the HTTP handler: when the handler returns, the
// buffers of net/http go, which halves what an idle connection holds.
func (h *Hub) Accept(w http.ResponseWriter, r *http.Request) (*Peer, error) {
	if h.closing.Load() {
		http.Error(w, "shutting down, connect again", http.StatusServiceUnavailable)
		return nil, errClosed
	}
	p := &Peer{hub: h, done: make(chan struct{}), id: h.next.Add(1)}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	p.remote = host
	if !h.origins.enter(host, h.options.PerAddress) {
		http.Error(w, "too many connections from this address: close one first", http.StatusTooManyRequests)
		return nil, errCrowded
	}
	p.conn, err = websocket.Accept(&hijacker{ResponseWriter: w, peer: p}, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // peers are no browsers with cookies: the signed hello is the check
		CompressionMode:    websocket.CompressionDisabled,
		OnPongReceived:     p.pong,
	})
	if err != nil {
		h.origins.leave(host)
		return nil, err
	}
	p.conn.SetReadLimit(h.options.HelloFrameBytes)
	p.seen()
	h.Counters.Accepted.Add(1)
	if !h.add(p) {
		h.origins.leave(host)
		p.Cut()
		return nil, errClosed
	}
	return p, nil
}

// hijacker hands the WebSocket library an Outbox and small buffers in place of
// the connection and the buffers of net/http.
type hijacker struct {
	http.ResponseWriter
	peer *Peer
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, nil, err
	}
	early, err := rw.Peek(rw.Reader.Buffered())
	if err != nil {
		return nil, nil, err
	}
	if err := rw.Flush(); err != nil {
		return nil, nil, err
	}
	h.peer.out = newOutbox(conn, h.peer.hub.options.OutboxBytes, &h.peer.hub.writes)
	h.peer.out.onSlow = h.peer.slow
	var src io.Reader = h.peer.out
	if len(early) > 0 {
		src = io.MultiReader(bytes.NewReader(bytes.Clone(early)), h.peer.out)
	}
	return &hijacked{Outbox: h.peer.out, src: src}, bufio.NewReadWriter(
		bufio.NewReaderSize(src, readBuffer),
		bufio.NewWriterSize(h.peer.out, controlBuffer)), nil
}

// hijacked is an Outbox whose first bytes were read by net/http already.
type hijacked struct {
	*Outbox
	src io.Reader
}

// Read reads the early bytes, then the socket.
func (c *hijacked) Read(p []byte) (int, error) { return c.src.Read(p) }

// ID returns the peer's number, unique in this process.
func (p *Peer) ID() uint64 { return p.id }

// Remote returns the peer's network address, without the port.
func (p *Peer) Remote() string { return p.remote }

// LastSeen returns when the peer last sent anything, a pong included.
func (p *Peer) LastSeen() time.Time { return time.Unix(0, p.lastSeen.Load()) }

func (p *Peer) seen() { p.lastSeen.Store(time.Now().UnixNano()) }

// Push appends a frame that the peer has to confirm; see [Outbox.Push].
func (p *Peer) Push(frame []byte) (number uint64, ok bool) { return p.out.Push(frame) }

// Full reports whether a drain should wait; see [Outbox.Full].
func (p *Peer) Full(n int) bool { return p.out.Full(n) }

// Send appends a frame that needs no confirmation; see [Outbox.Send].
func (p *Peer) Send(frame []byte) bool { return p.out.Send(frame) }

// Bind ends the time of the hello: larger frames are read from now on, the
// hello timer stops, and confirmations go to onPong, which the reader calls.
func (p *Peer) Bind(onPong func(confirmed uint64)) {
	p.onPong.Store(&onPong)
	if !p.bound.Swap(true) {
		p.conn.SetReadLimit(p.hub.options.FrameBytes)
		if p.helloTimer != nil {
			p.helloTimer.Stop()
		}
	}
}

// Bound reports whether a session is bound to the peer.
func (p *Peer) Bound() bool { return p.bound.Load() }

func (p *Peer) pong(_ context.Context, payload []byte) {
	p.seen()
	confirmed := p.out.Pong(payload)
	if confirmed == 0 {
		return
	}
	if f := p.onPong.Load(); f != nil {
		(*f)(confirmed)
	}
}

func (p *Peer) slow() {
	p.hub.Counters.Slow.Add(1)
	p.hub.log.Info("slow peer closed", slog.Uint64("conn", p.id), slog.Int("outbox_bytes", p.hub.options.OutboxBytes))
	go func() {
		// The outbox is full, so the closing frame gets in front of nothing:
		// what waits is in the queue, and the peer will ask for it again.
		p.out.dropWaiting()
		p.Close(wire.CloseSlow.Code, wire.CloseSlow.Reason)
	}()
}

// Run reads frames until the connection ends and hands each to handle, in
// order. The frame is valid during the call only. onHelloTimeout is called when
// no session was bound in time.
//
// It returns the close code by which the peer ended the connection, or [NoCode].
func (p *Peer) Run(handle func(frame []byte), onHelloTimeout func()) wire.CloseCode {
	defer func() {
		p.helloTimer.Stop()
		p.hub.remove(p)
		p.hub.origins.leave(p.remote)
		_ = p.conn.CloseNow()
		close(p.done)
	}()
	p.helloTimer = time.AfterFunc(p.hub.options.HelloTimeout, func() {
		if !p.Bound() {
			onHelloTimeout()
		}
	})
	for {
		err := p.readFrame(handle)
		if err != nil {
			if code := websocket.CloseStatus(err); code > 0 && !p.closing.Load() {
				return wire.CloseCode(code)
			}
			return NoCode
		}
	}
}

// readFrame reads one frame into a lent buffer, so that a peer at rest holds
// none.
func (p *Peer) readFrame(handle func([]byte)) error {
	_, r, err := p.conn.Reader(context.Background())
	if err != nil {
		return err
	}
	b := p.hub.reads.get()
	defer p.hub.reads.put(b)
	if err := b.readAll(r); err != nil {
		return err
	}
	p.seen()
	handle(b.b)
	return nil
}

// readAll appends everything that r has.
func (b *buffer) readAll(r io.Reader) error {
	for {
		if len(b.b) == cap(b.b) {
			b.b = append(b.b, 0)[:len(b.b)]
		}
		n, err := r.Read(b.b[len(b.b):cap(b.b)])
		b.b = b.b[:len(b.b)+n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Close closes the connection with a code and a reason, after what waits is
// written. It returns at once; Run returns when the peer has answered, or after
// 5 s.
func (p *Peer) Close(code wire.CloseCode, reason string) {
	p.closeOnce.Do(func() {
		p.closing.Store(true)
		go func() {
			if err := p.conn.Close(websocket.StatusCode(code), reason); err != nil {
				p.Cut()
			}
		}()
	})
}

// Cut ends the connection at once, without a word.
func (p *Peer) Cut() {
	p.closing.Store(true)
	p.out.Abort()
	_ = p.conn.CloseNow()
}
