package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// patience is how long a test waits for anything that should come soon.
const patience = 15 * time.Second

// socket is a WebSocket client without manners: it writes what it is told,
// right or wrong, and shows every frame that comes.
type socket struct {
	t    testing.TB
	conn *websocket.Conn
	line *line
	done chan struct{} // closed when nothing will come any more

	mu     sync.Mutex
	frames [][]byte
	err    error // why nothing will come any more
	news   chan struct{}
}

// socketOptions change how a socket behaves.
type socketOptions struct {
	deaf       bool   // answers no ping
	smallInbox int    // bytes of the kernel's receive buffer; 0 leaves it as it is
	from       string // own network address; "" leaves it to the kernel
}

// open connects a socket, and cuts it when the test ends.
func open(tb testing.TB, url string, o socketOptions) *socket {
	tb.Helper()
	s := &socket{t: tb, done: make(chan struct{}), news: make(chan struct{}, 1)}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(o.from)}}
		tcp, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if o.smallInbox > 0 {
			err = tcp.(*net.TCPConn).SetReadBuffer(o.smallInbox)
		}
		s.line = &line{Conn: tcp}
		s.line.flows = sync.NewCond(&s.line.mu)
		return s.line, err
	}}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var err error
	s.conn, _, err = websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPClient:     &http.Client{Transport: transport},
		OnPingReceived: func(context.Context, []byte) bool { return !o.deaf },
	})
	if err != nil {
		tb.Fatalf("open %s: %v", url, err)
	}
	s.conn.SetReadLimit(-1)
	go s.read()
	tb.Cleanup(s.cut)
	return s
}

// line is a TCP connection that can be held up.
type line struct {
	net.Conn
	mu    sync.Mutex
	flows *sync.Cond
	held  bool
	waits bool // somebody wants to read and may not
}

// Read reads nothing while the line is held up.
func (l *line) Read(p []byte) (int, error) {
	l.mu.Lock()
	for l.held {
		l.waits = true
		l.flows.Wait()
	}
	l.waits = false
	l.mu.Unlock()
	return l.Conn.Read(p)
}

func (l *line) hold(held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = held
	l.flows.Broadcast()
}

func (s *socket) read() {
	defer close(s.done)
	for {
		_, frame, err := s.conn.Read(context.Background())
		s.mu.Lock()
		if err != nil {
			s.err = err
		} else {
			s.frames = append(s.frames, frame)
		}
		s.mu.Unlock()
		select {
		case s.news <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// write sends a text frame. That a broken connection takes nothing is for the
// reading side to tell.
func (s *socket) write(frame string) { s.send(websocket.MessageText, []byte(frame)) }

func (s *socket) send(typ websocket.MessageType, frame []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = s.conn.Write(ctx, typ, frame)
}

// take returns the next frame, or nil when the connection has ended. It reports
// false when neither came in time.
func (s *socket) take(wait time.Duration) (frame []byte, ok bool) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		s.mu.Lock()
		ended := s.err != nil
		if len(s.frames) > 0 {
			frame, s.frames = s.frames[0], s.frames[1:]
		}
		s.mu.Unlock()
		if frame != nil || ended {
			return frame, true
		}
		select {
		case <-s.news:
		case <-s.done:
		case <-timer.C:
			return nil, false
		}
	}
}

// end says how the connection ended: by a closing frame with this code and
// reason, or without one, which is the code -1.
func (s *socket) end() (code int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if frame := new(websocket.CloseError); errors.As(s.err, frame) {
		return int(frame.Code), frame.Reason
	}
	return -1, s.err.Error()
}

// next returns the next frame, events of the mesh left out unless asked for.
func (s *socket) next(events bool) string {
	s.t.Helper()
	for {
		frame, ok := s.take(patience)
		if !ok {
			s.t.Fatalf("no frame within %v", patience)
		}
		if frame == nil {
			code, reason := s.end()
			s.t.Fatalf("the connection ended with %d %q, want a frame", code, reason)
		}
		if events || !isEvent(frame) {
			return string(frame)
		}
	}
}

// settle waits until the broker has worked on all that was written, and returns
// the frames that came and were not taken yet. They can still be taken.
func (s *socket) settle() [][]byte {
	s.t.Helper()
	s.write(`{"type":"mesh_info","_reqId":"settle"}`)
	var came [][]byte
	for {
		frame, ok := s.take(patience)
		if frame == nil || !ok {
			s.t.Fatalf("no answer within %v, or the connection has ended", patience)
		}
		if bytes.HasPrefix(frame, []byte(`{"type":"mesh_info_result","_reqId":"settle"`)) {
			break
		}
		came = append(came, frame)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frames = append(slices.Clone(came), s.frames...)
	return came
}

func isEvent(frame []byte) bool {
	var head struct{ Subtype string }
	return json.Unmarshal(frame, &head) == nil && head.Subtype == "system"
}

// closed waits for the end of the connection, passing over frames that come
// before, and says how it ended.
func (s *socket) closed() (code int, reason string) {
	s.t.Helper()
	for {
		frame, ok := s.take(patience)
		if !ok {
			s.t.Fatalf("the connection is still open after %v", patience)
		}
		if frame == nil {
			return s.end()
		}
	}
}

// wantClosed waits for the end of the connection.
func (s *socket) wantClosed(code int, reason string) {
	s.t.Helper()
	if c, r := s.closed(); c != code || r != reason {
		s.t.Errorf("closed: got %d %q, want %d %q", c, r, code, reason)
	}
}

// wantError waits for an error frame and returns its message.
func (s *socket) wantError(code string) string {
	s.t.Helper()
	frame := s.next(false)
	var e struct{ Type, Code, Message string }
	if err := json.Unmarshal([]byte(frame), &e); err != nil || e.Type != "error" || e.Code != code {
		s.t.Errorf("got %.300s, want an error frame with the code %s", frame, code)
	}
	if e.Type == "error" && strings.TrimSpace(e.Message) == "" {
		s.t.Errorf("the error %s says nothing: %s", e.Code, frame)
	}
	return e.Message
}

// wantFrame waits for a frame of a type.
func (s *socket) wantFrame(typ string) string {
	s.t.Helper()
	frame := s.next(false)
	var head struct{ Type string }
	if err := json.Unmarshal([]byte(frame), &head); err != nil || head.Type != typ {
		s.t.Fatalf("got %.300s, want a frame of type %s", frame, typ)
	}
	return frame
}

// stall lets the socket read nothing until it flows again.
func (s *socket) stall() {
	s.t.Helper()
	s.line.hold(true)
	s.write(`{"type":"mesh_info"}`) // for the read that has begun
	eventually(s.t, "the line to stand still", func() bool {
		s.line.mu.Lock()
		defer s.line.mu.Unlock()
		return s.line.waits
	})
}

// flow ends a stall.
func (s *socket) flow() { s.line.hold(false) }

// bye ends the connection politely.
func (s *socket) bye() {
	_ = s.conn.Close(websocket.StatusNormalClosure, "")
	<-s.done
}

// cut resets the TCP connection, as a crash does.
func (s *socket) cut() {
	_ = s.line.Conn.(*net.TCPConn).SetLinger(0)
	_ = s.line.Close()
	s.line.hold(false)
	_ = s.conn.CloseNow()
	<-s.done
}
