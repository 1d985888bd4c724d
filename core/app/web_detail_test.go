package app_test

import (
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/store"
)

// TestDetail holds that refusals whose text old clients know say beside it what
// is wrong and what would help.
func TestDetail(t *testing.T) {
	c := newCrew(t)
	inv := c.invite(c.owner, nil)
	join := func(token string, edit func(map[string]any)) string {
		payload := object(inv.payload)
		if edit != nil {
			edit(payload)
		}
		return flawJSON(map[string]any{
			"invite_token": token, "invite_payload": payload, "peer_pubkey": freshKey(), "display_name": "new",
		})
	}
	const own = "broker account own MESH USER"
	tests := []struct {
		name, method, path, by, body string
		status                       int
		error, detail                string
	}{
		{"an invite by a member", "POST", "/cli/mesh/home/invite", "bo", "{}", 403, "Only the owner can invite (for now)", "whoever else has canInvite"},
		{"an invite by a stranger", "POST", "/cli/mesh/home/invite", "zoe", "{}", 403, "Only the owner can invite (for now)", own},
		{"the list of invites", "GET", "/cli/mesh/home/invites", "bo", "", 403, "Only the owner can invite (for now)", own},
		{"the end of a mesh", "DELETE", "/cli/mesh/home", "bo", "", 403, "Only the mesh owner can delete it", own},
		{"the end of a mesh", "DELETE", "/cli/mesh/home", "gil", "", 403, "Only the mesh owner can delete it", "whoever has canDeleteMesh"},
		{"another name of a mesh", "PATCH", "/api/my/meshes/home", "gil", `{"name":"x"}`, 403, "Only the mesh owner can rename it", own},

		{"no token to end", "POST", "/cli/session/revoke", "", "", 400, "Invalid body", `{"token": …}`},
		{"half a body", "POST", "/cli/session/revoke", "", `{"token"`, 400, "Invalid body", "not valid JSON"},
		{"a body without the token", "POST", "/cli/session/revoke", "", `{}`, 400, "token required", "token: is required: want a string"},
		{"a list for a body", "POST", "/cli/mesh/create", "ada", "[]", 400, "Invalid body", "want a JSON object"},
		{"no body of a mesh", "POST", "/cli/mesh/create", "ada", "", 400, "Invalid body", `{"name": …, "pubkey": …}`},
		{"a name twice", "POST", "/cli/mesh/create", "ada", `{"name":"a","name":"b"}`, 400, "Invalid body", `the name "name" comes twice`},
		{"no permissions", "POST", "/cli/mesh/home/permissions", "ada", `{"member_id":"x"}`, 400, "member_id and permissions required", "permissions: is required"},
		{"no body where clients look for a word", "POST", "/join", "", "", 400, "the body must be a JSON object", `"invite_token": …`},

		{"a link for a token", "POST", "/join", "", join("https://mesh.example.org/join/"+inv.token, nil), 400, "invite_not_found", "behind the last slash"},
		{"another link for a token", "POST", "/join", "", join("ic://join/"+inv.token, nil), 400, "invite_not_found", "behind the last slash"},
		{"a short link for a token", "POST", "/join", "", join("https://mesh.example.org/i/ABCD2345EFGH", nil), 400, "invite_not_found", "GET /api/public/invite-code/{code}"},
		{"a code for a token", "POST", "/join", "", join("ABCD-2345-EFGH", nil), 400, "invite_not_found", "GET /api/public/invite-code/{code}"},
		{"a token of another broker", "POST", "/join", "", join(inv.token[:len(inv.token)-4]+"AAAA", nil), 400, "invite_not_found", "check the broker's address"},
		{
			"a payload that was changed", "POST", "/join", "", join(inv.token, func(p map[string]any) { p["role"] = string(store.RoleAdmin) }),
			400, "invite_bad_signature", "send the token's JSON as it is",
		},
		{
			"a payload of a code", "POST", "/join", "", join("ABCD2345EFGH", func(p map[string]any) { clear(p); p["mesh_id"] = "x" }),
			400, "invite_bad_signature", "GET /api/public/invite-code/{code}",
		},
	}
	for _, tt := range tests {
		t.Run("it explains "+tt.name, func(t *testing.T) {
			status, answer, _ := c.ask(tt.method, tt.path, c.tokens[tt.by], tt.body)
			detail, _ := answer["detail"].(string)
			if status != tt.status || answer["error"] != tt.error || !strings.Contains(detail, tt.detail) {
				t.Errorf("got %d %v, want %d %s, and in its detail %s", status, answer, tt.status, tt.error, tt.detail)
			}
		})
	}
}
