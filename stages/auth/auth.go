// Package auth proves who an envelope comes from.
//
// A hello is proved by its signatures; every later frame of the connection is
// known by the session that the hello began. An HTTP request is proved by a
// bearer token or by a member's signature, if its route asks for a proof.
package auth

import (
	"context"
	"errors"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Members finds the member behind a key.
type Members interface {
	Mesh(ctx context.Context, id string) (*store.Mesh, error)
	Member(ctx context.Context, mesh string, key sdk.Key) (*store.Member, error)
}

// SessionKeys remembers whose a session key is.
type SessionKeys interface {
	ClaimSessionKey(ctx context.Context, mesh string, key sdk.Key, memberID string, now time.Time) (owner string, fresh bool, err error)
}

// Stage is the auth stage. It may be used by many goroutines at once.
type Stage struct {
	members Members
	keys    SessionKeys
	callers Callers
	once    Once // nil for a broker on its own
	replays *replays
	now     func() time.Time
}

// Once reports whether a token is seen for the first time by any of the brokers
// that share a store, and remembers it until the given time.
type Once func(ctx context.Context, token [32]byte, until time.Time) (fresh bool, err error)

// New returns an auth stage. once is nil for a broker on its own.
func New(m Members, k SessionKeys, c Callers, once Once) *Stage {
	return &Stage{members: m, keys: k, callers: c, once: once, replays: newReplays(), now: time.Now}
}

// Key says that one auth stage is like another: a reload carries it over, and
// with it the memory of signatures.
func (*Stage) Key() string { return "auth" }

// Handle proves the sender of one envelope.
func (s *Stage) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	call := feature.Of(env)
	switch {
	case call == nil:
		return sdk.Refuse(sdk.ReasonUnauthorized, "this request proves nobody"), nil
	case call.HTTP != nil:
		return s.http(ctx, call)
	case call.Post != nil:
		return decide(s.post(ctx, call))
	}
	switch hello := call.Request.(type) {
	case *wire.Hello:
		return s.hello(ctx, call, hello)
	case *wire.SessionHello:
		return s.sessionHello(ctx, call, hello)
	}
	if call.Session == nil {
		return sdk.Refuse(sdk.ReasonNoHello, "say hello first: this connection has not proved who it is"), nil
	}
	return sdk.Next(), nil
}

// post finds the member that the broker sends a message for: the broker's word is
// the proof, and the member may be gone by now.
func (s *Stage) post(ctx context.Context, call *feature.Call) error {
	member, err := s.member(ctx, call, call.Post.Mesh, call.Post.Member)
	if err != nil {
		return err
	}
	proved(call, member, sdk.Key{}, "")
	return nil
}

// errRefused carries a refusal out of a check.
type refusal struct{ sdk.Decision }

func (refusal) Error() string { return "refused" }

func refuse(r sdk.Reason, text string) error { return refusal{sdk.Refuse(r, text)} }

// decide turns the outcome of checks into a decision. What is no refusal is a
// failure of the stage.
func decide(err error) (sdk.Decision, error) {
	var r refusal
	switch {
	case err == nil:
		return sdk.Next(), nil
	case errors.As(err, &r):
		return r.Decision, nil
	case errors.Is(err, store.ErrUnavailable):
		return sdk.Refuse(sdk.ReasonUnavailable, core.Unavailable(err).Message), nil
	default:
		return sdk.Decision{}, err
	}
}

// member finds the live member behind a key that has proved itself.
func (s *Stage) member(ctx context.Context, call *feature.Call, meshID string, key sdk.Key) (*store.Member, error) {
	m, err := s.members.Member(ctx, meshID, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, refuse(sdk.ReasonUnauthorized, "no member of this mesh has this key: join with an invite first")
	}
	if err != nil {
		return nil, err
	}
	mesh, err := s.members.Mesh(ctx, meshID)
	if err != nil {
		return nil, err
	}
	if !mesh.ArchivedAt.IsZero() {
		return nil, refuse(sdk.ReasonUnauthorized, "this mesh has been archived")
	}
	if !m.Live() {
		call.TurnedAway = m
		return nil, refuse(sdk.ReasonRevoked, "your access to mesh "+mesh.Name+" was revoked: contact its owner")
	}
	return m, nil
}

// sessionKey makes sure that a session key is the member's own: nobody else
// used it first, and it is nobody's member key.
func (s *Stage) sessionKey(ctx context.Context, call *feature.Call, m *store.Member, key sdk.Key) error {
	if key == m.Key {
		return refuse(sdk.ReasonBadSessionKey, "a session key must differ from the member key")
	}
	if _, err := s.members.Member(ctx, m.MeshID, key); err == nil {
		return refuse(sdk.ReasonSessionKeyTaken, "this session key is a member's key: make a fresh one")
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	owner, fresh, err := s.keys.ClaimSessionKey(ctx, m.MeshID, key, m.ID, s.now())
	if err != nil {
		return err
	}
	if owner != m.ID {
		return refuse(sdk.ReasonSessionKeyTaken, "another member has used this session key: make a fresh one")
	}
	call.AwaitDisk = call.AwaitDisk || fresh
	return nil
}

// proved fills in what the stage knows now.
func proved(call *feature.Call, m *store.Member, session sdk.Key, name string) {
	if name == "" {
		name = m.DisplayName
	}
	call.Member = m
	env := call.Env
	env.Mesh = m.MeshID
	env.Sender.MemberID, env.Sender.Member = m.ID, m.Key
	env.Sender.Session, env.Sender.Name = session, name
}
