package hub

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/claudemesh/broker/core/wire"
)

// run is a peer that runs, seen from both sides.
type run struct {
	peer  *Peer
	line  net.Conn // the other end
	code  chan wire.CloseCode
	pongs chan uint64
}

// startPeer upgrades a connection and runs its peer, which echoes.
func startPeer(t *testing.T, o Options) *run {
	t.Helper()
	h := New(o, slog.New(slog.DiscardHandler))
	r := &run{code: make(chan wire.CloseCode, 1), pongs: make(chan uint64, 100)}
	started := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		p, err := h.Accept(w, req, false)
		if err != nil {
			t.Error(err)
			return
		}
		r.peer = p
		go func() {
			p.Bind(func(n uint64) { r.pongs <- n })
			close(started)
			r.code <- p.Run(func(frame []byte) { p.Send(frame) }, func() {})
		}()
	}))
	r.line = lineTo(t, "ws"+strings.TrimPrefix(srv.URL, "http"))
	<-started
	if err := r.line.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.peer.Cut()
		<-r.peer.done
		srv.Close()
	})
	return r
}

func (r *run) write(t *testing.T, frames ...[]byte) {
	t.Helper()
	if _, err := r.line.Write(join(frames...)); err != nil {
		t.Fatal(err)
	}
}

// wantClose reads frames up to the close frame and the end behind it.
func (r *run) wantClose(t *testing.T, code uint16, reason string) {
	t.Helper()
	for {
		opcode, payload := frameOf(t, r.line)
		if opcode != opClose {
			continue
		}
		if len(payload) < 2 || binary.BigEndian.Uint16(payload) != code || string(payload[2:]) != reason {
			t.Errorf("closed with %q, want %d %s", payload, code, reason)
		}
		return
	}
}

func (r *run) wantEnd(t *testing.T) {
	t.Helper()
	if n, err := r.line.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("got %d bytes, %v behind the close frame, want the end", n, err)
	}
}

func closing(code uint16, reason string) []byte {
	return plainMasked(finBit|opClose, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}

func TestPeerAnswersPingsAndCloses(t *testing.T) {
	r := startPeer(t, limits())
	r.write(t, plainMasked(opText, "hel"), plainMasked(finBit|opPing, "are you there"), plainMasked(finBit|opContinuation, "lo"))
	if opcode, b := frameOf(t, r.line); opcode != opPong || string(b) != "are you there" {
		t.Errorf("got %d %q, want the ping's pong", opcode, b)
	}
	if opcode, b := frameOf(t, r.line); opcode != opText || string(b) != "hello" {
		t.Errorf("got %d %q, want the echo", opcode, b)
	}
	r.write(t, closing(4321, "enough"))
	r.wantClose(t, 4321, "enough")
	r.wantEnd(t)
	if code := <-r.code; code != 4321 {
		t.Errorf("Run returned %d, want the peer's code", code)
	}
}

func TestPeerWithoutACodeGetsNone(t *testing.T) {
	r := startPeer(t, limits())
	r.write(t, plainMasked(finBit|opClose, ""))
	if opcode, b := frameOf(t, r.line); opcode != opClose || len(b) != 0 {
		t.Errorf("got %d %q, want a close frame without a code", opcode, b)
	}
	r.wantEnd(t)
	if code := <-r.code; code != noStatus {
		t.Errorf("Run returned %d, want %d", code, noStatus)
	}
}

func TestPeerThatBreaksTheProtocolIsTold(t *testing.T) {
	for _, tt := range []struct {
		name   string
		bytes  []byte
		code   uint16
		reason string
	}{
		{"no mask", []byte{finBit | opText, 2, '{', '}'}, 1002, "frames must be masked"},
		{"half a code", plainMasked(finBit|opClose, "\x03"), 1002, "half a close code"},
		{"a code of nobody", closing(999, ""), 1002, "no such close code"},
		{"a reason that is not UTF-8", closing(1000, "\xff"), 1002, "reason of the close is not UTF-8"},
		{"much that nobody will read", join([]byte{0xff}, make([]byte, 1<<20)), 1002, "reserved bits are set"},
		{"a message over the limit", plainMasked(finBit|opText, strings.Repeat("x", 5<<20)), 1009, wire.CloseTooBig.Reason},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := startPeer(t, limits())
			r.write(t, tt.bytes)
			r.wantClose(t, tt.code, tt.reason)
			r.write(t, closing(tt.code, ""))
			_ = r.line.(*net.TCPConn).CloseWrite()
			r.wantEnd(t)
			if code := <-r.code; code != NoCode {
				t.Errorf("Run returned %d, want none", code)
			}
		})
	}
}

