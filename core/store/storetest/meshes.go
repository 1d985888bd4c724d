package storetest

import (
	"errors"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var meshes = []test{
	{"a mesh comes back as it was written", meshRoundTrip},
	{"a mesh is written with its first members", meshMembers},
	{"a taken id or slug is a conflict", meshConflict},
	{"a mesh whose members clash is not written at all", meshAtomic},
	{"a mesh is found by id and by slug, by id first", meshFind},
	{"an archived mesh is read by id only", meshArchived},
	{"a change is written but for what stays", meshChange},
	{"a change that is refused leaves the mesh as it was", meshRefuse},
	{"the list has live meshes and members, oldest first", meshList},
	{"a mesh that is not there is not found", meshNotFound},
}

func meshRoundTrip(s *suite) {
	for _, m := range []*store.Mesh{
		{ID: "minimal", Slug: "minimal", CreatedAt: now()},
		{
			ID: id("full", 1), Slug: "ful-l_2", Name: "Größe \"42\" 網 <&> 🕸", OwnerKey: key(1), OwnerSecret: "c2Vhb=",
			RootKey: "cm9vd+/", Policy: store.Policy{DisplayName: true, RoleTag: true, Groups: true, MessageMode: true},
			OwnerAccount: "somebody", CreatedAt: now().Add(-time.Hour), ArchivedAt: now(),
		},
		{ID: "half", Slug: "half", Policy: store.Policy{Groups: true}, CreatedAt: now()},
	} {
		s.must(s.CreateMesh(s.ctx, m, nil))
		got, err := s.Mesh(s.ctx, m.ID)
		s.must(err)
		same(s, got, m)
		if got.CreatedAt.Location() != time.UTC {
			s.Errorf("time is in %v, want UTC", got.CreatedAt.Location())
		}
	}
}

func meshMembers(s *suite) {
	m, list := s.mesh(3)
	got, err := s.ListMembers(s.ctx, m.ID)
	s.must(err)
	same(s, got, list)
}

func meshConflict(s *suite) {
	m, _ := s.mesh(0)
	other := *m
	other.ID = id("mesh", 2)
	s.wantErr(s.CreateMesh(s.ctx, &other, nil), store.ErrConflict)
	other = *m
	other.Slug = "second"
	s.wantErr(s.CreateMesh(s.ctx, &other, nil), store.ErrConflict)
}

func meshAtomic(s *suite) {
	m := &store.Mesh{ID: id("mesh", 1), Slug: "first", CreatedAt: now()}
	twin := member(m.ID, 1)
	twin.ID = id("twin", 1)
	s.wantErr(s.CreateMesh(s.ctx, m, []*store.Member{member(m.ID, 1), twin}), store.ErrConflict)
	_, err := s.Mesh(s.ctx, m.ID)
	s.wantErr(err, store.ErrNotFound)
	_, err = s.MemberByID(s.ctx, member(m.ID, 1).ID)
	s.wantErr(err, store.ErrNotFound)
}

func meshFind(s *suite) {
	a := &store.Mesh{ID: "one", Slug: "two", CreatedAt: now()}
	b := &store.Mesh{ID: "two", Slug: "three", CreatedAt: now()}
	s.must(s.CreateMesh(s.ctx, a, nil))
	s.must(s.CreateMesh(s.ctx, b, nil))
	for by, want := range map[string]*store.Mesh{"one": a, "two": b, "three": b} {
		got, err := s.FindMesh(s.ctx, by)
		s.must(err)
		same(s, got, want)
	}
}

func meshArchived(s *suite) {
	m := &store.Mesh{ID: "old", Slug: "gone", CreatedAt: now(), ArchivedAt: now()}
	s.must(s.CreateMesh(s.ctx, m, nil))
	_, err := s.Mesh(s.ctx, "old")
	s.must(err)
	for _, by := range []string{"old", "gone"} {
		_, err := s.FindMesh(s.ctx, by)
		s.wantErr(err, store.ErrNotFound)
	}
	s.must(s.CreateMesh(s.ctx, &store.Mesh{ID: "live", Slug: "live", CreatedAt: now()}, nil))
	ids, err := s.ArchivedMeshes(s.ctx)
	s.must(err)
	same(s, ids, []string{"old"})
	again := &store.Mesh{ID: "new", Slug: "gone", CreatedAt: now()}
	s.wantErr(s.CreateMesh(s.ctx, again, nil), store.ErrConflict)
}

func meshChange(s *suite) {
	m, _ := s.mesh(1)
	other := &store.Mesh{ID: "other", Slug: "other", CreatedAt: now()}
	s.must(s.CreateMesh(s.ctx, other, nil))
	got, err := s.ChangeMesh(s.ctx, m.ID, func(row *store.Mesh) error {
		same(s, row, m)
		*row = store.Mesh{
			ID: "new", Slug: "new", Name: "New", OwnerKey: key(9), OwnerSecret: "secret", RootKey: "root",
			Policy: store.Policy{Groups: true}, OwnerAccount: "somebody", CreatedAt: now().Add(time.Hour),
			ArchivedAt: now().Add(time.Microsecond),
		}
		return nil
	})
	s.must(err)
	want := &store.Mesh{
		ID: m.ID, Slug: m.Slug, Name: "New", OwnerKey: key(9), OwnerSecret: "secret", RootKey: "root",
		Policy: store.Policy{Groups: true}, OwnerAccount: "somebody", CreatedAt: m.CreatedAt, ArchivedAt: now(),
	}
	same(s, got, want)
	for _, want := range []*store.Mesh{want, other} {
		got, err := s.Mesh(s.ctx, want.ID)
		s.must(err)
		same(s, got, want)
	}
	_, err = s.FindMesh(s.ctx, m.Slug)
	s.wantErr(err, store.ErrNotFound)
}

func meshRefuse(s *suite) {
	m, _ := s.mesh(1)
	refusal := errors.New("not now")
	got, err := s.ChangeMesh(s.ctx, m.ID, func(row *store.Mesh) error {
		row.Name = "changed"
		return refusal
	})
	if got != nil || err != refusal { //nolint:errorlint // the very error
		s.Errorf("got %v, error %v", got, err)
	}
	got, err = s.Mesh(s.ctx, m.ID)
	s.must(err)
	same(s, got, m)
}

func meshList(s *suite) {
	young := &store.Mesh{ID: "a", Slug: "a", CreatedAt: now().Add(time.Hour)}
	old := &store.Mesh{ID: "b", Slug: "b", CreatedAt: now()}
	archived := &store.Mesh{ID: "c", Slug: "c", CreatedAt: now(), ArchivedAt: now()}
	revoked := member("b", 3)
	revoked.RevokedAt = now()
	s.must(s.CreateMesh(s.ctx, young, nil))
	s.must(s.CreateMesh(s.ctx, old, []*store.Member{member("b", 1), member("b", 2), revoked}))
	s.must(s.CreateMesh(s.ctx, archived, []*store.Member{member("c", 1)}))

	got, err := s.ListMeshes(s.ctx)
	s.must(err)
	same(s, got, []store.MeshSummary{{Mesh: old, Members: 2}, {Mesh: young}})
}

func meshNotFound(s *suite) {
	_, err := s.Mesh(s.ctx, "nobody")
	s.wantErr(err, store.ErrNotFound)
	_, err = s.FindMesh(s.ctx, "")
	s.wantErr(err, store.ErrNotFound)
	_, err = s.ChangeMesh(s.ctx, "nobody", func(*store.Mesh) error { return nil })
	s.wantErr(err, store.ErrNotFound)
	list, err := s.ListMeshes(s.ctx)
	s.must(err)
	same(s, list, nil)
}
