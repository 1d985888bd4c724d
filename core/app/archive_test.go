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
	"github.com/claudemesh/broker/sdk"
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

// lateStore has somebody wait who reads what a session left, at first.
type lateStore struct {
	store.Store
	in, out chan struct{} // nil: nobody waits
}

func (s *lateStore) State(ctx context.Context, mesh, member string, key sdk.Key) (*store.State, error) {
	if s.in != nil {
		s.in <- struct{}{}
		<-s.out
	}
	return s.Store.State(ctx, mesh, member, key)
}

// A hello that has proved itself when its mesh is deleted begins no session.
func TestHelloBesideArchive(t *testing.T) {
	t.Parallel()
	late := new(lateStore)
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), guessing, func(o *app.Options) {
		late.Store = o.Store
		o.Store = late
	})
	r.newMesh()
	c := newCrewOn(t, r)
	late.in, late.out = make(chan struct{}), make(chan struct{})
	said := make(chan error, 1)
	go func() {
		p, err := dial.Dial(context.Background(), r.url, c.ids["cy"], dial.Options{})
		if err == nil {
			p.Abort()
		}
		said <- err
	}()
	<-late.in
	c.wantOK(http.MethodDelete, "/cli/mesh/home", c.tokens["ada"], "")
	close(late.out)
	if err := <-said; err == nil {
		t.Error("a session has begun in a mesh that was deleted")
	}
	if views := c.app.Views(c.mesh.ID); len(views) != 0 {
		t.Errorf("got %d sessions in a mesh that was deleted", len(views))
	}
}

// lostStore loses the answer to a change of a mesh that it has written.
type lostStore struct {
	store.Store
	loses atomic.Bool
}

func (s *lostStore) ChangeMesh(ctx context.Context, id string, change func(*store.Mesh) error) (*store.Mesh, error) {
	m, err := s.Store.ChangeMesh(ctx, id, change)
	if s.loses.Load() {
		return nil, store.ErrUnavailable
	}
	return m, err
}

// A mesh that was archived by a request that could not say so ends its sessions
// all the same.
func TestArchiveWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	lost := new(lostStore)
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), guessing, func(o *app.Options) {
		lost.Store = o.Store
		o.Store = lost
	})
	r.newMesh()
	c := newCrewOn(t, r)
	p := c.dial(c.ids["cy"], dial.Options{})
	lost.loses.Store(true)
	if status, a, _ := c.ask(http.MethodDelete, "/cli/mesh/home", c.tokens["ada"], ""); status != http.StatusServiceUnavailable {
		t.Errorf("got %d %v", status, a)
	}
	if err := r.ended(p); err == nil {
		t.Error("the session of an archived mesh goes on")
	}
}
