package app_test

import (
	"context"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
)

// blinkStore cannot read a mesh by its id while it blinks.
type blinkStore struct {
	store.Store
	blinks atomic.Bool
}

func (s *blinkStore) Mesh(ctx context.Context, id string) (*store.Mesh, error) {
	if s.blinks.Load() {
		return nil, store.ErrUnavailable
	}
	return s.Store.Mesh(ctx, id)
}

// A mesh was archived, and the node that has its sessions could not read that.
func TestArchiveIsReadLater(t *testing.T) {
	t.Parallel()
	blink := new(blinkStore)
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), nil, func(o *app.Options) {
		blink.Store = o.Store
		o.Store = blink
	})
	r.newMesh()
	boss := r.account("boss")
	_, err := r.store.ChangeMesh(t.Context(), r.mesh.ID, func(m *store.Mesh) error { m.OwnerAccount = "boss"; return nil })
	if err != nil {
		t.Fatal(err)
	}
	p := r.dial(r.member("ada", store.RoleMember), dial.Options{})
	blink.blinks.Store(true)
	r.wantOK(http.MethodDelete, "/cli/mesh/home", boss, "")
	blink.blinks.Store(false)
	if err := r.ended(p); err == nil {
		t.Error("the session of an archived mesh goes on")
	}
}
