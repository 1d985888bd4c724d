package main

import (
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// tether is a TCP proxy that stands between a replica and its database, so that
// a test can cut it.
type tether struct {
	listener net.Listener
	target   string
	tasks    sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	stall chan struct{} // not nil while nothing passes; closed when it does again
	conns map[net.Conn]struct{}
}

// newTether returns a proxy in front of a database, and the URL that leads
// through it. It is gone when the test ends.
func newTether(t *testing.T, database string) (*tether, string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &tether{listener: l, target: u.Host, conns: map[net.Conn]struct{}{}}
	w.tasks.Go(w.accept)
	t.Cleanup(func() {
		_ = l.Close()
		w.Heal()
		w.Cut()
		w.tasks.Wait()
	})
	u.Host = l.Addr().String()
	return w, u.String()
}

// Cut ends every connection and refuses new ones.
func (w *tether) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for c := range w.conns {
		_ = c.Close()
	}
}

// Stall swallows nothing and passes nothing: both ends see a silent network.
func (w *tether) Stall() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stall == nil {
		w.stall = make(chan struct{})
	}
}

// Heal undoes Cut and Stall.
func (w *tether) Heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
	if w.stall != nil {
		close(w.stall)
		w.stall = nil
	}
}

func (w *tether) accept() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.tasks.Go(func() { w.join(near) })
	}
}

func (w *tether) join(near net.Conn) {
	if !w.keep(near) {
		return
	}
	defer w.drop(near)
	w.pass()
	far, err := net.Dial("tcp", w.target)
	if err != nil || !w.keep(far) {
		return
	}
	defer w.drop(far)
	var both sync.WaitGroup
	both.Go(func() { w.copy(far, near) })
	both.Go(func() { w.copy(near, far) })
	both.Wait()
}

// keep remembers a connection that Cut has to end. It reports false, and has
// closed it, while the wire is cut.
func (w *tether) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		_ = c.Close()
		return false
	}
	w.conns[c] = struct{}{}
	return true
}

func (w *tether) drop(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
	_ = c.Close()
}

// pass waits while the wire is stalled.
func (w *tether) pass() {
	w.mu.Lock()
	stall := w.stall
	w.mu.Unlock()
	if stall != nil {
		<-stall
	}
}

// copy passes bytes on until either end closes, and then closes the other.
func (w *tether) copy(dst, src net.Conn) {
	defer dst.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := src.Read(b)
		w.pass()
		if n > 0 {
			if _, e := dst.Write(b[:n]); e != nil {
				_ = src.Close()
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				_ = src.Close()
			}
			return
		}
	}
}
