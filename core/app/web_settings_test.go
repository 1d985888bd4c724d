package app_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

func TestMeshSettings(t *testing.T) {
	c := newCrew(t)
	set := func(by, policy string, want store.Policy) {
		t.Helper()
		answer := c.wantOK(http.MethodPatch, c.settingsPath(), c.tokens[by], `{"selfEditable":`+policy+`}`)
		m, err := c.store.Mesh(t.Context(), c.mesh.ID)
		if err != nil || m.Policy != want || answer["ok"] != true {
			t.Errorf("got %v and %+v, %v", answer, m.Policy, err)
		}
	}
	set("gil", `{"displayName":true,"roleTag":true,"groups":true,"messageMode":true}`, store.Policy{DisplayName: true, RoleTag: true, Groups: true, MessageMode: true})
	c.wantOK(http.MethodPatch, c.memberPath("bo"), c.tokens["bo"], `{"displayName":"Bo"}`)

	// A partial object changes what it names.
	set("ada", `{"displayName":false,"groups":false}`, store.Policy{RoleTag: true, MessageMode: true})
	c.wantRefusals(t, []asked{
		{"fields that the mesh keeps", "PATCH", c.memberPath("bo"), c.tokens["bo"], `{"displayName":"B","roleTag":"r","groups":[],"permission":"admin"}`, 403, "admin-managed fields: displayName, groups, permission"},
	})
	c.wantOK(http.MethodPatch, c.memberPath("bo"), c.tokens["bo"], `{"roleTag":"r"}`)
	c.wantOK(http.MethodPatch, c.memberPath("bo"), c.tokens["gil"], `{"displayName":"B"}`)
	if ack := c.dial(session(c.ids["bo"]), dial.Options{}).HelloAck(); ack.MeshPolicy.SelfEditable != (wire.SelfEditable{RoleTag: true, MessageMode: true}) {
		t.Errorf("the next hello is told %+v", ack.MeshPolicy)
	}
	got := c.records("mesh_settings_changed", 2)[0]
	want := map[string]any{"selfEditable": map[string]any{"displayName": false, "roleTag": true, "groups": false, "messageMode": true}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	// An archived mesh has no settings, no members and no grants.
	_, err := c.store.ChangeMesh(t.Context(), c.mesh.ID, func(m *store.Mesh) error { m.ArchivedAt = time.Now(); return nil })
	if err != nil {
		t.Fatal(err)
	}
	c.wantRefusals(t, []asked{
		{"settings of an archived mesh", "PATCH", c.settingsPath(), c.tokens["ada"], `{"selfEditable":{"groups":true}}`, 404, "mesh not found"},
		{"members of an archived mesh", "GET", c.membersPath(), c.tokens["ada"], "", 404, "mesh not found"},
		{"a change in an archived mesh", "PATCH", c.memberPath("bo"), c.tokens["bo"], `{"roleTag":"r"}`, 404, "mesh not found"},
		{"grants in an archived mesh", "POST", c.grantsPath(), c.tokens["bo"], `{"grants":{}}`, 404, "Mesh not found"},
		{"permissions in an archived mesh", "GET", c.permissionsPath(), c.tokens["bo"], "", 404, "Mesh not found"},
	})
}
