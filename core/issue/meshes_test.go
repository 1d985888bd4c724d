package issue_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/issue"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// TestMesh holds that what is returned is what the store has.
func TestMesh(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	founder, _ := identity.NewKeypair()
	owner, err := issue.Founder(" Blue Team! ", strings.ToUpper(founder.String()), "acc-1")
	if err != nil {
		t.Fatal(err)
	}
	mesh, members, err := r.Mesh(t.Context(), issue.NewMesh{
		Name: " Blue Team! ", OwnerAccount: "acc-1", Members: []issue.NewMember{owner, member("bo")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if mesh.Name != "Blue Team!" || mesh.Slug != "blue-team" || mesh.OwnerAccount != "acc-1" {
		t.Errorf("got %+v", mesh)
	}
	first := *members[0]
	if first.Key != founder || first.DisplayName != "Blue Team!-owner" || first.Role != store.RoleAdmin ||
		first.AccountID != "acc-1" || first.MessageMode != "push" || !mesh.OwnedBy(&first) {
		t.Errorf("founder: %+v", first)
	}
	stored, err := r.store.Mesh(t.Context(), mesh.ID)
	if err != nil {
		t.Fatal(err)
	}
	sameTime := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })
	if diff := cmp.Diff(mesh, stored, sameTime); diff != "" {
		t.Errorf("mesh: -returned +stored:\n%s", diff)
	}
	list, err := r.store.ListMembers(t.Context(), mesh.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].ID != members[0].ID || list[1].ID != members[1].ID ||
		!list[1].JoinedAt.Equal(mesh.CreatedAt) || list[0].AccountID != "acc-1" {
		t.Errorf("members: %+v", list)
	}
}

func TestSlugs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	long := strings.Repeat("x", 48)
	for _, tt := range []struct{ name, wish, slug string }{
		{"home", "", "home"},
		{"Home", "", "home-2"},
		{"home", "", "home-3"},
		{"a|b / c", "", "a-b-c"},
		{"ünïcode", "", "n-code"},
		{"日本", "", "mesh"},
		{"--", "", "mesh-2"},
		{strings.Repeat("x", 100), "", long},
		{"anything", "home", "home-4"},
		{"anything", "0", "0"},
		{"anything", "a--b", "a--b"},
		{"anything", long, long + "-2"},
	} {
		m, _, err := r.Mesh(t.Context(), issue.NewMesh{Name: tt.name, Slug: tt.wish})
		if err != nil || m.Slug != tt.slug {
			t.Errorf("%q, %q: got %+v, %v; want slug %q", tt.name, tt.wish, m, err, tt.slug)
		}
	}
}

// TestTakenSlugs holds that a slug is not free either when an archived mesh has
// it, or when a mesh is named so by its id.
func TestTakenSlugs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, m := range []*store.Mesh{
		{ID: "m-1", Slug: "old", Name: "old", ArchivedAt: time.Now()},
		{ID: "imported", Slug: "other", Name: "other"},
	} {
		if err := r.store.CreateMesh(t.Context(), m, nil); err != nil {
			t.Fatal(err)
		}
	}
	for wish, want := range map[string]string{"old": "old-2", "imported": "imported-2"} {
		m, _, err := r.Mesh(t.Context(), issue.NewMesh{Name: "x", Slug: wish})
		if err != nil || m.Slug != want {
			t.Errorf("%s: got %+v, %v; want slug %s", wish, m, err, want)
		}
	}
}

// TestNothingHalfMade holds that all is checked before anything is written.
func TestNothingHalfMade(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	written := spy{Store: r.store, createMesh: func(m *store.Mesh) { t.Errorf("%q was written", m.Name) }}
	key, _ := identity.NewKeypair()
	good := member("ada")
	meshes := map[string]issue.NewMesh{}
	for _, name := range []string{"", "  ", "a\nb", strings.Repeat("x", 129), "\xff"} {
		meshes["name "+name] = issue.NewMesh{Name: name}
	}
	for _, slug := range []string{
		"A", "-a", "a-", "-", "../we ird/Slug", "a b", "a_b", "ü", "a\x00", strings.Repeat("x", 49), " ",
	} {
		meshes["slug "+slug] = issue.NewMesh{Name: "home", Slug: slug}
	}
	for what, m := range map[string]issue.NewMember{
		"no key":        {DisplayName: "bo", Role: store.RoleMember},
		"a weak key":    {Key: sdk.Key{1}, DisplayName: "bo", Role: store.RoleMember},
		"no name":       {Key: key, Role: store.RoleMember},
		"a bad name":    {Key: key, DisplayName: "b\x00", Role: store.RoleMember},
		"a long name":   {Key: key, DisplayName: strings.Repeat("x", 257), Role: store.RoleMember},
		"no role":       {Key: key, DisplayName: "bo"},
		"an odd role":   {Key: key, DisplayName: "bo", Role: "owner"},
		"another's key": {Key: good.Key, DisplayName: "bo", Role: store.RoleMember},
	} {
		meshes["member with "+what] = issue.NewMesh{Name: "home", Members: []issue.NewMember{good, m}}
	}
	for what, n := range meshes {
		t.Run(what, func(t *testing.T) {
			_, _, err := r.with(written, r.keys).Mesh(t.Context(), n)
			wantCode(t, err, "invalid_argument")
		})
	}
	_, _, err := r.with(written, nil).Mesh(t.Context(), issue.NewMesh{Name: "home"})
	wantCode(t, err, "encryption_key")
}

func TestFounder(t *testing.T) {
	t.Parallel()
	key, _ := identity.NewKeypair()
	for _, pubkey := range []string{
		"", "x", key.String()[1:], key.String() + "0", strings.Repeat("0", 64), "01" + strings.Repeat("00", 31),
		"0x" + key.String()[2:], " " + key.String()[1:],
	} {
		_, err := issue.Founder("home", pubkey, "acc-1")
		wantCode(t, err, "invalid_argument")
	}
	// The longest name that a mesh can have leaves room for the founder's.
	if _, err := issue.Founder(strings.Repeat("x", 128), key.String(), ""); err != nil {
		t.Error(err)
	}
}

// TestManyMeshesAtOnce has many people choose one name.
func TestManyMeshesAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const n = 32
	var wait sync.WaitGroup
	slugs := make([]string, n)
	for i := range n {
		wait.Go(func() {
			m, members, err := r.Mesh(t.Context(), issue.NewMesh{
				Name: "Team", Members: []issue.NewMember{member("ada"), member("bo")},
			})
			if err != nil || len(members) != 2 {
				t.Errorf("got %+v, %v", m, err)
				return
			}
			slugs[i] = m.Slug
		})
	}
	wait.Wait()
	want := []string{"team"}
	for i := 2; i <= n; i++ {
		want = append(want, fmt.Sprintf("team-%d", i))
	}
	slices.Sort(want)
	slices.Sort(slugs)
	if diff := cmp.Diff(want, slugs); diff != "" {
		t.Errorf("slugs: -want +got:\n%s", diff)
	}
	list, err := r.store.ListMeshes(t.Context())
	if err != nil || len(list) != n {
		t.Fatalf("%d meshes, %v", len(list), err)
	}
	for _, m := range list {
		if m.Members != 2 {
			t.Errorf("%s has %d members", m.Mesh.Slug, m.Members)
		}
	}
}

// TestTooManyMeshes holds that the search for a slug ends.
func TestTooManyMeshes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, _, err := r.with(fullHouse{r.store}, r.keys).Mesh(t.Context(), issue.NewMesh{Name: "home"})
	wantCode(t, err, "conflict")
}
