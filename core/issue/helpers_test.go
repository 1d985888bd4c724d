package issue_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/freshtest"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/sdk"
)

const brokerURL = "wss://broker.example/ws"

// rig is an issuer on a fresh store.
type rig struct {
	*issue.Issuer
	store *sqlite.Store
	path  string // of its file
	keys  *identity.AtRest
}

func newRig(t *testing.T) *rig {
	t.Helper()
	path := freshtest.Path(t)
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Durability: sqlite.Process})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &rig{store: st, path: path, keys: identity.NewAtRest([identity.AtRestKeySize]byte{1})}
	r.Issuer = r.with(st, r.keys)
	return r
}

// with returns an issuer on another store or with another key.
func (r *rig) with(st issue.Store, keys *identity.AtRest) *issue.Issuer {
	return issue.New(st, keys, func() string { return brokerURL })
}

// mesh makes a mesh without members.
func (r *rig) mesh(t *testing.T, name string) *store.Mesh {
	t.Helper()
	m, _, err := r.Mesh(t.Context(), issue.NewMesh{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// member is a member who can be written.
func member(name string) issue.NewMember {
	key, _ := identity.NewKeypair()
	return issue.NewMember{Key: key, DisplayName: name, Role: store.RoleMember}
}

// spy is a store that tells what is written to it.
type spy struct {
	issue.Store
	createMesh   func(m *store.Mesh)
	createInvite func(inv *store.Invite)
}

func (s spy) CreateMesh(ctx context.Context, m *store.Mesh, members []*store.Member) error {
	if s.createMesh != nil {
		s.createMesh(m)
	}
	return s.Store.CreateMesh(ctx, m, members)
}

func (s spy) CreateInvite(ctx context.Context, inv *store.Invite) error {
	if s.createInvite != nil {
		s.createInvite(inv)
	}
	return s.Store.CreateInvite(ctx, inv)
}

// wantCode fails unless err is a refusal with the code, in one line.
func wantCode(t *testing.T, err error, code sdk.Reason) {
	t.Helper()
	var e *core.Error
	if !errors.As(err, &e) || e.Code != code || strings.Contains(err.Error(), "\n") {
		t.Errorf("got error %v, want code %s", err, code)
	}
}