// What waits is written before the close frame, nothing behind it; what the peer
// still sends is ignored, but its pongs count.
func TestPeerClose(t *testing.T) {
	r := startPeer(t, limits())
	for range 100 {
		r.peer.Push([]byte("last words"))
	}
	r.peer.Close(wire.CodeGoingAway, "bye")
	r.peer.Close(wire.CodeKicked, "again")
	if r.peer.Send([]byte("too late")) {
		t.Error("a frame was taken behind the close frame")
	}
	pushes, pings := 0, 0
	for {
		opcode, b := frameOf(t, r.line)
		if opcode == opClose {
			if want := "\x03\xe9bye"; string(b) != want {
				t.Errorf("got %q, want %q", b, want)
			}
			break
		}
		if opcode == opPing {
			pings++
			r.write(t, masked(finBit|opPong, b, [4]byte{}))
		} else {
			pushes++
		}
	}
	if pushes != 100 || pings == 0 {
		t.Errorf("got %d pushes and %d pings, want 100 and one at least", pushes, pings)
	}
	if n := <-r.pongs; n == 0 || n > 100 {
		t.Errorf("confirmed up to %d, want some of 100", n)
	}
	r.write(t, plainMasked(finBit|opText, "ignored"), plainMasked(finBit|opPing, "too late"), closing(1001, ""))
	r.wantEnd(t)
	if code := <-r.code; code != NoCode {
		t.Errorf("Run returned %d, want none: the peer only answered", code)
	}
}

// A peer that does not answer the close frame is let go.
func TestPeerThatDoesNotAnswerIsClosed(t *testing.T) {
	r := startPeer(t, limits())
	r.peer.end(wire.CodeGoingAway, "bye", 20*time.Millisecond)
	r.wantClose(t, 1001, "bye")
	r.wantEnd(t)
	if code := <-r.code; code != NoCode {
		t.Errorf("Run returned %d, want none", code)
	}
}

func TestPeerThatVanishesHasNoCode(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*testing.T, *run)
	}{
		{"in silence", func(_ *testing.T, r *run) { _ = r.line.Close() }},
		{"with a reset", func(_ *testing.T, r *run) { _ = r.line.(*net.TCPConn).SetLinger(0); _ = r.line.Close() }},
		{"half way", func(_ *testing.T, r *run) { _ = r.line.(*net.TCPConn).CloseWrite() }},
		{"within a message", func(t *testing.T, r *run) { r.write(t, plainMasked(finBit|opText, "hello")[:9]); _ = r.line.Close() }},
		{"cut", func(_ *testing.T, r *run) { r.peer.Cut() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := startPeer(t, limits())
			tt.do(t, r)
			if code := <-r.code; code != NoCode {
				t.Errorf("Run returned %d, want none", code)
			}
		})
	}
}

// What came together with the request for the upgrade counts.
func TestEarlyFramesAreRead(t *testing.T) {
	_, url := serve(t, limits())
	line, err := net.Dial("tcp", strings.TrimPrefix(url, "ws://"))
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	if err := line.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	request := "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
	early := join(plainMasked(finBit|opText, "first"), plainMasked(finBit|opText, "second"))
	if _, err := line.Write(append([]byte(request), early[:len(early)-3]...)); err != nil {
		t.Fatal(err)
	}
	var answer bytes.Buffer
	for !bytes.HasSuffix(answer.Bytes(), []byte("\r\n\r\n")) {
		if _, err := io.CopyN(&answer, line, 1); err != nil {
			t.Fatalf("%v after %q", err, answer.String())
		}
	}
	if !strings.HasPrefix(answer.String(), "HTTP/1.1 101 ") {
		t.Fatalf("got %q, want an upgrade", answer.String())
	}
	if _, b := frameOf(t, line); string(b) != "first" {
		t.Errorf("got %q, want the echo of the first frame", b)
	}
	if _, err := line.Write(early[len(early)-3:]); err != nil {
		t.Fatal(err)
	}
	if _, b := frameOf(t, line); string(b) != "second" {
		t.Errorf("got %q, want the echo of the second frame", b)
	}
}

// With TLS a connection is no socket that can be asked for bytes.
func TestPeersWithTLS(t *testing.T) {
	h := New(limits(), slog.New(slog.DiscardHandler))
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := h.Accept(w, r, false)
		if err != nil {
			return
		}
		go p.Run(func(frame []byte) {
			p.Bind(func(uint64) {})
			p.Send(frame)
		}, func() {})
	}))
	defer srv.Close()
	c, _, err := websocket.Dial(t.Context(), "wss"+strings.TrimPrefix(srv.URL, "https"), &websocket.DialOptions{HTTPClient: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.SetReadLimit(1 << 21)
	for _, n := range []int{1, 100, 1000, 1 << 20} {
		if err := echo(t, c, strings.Repeat("x", n)); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	go h.Close(context.Background(), wire.CloseShuttingDown)
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("got %v, want a close with 1001", err)
	}
	h.Close(t.Context(), wire.CloseShuttingDown)
}

// A connection that is upgraded while the hub begins to close is told so too.
func TestCloseBesideAccept(t *testing.T) {
	for range 20 {
		h, url := serve(t, limits())
		const dials = 32
		ends := make(chan error, dials)
		var dialing sync.WaitGroup
		for range dials {
			dialing.Go(func() {
				c, _, err := websocket.Dial(t.Context(), url, nil)
				if err != nil {
					return // it came too late to be upgraded
				}
				defer c.CloseNow()
				_, _, err = c.Read(t.Context())
				ends <- err
			})
		}
		for h.Counters.Accepted.Load() == 0 {
			runtime.Gosched()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		h.Close(ctx, wire.CloseShuttingDown)
		cancel()
		dialing.Wait()
		close(ends)
		for err := range ends {
			if websocket.CloseStatus(err) != websocket.StatusGoingAway {
				t.Fatalf("a connection ended with %v, want 1001", err)
			}
		}
	}
}
