package storetest

import (
	"fmt"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var sealing = []test{
	{"every mesh is listed, archived ones too, oldest first", allMeshes},
	{"a token of before is found until it is sealed, and as well then", sealOne},
	{"invites of before are listed page by page, and nothing else is", listPlain},
	{"what was sealed meanwhile, or is not there, stays as it is", sealTwice},
	{"a token that another row has too leads to that row", sealTwin},
}

func allMeshes(s *suite) {
	young := &store.Mesh{ID: "a", Slug: "a", CreatedAt: now().Add(time.Hour)}
	old := &store.Mesh{ID: "b", Slug: "b", CreatedAt: now()}
	archived := &store.Mesh{ID: "c", Slug: "c", OwnerSecret: "x", RootKey: "y", CreatedAt: now(), ArchivedAt: now()}
	for _, m := range []*store.Mesh{young, archived, old} {
		s.must(s.CreateMesh(s.ctx, m, nil))
	}
	got, err := s.AllMeshes(s.ctx)
	s.must(err)
	same(s, got, []*store.Mesh{old, archived, young})
}

// inviteOfBefore writes an invite as a program does that keeps tokens in clear,
// and returns it as the store gives it.
func (s *suite) inviteOfBefore(mesh string, n int, token string) *store.Invite {
	s.Helper()
	inv := invite(mesh, n, 5)
	s.exec(fmt.Sprintf(`INSERT INTO invite (id, mesh_id, token, code, max_uses, used_count, role, preset, expires_at, created_at)
		SELECT '%s', id, '%s', 'CODE%d', 5, 0, 'member', '{}', created_at, created_at FROM mesh WHERE id = '%s'`, inv.ID, token, n, mesh))
	inv.Code, inv.ExpiresAt = fmt.Sprint("CODE", n), now()
	inv.SealedToken, inv.PlainToken, inv.TokenHash = "", token, store.HashInvite(token)
	return inv
}

func sealOne(s *suite) {
	mesh, _ := s.mesh(0)
	inv := s.inviteOfBefore(mesh.ID, 1, "eyJ2IjoxfQ")
	find := func() {
		s.Helper()
		got, err := s.InviteByToken(s.ctx, "eyJ2IjoxfQ")
		s.must(err)
		same(s, got, inv)
		got, err = s.InviteByCode(s.ctx, inv.Code)
		s.must(err)
		same(s, got, inv)
		for _, token := range []string{store.TokenColumn(inv.TokenHash), "eyJ2Ijoxf", inv.SealedToken} {
			_, err := s.InviteByToken(s.ctx, token)
			s.wantErr(err, store.ErrNotFound)
		}
	}
	find()
	s.must(s.RedeemInvite(s.ctx, inv.ID, member(mesh.ID, 1)))
	inv.UsedCount++
	find()
	inv.SealedToken = "2.sealed"
	s.must(s.SealInvites(s.ctx, []*store.Invite{inv}))
	inv.PlainToken = ""
	find()
	s.must(s.RedeemInvite(s.ctx, inv.ID, member(mesh.ID, 2)))
	again := invite(mesh.ID, 2, 1)
	again.TokenHash = inv.TokenHash
	s.wantErr(s.CreateInvite(s.ctx, again), store.ErrConflict)
}

func listPlain(s *suite) {
	mesh, _ := s.mesh(0)
	var want []*store.Invite
	for n := 1; n <= 3; n++ {
		want = append(want, s.inviteOfBefore(mesh.ID, n, fmt.Sprint("token", n)))
	}
	s.must(s.CreateInvite(s.ctx, invite(mesh.ID, 4, 1)))
	unsealed := invite(mesh.ID, 5, 1)
	unsealed.SealedToken = ""
	s.must(s.CreateInvite(s.ctx, unsealed))
	for _, tt := range []struct {
		after string
		limit int
		want  []*store.Invite
	}{{"", 10, want}, {"", 2, want[:2]}, {want[1].ID, 2, want[2:]}, {want[2].ID, 2, nil}} {
		got, err := s.PlainInvites(s.ctx, tt.after, tt.limit)
		s.must(err)
		same(s, got, tt.want)
	}
}

func sealTwice(s *suite) {
	mesh, _ := s.mesh(0)
	one, two := s.inviteOfBefore(mesh.ID, 1, "one"), s.inviteOfBefore(mesh.ID, 2, "two")
	late, nobody := *one, *two
	one.SealedToken, two.SealedToken, late.SealedToken, nobody.SealedToken = "2.one", "2.two", "2.late", "2.nobody"
	nobody.ID = "nobody"
	s.must(s.SealInvites(s.ctx, nil))
	s.must(s.SealInvites(s.ctx, []*store.Invite{one}))
	s.must(s.SealInvites(s.ctx, []*store.Invite{&late, two, &nobody}))
	for token, want := range map[string]*store.Invite{"one": one, "two": two} {
		want.PlainToken = ""
		got, err := s.InviteByToken(s.ctx, token)
		s.must(err)
		same(s, got, want)
	}
}

func sealTwin(s *suite) {
	mesh, _ := s.mesh(0)
	first := invite(mesh.ID, 1, 1)
	first.TokenHash = store.HashInvite("same")
	s.must(s.CreateInvite(s.ctx, first))
	old := s.inviteOfBefore(mesh.ID, 2, "same")
	old.SealedToken = "2.old"
	s.must(s.SealInvites(s.ctx, []*store.Invite{old}))
	got, err := s.InviteByToken(s.ctx, "same")
	s.must(err)
	same(s, got, first)
	got, err = s.InviteByCode(s.ctx, old.Code)
	s.must(err)
	same(s, []string{got.ID, got.SealedToken, got.PlainToken}, []string{old.ID, "2.old", ""})
	left, err := s.PlainInvites(s.ctx, "", 10)
	s.must(err)
	same(s, left, nil)
}
