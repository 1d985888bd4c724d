package app_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// heldCrew is a crew whose requests a stage behind the proof holds, while *during
// runs, if there is one.
func heldCrew(t *testing.T, during *func(*sdk.Envelope)) *crew {
	t.Helper()
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), guessing, func(o *app.Options) {
		putBeforeRoute(o, "slow", aside(func(env *sdk.Envelope) {
			if f := *during; f != nil {
				f(env)
			}
		}))
	})
	r.newMesh()
	return newCrewOn(t, r)
}

// What is taken from a caller while a stage has its request is gone when the
// handler runs.
func TestRightsAreJudgedLast(t *testing.T) {
	requests := []struct{ name, method, path, body string }{
		{"delete", http.MethodDelete, "/cli/mesh/home", ""},
		{"invite", http.MethodPost, "/cli/mesh/home/invite", `{"role":"admin"}`},
		{"settings", http.MethodPatch, "/mesh/home/settings", `{"selfEditable":{"displayName":false}}`},
		{"role", http.MethodPatch, "BO", `{"permission":"admin"}`},
		{"profile", http.MethodPatch, "BO", `{"displayName":"bob"}`},
		{"permissions", http.MethodPost, "/cli/mesh/home/permissions", `{"member_id":"BOS ID","permissions":{"canManageVault":true}}`},
		{"grants", http.MethodPost, "/cli/mesh/home/grants", `{"grants":{}}`},
		{"members", http.MethodGet, "/mesh/home/members", ""},
	}
	meanwhile := map[string]func(c *crew){
		"banned": func(c *crew) {
			if err := c.store.SetRevoked(context.Background(), c.id("gil"), time.Now()); err != nil {
				c.t.Error(err)
			}
			c.app.Revoked(c.id("gil"))
		},
		"archived": func(c *crew) {
			_, err := c.store.ChangeMesh(context.Background(), c.mesh.ID, func(m *store.Mesh) error { m.ArchivedAt = time.Now(); return nil })
			if err != nil {
				c.t.Error(err)
			}
			c.app.ForgetMesh(c.mesh.ID)
		},
	}
	for what, change := range meanwhile {
		for _, ask := range requests {
			for _, how := range []string{"bearer", "signature"} {
				t.Run(what+"/"+ask.name+"/"+how, func(t *testing.T) {
					var during func(*sdk.Envelope)
					c := heldCrew(t, &during)
					c.edit("gil", func(m *store.Member) { m.Permissions = store.Permissions{store.CanDeleteMesh: true} })
					before := c.row("bo")
					during = func(*sdk.Envelope) { change(c) }
					path := strings.Replace(ask.path, "BO", c.memberPath("bo"), 1)
					body := strings.Replace(ask.body, "BOS ID", c.id("bo"), 1)
					var status int
					var a map[string]any
					if how == "bearer" {
						status, a, _ = c.ask(ask.method, path, c.tokens["gil"], body)
					} else {
						status, a = c.sign("gil", ask.method, path, body)
					}
					if status < 401 || status > 404 {
						t.Errorf("got %d %v", status, a)
					}
					if after := c.row("bo"); after.Role != before.Role || after.DisplayName != before.DisplayName || len(after.Permissions) != 0 {
						t.Errorf("got %+v, want bo as before", after)
					}
				})
			}
		}
	}
}

// Who was demoted while a stage had its request is a member when the handler runs.
func TestDemotedMeanwhile(t *testing.T) {
	var during func(*sdk.Envelope)
	c := heldCrew(t, &during)
	during = func(*sdk.Envelope) {
		during = nil
		c.edit("gil", func(m *store.Member) { m.Role = store.RoleMember })
	}
	status, a, _ := c.ask(http.MethodPatch, c.memberPath("bo"), c.tokens["gil"], `{"permission":"admin"}`)
	if status != http.StatusForbidden || c.row("bo").Role != store.RoleMember {
		t.Errorf("got %d %v", status, a)
	}
}
