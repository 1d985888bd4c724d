package admin_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

func TestRevokeMember(t *testing.T) {
	t.Parallel()
	var recorded []*audit.Entry
	r := newRig(t, func(_ *rig, h *admin.Hooks) {
		h.Record = func(_ context.Context, e *audit.Entry) error {
			recorded = append(recorded, e)
			return nil
		}
	})
	m := r.mesh(t, "home", 2)
	who := m.Members[1]

	first, err := r.RevokeMember(t.Context(), "home", "member-2")
	if err != nil {
		t.Fatal(err)
	}
	if first.ID != who.ID || first.Already || first.RevokedAt.IsZero() {
		t.Errorf("first time: got %+v", first)
	}
	again, err := r.RevokeMember(t.Context(), m.ID, who.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := *first
	want.Already = true
	if diff := cmp.Diff(&want, again); diff != "" {
		t.Errorf("second time: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{who.ID, who.ID}, r.revoked); diff != "" {
		t.Errorf("hook: -want +got:\n%s", diff)
	}
	if len(recorded) != 1 || recorded[0].EventType != "member_banned" || recorded[0].MeshID != m.ID {
		t.Errorf("recorded %+v", recorded)
	}
	list, err := r.ListMembers(t.Context(), "home")
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].ID != m.Members[0].ID || !list[0].RevokedAt.IsZero() || !list[1].RevokedAt.Equal(first.RevokedAt) {
		t.Errorf("list: %+v", list)
	}
	_, err = r.RevokeMember(t.Context(), "nowhere", "member-2")
	wantCode(t, err, sdk.ReasonUnknownMesh)
}

// TestFindMember goes through the ways to name one.
func TestFindMember(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	m := r.mesh(t, "home", 0)
	key := func(prefix string) sdk.Key {
		k, err := sdk.ParseKey(prefix + strings.Repeat("0", 64-len(prefix)))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	add := func(id, name string, k sdk.Key, revoked time.Time) {
		err := r.store.AddMember(t.Context(), &store.Member{
			ID: id, MeshID: m.ID, Key: k, DisplayName: name, Role: store.RoleMember, JoinedAt: time.Now(), RevokedAt: revoked,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	add("id-ada", "ada", key("aaaaaaaa11"), time.Time{})
	add("id-bo1", "bo", key("bbbbbbbb11"), time.Time{})
	add("id-bo2", "bo", key("bbbbbbbb22"), time.Time{})
	add("id-cy1", "cy", key("cccccccc11"), time.Time{})
	add("id-cy2", "cy", key("cccccccc22"), time.Now())
	add("id-dee", "bbbbbbbb", key("dd"), time.Time{})
	add("id-old", "old", key("ee"), time.Now())

	for _, tt := range []struct{ name, ref, want, code string }{
		{"a name", "ada", "id-ada", ""},
		{"an id", "id-bo2", "id-bo2", ""},
		{"a whole key", key("bbbbbbbb11").String(), "id-bo1", ""},
		{"a key in upper case", strings.ToUpper(key("bbbbbbbb11").String()), "id-bo1", ""},
		{"the beginning of a key", "AAAAaaaa", "id-ada", ""},
		{"more of a key that is shared at first", "bbbbbbbb2", "id-bo2", ""},
		{"a name of a live and a revoked one", "cy", "id-cy1", ""},
		{"a name of a revoked one", "old", "id-old", ""},
		{"a name of two live ones", "bo", "", "ambiguous"},
		{"a name that is the beginning of others' keys", "bbbbbbbb", "", "ambiguous"},
		{"seven digits of a key", "aaaaaaa", "", "not_found"},
		{"nothing", "", "", "not_found"},
	} {
		got, err := r.RevokeMember(t.Context(), "home", tt.ref)
		if tt.code != "" {
			if err == nil {
				t.Errorf("%s: found %s", tt.name, got.ID)
				continue
			}
			wantCode(t, err, sdk.Reason(tt.code))
			continue
		}
		if err != nil || got.ID != tt.want {
			t.Errorf("%s: got %+v, %v, want %s", tt.name, got, err, tt.want)
			continue
		}
		if tt.want != "id-cy2" && tt.want != "id-old" { // live again for the next row
			if err := r.store.SetRevoked(t.Context(), tt.want, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
	}
}
