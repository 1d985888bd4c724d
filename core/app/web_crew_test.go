package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// crew is a broker with a mesh of people: ada owns it, gil is an admin, bo a
// member, each with an account of their name; cy joined by an invite and has
// none. Eve is an admin, with an account, of another mesh.
type crew struct {
	*rig
	ids    map[string]dial.Identity
	tokens map[string]string
	other  *store.Mesh
}

func newCrew(t *testing.T, changes ...func(*config.Config)) *crew {
	t.Helper()
	change := func(c *config.Config) {
		for _, f := range append(changes, guessing) {
			f(c)
		}
	}
	return newCrewOn(t, newRig(t, change))
}

func newCrewOn(t *testing.T, r *rig) *crew {
	t.Helper()
	c := &crew{rig: r, ids: map[string]dial.Identity{}, tokens: map[string]string{}}
	c.populate()
	return c
}

func (c *crew) populate() {
	c.t.Helper()
	_, err := c.store.ChangeMesh(context.Background(), c.mesh.ID, func(m *store.Mesh) error {
		m.Policy = store.Policy{DisplayName: true, RoleTag: true, Groups: true, MessageMode: true} // as new meshes have it
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	key, _ := identity.NewKeypair()
	c.other = &store.Mesh{ID: identity.NewID(), Slug: "other", Name: "Other", OwnerKey: key, CreatedAt: time.Now()}
	if err := c.store.CreateMesh(context.Background(), c.other, nil); err != nil {
		c.t.Fatal(err)
	}
	for _, name := range []string{"ada", "gil", "bo", "eve", "zoe"} {
		c.tokens[name] = c.account(name)
	}
	c.enrol("ada", c.mesh, store.RoleAdmin, "ada")
	c.enrol("gil", c.mesh, store.RoleAdmin, "gil")
	c.enrol("bo", c.mesh, store.RoleMember, "bo")
	c.enrol("cy", c.mesh, store.RoleMember, "")
	c.enrol("eve", c.other, store.RoleAdmin, "eve")
}

// enrol makes a member. Ada holds the owner's key.
func (c *crew) enrol(name string, mesh *store.Mesh, role store.Role, account string) {
	c.t.Helper()
	key, secret := identity.NewKeypair()
	if name == "ada" {
		key, secret = c.mesh.OwnerKey, c.owner
	}
	m := &store.Member{
		ID: identity.NewID(), MeshID: mesh.ID, Key: key, DisplayName: name, Role: role, MessageMode: "push",
		AccountID: account, JoinedAt: time.Now(),
	}
	if err := c.store.AddMember(context.Background(), m); err != nil {
		c.t.Fatal(err)
	}
	c.ids[name] = dial.Identity{MeshID: mesh.ID, MemberID: m.ID, Key: secret}
}

// id returns a member's id.
func (c *crew) id(name string) string { return c.ids[name].MemberID }

// row returns a member as the store has it.
func (c *crew) row(name string) *store.Member {
	c.t.Helper()
	m, err := c.store.MemberByID(context.Background(), c.id(name))
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// edit changes a member's row behind the broker's back.
func (c *crew) edit(name string, change func(*store.Member)) {
	c.t.Helper()
	_, err := c.store.ChangeMember(context.Background(), c.id(name), func(m *store.Member) error { change(m); return nil })
	if err != nil {
		c.t.Fatal(err)
	}
	c.app.Forget(c.id(name))
}

// sign asks with the signature of a member's key.
func (c *crew) sign(name, method, path, body string) (status int, answer map[string]any) {
	c.t.Helper()
	id := c.ids[name]
	proof := identity.SignHTTP(id.Key, method, path, id.MeshID, []byte(body), time.Now())
	status, answer, _ = c.askWith(method, path, http.Header{"Authorization": {proof}}, body)
	return status, answer
}

// records returns the payloads of an event in the mesh's audit log, newest
// first, once there are so many.
func (c *crew) records(event string, count int) []map[string]any {
	c.t.Helper()
	var list []map[string]any
	eventually(c.t, fmt.Sprintf("%d times %s in the audit log", count, event), func() bool {
		page, _, err := c.store.AuditPage(context.Background(), c.mesh.ID, store.AuditMatch{Event: event}, 50, 0)
		if err != nil {
			c.t.Fatal(err)
		}
		list = nil
		for _, e := range page {
			var payload map[string]any
			if err := json.Unmarshal(e.Payload, &payload); err != nil {
				c.t.Fatal(err)
			}
			list = append(list, payload)
		}
		return len(list) >= count
	})
	if len(list) != count {
		c.t.Errorf("got %v, want %d", list, count)
	}
	return list
}

func (c *crew) membersPath() string { return "/mesh/" + c.mesh.ID + "/members" }

func (c *crew) memberPath(name string) string { return "/mesh/" + c.mesh.ID + "/member/" + c.id(name) }

func (c *crew) settingsPath() string { return "/mesh/" + c.mesh.ID + "/settings" }

// listed returns the members that a list has, by their id's name.
func (c *crew) listed(answer map[string]any) map[string]map[string]any {
	c.t.Helper()
	found := map[string]map[string]any{}
	for _, m := range answer["members"].([]any) {
		row := m.(map[string]any)
		for name, id := range c.ids {
			if row["id"] == id.MemberID || row["member_id"] == id.MemberID {
				found[name] = row
			}
		}
	}
	return found
}

// wantProfile waits for the event that a profile has changed.
func (c *crew) wantProfile(p *dial.Peer, changes map[string]any) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		push, err := p.Recv(ctx)
		if err != nil {
			c.t.Fatalf("no profile_updated: %v", err)
		}
		if push.Event != wire.EventProfileUpdated {
			continue
		}
		var data map[string]any
		if err := json.Unmarshal(push.EventData, &data); err != nil {
			c.t.Fatal(err)
		}
		if d := cmp.Diff(changes, data); d != "" || push.MeshID != c.mesh.ID || push.Subtype != "system" {
			c.t.Errorf("got %+v: %s", push, d)
		}
		return
	}
}
