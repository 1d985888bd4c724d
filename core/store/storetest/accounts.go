package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var accounts = []test{
	{"an account comes back as it was written", accountRoundTrip},
	{"a taken id is a conflict", accountConflict},
	{"the list has everybody, by id", accountList},
	{"a change is written but for what stays", accountChange},
	{"a change that is refused leaves the account as it was", accountRefuse},
	{"an account has the meshes that it owns or is in, oldest first", accountMeshes},
	{"no account has the meshes of nobody", accountOfNobody},
	{"an account acts as its oldest live member, an admin before others", accountMember},
	{"an account is written for a member, or neither", accountFor},
	{"a member that eight make an account for gets one", accountForRace},
	{"an account that is not there is not found", accountNotFound},
}

func account(n int) *store.Account {
	return &store.Account{ID: id("account", n), Email: fmt.Sprintf("%d@example.com", n), CreatedAt: now()}
}

// account makes the n-th account.
func (s *suite) account(n int) *store.Account {
	s.Helper()
	a := account(n)
	s.must(s.CreateAccount(s.ctx, a))
	return a
}

// wantAccount checks the row of an account.
func (s *suite) wantAccount(want *store.Account) {
	s.Helper()
	got, err := s.Account(s.ctx, want.ID)
	s.must(err)
	same(s, got, want)
}

func accountRoundTrip(s *suite) {
	for _, a := range []*store.Account{
		{ID: "minimal", CreatedAt: now()},
		{
			ID: id("full", 1), Email: "ada+λ@example.com", Name: "Ада \"Λ\" 🦉", CreatedAt: now().Add(-time.Millisecond),
			DisabledAt: now(), NoLegacy: true,
		},
	} {
		s.must(s.CreateAccount(s.ctx, a))
		s.wantAccount(a)
		if a.Enabled() != a.DisabledAt.IsZero() {
			s.Errorf("%s is enabled: %v", a.ID, a.Enabled())
		}
	}
}

func accountConflict(s *suite) {
	a := s.account(1)
	twin := account(1)
	twin.Email = "twin@example.com"
	s.wantErr(s.CreateAccount(s.ctx, twin), store.ErrConflict)
	s.wantAccount(a)

	twin.ID, twin.Email = "twin", a.Email // is not proved, so it is nobody's
	s.must(s.CreateAccount(s.ctx, twin))
}

func accountList(s *suite) {
	none, err := s.ListAccounts(s.ctx)
	s.must(err)
	same(s, none, nil)
	second, first := s.account(2), account(1)
	first.DisabledAt = now()
	s.must(s.CreateAccount(s.ctx, first))
	got, err := s.ListAccounts(s.ctx)
	s.must(err)
	same(s, got, []*store.Account{first, second})
}

func accountChange(s *suite) {
	other, a := s.account(2), s.account(1)
	got, err := s.ChangeAccount(s.ctx, a.ID, func(row *store.Account) error {
		same(s, row, a)
		*row = store.Account{
			ID: "other", Email: "new@example.com", Name: "New", CreatedAt: now().Add(time.Hour),
			DisabledAt: now().Add(time.Microsecond), NoLegacy: true,
		}
		return nil
	})
	s.must(err)
	want := &store.Account{ID: a.ID, Email: "new@example.com", Name: "New", CreatedAt: a.CreatedAt, DisabledAt: now(), NoLegacy: true}
	same(s, got, want)
	s.wantAccount(want)
	s.wantAccount(other)
}

func accountRefuse(s *suite) {
	a := s.account(1)
	refusal := errors.New("not now")
	got, err := s.ChangeAccount(s.ctx, a.ID, func(row *store.Account) error {
		row.Name = "changed"
		return refusal
	})
	if got != nil || err != refusal { //nolint:errorlint // the very error
		s.Errorf("got %v, error %v", got, err)
	}
	s.wantAccount(a)
}

// ofAccount is a member that has an account.
func ofAccount(m *store.Member, a *store.Account) *store.Member {
	m.AccountID = a.ID
	return m
}

