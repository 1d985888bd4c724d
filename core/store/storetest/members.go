package storetest

import (
	"errors"
	"slices"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

var members = []test{
	{"a member comes back as it was written", memberRoundTrip},
	{"a key has one row in a mesh, and one in each other mesh", memberConflict},
	{"the list has everybody, by time of joining", memberList},
	{"a member is revoked and brought back", memberRevoke},
	{"grants are replaced as a whole", memberGrants},
	{"a change is written but for what stays", memberChange},
	{"a change that is refused leaves the member as it was", memberRefuse},
	{"changes at the same time all count", memberMerge},
	{"of members that demote each other at the same time one stays an admin", memberDemote},
	{"permissions are what was decided by name", memberPermissions},
	{"a row of before accounts has none, and no permissions", memberOfBefore},
	{"a member of no mesh is refused", memberNoMesh},
	{"a member that is not there is not found", memberNotFound},
}

var sessionKeys = []test{
	{"the first claim of a key wins, across batches and inside one", claimFirst},
	{"a key may have an owner in each mesh", claimMesh},
	{"a key that nobody claimed is not found", claimNotFound},
}

func memberRoundTrip(s *suite) {
	mesh, _ := s.mesh(0)
	for _, m := range []*store.Member{
		{ID: "minimal", MeshID: mesh.ID, Key: key(1), JoinedAt: now()},
		{
			ID: id("full", 1), MeshID: mesh.ID, Key: key(255), DisplayName: "Ада \"Λ\" 🦉", Role: store.RoleAdmin,
			RoleTag: "reviewer's <b>", MessageMode: "inbox", JoinedAt: now().Add(-time.Millisecond), RevokedAt: now(),
			DefaultGroups: []store.Group{{Name: "back/end", Role: "lead"}, {Name: "größe"}},
			Grants: store.Grants{
				key(3): {store.CapDM, store.CapBroadcast, store.CapStateRead}, key(4): {}, key(5): {store.CapFileRead},
			},
			Permissions: store.Permissions{store.CanInvite: true, store.CanSend: false}, AccountID: "somebody",
		},
	} {
		s.must(s.AddMember(s.ctx, m))
		got, err := s.Member(s.ctx, mesh.ID, m.Key)
		s.must(err)
		same(s, got, m)
		got, err = s.MemberByID(s.ctx, m.ID)
		s.must(err)
		same(s, got, m)
	}
}

func memberConflict(s *suite) {
	mesh, list := s.mesh(1)
	twin := *list[0]
	twin.ID = id("twin", 1)
	s.wantErr(s.AddMember(s.ctx, &twin), store.ErrConflict)
	s.must(s.SetRevoked(s.ctx, list[0].ID, now()))
	s.wantErr(s.AddMember(s.ctx, &twin), store.ErrConflict)
	sameID := member(mesh.ID, 9)
	sameID.ID = list[0].ID
	s.wantErr(s.AddMember(s.ctx, sameID), store.ErrConflict)

	s.must(s.CreateMesh(s.ctx, &store.Mesh{ID: "other", Slug: "other", CreatedAt: now()}, nil))
	twin.MeshID = "other"
	s.must(s.AddMember(s.ctx, &twin))
	got, err := s.Member(s.ctx, "other", twin.Key)
	s.must(err)
	same(s, got, &twin)
}

func memberList(s *suite) {
	mesh, list := s.mesh(2)
	first := member(mesh.ID, 3)
	first.JoinedAt = now().Add(-time.Hour)
	first.RevokedAt = now()
	s.must(s.AddMember(s.ctx, first))
	got, err := s.ListMembers(s.ctx, mesh.ID)
	s.must(err)
	same(s, got, append([]*store.Member{first}, list...))
}

func memberRevoke(s *suite) {
	_, list := s.mesh(2)
	for _, at := range []time.Time{now(), now().Add(time.Hour), {}} {
		s.must(s.SetRevoked(s.ctx, list[0].ID, at))
		got, err := s.MemberByID(s.ctx, list[0].ID)
		s.must(err)
		if !got.RevokedAt.Equal(at) || got.Live() != at.IsZero() {
			s.Errorf("revoked at %v, live %v; want %v", got.RevokedAt, got.Live(), at)
		}
	}
	got, err := s.MemberByID(s.ctx, list[1].ID)
	s.must(err)
	same(s, got, list[1])
}

// grant replaces what a member allows.
func grant(g store.Grants) func(*store.Member) error {
	return func(m *store.Member) error {
		m.Grants = g
		return nil
	}
}

func memberGrants(s *suite) {
	_, list := s.mesh(2)
	for _, g := range []store.Grants{
		{key(2): {store.CapDM}, key(3): {}},
		{key(3): nil},
		nil,
	} {
		_, err := s.ChangeMember(s.ctx, list[0].ID, grant(g))
		s.must(err)
		got, err := s.MemberByID(s.ctx, list[0].ID)
		s.must(err)
		same(s, got.Grants, g)
	}
	got, err := s.MemberByID(s.ctx, list[1].ID)
	s.must(err)
	same(s, got, list[1])
}

func memberChange(s *suite) {
	mesh, list := s.mesh(2)
	got, err := s.ChangeMember(s.ctx, list[0].ID, func(m *store.Member) error {
		same(s, m, list[0])
		*m = store.Member{
			ID: "other", MeshID: "other", Key: key(99), JoinedAt: now().Add(time.Hour), RevokedAt: now(),
			DisplayName: "new", Role: store.RoleAdmin, RoleTag: "tag", MessageMode: "off",
			DefaultGroups: []store.Group{{Name: "ops", Role: "lead"}}, Grants: store.Grants{key(2): {store.CapDM}},
			Permissions: store.Permissions{store.CanDeleteMesh: true}, AccountID: "somebody",
		}
		return nil
	})
	s.must(err)
	want := &store.Member{
		ID: list[0].ID, MeshID: mesh.ID, Key: key(1), JoinedAt: list[0].JoinedAt,
		DisplayName: "new", Role: store.RoleAdmin, RoleTag: "tag", MessageMode: "off",
		DefaultGroups: []store.Group{{Name: "ops", Role: "lead"}}, Grants: store.Grants{key(2): {store.CapDM}},
		Permissions: store.Permissions{store.CanDeleteMesh: true}, AccountID: "somebody",
	}
	same(s, got, want)
	got, err = s.Member(s.ctx, mesh.ID, key(1))
	s.must(err)
	same(s, got, want)
	got, err = s.MemberByID(s.ctx, list[1].ID)
	s.must(err)
	same(s, got, list[1])
}

func memberRefuse(s *suite) {
	_, list := s.mesh(1)
	refusal := errors.New("not now")
	got, err := s.ChangeMember(s.ctx, list[0].ID, func(m *store.Member) error {
		m.DisplayName = "changed"
		return refusal
	})
	if got != nil || err != refusal { //nolint:errorlint // the very error
		s.Errorf("got %v, error %v", got, err)
	}
	got, err = s.MemberByID(s.ctx, list[0].ID)
	s.must(err)
	same(s, got, list[0])
}

func memberMerge(s *suite) {
	_, list := s.mesh(1)
	want := make(store.Grants)
	for n := range 8 {
		want[key(byte(n))] = []store.Capability{store.CapDM}
	}
	s.atOnce(nil, func(n int) error {
		_, err := s.ChangeMember(s.ctx, list[0].ID, func(m *store.Member) error {
			if m.Grants == nil {
				m.Grants = make(store.Grants)
			}
			m.Grants[key(byte(n))] = want[key(byte(n))]
			return nil
		})
		return err
	})
	got, err := s.MemberByID(s.ctx, list[0].ID)
	s.must(err)
	same(s, got.Grants, want)
}

var errLast = errors.New("the last admin")

// demote makes a member of one of 8 admins, unless no other one is left.
func demote(s *suite, st store.Members, id string) error {
	_, err := st.ChangeRole(s.ctx, id, func(m *store.Member, others []*store.Member) error {
		if len(others) != 7 || slices.ContainsFunc(others, func(o *store.Member) bool { return o.ID == id }) {
			s.Errorf("got %d others", len(others))
		}
		m.Role = store.RoleMember
		if !slices.ContainsFunc(others, func(o *store.Member) bool { return o.Role == store.RoleAdmin }) {
			return errLast
		}
		return nil
	})
	return err
}

// admins are 8 of them, and a ninth that is revoked.
func (s *suite) admins() []*store.Member {
	_, list := s.mesh(9)
	for _, m := range list {
		_, err := s.ChangeMember(s.ctx, m.ID, func(m *store.Member) error {
			m.Role = store.RoleAdmin
			return nil
		})
		s.must(err)
	}
	s.must(s.SetRevoked(s.ctx, list[8].ID, now()))
	return list[:8]
}

func memberDemote(s *suite) {
	list := s.admins()
	if won, lost := s.atOnce(errLast, func(n int) error { return demote(s, s, list[n].ID) }); won != 7 || lost != 1 {
		s.Errorf("%d were demoted, %d refused", won, lost)
	}
	s.wantErr(demote(s, s, "nobody"), store.ErrNotFound)
}

func memberPermissions(s *suite) {
	_, list := s.mesh(1)
	for _, p := range []store.Permissions{
		{store.CanSend: false, store.CanInvite: true},
		{store.CanInvite: true},
		{},
		nil,
	} {
		got, err := s.ChangeMember(s.ctx, list[0].ID, func(m *store.Member) error {
			m.Permissions = p
			return nil
		})
		s.must(err)
		same(s, got.Permissions, p)
		if len(p) == 0 && got.Permissions != nil {
			s.Errorf("got %#v, want nil", got.Permissions)
		}
	}
}

// memberOfBefore writes what a program does that does not know the new columns.
func memberOfBefore(s *suite) {
	behind, ok := s.Store.(SQL)
	if !ok {
		s.Skip("the engine's rows cannot be changed")
	}
	mesh, _ := s.mesh(0)
	k := key(1)
	pubkey := "'" + k.String() + "'"
	if _, shared := s.Store.(store.Shared); shared {
		pubkey = `'\x` + k.String() + "'"
	}
	s.must(behind.Exec(`INSERT INTO member (id, mesh_id, pubkey, display_name, role, role_tag, default_groups, message_mode,
		grants, joined_at) SELECT 'old', id, ` + pubkey + `, 'old', 'member', '', '[]', 'push', '{}', created_at FROM mesh`))
	got, err := s.MemberByID(s.ctx, "old")
	s.must(err)
	same(s, got, &store.Member{
		ID: "old", MeshID: mesh.ID, Key: k, DisplayName: "old", Role: store.RoleMember, MessageMode: "push", JoinedAt: now(),
	})
	if got.Permissions != nil {
		s.Errorf("got %#v, want nil", got.Permissions)
	}
}

func memberNoMesh(s *suite) {
	if err := s.AddMember(s.ctx, member("nowhere", 1)); err == nil {
		s.Error("got no error")
	}
}

func memberNotFound(s *suite) {
	mesh, list := s.mesh(1)
	_, err := s.Member(s.ctx, mesh.ID, key(9))
	s.wantErr(err, store.ErrNotFound)
	_, err = s.Member(s.ctx, "other", list[0].Key)
	s.wantErr(err, store.ErrNotFound)
	_, err = s.MemberByID(s.ctx, "nobody")
	s.wantErr(err, store.ErrNotFound)
	s.wantErr(s.SetRevoked(s.ctx, "nobody", now()), store.ErrNotFound)
	_, err = s.ChangeMember(s.ctx, "nobody", grant(nil))
	s.wantErr(err, store.ErrNotFound)
	none, err := s.ListMembers(s.ctx, "other")
	s.must(err)
	same(s, none, nil)
}

// claim is one claim of a session key.
func claim(mesh string, k sdk.Key, member string) *store.SessionKey {
	return &store.SessionKey{MeshID: mesh, Key: k, MemberID: member, ClaimedAt: now()}
}

func (s *suite) wantOwner(mesh string, k sdk.Key, want string) {
	s.Helper()
	got, err := s.SessionKeyOwner(s.ctx, mesh, k)
	s.must(err)
	if got != want {
		s.Errorf("got owner %s, want %s", got, want)
	}
}

func claimFirst(s *suite) {
	mesh, list := s.mesh(2)
	ada, bo := list[0].ID, list[1].ID
	s.commit(store.Batch{SessionKeys: []*store.SessionKey{
		claim(mesh.ID, key(50), ada), claim(mesh.ID, key(51), bo), claim(mesh.ID, key(50), bo),
	}})
	s.commit(store.Batch{SessionKeys: []*store.SessionKey{claim(mesh.ID, key(51), ada), claim(mesh.ID, key(50), ada)}})
	s.wantOwner(mesh.ID, key(50), ada)
	s.wantOwner(mesh.ID, key(51), bo)
}

func claimMesh(s *suite) {
	_, list := s.mesh(2)
	s.commit(store.Batch{SessionKeys: []*store.SessionKey{
		claim("here", key(50), list[0].ID), claim("there", key(50), list[1].ID),
	}})
	s.wantOwner("here", key(50), list[0].ID)
	s.wantOwner("there", key(50), list[1].ID)
}

func claimNotFound(s *suite) {
	_, err := s.SessionKeyOwner(s.ctx, "mesh", key(50))
	s.wantErr(err, store.ErrNotFound)
}
