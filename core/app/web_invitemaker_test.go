package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// An invite gives nothing that its maker does not have.
func TestInviteGivesWhatItsMakerHas(t *testing.T) {
	tests := []struct {
		name  string
		taken store.Permission // from gil, an admin; "" for nothing
		role  string
		want  string // in the refusal; "" for an invite
	}{
		{"an admin makes an admin", "", "admin", ""},
		{"an admin without the vault makes none", store.CanManageVault, "admin", "canManageVault"},
		{"an admin that may not send makes none", store.CanSend, "admin", "canSend"},
		{"who may not manage permissions makes none", store.CanManagePermissions, "admin", "takes the permission canManagePermissions"},
		{"an admin without the vault makes a member, who has none", store.CanManageVault, "member", ""},
		{"who may not send makes no member", store.CanSend, "member", "canSend"},
		{"who may not write state makes no member", store.CanWriteState, "member", "canWriteState"},
		{"who may not use tools makes no member", store.CanUseTools, "member", "canUseTools"},
		{"who may not invite makes nothing", store.CanInvite, "member", "Only the owner can invite"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCrew(t)
			body := fmt.Sprintf(`{"role":%q}`, tt.role)
			before := c.wantOK(http.MethodPost, "/cli/mesh/home/invite", c.tokens["gil"], body)["code"].(string)
			if tt.taken != "" {
				c.edit("gil", func(m *store.Member) { m.Permissions = store.Permissions{tt.taken: false} })
			}
			status, a, _ := c.ask(http.MethodPost, "/cli/mesh/home/invite", c.tokens["gil"], body)
			if text, _ := a["error"].(string); (status == http.StatusOK) != (tt.want == "") || !strings.Contains(text, tt.want) {
				t.Errorf("got %d %v, want %q", status, a, tt.want)
			}
			want := http.StatusOK
			if tt.want != "" {
				want = http.StatusNotFound
			}
			if status, a, _ := c.ask(http.MethodGet, "/api/public/invite-code/"+before, "", ""); status != want {
				t.Errorf("the invite of before: got %d %v, want %d", status, a, want)
			}
			// Its code is as good as an invite: the list shows it to who may make one.
			if tt.taken != store.CanInvite {
				list := c.wantOK(http.MethodGet, "/cli/mesh/home/invites", c.tokens["gil"], "")["invites"].([]any)
				if _, shown := list[len(list)-1].(map[string]any)["code"]; shown != (tt.want == "") {
					t.Errorf("got %v, want the code to be shown: %v", list, tt.want == "")
				}
			}
		})
	}
}

// oldInvite is an invite that was made before its maker changed.
type oldInvite struct {
	code string
	invitation
}

// invited makes an invite that gil's token, or a member's signature, asks for.
func (c *crew) invited(by, body string) oldInvite {
	c.t.Helper()
	var a map[string]any
	const path = "/cli/mesh/home/invite"
	if by == "cy" {
		_, a = c.sign(by, http.MethodPost, path, body)
	} else {
		a = c.wantOK(http.MethodPost, path, c.tokens[by], body)
	}
	inv := oldInvite{code: a["code"].(string)}
	inv.token = c.wantOK(http.MethodGet, "/api/public/invite-code/"+inv.code, "", "")["token"].(string)
	var err error
	if inv.payload, err = identity.ParseToken(inv.token); err != nil {
		c.t.Fatal(err)
	}
	return inv
}

// wantGone wants an invite to be as good as revoked, on every way in.
func (c *crew) wantGone(inv oldInvite) {
	c.t.Helper()
	_, secret := identity.NewKeypair()
	claim := boundClaim(c.t.(*testing.T), secret, inv.code)
	c.wantRefusals(c.t.(*testing.T), []asked{
		{"resolve", http.MethodGet, "/api/public/invite-code/" + inv.code, "", "", 404, "no invite that can still be used has this code: check it, or ask for another one"},
		{"open", http.MethodGet, "/i/" + inv.code, "", "", 404, "no invite that can still be used has this code: check it, or ask for another one"},
		{"join", http.MethodPost, "/join", "", inv.body(freshKey(), "x"), 400, "invite_revoked"},
		{"claim", http.MethodPost, "/invites/" + inv.code + "/claim", "", claim, 410, "revoked"},
	})
}