func accountMeshes(s *suite) {
	ada, bo := s.account(1), s.account(2)
	mesh := func(id string, age time.Duration, owner string, members ...*store.Member) *store.Mesh {
		m := &store.Mesh{ID: id, Slug: id, OwnerAccount: owner, CreatedAt: now().Add(-age)}
		s.must(s.CreateMesh(s.ctx, m, members))
		return m
	}
	revoked := ofAccount(member("c", 1), ada)
	revoked.RevokedAt = now()
	admin := ofAccount(member("e", 2), ada)
	admin.Role = store.RoleAdmin

	owned := mesh("a", time.Hour, ada.ID, ofAccount(member("a", 1), bo), member("a", 2))
	joined := mesh("b", 2*time.Hour, bo.ID, ofAccount(member("b", 1), ada))
	mesh("c", 0, "", revoked, ofAccount(member("c", 2), bo))
	mesh("d", 0, "")
	both := mesh("e", 3*time.Hour, ada.ID, ofAccount(member("e", 1), ada), admin, ofAccount(member("e", 3), ada))
	archived := mesh("f", 4*time.Hour, ada.ID, ofAccount(member("f", 1), ada))
	_, err := s.ChangeMesh(s.ctx, archived.ID, func(m *store.Mesh) error {
		m.ArchivedAt = now()
		return nil
	})
	s.must(err)

	got, err := s.AccountMeshes(s.ctx, ada.ID)
	s.must(err)
	same(s, got, []store.AccountMesh{
		{Mesh: both, Member: admin, Members: 3},
		{Mesh: joined, Member: ofAccount(member("b", 1), ada), Members: 1},
		{Mesh: owned, Members: 2},
	})
}

func accountOfNobody(s *suite) {
	mesh, _ := s.mesh(2) // neither has an account
	for _, id := range []string{"", "nobody"} {
		got, err := s.AccountMeshes(s.ctx, id)
		s.must(err)
		same(s, got, nil)
		_, err = s.AccountMember(s.ctx, mesh.ID, id)
		s.wantErr(err, store.ErrNotFound)
	}
}

func accountMember(s *suite) {
	mesh, _ := s.mesh(1)
	a := s.account(1)
	want := func(want *store.Member) {
		s.Helper()
		got, err := s.AccountMember(s.ctx, mesh.ID, a.ID)
		s.must(err)
		same(s, got, want)
	}
	young, old, admin := ofAccount(member(mesh.ID, 4), a), ofAccount(member(mesh.ID, 3), a), ofAccount(member(mesh.ID, 5), a)
	admin.Role = store.RoleAdmin
	s.must(s.AddMember(s.ctx, young))
	want(young)
	s.must(s.AddMember(s.ctx, old))
	want(old)
	s.must(s.AddMember(s.ctx, admin))
	want(admin)
	s.must(s.SetRevoked(s.ctx, admin.ID, now()))
	want(old)
	_, err := s.AccountMember(s.ctx, "other", a.ID)
	s.wantErr(err, store.ErrNotFound)
}

func accountNotFound(s *suite) {
	_, err := s.Account(s.ctx, "nobody")
	s.wantErr(err, store.ErrNotFound)
	_, err = s.ChangeAccount(s.ctx, "nobody", func(*store.Account) error {
		s.Error("there is something to change")
		return nil
	})
	s.wantErr(err, store.ErrNotFound)
}

func accountFor(s *suite) {
	mesh, list := s.mesh(3)
	free, taken, gone := list[0], list[1], list[2]
	_, err := s.ChangeMember(s.ctx, taken.ID, func(m *store.Member) error { m.AccountID = "somebody"; return nil })
	s.must(err)
	s.must(s.SetRevoked(s.ctx, gone.ID, now()))
	for member, want := range map[string]error{
		taken.ID: store.ErrConflict, gone.ID: store.ErrNotFound, "nobody": store.ErrNotFound,
	} {
		_, err := s.AddAccountFor(s.ctx, member, account(1))
		s.wantErr(err, want)
		_, err = s.Account(s.ctx, account(1).ID)
		s.wantErr(err, store.ErrNotFound)
	}

	got, err := s.AddAccountFor(s.ctx, free.ID, account(1))
	s.must(err)
	free.AccountID = account(1).ID
	same(s, got, free)
	s.wantAccount(account(1))
	got, err = s.AccountMember(s.ctx, mesh.ID, account(1).ID)
	s.must(err)
	same(s, got, free)

	other := member(mesh.ID, 9)
	s.must(s.AddMember(s.ctx, other))
	_, err = s.AddAccountFor(s.ctx, other.ID, account(1))
	s.wantErr(err, store.ErrConflict)
	got, err = s.MemberByID(s.ctx, other.ID)
	s.must(err)
	same(s, got, other)
}

func accountForRace(s *suite) {
	_, list := s.mesh(1)
	won, lost := s.atOnce(store.ErrConflict, func(n int) error {
		_, err := s.AddAccountFor(s.ctx, list[0].ID, account(n))
		return err
	})
	all, err := s.ListAccounts(s.ctx)
	s.must(err)
	if won != 1 || lost != 7 || len(all) != 1 {
		s.Errorf("%d won and %d lost, and there are %d accounts, want 1, 7 and 1", won, lost, len(all))
	}
}
