package app_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

func TestMemberRoles(t *testing.T) {
	type step struct {
		by, of, role string
		status       int
		error        string
	}
	tests := []struct {
		name  string
		edit  func(*crew)
		steps []step
	}{
		{"an admin promotes and demotes", nil, []step{
			{"gil", "bo", "admin", 200, ""}, {"bo", "cy", "admin", 200, ""}, {"bo", "gil", "member", 200, ""},
			{"gil", "bo", "member", 403, "not authorized"},
		}},
		{"the owner stays what it is", nil, []step{
			{"gil", "ada", "member", 403, "permission: nobody changes the role of the owner"},
			{"ada", "ada", "member", 403, "permission: nobody changes the role of the owner"},
			{"gil", "ada", "admin", 200, ""},
		}},
		{"an admin that does not manage permissions changes no role", func(c *crew) {
			c.edit("gil", func(m *store.Member) { m.Permissions = store.Permissions{store.CanManagePermissions: false} })
		}, []step{{"gil", "bo", "admin", 403, "You don't have permission to manage permissions"}}},
		{"an admin gives no role that has more than itself", func(c *crew) {
			c.edit("gil", func(m *store.Member) { m.Permissions = store.Permissions{store.CanInvite: false} })
		}, []step{{"gil", "bo", "admin", 403, "you cannot give canInvite"}, {"ada", "bo", "admin", 200, ""}}},
		{"the last admin stays one", func(c *crew) {
			if err := c.store.SetRevoked(context.Background(), c.id("ada"), time.Now()); err != nil {
				c.t.Fatal(err)
			}
		}, []step{
			{"gil", "gil", "member", 403, "permission: the mesh would be left without an admin"},
			{"gil", "bo", "member", 200, ""}, {"gil", "bo", "admin", 200, ""}, {"gil", "gil", "member", 200, ""},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCrew(t)
			if tt.edit != nil {
				tt.edit(c)
			}
			for _, s := range tt.steps {
				before := c.row(s.of).Role
				status, answer, _ := c.ask(http.MethodPatch, c.memberPath(s.of), c.tokens[s.by], `{"permission":"`+s.role+`"}`)
				text, _ := answer["error"].(string)
				if status != s.status || !strings.HasPrefix(text, s.error) {
					t.Errorf("%s makes %s %s: got %d %v", s.by, s.of, s.role, status, answer)
				}
				want := before
				if status == 200 {
					want = store.Role(s.role)
					if changes, _ := answer["changes"].(map[string]any); len(changes) > 0 {
						t.Errorf("a role is no part of the profile: %v", changes)
					}
				}
				if got := c.row(s.of).Role; got != want {
					t.Errorf("%s is %s, want %s", s.of, got, want)
				}
			}
		})
	}
}

// Two admins that demote each other at once leave one.
func TestMemberRolesAtOnce(t *testing.T) {
	c := newCrew(t)
	if err := c.store.SetRevoked(t.Context(), c.id("ada"), time.Now()); err != nil {
		t.Fatal(err)
	}
	c.edit("bo", func(m *store.Member) { m.Role = store.RoleAdmin })
	done := make(chan int, 2)
	for by, of := range map[string]string{"gil": "bo", "bo": "gil"} {
		path := c.memberPath(of)
		go func() {
			status, _, _ := c.ask(http.MethodPatch, path, c.tokens[by], `{"permission":"member"}`)
			done <- status
		}()
	}
	if a, b := <-done, <-done; a+b != 200+403 {
		t.Errorf("got %d and %d, want one of them refused", a, b)
	}
}

// A role that is taken away is gone from the sessions that are here.
func TestMemberRoleReachesSessions(t *testing.T) {
	c := newCrew(t)
	gil := c.dial(session(c.ids["gil"]), dial.Options{})
	c.wantOK(http.MethodPatch, c.memberPath("gil"), c.tokens["ada"], `{"permission":"member"}`)
	reply, err := gil.Request(t.Context(), wire.Ban{Target: "bo"})
	if err == nil || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("got %s, %v", reply, err)
	}
	got := c.records("permission_changed", 1)[0]
	if got["role"] != "member" || got["member"] != c.id("gil") {
		t.Errorf("got %v", got)
	}
}
