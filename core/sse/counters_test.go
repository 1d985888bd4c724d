package sse

import (
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claudemesh/broker/core/presence"
)

// door lets one connection in.
type door struct {
	conns chan net.Conn
	over  chan struct{}
}

func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.over:
		return nil, net.ErrClosed
	}
}

func (d *door) Close() error {
	close(d.over)
	return nil
}

func (d *door) Addr() net.Addr { return &net.TCPAddr{} }

// A caller that does not read is told apart from one that goes.
func TestCallersThatDoNotReadAreCounted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end  func(net.Conn)
		slow int64
	}{
		"it does not read": {func(net.Conn) {}, 1},
		"it goes":          {func(c net.Conn) { c.Close() }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, _ := newStreams()
				defer s.Close()
				a, err := s.begin("one")
				if err != nil {
					t.Fatal(err)
				}
				written := make(chan struct{})
				server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer close(written)
					a.Write(w, r)
				})}
				caller, conn := net.Pipe()
				d := &door{conns: make(chan net.Conn, 1), over: make(chan struct{})}
				d.conns <- conn
				go server.Serve(d)
				if _, err := io.WriteString(caller, "GET / HTTP/1.1\r\nHost: broker\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				tt.end(caller)
				<-written
				if got := s.Counters.Slow.Load(); got != tt.slow {
					t.Errorf("%d are slow, want %d", got, tt.slow)
				}
				if err := server.Close(); err != nil {
					t.Error(err)
				}
				caller.Close()
				synctest.Wait()
			})
		})
	}
}

// Streams are counted when they begin and go on, and news when it is lost.
func TestStreamsAreCounted(t *testing.T) {
	t.Parallel()
	s, _ := newStreams()
	defer s.Close()
	st := NewStream(false, time.Now())
	if err := s.Reserve(place("one")); err != nil {
		t.Fatal(err)
	}
	s.Begin(place("one"), st, &presence.Session{ID: "one"}, func() {})
	for range 3 {
		st.Send(make([]byte, newsBytes/2))
	}
	if s.Resume(place("one"), "an id of nobody's") != nil {
		t.Error("a stream went on behind what it never had")
	}
	c := &s.Counters
	if c.Begun.Load() != 1 || c.Resumed.Load() != 0 || c.Lost.Load() != 1 || c.Slow.Load() != 0 {
		t.Errorf("%d began, %d went on, %d news lost, %d slow", c.Begun.Load(), c.Resumed.Load(), c.Lost.Load(), c.Slow.Load())
	}
}
