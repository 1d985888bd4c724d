package feature

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

func TestGroups(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	tests := []struct {
		name, frame, want string
		groups            []store.Group
	}{
		{"a join is not answered", `{"type":"join_group","name":"ops","role":"lead","_reqId":1}`, ``, []store.Group{{Name: "ops", Role: "lead"}}},
		{"a second group comes behind the first", `{"type":"join_group","name":"web/ui"}`, ``, []store.Group{{Name: "ops", Role: "lead"}, {Name: "web/ui"}}},
		{"a join without a role drops the role", `{"type":"join_group","name":"ops"}`, ``, []store.Group{{Name: "ops"}, {Name: "web/ui"}}},
		{"names are case-sensitive", `{"type":"leave_group","name":"OPS"}`, ``, []store.Group{{Name: "ops"}, {Name: "web/ui"}}},
		{"a parent is not its child", `{"type":"leave_group","name":"web"}`, ``, []store.Group{{Name: "ops"}, {Name: "web/ui"}}},
		{"a leave is not answered", `{"type":"leave_group","name":"ops","_reqId":2}`, ``, []store.Group{{Name: "web/ui"}}},
		{"a name that messages could not reach is refused", `{"type":"join_group","name":"all","_reqId":3}`, `"code":"invalid"`, []store.Group{{Name: "web/ui"}}},
		{"a group without a name is refused", `{"type":"join_group","_reqId":4}`, `{"type":"error","_reqId":4,"code":"invalid"`, []store.Group{{Name: "web/ui"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := bo.ask(tt.frame)
			if got != tt.want && (tt.want == "" || !strings.Contains(got, tt.want)) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if groups := r.dir.View(bo.session).Groups; !slices.Equal(groups, tt.groups) {
				t.Errorf("groups %v, want %v", groups, tt.groups)
			}
		})
	}
}

// Groups rested on what clients say of themselves, whatever the mesh had decided.
func TestFlawExt29GroupsAreGivenWhereTheMeshSaysSo(t *testing.T) {
	r := newRig(t)
	given := []store.Group{{Name: "ops", Role: "lead"}}
	r.edit("bo", func(m *store.Member) { m.DefaultGroups = given })
	r.editMesh(func(m *store.Mesh) { m.Policy.Groups = false })
	bo, gil := r.join("bo"), r.join("gil")
	for _, frame := range []string{`{"type":"join_group","name":"finance","_reqId":1}`, `{"type":"leave_group","name":"ops","_reqId":1}`} {
		got, _ := bo.ask(frame)
		wantText(t, got, `{"type":"error","_reqId":1,"code":"forbidden","message":"in this mesh groups are given by its owner and its admins: ask one of them"}`)
	}
	if got, _ := gil.ask(`{"type":"join_group","name":"finance"}`); got != "" {
		t.Errorf("an admin: %s", got)
	}
	h := &hellos{members: r.roster}
	for name, want := range map[string][]store.Group{"bo": given, "gil": {{Name: "finance"}}} {
		m, err := r.roster.MemberByID(t.Context(), r.members[name].ID)
		if err != nil {
			t.Fatal(err)
		}
		groups, err := h.groups(t.Context(), m, []wire.Group{{Name: "finance"}}, &store.State{Groups: []store.Group{{Name: "web"}}})
		if err != nil || !slices.Equal(groups, want) {
			t.Errorf("%s begins with %v, %v, want %v", name, groups, err, want)
		}
	}
}

func TestGroupsAreLimited(t *testing.T) {
	r := newRig(t)
	bo := r.join("bo")
	for i := range 64 {
		if got, _ := bo.ask(fmt.Sprintf(`{"type":"join_group","name":"g%d"}`, i)); got != "" {
			t.Fatal(got)
		}
	}
	got, _ := bo.ask(`{"type":"join_group","name":"one-more","_reqId":"g"}`)
	wantText(t, got, `{"type":"error","_reqId":"g","code":"invalid","message":"a session can be in 64 groups at most: leave one first"}`)
	if got, _ := bo.ask(`{"type":"join_group","name":"g7","role":"lead"}`); got != "" {
		t.Errorf("a role in a group that it is in: %s", got)
	}
}
