// Package roster knows who belongs to a mesh: its members, what they allow,
// and whose a session key is. It stands between the chain and the store, and
// remembers what it read until somebody says that it changed.
package roster

import (
	"context"
	"errors"
	"sync"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// remember is how many members a roster keeps in memory. Beyond it, it starts
// afresh.
const remember = 100_000

// Store is what a roster reads.
type Store interface {
	Mesh(ctx context.Context, id string) (*store.Mesh, error)
	Member(ctx context.Context, mesh string, key sdk.Key) (*store.Member, error)
	MemberByID(ctx context.Context, id string) (*store.Member, error)
	SessionKeyOwner(ctx context.Context, mesh string, key sdk.Key) (string, error)
}

// Present finds out who is connected.
type Present interface {
	// Here returns the address behind a key of a session that is here, or was
	// until a moment ago.
	Here(mesh string, key sdk.Key) (sdk.Recipient, bool)

	// Audience appends the sessions that a group or everybody means.
	Audience(mesh string, t sdk.Target, sender sdk.Key, dst []sdk.Recipient) []sdk.Recipient
}

// Roster answers who is who. All methods may be called concurrently.
//
// Rows that it returns are shared and must not be changed.
type Roster struct {
	store   Store
	present Present
	journal Journal
	claims  Claims       // nil for a broker on its own
	topics  sdk.Resolver // set by UseTopics

	mu     sync.RWMutex
	epoch  uint64           // rises with each Forget: what was read before it is not kept
	keys   map[place]string // session keys and the ids of their owners; written claims may be dropped
	byKey  map[place]*store.Member
	byID   map[string]*store.Member
	meshes map[string]*store.Mesh
}

// place names a member row.
type place struct {
	mesh string
	key  sdk.Key
}

// New returns a roster that reads st and writes claims to j. Among nodes that
// share a store, c decides about claims in place of j; else it is nil.
func New(st Store, p Present, j Journal, c Claims) *Roster {
	r := &Roster{store: st, present: p, journal: j, claims: c, keys: map[place]string{}}
	r.ForgetAll()
	return r
}

// UseTopics has topics find out whom a target means that is one. It is called
// before the first envelope.
func (r *Roster) UseTopics(topics sdk.Resolver) { r.topics = topics }

// Mesh returns a mesh by id, archived ones too. [store.ErrNotFound].
func (r *Roster) Mesh(ctx context.Context, id string) (*store.Mesh, error) {
	r.mu.RLock()
	m, epoch := r.meshes[id], r.epoch
	r.mu.RUnlock()
	if m != nil {
		return m, nil
	}
	m, err := r.store.Mesh(ctx, id)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.epoch == epoch {
		r.meshes[id] = m
	}
	return m, nil
}

// Member returns the row of a key, revoked ones too. Who is not found is looked
// for again the next time. [store.ErrNotFound].
func (r *Roster) Member(ctx context.Context, mesh string, key sdk.Key) (*store.Member, error) {
	r.mu.RLock()
	m, epoch := r.byKey[place{mesh, key}], r.epoch
	r.mu.RUnlock()
	if m != nil {
		return m, nil
	}
	m, err := r.store.Member(ctx, mesh, key)
	if err != nil {
		return nil, err
	}
	r.keep(m, epoch)
	return m, nil
}

// MemberByID returns a row by its id. [store.ErrNotFound].
func (r *Roster) MemberByID(ctx context.Context, id string) (*store.Member, error) {
	r.mu.RLock()
	m, epoch := r.byID[id], r.epoch
	r.mu.RUnlock()
	if m != nil {
		return m, nil
	}
	m, err := r.store.MemberByID(ctx, id)
	if err != nil {
		return nil, err
	}
	r.keep(m, epoch)
	return m, nil
}

// Grants returns what a member allows; nil is the default for everybody.
func (r *Roster) Grants(ctx context.Context, _, memberID string) (store.Grants, error) {
	m, err := r.MemberByID(ctx, memberID)
	if err != nil {
		return nil, err
	}
	return m.Grants, nil
}

// keep remembers a row that was read in an epoch. A row that was forgotten
// meanwhile may have been read before it changed.
func (r *Roster) keep(m *store.Member, epoch uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.epoch != epoch {
		return
	}
	if len(r.byID) >= remember {
		r.forgetAllLocked()
	}
	r.byKey[place{m.MeshID, m.Key}] = m
	r.byID[m.ID] = m
}

// Forget drops a member from memory: its row has changed.
func (r *Roster) Forget(memberID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	if m := r.byID[memberID]; m != nil {
		delete(r.byID, memberID)
		delete(r.byKey, place{m.MeshID, m.Key})
	}
}

// ForgetMesh drops a mesh from memory: its row has changed.
func (r *Roster) ForgetMesh(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	delete(r.meshes, id)
}

// ForgetAll drops everything from memory.
func (r *Roster) ForgetAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgetAllLocked()
}

func (r *Roster) forgetAllLocked() {
	r.epoch++
	r.byKey = map[place]*store.Member{}
	r.byID = map[string]*store.Member{}
	r.meshes = map[string]*store.Mesh{}
}

// Resolve implements [sdk.Resolver]. A key that no live member and no session
// of one has ever had means nobody.
func (r *Roster) Resolve(ctx context.Context, env *sdk.Envelope, dst []sdk.Recipient) ([]sdk.Recipient, error) {
	switch env.Target.Kind {
	case sdk.TargetBroadcast, sdk.TargetGroup:
		return r.present.Audience(env.Mesh, env.Target, env.Sender.Member, dst), nil
	case sdk.TargetKey:
		return r.resolveKey(ctx, env.Mesh, env.Target.Key, dst)
	case sdk.TargetTopic:
		if r.topics == nil {
			return dst, nil
		}
		return r.topics.Resolve(ctx, env, dst)
	default:
		return dst, nil
	}
}

func (r *Roster) resolveKey(ctx context.Context, mesh string, key sdk.Key, dst []sdk.Recipient) ([]sdk.Recipient, error) {
	if here, ok := r.present.Here(mesh, key); ok {
		return append(dst, here), nil
	}
	m, err := r.Member(ctx, mesh, key)
	if err == nil {
		if !m.Live() {
			return dst, nil
		}
		return append(dst, sdk.Recipient{MemberID: m.ID, Member: m.Key}), nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	owner, err := r.SessionKeyOwner(ctx, mesh, key)
	if errors.Is(err, store.ErrNotFound) {
		return dst, nil
	}
	if err != nil {
		return nil, err
	}
	m, err = r.MemberByID(ctx, owner)
	if err != nil || !m.Live() {
		return dst, err
	}
	return append(dst, sdk.Recipient{MemberID: m.ID, Member: m.Key, Session: key}), nil
}
