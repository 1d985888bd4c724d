package control

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/claudemesh/broker/core/admin"
)

// Direct opens the operations on the store itself, and says how to close it.
type Direct func(ctx context.Context) (ops admin.Ops, closeStore func() error, err error)

// Session is one command's access to the operations.
type Session struct {
	admin.Ops

	// Running is the broker that answers; nil when the command works on the
	// store itself.
	Running *About

	close func() error
}

// Close ends the session.
func (s *Session) Close() error { return s.close() }

// Open returns the operations on a data directory: those of the broker that runs
// there, or, when none does, those on the store, which direct opens. Every
// command goes through here.
//
// The choice is looked at again before each change, because a broker may start
// meanwhile: then it is asked after all.
func Open(ctx context.Context, dataDir string, direct Direct) (*Session, error) {
	c, err := Dial(ctx, dataDir)
	if err == nil {
		a := c.About()
		return &Session{Ops: c, Running: &a, close: func() error { c.Close(); return nil }}, nil
	}
	if !errors.Is(err, ErrNotRunning) {
		return nil, err
	}
	ops, closeStore, err := direct(ctx)
	if err != nil {
		return nil, err
	}
	return &Session{Ops: &unattended{ops, dataDir}, close: closeStore}, nil
}

// unattended are operations on the store of a broker that does not run. What
// only reads goes through unchanged.
type unattended struct {
	admin.Ops
	dataDir string
}

// CreateMesh implements [admin.Ops].
func (u *unattended) CreateMesh(ctx context.Context, name string, o admin.MeshOptions) (*admin.NewMesh, error) {
	return change(ctx, u, func(ops admin.Ops) (*admin.NewMesh, error) { return ops.CreateMesh(ctx, name, o) })
}

// RevokeMember implements [admin.Ops].
func (u *unattended) RevokeMember(ctx context.Context, mesh, ref string) (*admin.Revocation, error) {
	return change(ctx, u, func(ops admin.Ops) (*admin.Revocation, error) { return ops.RevokeMember(ctx, mesh, ref) })
}

// LinkMember implements [admin.Ops].
func (u *unattended) LinkMember(ctx context.Context, mesh, ref, account string, move bool) (*admin.MemberLink, error) {
	return change(ctx, u, func(ops admin.Ops) (*admin.MemberLink, error) { return ops.LinkMember(ctx, mesh, ref, account, move) })
}

// CreateInvite implements [admin.Ops].
func (u *unattended) CreateInvite(ctx context.Context, mesh string, o admin.InviteOptions) (*admin.Invite, error) {
	return change(ctx, u, func(ops admin.Ops) (*admin.Invite, error) { return ops.CreateInvite(ctx, mesh, o) })
}

// CreateToken implements [admin.Ops].
func (u *unattended) CreateToken(ctx context.Context, account string, o admin.TokenOptions) (*admin.NewToken, error) {
	return change(ctx, u, func(ops admin.Ops) (*admin.NewToken, error) { return ops.CreateToken(ctx, account, o) })
}

// RevokeToken implements [admin.Ops].
func (u *unattended) RevokeToken(ctx context.Context, id string) error {
	_, err := change(ctx, u, func(ops admin.Ops) (none, error) { return none{}, ops.RevokeToken(ctx, id) })
	return err
}

// ApproveSignIn implements [admin.Ops].
func (u *unattended) ApproveSignIn(ctx context.Context, code, account string) (*admin.Approval, error) {
	return change(ctx, u, func(ops admin.Ops) (*admin.Approval, error) { return ops.ApproveSignIn(ctx, code, account) })
}

// SetAccountEnabled implements [admin.Ops].
func (u *unattended) SetAccountEnabled(ctx context.Context, account string, enabled bool) (*admin.Account, error) {
	return change(ctx, u, func(ops admin.Ops) (*admin.Account, error) { return ops.SetAccountEnabled(ctx, account, enabled) })
}

// SetAccountLegacy implements [admin.Ops].
func (u *unattended) SetAccountLegacy(ctx context.Context, account string, allowed bool) (*admin.Account, error) {
	return change(ctx, u, func(ops admin.Ops) (*admin.Account, error) { return ops.SetAccountLegacy(ctx, account, allowed) })
}

// SetMeshOwner implements [admin.Ops].
func (u *unattended) SetMeshOwner(ctx context.Context, mesh, account string) (*admin.MeshOwner, error) {
	return change(ctx, u, func(ops admin.Ops) (*admin.MeshOwner, error) { return ops.SetMeshOwner(ctx, mesh, account) })
}

// Migrate implements [admin.Ops].
func (u *unattended) Migrate(ctx context.Context) ([]admin.Migration, error) {
	return change(ctx, u, func(ops admin.Ops) ([]admin.Migration, error) { return ops.Migrate(ctx) })
}

// change runs f on the store while no broker can start, or on the broker that
// has started since.
func change[Answer any](ctx context.Context, u *unattended, f func(admin.Ops) (Answer, error)) (none Answer, err error) {
	deadline := time.After(lockTime)
	for {
		unlock, err := lockFile(filepath.Join(u.dataDir, lockName), false)
		if err == nil {
			defer unlock()
			return f(u.Ops)
		}
		if !errors.Is(err, errLocked) {
			return none, err
		}
		c, err := Dial(ctx, u.dataDir)
		if err == nil {
			defer c.Close()
			return f(c)
		}
		if !errors.Is(err, ErrNotRunning) {
			return none, err
		}
		select {
		case <-deadline:
			return none, fmt.Errorf("a broker is starting or stopping on %s and does not answer: try again in a moment", u.dataDir)
		case <-ctx.Done():
			return none, ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}
