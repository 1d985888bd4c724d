package api

import (
	"context"
	"errors"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
)

// match returns the sessions that a hint means, of those that the caller may
// speak of, the newest first: all with the client's own name for its launch, else
// all of the process in the directory, else the newest in the directory, with the
// sessions that the same client has in other meshes. It may find nobody.
func (h *hooks) match(ctx context.Context, from hookCaller, hint presence.Hint) ([]*presence.Session, error) {
	var found []*presence.Session
	var best presence.Candidate
	known := map[string]bool{} // by member, whether the caller's account is behind it
	for _, c := range h.dir.Candidates(from.mesh, hint) {
		if len(found) > 0 && !together(best, c) {
			continue
		}
		ours, err := h.covers(ctx, from.scope, c, known)
		switch {
		case err != nil:
			return nil, err
		case !ours:
			continue
		case len(found) == 0:
			best = c
		}
		found = append(found, c.Session)
	}
	return found, nil
}

// together reports whether a hint that means the best candidate means another one
// too.
func together(best, c presence.Candidate) bool {
	if c.Level != best.Level {
		return false
	}
	return c.Level != presence.ByDirectory || best.ClientID != "" && c.ClientID == best.ClientID && c.Mesh != best.Mesh
}

// covers reports whether a hook with a scope may speak of a session.
func (h *hooks) covers(ctx context.Context, scope presence.Scope, c presence.Candidate, known map[string]bool) (bool, error) {
	switch {
	case scope.MemberID != "":
		return c.MemberID == scope.MemberID, nil
	case scope.Account == "":
		return !scope.Local || c.Local, nil
	}
	ours, ok := known[c.MemberID]
	if ok {
		return ours, nil
	}
	m, err := h.members.MemberByID(ctx, c.MemberID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, core.Unavailable(err)
	}
	ours = err == nil && m.AccountID == scope.Account
	known[c.MemberID] = ours
	return ours, nil
}
