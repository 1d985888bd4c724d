package console

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
)

// places are the connections of those who have not signed in, oldest first. One
// more than maxStrangers ends the oldest, so that whoever has the token finds a
// place however many strangers there are. It may be used by many goroutines at
// once.
type places struct {
	mu        sync.Mutex
	strangers []net.Conn
}

// changed is what an [http.Server] calls when a connection changes its state.
func (p *places) changed(conn net.Conn, to http.ConnState) {
	switch to {
	case http.StateNew:
		if oldest := p.enter(conn); oldest != nil {
			_ = oldest.Close() // its reader finds out
		}
	case http.StateClosed, http.StateHijacked:
		p.leave(conn)
	default: // active and idle ones count alike
	}
}

// enter adds a stranger, and returns the one that has to make room, if any.
func (p *places) enter(conn net.Conn) (oldest net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.strangers = append(p.strangers, conn)
	if len(p.strangers) > maxStrangers {
		oldest = p.strangers[0]
		p.strangers = slices.Delete(p.strangers, 0, 1)
	}
	return oldest
}

// leave forgets a connection that has ended, or whose caller has signed in.
func (p *places) leave(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.strangers, conn); i >= 0 {
		p.strangers = slices.Delete(p.strangers, i, i+1)
	}
}

// connKey is where a request's context has its connection.
type connKey struct{}

// remember puts a connection into the context of its requests.
func (p *places) remember(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// known says that the caller has signed in: the connection stays open after the
// answer, and no stranger takes its place.
func (p *places) known(w http.ResponseWriter, r *http.Request) {
	w.Header().Del("Connection")
	if conn, ok := r.Context().Value(connKey{}).(net.Conn); ok {
		p.leave(conn)
	}
}
