package hub

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/wire"
)

// NoCode is what Run returns when the peer said nothing: its connection broke,
// or we ended it.
const NoCode wire.CloseCode = 0

const (
	// closeGrace is how long a peer may take to answer our close frame.
	closeGrace = 5 * time.Second

	// breachGrace is how long a peer that broke the protocol may take to read why.
	breachGrace = time.Second

	// codeBreach is the close code for whoever breaks the WebSocket protocol.
	codeBreach wire.CloseCode = 1002
)

// Peer is one live WebSocket connection. One session may hold several, for a
// moment, while it reconnects.
type Peer struct {
	// Set by Accept, never changed.
	id     uint64 // unique in this process
	hub    *Hub
	out    *Outbox
	remote string
	local  bool
	done   chan struct{} // closed when Run has returned

	// Owned by whoever answers the hello.
	bound      atomic.Bool // a session is bound to this peer
	helloTimer *time.Timer

	// Owned by Run.
	in    reader
	fault wire.Close // why the peer's own doing ended the connection; zero when it did not

	// Set by the reader, read by the watchdog. Unix nanoseconds.
	lastSeen atomic.Int64

	closeOnce sync.Once
	closing   atomic.Bool // we ended the connection, not the peer
	onPong    atomic.Pointer[func(confirmed uint64)]
}

// Accept upgrades an HTTP request. The caller must then call [Peer.Run] from a
// goroutine that outlives the HTTP handler: when the handler returns, the
// buffers of net/http go, which halves what an idle connection holds.
//
// The peer's address is the request's RemoteAddr, where core/edge has put the
// caller's own if a trusted proxy is in between. local says that the request came
// from this machine, and through no proxy.
func (h *Hub) Accept(w http.ResponseWriter, r *http.Request, local bool) (*Peer, error) {
	if h.closing.Load() {
		refuse(w, http.StatusServiceUnavailable, "shutting_down", "the broker stops: connect again")
		return nil, errClosed
	}
	p := &Peer{hub: h, local: local, done: make(chan struct{}), id: h.next.Add(1)}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	p.remote = host
	if !h.origins.enter(host, h.options.PerAddress) {
		refuse(w, http.StatusTooManyRequests, "capacity", "too many connections from this address: close one first")
		return nil, errCrowded
	}
	if err := p.upgrade(w, r); err != nil {
		h.origins.leave(host)
		return nil, err
	}
	p.in.limit.Store(h.options.HelloFrameBytes)
	p.seen()
	h.Counters.Accepted.Add(1)
	if !h.add(p) { // closing began meanwhile, and has not seen this one
		h.origins.leave(host)
		p.Close(wire.CloseShuttingDown.Code, wire.CloseShuttingDown.Reason)
		_ = p.out.Close() // when the frame is written
		return nil, errClosed
	}
	return p, nil
}

// refuse answers a request that is not upgraded, in the shape that every error
// over HTTP has. The texts need no escaping.
func refuse(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(status)
	body := `{"ok":false,"error":"` + text + `","code":"` + code + `"`
	if id := w.Header().Get("X-Request-Id"); id != "" {
		body += `,"request_id":"` + id + `"` // plain, as core/edge has made it
	}
	_, _ = io.WriteString(w, body+"}") // whoever has gone does not hear it
}

// ID returns the peer's number, unique in this process.
func (p *Peer) ID() uint64 { return p.id }

// Remote returns the peer's network address, without the port.
func (p *Peer) Remote() string { return p.remote }

// Local reports whether the peer connected from this machine, and through no
// proxy.
func (p *Peer) Local() bool { return p.local }

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
		p.in.limit.Store(p.hub.options.FrameBytes)
		if p.helloTimer != nil {
			p.helloTimer.Stop()
		}
	}
}

// Bound reports whether a session is bound to the peer.
func (p *Peer) Bound() bool { return p.bound.Load() }

func (p *Peer) pong(payload []byte) {
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
	// The outbox is full, so the close frame gets in front of nothing: what waits
	// is in the queue, and the peer will ask for it again.
	p.out.dropWaiting()
	p.Close(wire.CloseSlow.Code, wire.CloseSlow.Reason)
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
		p.in.close()
		_ = p.out.Close()
		close(p.done)
	}()
	p.helloTimer = time.AfterFunc(p.hub.options.HelloTimeout, func() {
		if !p.Bound() {
			onHelloTimeout()
		}
	})
	for {
		p.in.discard = p.closing.Load()
		opcode, payload, err := p.in.next()
		if err != nil {
			if p.refuse(err) {
				continue
			}
			return NoCode
		}
		p.seen()
		switch opcode {
		case opPing:
			p.out.SendPong(payload)
		case opPong:
			p.pong(payload)
		case opClose:
			return p.farewell(payload)
		default:
			if !p.closing.Load() {
				handle(payload)
			}
		}
	}
}

// Fault returns why a connection was ended for what its peer did on it, as a
// machine word and a sentence, both empty for others. It may be called when Run
// has returned.
func (p *Peer) Fault() (word, text string) { return p.fault.Reason, p.fault.Meaning }

// refuse closes the connection of a peer that sent what it may not, and reports
// whether to read on.
func (p *Peer) refuse(err error) (readOn bool) {
	if errors.Is(err, errTooLong) {
		p.fault = wire.Close{Reason: wire.CloseTooBig.Reason, Meaning: "a frame of more than " + strconv.FormatInt(p.in.limit.Load(), 10) + " bytes: send less at a time"}
		p.Close(wire.CloseTooBig.Code, wire.CloseTooBig.Reason)
		return true
	}
	if b := breach(""); errors.As(err, &b) {
		p.fault = wire.Close{Reason: "malformed", Meaning: "the WebSocket protocol was broken: " + b.Error()}
		p.end(codeBreach, b.Error(), breachGrace)
		// Closing a socket that was not read to its end may take the close frame
		// from the peer.
		p.in.drain()
	}
	return false
}

// farewell answers a close frame, unless it is an answer to ours. It returns
// the peer's code, or NoCode when it was not the peer who ended the connection.
func (p *Peer) farewell(payload []byte) wire.CloseCode {
	code, err := parseClose(payload)
	switch {
	case p.closing.Load():
		return NoCode
	case err != nil:
		p.refuse(err)
		return NoCode
	}
	p.out.Finish(code, string(payload[min(2, len(payload)):]))
	return code
}

// Close closes the connection with a code and a reason, after what waits is
// written. Messages that come later are ignored. It returns at once; Run returns
// when the peer has answered, or after 5 s.
func (p *Peer) Close(code wire.CloseCode, reason string) { p.end(code, reason, closeGrace) }

// end writes a close frame and gives the peer so much time to answer it.
func (p *Peer) end(code wire.CloseCode, reason string, grace time.Duration) {
	p.closeOnce.Do(func() {
		p.closing.Store(true)
		p.out.Finish(code, reason)
		if err := p.out.conn.SetReadDeadline(time.Now().Add(grace)); err != nil {
			p.Cut()
		}
	})
}

// Cut ends the connection at once, without a word.
func (p *Peer) Cut() {
	p.closing.Store(true)
	p.out.Abort()
}
