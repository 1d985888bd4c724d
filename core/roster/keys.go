package roster

import (
	"context"
	"errors"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Journal writes claims down without making anybody wait.
type Journal interface {
	SaveSessionKey(*store.SessionKey)
}

// Claims decides between nodes that share a store whose a session key is.
type Claims interface {
	ClaimSessionKey(ctx context.Context, k *store.SessionKey) (owner string, err error)
}

// ClaimSessionKey gives an unclaimed session key to a member and returns the
// member that owns it: the caller's, unless another was first. A fresh claim
// holds at once and is on disk with the next transaction; the session's hello
// must not be answered before that.
func (r *Roster) ClaimSessionKey(ctx context.Context, mesh string, key sdk.Key, memberID string, now time.Time) (owner string, fresh bool, err error) {
	at := place{mesh, key}
	r.mu.RLock()
	owner, known := r.keys[at]
	r.mu.RUnlock()
	if known {
		return owner, false, nil
	}
	if r.claims != nil {
		return r.claimShared(ctx, &store.SessionKey{MeshID: mesh, Key: key, MemberID: memberID, ClaimedAt: now})
	}
	stored, err := r.store.SessionKeyOwner(ctx, mesh, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if owner, known := r.keys[at]; known {
		return owner, false, nil
	}
	if len(r.keys) >= remember {
		clear(r.keys) // by now they are on disk
	}
	if err == nil {
		r.keys[at] = stored
		return stored, false, nil
	}
	r.keys[at] = memberID
	r.journal.SaveSessionKey(&store.SessionKey{MeshID: mesh, Key: key, MemberID: memberID, ClaimedAt: now})
	return memberID, true, nil
}

// claimShared asks the store, which all nodes share, and remembers its word.
func (r *Roster) claimShared(ctx context.Context, k *store.SessionKey) (owner string, fresh bool, err error) {
	owner, err = r.claims.ClaimSessionKey(ctx, k)
	if err != nil {
		return "", false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.keys) >= remember {
		clear(r.keys)
	}
	r.keys[place{k.MeshID, k.Key}] = owner
	return owner, false, nil
}

// SessionKeyOwner returns the member that owns a session key.
// [store.ErrNotFound].
func (r *Roster) SessionKeyOwner(ctx context.Context, mesh string, key sdk.Key) (string, error) {
	r.mu.RLock()
	owner, known := r.keys[place{mesh, key}]
	r.mu.RUnlock()
	if known {
		return owner, nil
	}
	return r.store.SessionKeyOwner(ctx, mesh, key)
}
