package app_test

import (
	"net/http"
	"testing"

	"github.com/claudemesh/broker/core/store"
)

// An account can own a mesh without a member in it: an operator gives it one, or
// it has lost its key. It manages the mesh all the same.
func TestOwnerWithoutAMember(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	boss := c.account("boss")
	_, err := c.store.ChangeMesh(t.Context(), c.mesh.ID, func(m *store.Mesh) error { m.OwnerAccount = "boss"; return nil })
	if err != nil {
		t.Fatal(err)
	}
	bo := c.ids["bo"].MemberID
	c.wantOK(http.MethodGet, "/mesh/home/members", boss, "")
	c.wantOK(http.MethodGet, "/cli/mesh/home/permissions", boss, "")
	c.wantOK(http.MethodPost, "/cli/mesh/home/permissions", boss, `{"member_id":"`+bo+`","permissions":{"canDeleteMesh":true}}`)
	c.wantOK(http.MethodPatch, "/mesh/home/member/"+bo, boss, `{"permission":"admin"}`)
	c.wantOK(http.MethodPatch, "/mesh/home/settings", boss, `{"selfEditable":{"roleTag":false}}`)
	c.wantOK(http.MethodPost, "/cli/mesh/home/invite", boss, `{"role":"admin"}`)
	c.wantRefusals(t, []asked{
		{"grants of a member that is not there", http.MethodPost, "/cli/mesh/home/grants", boss, `{"grants":{}}`, 403, "Not a member"},
	})
	c.wantOK(http.MethodDelete, "/cli/mesh/home", boss, "")
}
