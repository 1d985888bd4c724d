package app

import (
	"context"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/commit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// written is the store as handlers see it: what is on its way to disk counts as
// being there.
type written struct {
	store.Store
	committer *commit.Committer
	journal   *commit.Journal
}

// State implements [store.States].
func (s written) State(ctx context.Context, mesh, memberID string, session sdk.Key) (*store.State, error) {
	if saved := s.journal.State(mesh, memberID, session); saved != nil {
		return saved, nil
	}
	// Asked for before the store: what is written meanwhile is in neither later.
	members := s.journal.State(mesh, memberID, sdk.Key{})
	stored, err := s.Store.State(ctx, mesh, memberID, session)
	if members == nil || err == nil && stored.SessionKey == session {
		return stored, err
	}
	return members, nil
}

// AuditPage implements [store.Audit].
func (s written) AuditPage(ctx context.Context, mesh string, match store.AuditMatch, limit, offset int) ([]*audit.Entry, int64, error) {
	if err := s.committer.Flush(ctx); err != nil {
		return nil, 0, err
	}
	return s.Store.AuditPage(ctx, mesh, match, limit, offset)
}

// VerifyAudit implements [store.Audit].
func (s written) VerifyAudit(ctx context.Context, mesh string) (audit.Result, error) {
	if err := s.committer.Flush(ctx); err != nil {
		return audit.Result{}, err
	}
	return s.Store.VerifyAudit(ctx, mesh)
}
