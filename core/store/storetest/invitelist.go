package storetest

import (
	"time"

	"github.com/claudemesh/broker/core/store"
)

var inviteLists = []test{
	{"the invites of a mesh are listed, the newest first", listInvites},
	{"invites that are long over are deleted, and no others", pruneInvites},
	{"an invite is revoked once, and enrols nobody afterwards", revokeInvite},
}

func listInvites(s *suite) {
	mesh, _ := s.mesh(0)
	other := &store.Mesh{ID: id("mesh", 2), Slug: "second", CreatedAt: now()}
	s.must(s.CreateMesh(s.ctx, other, nil))
	var want []*store.Invite
	for n := range 4 {
		inv := invite(mesh.ID, n, 1+n)
		inv.CreatedAt = now().Add(-time.Duration(n) * time.Second)
		if n == 1 {
			inv.RevokedAt = now()
		}
		if n == 2 {
			inv.ExpiresAt = now().Add(-time.Second)
		}
		s.must(s.CreateInvite(s.ctx, inv))
		want = append(want, inv)
	}
	s.must(s.CreateInvite(s.ctx, invite(other.ID, 7, 1)))
	for limit, want := range map[int][]*store.Invite{10: want, 4: want, 2: want[:2]} {
		got, err := s.ListInvites(s.ctx, mesh.ID, limit)
		s.must(err)
		same(s, got, want)
	}
	got, err := s.ListInvites(s.ctx, "nowhere", 10)
	s.must(err)
	if len(got) != 0 {
		s.Errorf("got %d invites of no mesh", len(got))
	}
}

func revokeInvite(s *suite) {
	mesh, _ := s.mesh(0)
	other := &store.Mesh{ID: id("mesh", 2), Slug: "second", CreatedAt: now()}
	s.must(s.CreateMesh(s.ctx, other, nil))
	inv := invite(mesh.ID, 1, 5)
	s.must(s.CreateInvite(s.ctx, inv))
	s.wantErr(s.RevokeInvite(s.ctx, other.ID, inv.ID, now()), store.ErrNotFound)
	s.wantErr(s.RevokeInvite(s.ctx, mesh.ID, "nothing", now()), store.ErrNotFound)
	s.must(s.RevokeInvite(s.ctx, mesh.ID, inv.ID, now()))
	s.wantErr(s.RevokeInvite(s.ctx, mesh.ID, inv.ID, now().Add(time.Second)), store.ErrNotFound)
	inv.RevokedAt = now()
	got, err := s.InviteByToken(s.ctx, tokenOf(inv))
	s.must(err)
	same(s, got, inv)
	s.wantErr(s.RedeemInvite(s.ctx, inv.ID, member(mesh.ID, 50)), store.ErrExhausted)
}

func pruneInvites(s *suite) {
	mesh, _ := s.mesh(0)
	before := now().Add(24 * time.Hour)
	joined := 0
	put := func(n int, used bool, at time.Time, edit func(*store.Invite)) *store.Invite {
		s.Helper()
		inv := invite(mesh.ID, n, 2)
		inv.ExpiresAt = before.Add(time.Hour)
		edit(inv)
		s.must(s.CreateInvite(s.ctx, inv))
		for used && inv.UsedCount < inv.MaxUses {
			m := member(mesh.ID, 40+joined)
			m.JoinedAt = at
			s.must(s.RedeemInvite(s.ctx, inv.ID, m))
			inv.UsedCount++
			joined++
		}
		return inv
	}
	as := func(*store.Invite) {}
	var want []*store.Invite
	for _, kept := range []*store.Invite{
		put(0, false, before, as),
		put(1, false, before, func(i *store.Invite) { i.ExpiresAt = before }),
		put(2, false, before, func(i *store.Invite) { i.RevokedAt = before }),
		put(3, true, before, as), // made long ago, used up lately
	} {
		want = append([]*store.Invite{kept}, want...)
	}
	put(10, false, before, func(i *store.Invite) { i.ExpiresAt = before.Add(-time.Millisecond) })
	put(11, false, before, func(i *store.Invite) { i.RevokedAt = before.Add(-time.Millisecond) })
	put(12, true, before.Add(-time.Millisecond), as)
	put(13, false, before, func(i *store.Invite) { i.UsedCount = i.MaxUses }) // as an import writes it
	for _, deleted := range []int64{4, 0} {
		n, err := s.PruneInvites(s.ctx, before)
		s.must(err)
		same(s, n, deleted)
	}
	got, err := s.ListInvites(s.ctx, mesh.ID, 10)
	s.must(err)
	same(s, got, want)
}
