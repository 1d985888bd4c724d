package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// verifying lets one audit log be read at a time: each is a long read of the
// store.
type verifying struct {
	mu    sync.Mutex
	mesh  string // that is being read; empty for none
	since time.Time
}

// begin reports whether the caller may read, which then ends with end, or what
// is being read.
func (v *verifying) begin(mesh string) (ok bool, other string, since time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.mesh != "" {
		return false, v.mesh, v.since
	}
	v.mesh, v.since = mesh, time.Now()
	return true, "", time.Time{}
}

func (v *verifying) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.mesh = ""
}

// Verify implements [console.Source]. Entries that are on their way to disk are
// written first.
func (s *consoleSource) Verify(ctx context.Context, meshID string) (admin.Verification, error) {
	a := s.app
	m, err := a.options.Store.Mesh(ctx, meshID)
	if errors.Is(err, store.ErrNotFound) {
		return admin.Verification{}, core.Refuse(sdk.ReasonUnknownMesh, "there is no such mesh")
	}
	if err != nil {
		return admin.Verification{}, core.Unavailable(err)
	}
	ok, other, since := s.verify.begin(m.Slug)
	if !ok {
		return admin.Verification{}, core.Refuse("busy", fmt.Sprintf(
			"the audit log of %s is being read, for %v now: try again when that is over", other, time.Since(since).Round(time.Second)))
	}
	defer s.verify.end()
	r, err := written{a.options.Store, a.committer, a.journal}.VerifyAudit(ctx, m.ID)
	if err != nil {
		return admin.Verification{}, core.Unavailable(err)
	}
	return admin.Verification{MeshID: m.ID, Slug: m.Slug, Valid: r.Valid, Entries: r.Entries, BrokenAt: r.BrokenAt, Why: r.Why}, nil
}
