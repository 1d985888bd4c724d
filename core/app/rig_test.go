package app_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/backend"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/meshsql"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/freshtest"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/core/token"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/stages"
	"github.com/claudemesh/broker/stages/auth"
	"github.com/claudemesh/broker/stages/legacyauth"
)

// rig is a broker in this process, on a real store and a real port.
type rig struct {
	t     testing.TB
	app   *app.App
	store store.Store
	url   string
	file  string // of the store
	mesh  *store.Mesh
	owner ed25519.PrivateKey
	stop  func()
	sql   meshsql.Engine // nil without a place for it
}

// start runs a broker on the store file at path until the test ends.
func start(tb testing.TB, path string, change func(*config.Config)) *rig {
	tb.Helper()
	return startWith(tb, path, change, nil)
}

// startWith is start with options that are no config, such as another store.
func startWith(tb testing.TB, path string, change func(*config.Config), edit func(*app.Options)) *rig {
	tb.Helper()
	cfg := unlimited()
	if change != nil {
		change(&cfg)
	}
	freshtest.File(tb, path)
	st, err := sqlite.Open(context.Background(), sqlite.Options{Path: path, Durability: sqlite.Durability(cfg.Store.Durability)})
	if err != nil {
		tb.Fatalf("open store: %v", err)
	}
	r := startOn(tb, cfg, st, edit)
	r.file = path
	return r
}

// atRest is the operator's key of every rig.
var atRest = identity.NewAtRest([identity.AtRestKeySize]byte{7})

// startOn runs a broker on a store, which it closes, until the test ends.
func startOn(tb testing.TB, cfg config.Config, st store.Store, edit func(*app.Options)) *rig {
	tb.Helper()
	ready := make(chan string, 1)
	var a *app.App
	hits := new(legacyauth.Hits)
	options := app.Options{
		Config: cfg, Store: st, Factories: func(p app.Parts) chain.Factories { return factoriesOf(p, hits) },
		LegacyHits: hits.Load, Log: slog.New(slog.DiscardHandler), Version: "test",
		Keys: atRest, Tokens: token.NewKeys(atRest.Key()),
		URL:   func() string { return "ws://" + a.Addr() + "/ws" },
		Ready: func(addr string) { ready <- addr },
	}
	var err error
	if options.SQL, err = backend.OpenMeshSQL(context.Background(), cfg); err != nil {
		tb.Fatalf("open mesh SQL: %v", err)
	}
	if cfg.Files.Dir != "" {
		withDisk(tb, cfg.Files.Dir)(&options)
	}
	if edit != nil {
		edit(&options)
	}
	a, err = app.New(context.Background(), options)
	if err != nil {
		tb.Fatalf("new app: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	r := &rig{t: tb, app: a, store: st, url: "ws://" + <-ready + "/ws", sql: options.SQL}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("run: %v", err)
		}
		if err := st.Close(); err != nil {
			tb.Errorf("close store: %v", err)
		}
	}
	tb.Cleanup(r.stop)
	return r
}

// newRig starts a broker on a fresh store with one mesh.
func newRig(tb testing.TB, change func(*config.Config)) *rig {
	tb.Helper()
	r := start(tb, filepath.Join(tb.TempDir(), "broker.db"), change)
	r.newMesh()
	return r
}

// newMesh makes the mesh that the rig's members are in.
func (r *rig) newMesh() {
	r.t.Helper()
	key, secret := identity.NewKeypair()
	r.owner = secret
	id := identity.NewID()
	r.mesh = &store.Mesh{
		ID: id, Slug: "home", Name: "Home", OwnerKey: key, CreatedAt: time.Now(), Policy: store.Policy{Groups: true},
		OwnerSecret: atRest.SealFor(identity.OwnerSecretAtRest, id, secret.Seed()),
		RootKey:     atRest.SealFor(identity.RootKeyAtRest, id, make([]byte, 32)),
	}
	if err := r.store.CreateMesh(context.Background(), r.mesh, nil); err != nil {
		r.t.Fatalf("create mesh: %v", err)
	}
}

func factories(p app.Parts) chain.Factories { return factoriesOf(p, nil) }

// factoriesOf is factories where legacy-auth counts into hits.
func factoriesOf(p app.Parts, hits *legacyauth.Hits) chain.Factories {
	return stages.Factories(stages.All(stages.Deps{
		Auth: func(chain.LinkSpec) (sdk.Stage, error) {
			return auth.New(p.Roster, p.Roster, p.Callers, p.UseOnce), nil
		},
		Legacy: p.Callers, LegacyHits: hits,
		Grants: p.Roster, Dispatch: p.Registry,
	}))
}

// putBeforeRoute puts a stage before the route stage.
func putBeforeRoute(o *app.Options, name string, s sdk.Stage) {
	var list []config.Link
	for _, l := range o.Config.Pipeline {
		if l.Stage == "route" {
			list = append(list, config.Link{Stage: name, Name: name, Enabled: true})
		}
		list = append(list, l)
	}
	o.Config.Pipeline = list
	o.Factories = func(p app.Parts) chain.Factories {
		all := factories(p)
		all[name] = chain.Factory{New: func(chain.LinkSpec) (sdk.Stage, error) { return s, nil }}
		return all
	}
}

// member enrols a member with a fresh key.
func (r *rig) member(name string, role store.Role) dial.Identity {
	r.t.Helper()
	key, secret := identity.NewKeypair()
	m := &store.Member{
		ID: identity.NewID(), MeshID: r.mesh.ID, Key: key, DisplayName: name, Role: role,
		MessageMode: "push", JoinedAt: time.Now(),
	}
	if err := r.store.AddMember(context.Background(), m); err != nil {
		r.t.Fatalf("add member: %v", err)
	}
	return dial.Identity{MeshID: r.mesh.ID, MemberID: m.ID, Key: secret}
}

// session gives an identity a fresh session key.
func session(id dial.Identity) dial.Identity {
	_, id.SessionKey = identity.NewKeypair()
	id.SessionID = identity.NewID()
	return id
}

// dial connects, and closes the peer when the test ends.
func (r *rig) dial(id dial.Identity, o dial.Options) *dial.Peer {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	p, err := dial.Dial(ctx, r.url, id, o)
	if err != nil {
		r.t.Fatalf("dial: %v", err)
	}
	r.t.Cleanup(p.Abort)
	return p
}

// ended waits for the end of a connection and says how it ended.
func (r *rig) ended(p *dial.Peer) error {
	r.t.Helper()
	select {
	case <-p.Done():
	case <-time.After(patience):
		r.t.Fatalf("the connection is still open after %v", patience)
	}
	return p.Err()
}

// send sends a text in the open and returns the ack.
func (r *rig) send(p *dial.Peer, target string, priority sdk.Priority, text string) wire.Ack {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ack, err := p.Send(ctx, target, priority, "", text, dial.SendOptions{})
	if err != nil {
		r.t.Fatalf("send: %v", err)
	}
	return ack
}

// recv returns the next message that is not an event.
func (r *rig) recv(p *dial.Peer) *wire.Push {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	push, err := p.RecvMessage(ctx)
	if err != nil {
		r.t.Fatalf("receive: %v", err)
	}
	return push
}

func (r *rig) wantText(p *dial.Peer, want string) *wire.Push {
	r.t.Helper()
	push := r.recv(p)
	if push.Ciphertext != want {
		r.t.Fatalf("got %q, want %q", push.Ciphertext, want)
	}
	return push
}

// eventually waits for a condition.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			tb.Fatalf("waited 15 s for %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func text(i int) string { return fmt.Sprintf("text %d", i) }
