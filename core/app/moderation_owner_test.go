package app_test

import (
	"net/http"
	"testing"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// A mesh that was made over HTTP has its owner's account, and a member of the
// owner's whose key is not the mesh's.
func TestAdminsSpareTheOwnerByAccount(t *testing.T) {
	r := newRig(t, guessing)
	key, secret := identity.NewKeypair()
	_, id := r.created(r.account("ada"), "team", key.String()) // ada owns it
	owner := r.memberWith(id, key.String())
	ada := r.dial(dial.Identity{MeshID: id, MemberID: owner.ID, Key: secret}, dial.Options{})
	gil := r.dial(r.enrolIn(id, "gil", store.RoleAdmin), dial.Options{})
	for _, m := range []wire.Frame{wire.Ban{Target: key.String()}, wire.Kick{Target: key.String()}} {
		if reply, err := gil.Request(t.Context(), m); err == nil {
			t.Errorf("%T of the owner by an admin: got %s", m, reply)
		}
	}
	if _, err := gil.Request(t.Context(), wire.Kick{All: true}); err != nil {
		t.Error(err)
	}
	if !r.memberWith(id, key.String()).Live() {
		t.Error("an admin has banned the owner of the mesh")
	}
	if _, err := ada.Request(t.Context(), wire.Kick{Target: "m-gil"}); err != nil {
		t.Errorf("the owner is still here, and cannot send an admin away: %v", err)
	}
	if err := r.ended(gil); err == nil {
		t.Error("gil is still here")
	}
}

// The owner by account may do everything, whatever its member's role says.
func TestOwnerByAccountModerates(t *testing.T) {
	r := newRig(t, guessing)
	r.account("ada")
	ada, bo := r.enrolIn(r.mesh.ID, "ada", store.RoleMember), r.enrolIn(r.mesh.ID, "", store.RoleMember)
	if _, err := r.store.ChangeMesh(t.Context(), r.mesh.ID, func(m *store.Mesh) error { m.OwnerAccount = "ada"; return nil }); err != nil {
		t.Fatal(err)
	}
	r.app.ForgetMesh(r.mesh.ID)
	r.dial(bo, dial.Options{})
	p := r.dial(ada, dial.Options{})
	if _, err := p.Request(t.Context(), wire.Ban{Target: identity.PublicKey(bo.Key).String()}); err != nil {
		t.Errorf("the owner could not ban a member: %v", err)
	}
	reply, err := p.Request(t.Context(), wire.AuditQuery{EventType: "peer_joined"})
	if err != nil {
		t.Fatal(err)
	}
	if log, err := wire.Decode[wire.AuditResult](reply); err != nil || log.Total != 2 {
		t.Errorf("the owner sees %s of the audit log, want what others did too", reply)
	}
	path := "/mesh/home/settings"
	r.wantOK(http.MethodPatch, path, r.account("ada"), `{"selfEditable":{"roleTag":true}}`)
}
