package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// askAgain is the pause between attempts to read a database that does not
// answer.
const askAgain = 100 * time.Millisecond

// patient is a store whose reads on the way of hellos and messages wait for a
// database that does not answer, as the group commit does: until it has not
// answered for the time of wait. From then on each is tried once.
type patient struct {
	store.Store
	wait time.Duration

	mu   sync.Mutex
	away time.Time // since when the database does not answer; zero while it does
}

// newPatient returns st as it is when nothing is to be waited for.
func newPatient(st store.Store, wait time.Duration) store.Store {
	if wait <= 0 {
		return st
	}
	return &patient{Store: st, wait: wait}
}

// patiently calls read until the database answers, or was away for too long.
func patiently[T any](ctx context.Context, p *patient, read func() (T, error)) (T, error) {
	for {
		v, err := read()
		if p.enough(err) {
			return v, err
		}
		select {
		case <-ctx.Done():
			return v, err
		case <-time.After(askAgain):
		}
	}
}

// enough reports whether an answer is the last word.
func (p *patient) enough(err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !errors.Is(err, store.ErrUnavailable) {
		p.away = time.Time{}
		return true
	}
	if p.away.IsZero() {
		p.away = time.Now()
	}
	return time.Since(p.away) >= p.wait
}

// Mesh implements [store.Meshes].
func (p *patient) Mesh(ctx context.Context, id string) (*store.Mesh, error) {
	return patiently(ctx, p, func() (*store.Mesh, error) { return p.Store.Mesh(ctx, id) })
}

// Member implements [store.Members].
func (p *patient) Member(ctx context.Context, mesh string, key sdk.Key) (*store.Member, error) {
	return patiently(ctx, p, func() (*store.Member, error) { return p.Store.Member(ctx, mesh, key) })
}

// MemberByID implements [store.Members].
func (p *patient) MemberByID(ctx context.Context, id string) (*store.Member, error) {
	return patiently(ctx, p, func() (*store.Member, error) { return p.Store.MemberByID(ctx, id) })
}

// SessionKeyOwner implements [store.SessionKeys].
func (p *patient) SessionKeyOwner(ctx context.Context, mesh string, key sdk.Key) (string, error) {
	return patiently(ctx, p, func() (string, error) { return p.Store.SessionKeyOwner(ctx, mesh, key) })
}

// State implements [store.States].
func (p *patient) State(ctx context.Context, mesh, memberID string, session sdk.Key) (*store.State, error) {
	return patiently(ctx, p, func() (*store.State, error) { return p.Store.State(ctx, mesh, memberID, session) })
}

// FindSent implements [store.Queue].
func (p *patient) FindSent(ctx context.Context, mesh, memberID, clientMessageID string) (*store.Sent, error) {
	return patiently(ctx, p, func() (*store.Sent, error) { return p.Store.FindSent(ctx, mesh, memberID, clientMessageID) })
}
