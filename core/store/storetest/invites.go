package storetest

import (
	"errors"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var invites = []test{
	{"an invite comes back as it was written", inviteRoundTrip},
	{"a token is compared exactly", inviteToken},
	{"an invite is found by its code, exactly", inviteCode},
	{"a taken token or code is a conflict, no code is none", inviteConflict},
	{"a use is spent with the member enrolled", redeem},
	{"no use is left, or the invite was revoked", redeemExhausted},
	{"a key that is enrolled already spends nothing", redeemConflict},
	{"an invite that is not there, or another mesh's, enrols nobody", redeemNotFound},
	{"a single use is had by one of eight", redeemRace},
	{"a key that joins eight times at once is enrolled once", redeemSameKey},
}

func invite(mesh string, n, uses int) *store.Invite {
	inv := &store.Invite{
		ID: id("invite", n), MeshID: mesh, SealedToken: "2." + id("sealed", n), MaxUses: uses, Role: store.RoleMember,
		ExpiresAt: now().Add(time.Hour), CreatedAt: now(),
	}
	inv.TokenHash = store.HashInvite(tokenOf(inv))
	return inv
}

// tokenOf is the token of an invite that invite made.
func tokenOf(inv *store.Invite) string { return "token-of-" + inv.ID }

func inviteRoundTrip(s *suite) {
	mesh, _ := s.mesh(0)
	full := invite(mesh.ID, 2, 7)
	full.Code, full.UsedCount, full.Role, full.RevokedAt = "K3-Ü", 3, store.RoleAdmin, now()
	full.Capability, full.CreatedBy = `{"v":2,"sig":"x"}`, id("member", 1)
	full.Preset = store.Preset{
		DisplayName: "Gäst <1>", RoleTag: "qa", MessageMode: "inbox",
		Groups: []store.Group{{Name: "guests", Role: "x"}, {Name: "guests/new"}},
	}
	for _, inv := range []*store.Invite{invite(mesh.ID, 1, 1), full} {
		s.must(s.CreateInvite(s.ctx, inv))
		got, err := s.InviteByToken(s.ctx, tokenOf(inv))
		s.must(err)
		same(s, got, inv)
	}
}

func inviteToken(s *suite) {
	mesh, _ := s.mesh(0)
	inv := invite(mesh.ID, 1, 1)
	inv.TokenHash = store.HashInvite("eyJ2IjoxfQ")
	s.must(s.CreateInvite(s.ctx, inv))
	for _, token := range []string{
		"eyj2ijoxfq", "eyJ2IjoxfQ=", "eyJ2Ijoxf", "", "%", inv.SealedToken,
		store.TokenColumn(inv.TokenHash), store.TokenColumn(store.HashInvite(store.TokenColumn(inv.TokenHash))),
	} {
		_, err := s.InviteByToken(s.ctx, token)
		s.wantErr(err, store.ErrNotFound)
	}
}

func inviteCode(s *suite) {
	mesh, _ := s.mesh(0)
	inv := invite(mesh.ID, 1, 1)
	inv.Code, inv.Capability = "AbC2", "signed"
	s.must(s.CreateInvite(s.ctx, inv))
	s.must(s.CreateInvite(s.ctx, invite(mesh.ID, 2, 1))) // has no code
	got, err := s.InviteByCode(s.ctx, "AbC2")
	s.must(err)
	same(s, got, inv)
	for _, code := range []string{"abc2", "AbC", "AbC2 ", "", "%", tokenOf(inv)} {
		_, err := s.InviteByCode(s.ctx, code)
		s.wantErr(err, store.ErrNotFound)
	}
}

func inviteConflict(s *suite) {
	mesh, _ := s.mesh(0)
	a, b, c := invite(mesh.ID, 1, 1), invite(mesh.ID, 2, 1), invite(mesh.ID, 3, 1)
	s.must(s.CreateInvite(s.ctx, a))
	s.must(s.CreateInvite(s.ctx, b)) // neither has a code
	c.TokenHash = a.TokenHash
	s.wantErr(s.CreateInvite(s.ctx, c), store.ErrConflict)
	c.TokenHash, c.Code = store.HashInvite("third"), "code"
	s.must(s.CreateInvite(s.ctx, c))
	d := invite(mesh.ID, 4, 1)
	d.Code = "code"
	s.wantErr(s.CreateInvite(s.ctx, d), store.ErrConflict)
}

// wantUsed checks how often an invite was used.
func (s *suite) wantUsed(inv *store.Invite, want int) {
	s.Helper()
	got, err := s.InviteByToken(s.ctx, tokenOf(inv))
	s.must(err)
	if got.UsedCount != want {
		s.Errorf("used %d times, want %d", got.UsedCount, want)
	}
}

// wantMembers checks how many members a mesh has.
func (s *suite) wantMembers(mesh string, want int) {
	s.Helper()
	list, err := s.ListMembers(s.ctx, mesh)
	s.must(err)
	if len(list) != want {
		s.Errorf("got %d members, want %d", len(list), want)
	}
}

func redeem(s *suite) {
	mesh, _ := s.mesh(0)
	inv := invite(mesh.ID, 1, 2)
	s.must(s.CreateInvite(s.ctx, inv))
	for n := 1; n <= 2; n++ {
		m := member(mesh.ID, n)
		s.must(s.RedeemInvite(s.ctx, inv.ID, m))
		got, err := s.Member(s.ctx, mesh.ID, m.Key)
		s.must(err)
		same(s, got, m)
		s.wantUsed(inv, n)
	}
}

func redeemExhausted(s *suite) {
	mesh, _ := s.mesh(0)
	used, revoked := invite(mesh.ID, 1, 1), invite(mesh.ID, 2, 1)
	used.UsedCount, revoked.RevokedAt = 1, now()
	for _, inv := range []*store.Invite{used, revoked} {
		s.must(s.CreateInvite(s.ctx, inv))
		s.wantErr(s.RedeemInvite(s.ctx, inv.ID, member(mesh.ID, 1)), store.ErrExhausted)
		s.wantUsed(inv, inv.UsedCount)
	}
	s.wantMembers(mesh.ID, 0)
}

func redeemConflict(s *suite) {
	mesh, list := s.mesh(1)
	open, full := invite(mesh.ID, 1, 1), invite(mesh.ID, 2, 1)
	full.UsedCount = 1
	again := *list[0]
	again.ID = id("again", 1)
	for _, inv := range []*store.Invite{open, full} {
		s.must(s.CreateInvite(s.ctx, inv))
		s.wantErr(s.RedeemInvite(s.ctx, inv.ID, &again), store.ErrConflict)
		s.wantUsed(inv, inv.UsedCount)
	}
	s.wantMembers(mesh.ID, 1)
}

func redeemNotFound(s *suite) {
	mesh, _ := s.mesh(0)
	s.must(s.CreateMesh(s.ctx, &store.Mesh{ID: "other", Slug: "other", CreatedAt: now()}, nil))
	inv := invite(mesh.ID, 1, 1)
	s.must(s.CreateInvite(s.ctx, inv))
	s.wantErr(s.RedeemInvite(s.ctx, "nothing", member(mesh.ID, 1)), store.ErrNotFound)
	s.wantErr(s.RedeemInvite(s.ctx, inv.ID, member("other", 1)), store.ErrNotFound)
	s.wantMembers(mesh.ID, 0)
	s.wantMembers("other", 0)
	s.wantUsed(inv, 0)
}

// atOnce calls f eight times at the same time and counts its results: nil,
// want, and whatever else.
func (s *suite) atOnce(want error, f func(n int) error) (won, lost int) {
	s.Helper()
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for n := range errs {
		wg.Go(func() { errs[n] = f(n) })
	}
	wg.Wait()
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case errors.Is(err, want):
			lost++
		default:
			s.Errorf("got error %v, want %v", err, want)
		}
	}
	return won, lost
}

func redeemRace(s *suite) {
	mesh, _ := s.mesh(0)
	inv := invite(mesh.ID, 1, 1)
	s.must(s.CreateInvite(s.ctx, inv))
	won, lost := s.atOnce(store.ErrExhausted, func(n int) error {
		return s.RedeemInvite(s.ctx, inv.ID, member(mesh.ID, n+1))
	})
	if won != 1 || lost != 7 {
		s.Errorf("%d won and %d lost, want 1 and 7", won, lost)
	}
	s.wantUsed(inv, 1)
	s.wantMembers(mesh.ID, 1)
}

func redeemSameKey(s *suite) {
	mesh, _ := s.mesh(0)
	inv := invite(mesh.ID, 1, 8)
	s.must(s.CreateInvite(s.ctx, inv))
	won, lost := s.atOnce(store.ErrConflict, func(n int) error {
		m := member(mesh.ID, 1)
		m.ID = id("try", n)
		return s.RedeemInvite(s.ctx, inv.ID, m)
	})
	if won != 1 || lost != 7 {
		s.Errorf("%d won and %d lost, want 1 and 7", won, lost)
	}
	s.wantUsed(inv, 1)
	s.wantMembers(mesh.ID, 1)
}
