package admin_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/sdk"
)

// TestLinkMember goes through whose a member can become.
func TestLinkMember(t *testing.T) {
	t.Parallel()
	var changed []string
	var entries []*audit.Entry
	r := newRig(t, func(_ *rig, h *admin.Hooks) {
		h.MemberChanged = func(id string) { changed = append(changed, id) }
		h.Record = func(_ context.Context, e *audit.Entry) error {
			entries = append(entries, e)
			return nil
		}
	})
	m := r.mesh(t, "home", 2)
	for _, id := range []string{"ada", "bo"} {
		if _, err := r.CreateToken(t.Context(), id, admin.TokenOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.RevokeMember(t.Context(), "home", "member-2"); err != nil {
		t.Fatal(err)
	}
	entries = nil
	for _, tt := range []struct {
		name, member, account string
		move                  bool
		before, code          string
	}{
		{"a member without an account", "member-1", "ada", false, "", ""},
		{"the same again", "member-1", "ada", false, "ada", ""},
		{"one of another account", "member-1", "bo", false, "", "conflict"},
		{"one of another account, moved", "member-1", "bo", true, "ada", ""},
		{"one that was revoked", "member-2", "ada", true, "", "conflict"},
		{"one that is not there", "member-3", "ada", true, "", "not_found"},
		{"an account that is not there", "member-1", "cy", true, "", "not_found"},
	} {
		got, err := r.LinkMember(t.Context(), "home", tt.member, tt.account, tt.move)
		if tt.code != "" {
			wantCode(t, err, sdk.Reason(tt.code))
			continue
		}
		if err != nil || got.Account != tt.account || got.Before != tt.before {
			t.Errorf("%s: got %+v, %v", tt.name, got, err)
		}
	}
	id := m.Members[0].ID
	if diff := cmp.Diff([]string{id, id}, changed); diff != "" {
		t.Errorf("told of (-want +got):\n%s", diff)
	}
	if len(entries) != 2 || entries[1].EventType != "member_linked" || entries[1].MeshID != m.ID {
		t.Errorf("the audit log has %+v, want two changes", entries)
	}
	if list, err := r.ListMembers(t.Context(), "home"); err != nil || list[0].Account != "bo" {
		t.Errorf("list: %+v, %v", list, err)
	}
}

// TestCreateOwnedMesh holds that an owner is there, and may sign in, before there
// is a mesh.
func TestCreateOwnedMesh(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for range 2 {
		m, err := r.CreateMesh(t.Context(), "home", admin.MeshOptions{Owner: "ada"})
		if err != nil || m.Account != "ada" {
			t.Fatalf("got %+v, %v", m, err)
		}
		if row, err := r.store.Mesh(t.Context(), m.ID); err != nil || row.OwnerAccount != "ada" {
			t.Errorf("got %+v, %v", row, err)
		}
	}
	if _, err := r.SetAccountEnabled(t.Context(), "ada", false); err != nil {
		t.Fatal(err)
	}
	_, err := r.CreateMesh(t.Context(), "home", admin.MeshOptions{Owner: "ada"})
	wantCode(t, err, "forbidden")
	_, err = admin.New(r.store, nil, admin.Hooks{}).CreateMesh(t.Context(), "home", admin.MeshOptions{Owner: "bo"})
	wantCode(t, err, "encryption_key")
	if list, err := r.ListAccounts(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("accounts: %+v, %v", list, err)
	}
	if list, err := r.ListMeshes(t.Context()); err != nil || len(list) != 2 {
		t.Errorf("meshes: %+v, %v", list, err)
	}
}
