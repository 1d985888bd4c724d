package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// book is the members, meshes and session keys that a stage asks for.
type book struct {
	MemberFn func() error // fails Member; nil never does
	ClaimFn  func() error // fails ClaimSessionKey; nil never does

	mu      sync.Mutex
	members map[sdk.Key]*store.Member // of every mesh that is no stranger's
	meshes  map[string]*store.Mesh
	claims  map[sdk.Key]string
}

func (b *book) Mesh(_ context.Context, id string) (*store.Mesh, error) {
	if m := b.meshes[id]; m != nil {
		return m, nil
	}
	return nil, store.ErrNotFound
}

func (b *book) Member(_ context.Context, mesh string, key sdk.Key) (*store.Member, error) {
	if b.MemberFn != nil {
		if err := b.MemberFn(); err != nil {
			return nil, err
		}
	}
	if m := b.members[key]; m != nil && m.MeshID == mesh {
		return m, nil
	}
	return nil, store.ErrNotFound
}

func (b *book) ClaimSessionKey(_ context.Context, _ string, key sdk.Key, memberID string, _ time.Time) (string, bool, error) {
	if b.ClaimFn != nil {
		if err := b.ClaimFn(); err != nil {
			return "", false, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if owner, claimed := b.claims[key]; claimed {
		return owner, false, nil
	}
	b.claims[key] = memberID
	return memberID, false, nil
}

// rig is a stage over a book, with a clock of its own.
type rig struct {
	callers *callers
	*Stage
	t    *testing.T
	book *book
	at   time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, at: time.Now(), callers: new(callers), book: &book{
		members: map[sdk.Key]*store.Member{}, claims: map[sdk.Key]string{},
		meshes: map[string]*store.Mesh{"mesh": {ID: "mesh", Name: "Home"}, "old": {ID: "old", Name: "Old", ArchivedAt: time.Now()}},
	}}
	r.Stage = New(r.book, r.book, r.callers, nil)
	r.now = func() time.Time { return r.at }
	return r
}

// secret returns the key that goes by a name.
func secret(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// member enrols a member and returns its identity.
func (r *rig) member(mesh, name string) dial.Identity {
	key := identity.PublicKey(secret(name))
	r.book.members[key] = &store.Member{ID: "id-" + name, MeshID: mesh, Key: key, DisplayName: name}
	return dial.Identity{MeshID: mesh, MemberID: "id-" + name, Key: secret(name), SessionID: "launch", Hostname: "host"}
}

// launch gives an identity a session key.
func launch(id dial.Identity, name string) dial.Identity {
	id.SessionKey = secret(name)
	return id
}

// hello returns an identity's hello, signed now.
func (r *rig) hello(id dial.Identity) *wire.Hello { return id.Hello(r.at) }

// vouched returns an identity's session_hello, signed now.
func (r *rig) vouched(id dial.Identity) *wire.SessionHello { return id.SessionHello(r.at) }

// handle lets the stage judge a first frame from an address.
func (r *rig) handle(from string, request wire.Frame) (sdk.Decision, *feature.Call) {
	r.t.Helper()
	d, call, err := r.try(from, request)
	if err != nil {
		r.t.Fatalf("handle: %v", err)
	}
	return d, call
}

func (r *rig) try(from string, request wire.Frame) (sdk.Decision, *feature.Call, error) {
	r.t.Helper()
	env := &sdk.Envelope{Kind: sdk.Kind(request.FrameType()), Arrived: r.at, Sender: sdk.Sender{Conn: 1, Remote: from}}
	call := &feature.Call{Env: env, Request: request}
	env.Body = call
	d, err := r.Handle(r.t.Context(), env)
	return d, call, err
}

// want checks a decision: "" continues, anything else is the reason of a refusal.
func want(t *testing.T, d sdk.Decision, reason sdk.Reason) {
	t.Helper()
	if reason == "" && d.Verdict != sdk.Continue {
		t.Errorf("got %v %s (%s), want it to continue", d.Verdict, d.Reason, d.Text)
	}
	if reason != "" && (d.Verdict != sdk.Deny || d.Reason != reason || d.Text == "") {
		t.Errorf("got %v %s (%s), want it refused with %s", d.Verdict, d.Reason, d.Text, reason)
	}
}

// vector is a hello of the vector file.
type vector struct {
	Name      string  `json:"name"`
	Now       int64   `json:"now_ms"`
	MeshID    string  `json:"mesh_id"`
	MemberID  string  `json:"member_id"`
	Pubkey    string  `json:"pubkey"`
	Timestamp string  `json:"timestamp_json"`
	Signature string  `json:"signature"`
	OK        bool    `json:"expect_ok"`
	Reason    *string `json:"expect_reason"`
}

func vectors(t *testing.T) []vector {
	t.Helper()
	text, err := os.ReadFile("../../core/identity/testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Hello []vector `json:"hello"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Hello) < 19 {
		t.Fatalf("got %d vectors, want 19", len(file.Hello))
	}
	return file.Hello
}

// bound is a session that a connection has already.
var bound = new(presence.Session)
