package app

import (
	"context"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// patient is a store whose reads on the way of hellos and messages wait for a
// database that does not answer, as the group commit does.
type patient struct {
	store.Store
	patience *store.Patience
}

// patiently calls read until the database answers, or was away for too long.
func patiently[T any](ctx context.Context, p patient, read func() (T, error)) (T, error) {
	for {
		v, err := read()
		if p.patience.Enough(err) {
			return v, err
		}
		select {
		case <-ctx.Done():
			return v, err
		case <-time.After(store.AskAgain):
		}
	}
}

// Mesh implements [store.Meshes].
func (p patient) Mesh(ctx context.Context, id string) (*store.Mesh, error) {
	return patiently(ctx, p, func() (*store.Mesh, error) { return p.Store.Mesh(ctx, id) })
}

// Member implements [store.Members].
func (p patient) Member(ctx context.Context, mesh string, key sdk.Key) (*store.Member, error) {
	return patiently(ctx, p, func() (*store.Member, error) { return p.Store.Member(ctx, mesh, key) })
}

// MemberByID implements [store.Members].
func (p patient) MemberByID(ctx context.Context, id string) (*store.Member, error) {
	return patiently(ctx, p, func() (*store.Member, error) { return p.Store.MemberByID(ctx, id) })
}

// SessionKeyOwner implements [store.SessionKeys].
func (p patient) SessionKeyOwner(ctx context.Context, mesh string, key sdk.Key) (string, error) {
	return patiently(ctx, p, func() (string, error) { return p.Store.SessionKeyOwner(ctx, mesh, key) })
}

// State implements [store.States].
func (p patient) State(ctx context.Context, mesh, memberID string, session sdk.Key) (*store.State, error) {
	return patiently(ctx, p, func() (*store.State, error) { return p.Store.State(ctx, mesh, memberID, session) })
}

// FindSent implements [store.Queue].
func (p patient) FindSent(ctx context.Context, mesh, memberID, clientMessageID string) (*store.Sent, error) {
	return patiently(ctx, p, func() (*store.Sent, error) { return p.Store.FindSent(ctx, mesh, memberID, clientMessageID) })
}
