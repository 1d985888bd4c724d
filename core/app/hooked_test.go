package app_test

import (
	"context"
	"sync"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// hooked is a store that can be held up, or fail, where a test wants it. Nil
// functions do nothing.
type hooked struct {
	store.Store
	PingFn   func() error                // answers Ping
	CommitFn func()                      // called before each transaction
	MemberFn func(*store.Member)         // called with a member that was read, before it is returned
	StateFn  func(mesh, memberID string) // called before what a session left is read
}

func (h *hooked) Ping(ctx context.Context) error {
	if h.PingFn != nil {
		if err := h.PingFn(); err != nil {
			return err
		}
	}
	return h.Store.Ping(ctx)
}

func (h *hooked) Commit(ctx context.Context, b *store.Batch) error {
	if h.CommitFn != nil {
		h.CommitFn()
	}
	return h.Store.Commit(ctx, b)
}

func (h *hooked) Member(ctx context.Context, mesh string, key sdk.Key) (*store.Member, error) {
	m, err := h.Store.Member(ctx, mesh, key)
	if err == nil && h.MemberFn != nil {
		h.MemberFn(m)
	}
	return m, err
}

func (h *hooked) State(ctx context.Context, mesh, memberID string, session sdk.Key) (*store.State, error) {
	if h.StateFn != nil {
		h.StateFn(mesh, memberID)
	}
	return h.Store.State(ctx, mesh, memberID, session)
}

// gate holds up whoever passes while it is shut.
type gate struct {
	mu     sync.Mutex
	shut   chan struct{} // nil while it is open
	inside int           // how many are held up
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

func (g *gate) pass() {
	g.mu.Lock()
	shut := g.shut
	g.inside++
	g.mu.Unlock()
	if shut != nil {
		<-shut
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
}

// held returns how many are held up.
func (g *gate) held() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside
}
