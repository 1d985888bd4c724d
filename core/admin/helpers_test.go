package admin_test

import (
	"errors"
	"testing"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store/freshtest"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/sdk"
)

const brokerURL = "ws://127.0.0.1:7900/ws"

// rig is the operations on a fresh store.
type rig struct {
	*admin.Local
	store   *sqlite.Store
	keys    *identity.AtRest
	revoked []string // what the hook was told
}

func newRig(t *testing.T, change func(*rig, *admin.Hooks)) *rig {
	t.Helper()
	st, err := sqlite.Open(t.Context(), sqlite.Options{
		Path: freshtest.Path(t), Durability: sqlite.Process,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &rig{store: st, keys: identity.NewAtRest([identity.AtRestKeySize]byte{1})}
	hooks := admin.Hooks{
		URL:     func() string { return brokerURL },
		Revoked: func(id string) { r.revoked = append(r.revoked, id) },
	}
	if change != nil {
		change(r, &hooks)
	}
	r.Local = admin.New(st, r.keys, hooks)
	return r
}

// mesh makes a mesh with members.
func (r *rig) mesh(t *testing.T, name string, members int) *admin.NewMesh {
	t.Helper()
	m, err := r.CreateMesh(t.Context(), name, admin.MeshOptions{Members: members})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// wantCode fails unless err is a refusal with the code.
func wantCode(t *testing.T, err error, code sdk.Reason) {
	t.Helper()
	var e *core.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("got error %v, want code %s", err, code)
	}
}
