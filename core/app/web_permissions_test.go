package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

func (c *crew) permissionsPath() string { return "/cli/mesh/" + c.mesh.Slug + "/permissions" }

// permit is the body that sets permissions of a member.
func (c *crew) permit(of, permissions string) string {
	return fmt.Sprintf(`{"member_id":%q,"permissions":%s}`, c.id(of), permissions)
}

func TestPermissionList(t *testing.T) {
	c := newCrew(t)
	c.edit("cy", func(m *store.Member) {
		m.Permissions = store.Permissions{store.CanSend: false, store.CanInvite: true}
	})
	answer := c.wantOK(http.MethodGet, c.permissionsPath(), c.tokens["bo"], "")
	if answer["mesh"] != "home" || len(answer) != 2 || len(answer["members"].([]any)) != 4 {
		t.Errorf("got %v", answer)
	}
	rows := c.listed(answer)
	all := func(yes func(store.Permission) bool) map[string]any {
		m := map[string]any{}
		for _, p := range store.AllPermissions() {
			m[string(p)] = yes(p)
		}
		return m
	}
	everyones := func(p store.Permission) bool { return p.Everyones() }
	want := map[string]map[string]any{
		"ada": {"role": "admin", "is_owner": true, "permissions": all(func(store.Permission) bool { return true })},
		"gil": {"role": "admin", "is_owner": false, "permissions": all(func(p store.Permission) bool { return p != store.CanDeleteMesh })},
		"bo":  {"role": "member", "is_owner": false, "permissions": all(everyones)},
		"cy": {"role": "member", "is_owner": false, "permissions": all(func(p store.Permission) bool {
			return p != store.CanSend && everyones(p) || p == store.CanInvite
		})},
	}
	for name, w := range want {
		w["member_id"], w["display_name"] = c.id(name), name
		if d := cmp.Diff(w, rows[name]); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if err := c.store.SetRevoked(t.Context(), c.id("cy"), time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, there := c.listed(c.wantOK(http.MethodGet, c.permissionsPath(), c.tokens["bo"], ""))["cy"]; there {
		t.Error("a revoked member is listed")
	}
}

func TestPermissionsAreSet(t *testing.T) {
	c := newCrew(t)
	body := fmt.Sprintf(`{"requester_id":"gil","member_id":%q,"permissions":{"canInvite":true,"canSend":false}}`, c.id("bo"))
	if got := c.wantOK(http.MethodPost, c.permissionsPath(), c.tokens["gil"], body); !cmp.Equal(got, map[string]any{"ok": true}) {
		t.Errorf("got %v", got)
	}
	if got := c.row("bo").Permissions; !cmp.Equal(got, store.Permissions{store.CanInvite: true, store.CanSend: false}) {
		t.Errorf("got %v", got)
	}
	got := c.records("permission_changed", 1)[0]
	want := map[string]any{"member": c.id("bo"), "pubkey": c.key("bo"), "permissions": map[string]any{"canInvite": true, "canSend": false}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	// What is not named stays; null goes back to the role.
	c.wantOK(http.MethodPost, c.permissionsPath(), c.tokens["ada"], c.permit("bo", `{"canSend":null,"canDeleteMesh":true}`))
	if got := c.row("bo").Permissions; !cmp.Equal(got, store.Permissions{store.CanInvite: true, store.CanDeleteMesh: true}) {
		t.Errorf("got %v", got)
	}
	if status, answer := c.sign("bo", http.MethodPost, c.permissionsPath(), c.permit("cy", `{}`)); status != 403 {
		t.Errorf("without the permission: got %d %v", status, answer)
	}
	c.wantOK(http.MethodPost, c.permissionsPath(), c.tokens["ada"], c.permit("bo", `{"canManagePermissions":true}`))
	if status, answer := c.sign("bo", http.MethodPost, c.permissionsPath(), c.permit("cy", `{"canInvite":true}`)); status != 200 {
		t.Errorf("with the permission: got %d %v", status, answer)
	}
}

// What is taken is gone with the next message.
func TestPermissionsHoldAtOnce(t *testing.T) {
	c := newCrew(t)
	bo, gil := c.dial(session(c.ids["bo"]), dial.Options{}), c.dial(session(c.ids["gil"]), dial.Options{ConfirmPushes: true})
	c.wantOK(http.MethodPost, c.permissionsPath(), c.tokens["gil"], c.permit("bo", `{"canSend":false}`))
	if ack := c.send(bo, gil.Key().String(), sdk.PriorityNow, "one"); ack.Queued || !strings.HasPrefix(ack.Error, "forbidden: you do not have the permission canSend") {
		t.Errorf("got %+v", ack)
	}
	c.wantOK(http.MethodPost, c.permissionsPath(), c.tokens["gil"], c.permit("bo", `{"canSend":null}`))
	if ack := c.send(bo, gil.Key().String(), sdk.PriorityNow, "two"); !ack.Queued {
		t.Errorf("got %+v", ack)
	}
	c.wantText(gil, "two")
}

// Flaw 8: who asks has to prove it, nothing but permissions can be set, and
// nobody rises above what the owner has decided.
func TestPermissionRefusals(t *testing.T) {
	c := newCrew(t)
	c.edit("gil", func(m *store.Member) { m.Permissions = store.Permissions{store.CanInvite: false} })
	c.enrol("hal", c.mesh, store.RoleAdmin, "hal")
	c.tokens["hal"] = c.account("hal")
	path, nowhere := c.permissionsPath(), "/cli/mesh/nowhere/permissions"
	const missing = "member_id and permissions required"
	c.wantRefusals(t, []asked{
		{"no member", "POST", path, c.tokens["ada"], `{"permissions":{}}`, 400, missing},
		{"no permissions", "POST", path, c.tokens["ada"], `{"member_id":"x"}`, 400, missing},
		{"null for permissions", "POST", path, c.tokens["ada"], c.permit("bo", "null"), 400, missing},
		{"a list of permissions", "POST", path, c.tokens["ada"], c.permit("bo", `["canSend"]`), 400, "permissions: want an object"},
		{"a text for a permission", "POST", path, c.tokens["ada"], c.permit("bo", `{"canSend":"yes"}`), 400, `permissions["canSend"]: want true or false`},
		{"a slip", "POST", path, c.tokens["ada"], c.permit("bo", `{"canSned":true}`), 400, `permissions: "canSned" is no permission: did you mean canSend?`},
		{"a token", "POST", path, c.tokens["ada"], c.permit("bo", `{"s3cr3t-of-ada":true}`), 400, `permissions: "s3cr3t-o"… is no permission`},
		{"a column", "POST", path, c.tokens["ada"], c.permit("bo", `{"meshId":true}`), 400, `permissions: "meshId" is no permission`},
		{"nobody", "POST", path, c.tokens["ada"], `{"member_id":"x","permissions":{}}`, 404, "Member not found"},
		{"a member of another mesh", "POST", path, c.tokens["ada"], c.permit("eve", `{"canSend":false}`), 404, "Member not found"},
		{"no mesh", "POST", nowhere, c.tokens["ada"], c.permit("bo", `{}`), 404, "Mesh not found"},
		{"a stranger", "POST", path, c.tokens["zoe"], c.permit("bo", `{}`), 403, "Not a member of this mesh"},
		{"an admin of another mesh", "POST", path, c.tokens["eve"], c.permit("bo", `{}`), 403, "Not a member of this mesh"},
		{"a member", "POST", path, c.tokens["bo"], c.permit("bo", `{"canInvite":true}`), 403, "You don't have permission to manage permissions"},
		{"somebody else's id", "POST", path, c.tokens["gil"], fmt.Sprintf(`{"requester_id":"ada","member_id":%q,"permissions":{"canDeleteMesh":true}}`, c.id("bo")), 403, "requester_id is not the account"},
		{"to take from the owner", "POST", path, c.tokens["gil"], c.permit("ada", `{"canSend":false}`), 403, "the owner of a mesh may do everything"},
		{"to take back what the owner took", "POST", path, c.tokens["gil"], c.permit("gil", `{"canInvite":true}`), 403, "you cannot give canInvite"},
		{"to go back to the role", "POST", path, c.tokens["gil"], c.permit("gil", `{"canInvite":null}`), 403, "you cannot give canInvite"},
		{"to give a friend what one lacks", "POST", path, c.tokens["gil"], c.permit("bo", `{"canInvite":true}`), 403, "you cannot give canInvite"},
		{"an admin to give the end of the mesh", "POST", path, c.tokens["hal"], c.permit("hal", `{"canDeleteMesh":true}`), 403, "only the owner of the mesh decides who has canDeleteMesh"},
		{"an admin to give the permissions", "POST", path, c.tokens["hal"], c.permit("bo", `{"canManagePermissions":true}`), 403, "only the owner of the mesh decides who has canManagePermissions"},
		{"an admin to take the permissions", "POST", path, c.tokens["hal"], c.permit("gil", `{"canManagePermissions":false}`), 403, "only the owner of the mesh decides who has canManagePermissions"},
		{"a stranger the list", "GET", path, c.tokens["zoe"], "", 403, "Not a member of this mesh"},
		{"the list of no mesh", "GET", nowhere, c.tokens["ada"], "", 404, "Mesh not found"},
		{"another method", "PATCH", path, c.tokens["ada"], `{}`, 405, "this path answers GET, HEAD, POST, OPTIONS only"},
		{"an account by its name alone", "POST", path, "", fmt.Sprintf(`{"requester_id":"ada","member_id":%q,"permissions":{"canSend":false}}`, c.id("bo")), 401, "missing_bearer_token"},
	})
	c.wantRefusals(t, credentials("POST", path, c.permit("bo", `{}`)))
	c.wantRefusals(t, credentials("GET", path, ""))
	c.wantRefusals(t, bodies("POST", path, c.tokens["ada"], "Invalid body"))
	for _, name := range []string{"ada", "bo", "hal"} {
		if got := c.row(name).Permissions; len(got) > 0 {
			t.Errorf("a refusal changed %s: %v", name, got)
		}
	}
	c.wantOK(http.MethodPost, path, c.tokens["ada"], c.permit("gil", `{"canInvite":true}`))
}
