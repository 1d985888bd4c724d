package app_test

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// flawStore is a store that fails, while it is down, whatever the HTTP side
// asks of it.
type flawStore struct {
	store.Store
	err   error
	down  atomic.Bool
	asked atomic.Int64 // calls that failed
	taken atomic.Int64 // codes that are to be taken before one is free
	gate  gate         // where it is shut, tokens are not looked up
}

// wrap puts it before a broker's store.
func (b *flawStore) wrap(o *app.Options) {
	b.Store = o.Store
	o.Store = b
}

func (b *flawStore) fails() error {
	if !b.down.Load() {
		return nil
	}
	b.asked.Add(1)
	return b.err
}

// flawWhenUp calls get unless the store is down.
func flawWhenUp[T any](b *flawStore, get func() (T, error)) (v T, err error) {
	if err := b.fails(); err != nil {
		return v, err
	}
	return get()
}

func (b *flawStore) Ping(ctx context.Context) error {
	if err := b.fails(); err != nil {
		return err
	}
	return b.Store.Ping(ctx)
}

func (b *flawStore) Commit(ctx context.Context, batch *store.Batch) error {
	if err := b.fails(); err != nil {
		return err
	}
	return b.Store.Commit(ctx, batch)
}

// conflicts reports whether the next code is taken.
func (b *flawStore) conflicts() bool { return b.taken.Load() > 0 && b.taken.Add(-1) >= 0 }

func (b *flawStore) CreateInvite(ctx context.Context, inv *store.Invite) error {
	if b.conflicts() {
		return store.ErrConflict
	}
	return b.Store.CreateInvite(ctx, inv)
}

func (b *flawStore) CreateSignIn(ctx context.Context, s *store.SignIn) error {
	if err := b.fails(); err != nil {
		return err
	}
	if b.conflicts() {
		return store.ErrConflict
	}
	return b.Store.CreateSignIn(ctx, s)
}

func (b *flawStore) CreateToken(ctx context.Context, t *store.Token) error {
	if err := b.fails(); err != nil {
		return err
	}
	return b.Store.CreateToken(ctx, t)
}

func (b *flawStore) CreateMesh(ctx context.Context, m *store.Mesh, list []*store.Member) error {
	if err := b.fails(); err != nil {
		return err
	}
	return b.Store.CreateMesh(ctx, m, list)
}

func (b *flawStore) Mesh(ctx context.Context, id string) (*store.Mesh, error) {
	return flawWhenUp(b, func() (*store.Mesh, error) { return b.Store.Mesh(ctx, id) })
}

func (b *flawStore) FindMesh(ctx context.Context, name string) (*store.Mesh, error) {
	return flawWhenUp(b, func() (*store.Mesh, error) { return b.Store.FindMesh(ctx, name) })
}

func (b *flawStore) Account(ctx context.Context, id string) (*store.Account, error) {
	return flawWhenUp(b, func() (*store.Account, error) { return b.Store.Account(ctx, id) })
}

func (b *flawStore) AccountMeshes(ctx context.Context, id string) ([]store.AccountMesh, error) {
	return flawWhenUp(b, func() ([]store.AccountMesh, error) { return b.Store.AccountMeshes(ctx, id) })
}

func (b *flawStore) AccountMember(ctx context.Context, mesh, id string) (*store.Member, error) {
	return flawWhenUp(b, func() (*store.Member, error) { return b.Store.AccountMember(ctx, mesh, id) })
}

func (b *flawStore) Member(ctx context.Context, mesh string, key sdk.Key) (*store.Member, error) {
	return flawWhenUp(b, func() (*store.Member, error) { return b.Store.Member(ctx, mesh, key) })
}

func (b *flawStore) MemberByID(ctx context.Context, id string) (*store.Member, error) {
	return flawWhenUp(b, func() (*store.Member, error) { return b.Store.MemberByID(ctx, id) })
}

func (b *flawStore) ListMembers(ctx context.Context, mesh string) ([]*store.Member, error) {
	return flawWhenUp(b, func() ([]*store.Member, error) { return b.Store.ListMembers(ctx, mesh) })
}

func (b *flawStore) InviteByToken(ctx context.Context, token string) (*store.Invite, error) {
	return flawWhenUp(b, func() (*store.Invite, error) { return b.Store.InviteByToken(ctx, token) })
}

func (b *flawStore) InviteByCode(ctx context.Context, code string) (*store.Invite, error) {
	return flawWhenUp(b, func() (*store.Invite, error) { return b.Store.InviteByCode(ctx, code) })
}

func (b *flawStore) SignInByDevice(ctx context.Context, hash [32]byte) (*store.SignIn, error) {
	return flawWhenUp(b, func() (*store.SignIn, error) { return b.Store.SignInByDevice(ctx, hash) })
}

func (b *flawStore) SignInByCode(ctx context.Context, code string) (*store.SignIn, error) {
	return flawWhenUp(b, func() (*store.SignIn, error) { return b.Store.SignInByCode(ctx, code) })
}

func (b *flawStore) SpendCode(ctx context.Context, hash [32]byte, now time.Time) (string, error) {
	return flawWhenUp(b, func() (string, error) { return b.Store.SpendCode(ctx, hash, now) })
}

func (b *flawStore) UseOnce(ctx context.Context, token [32]byte, until time.Time) (bool, error) {
	return flawWhenUp(b, func() (bool, error) { return b.Store.UseOnce(ctx, token, until) })
}

func (b *flawStore) TokenByHash(ctx context.Context, hash [32]byte) (*store.Token, *store.Account, error) {
	if err := b.fails(); err != nil {
		return nil, nil, err
	}
	b.gate.pass()
	return b.Store.TokenByHash(ctx, hash)
}