// Invites do not outlive the right to make them.
func TestInviteEndsWithItsMakersRight(t *testing.T) {
	const admin, member = `{"role":"admin","max_uses":100,"expires_in":31536000}`, `{"max_uses":100}`
	take := func(name string, p store.Permission) func(*crew) {
		return func(c *crew) {
			c.edit(name, func(m *store.Member) { m.Permissions = store.Permissions{p: false} })
		}
	}
	disable := func(name string) func(*crew) {
		return func(c *crew) {
			_, err := c.store.ChangeAccount(c.t.Context(), name, func(a *store.Account) error { a.DisabledAt = time.Now(); return nil })
			if err != nil {
				c.t.Fatal(err)
			}
		}
	}
	ban := func(name string) func(*crew) {
		return func(c *crew) {
			if _, err := c.dial(c.ids["ada"], dial.Options{}).Request(c.t.Context(), wire.Ban{Target: name}); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	own := func(account string) func(*crew) {
		return func(c *crew) {
			if _, err := c.store.ChangeMesh(c.t.Context(), c.mesh.ID, func(m *store.Mesh) error { m.OwnerAccount = account; return nil }); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name   string
		before func(*crew) // nil for nothing
		by     string
		body   string
		change func(*crew)
		gone   bool
	}{
		{"of a banned admin", nil, "gil", admin, ban("gil"), true},
		{"of an admin whose account is disabled", nil, "gil", admin, disable("gil"), true},
		{"of an admin that may not invite", nil, "gil", member, take("gil", store.CanInvite), true},
		{"of an admin that may not manage permissions, for an admin", nil, "gil", admin, take("gil", store.CanManagePermissions), true},
		{"of an admin that may not manage permissions, for a member", nil, "gil", member, take("gil", store.CanManagePermissions), false},
		{"of an admin that is a member now", nil, "gil", member, func(c *crew) {
			c.edit("gil", func(m *store.Member) { m.Role = store.RoleMember })
		}, true},
		{"of a banned admin without an account", promote("cy"), "cy", admin, ban("cy"), true},
		{"of an admin that has got an account, which is disabled", promote("cy"), "cy", admin, func(c *crew) {
			c.edit("cy", func(m *store.Member) { m.AccountID = "zoe" })
			disable("zoe")(c)
		}, true},
		{"of an admin that has got an account", promote("cy"), "cy", admin, func(c *crew) {
			c.edit("cy", func(m *store.Member) { m.AccountID = "zoe" })
		}, false},
		{"of an owner without a member", own("zoe"), "zoe", admin, func(*crew) {}, false},
		{"of who is the owner no more", own("zoe"), "zoe", member, own("ada"), true},
		{"of an owner whose account is disabled", own("zoe"), "zoe", member, disable("zoe"), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCrew(t)
			if tt.before != nil {
				tt.before(c)
			}
			inv := c.invited(tt.by, tt.body)
			tt.change(c)
			if tt.gone {
				c.wantGone(inv)
				return
			}
			c.wantOK(http.MethodGet, "/api/public/invite-code/"+inv.code, "", "")
			c.wantOK(http.MethodPost, "/join", "", inv.body(freshKey(), "friend"))
			_, secret := identity.NewKeypair()
			c.wantOK(http.MethodPost, "/invites/"+inv.code+"/claim", "", boundClaim(t, secret, inv.code))
		})
	}
}

// promote makes a member an admin.
func promote(name string) func(*crew) {
	return func(c *crew) { c.edit(name, func(m *store.Member) { m.Role = store.RoleAdmin }) }
}
