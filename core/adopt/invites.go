package adopt

import (
	"context"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// invites returns the invites of both versions, used up and revoked ones too,
// so that who comes with one is told why it does not hold.
func (w *work) invites(ctx context.Context, owner sdk.Key) (list []*store.Invite, err error) {
	for row, err := range w.src.read(ctx, "invite", "WHERE t.mesh_id = $1 ORDER BY t.id", w.id) {
		if err != nil {
			return nil, err
		}
		inv, why := w.invite(row, owner)
		if why != "" {
			w.notes.skipped("invite", row.text("id"), why)
			continue
		}
		token := row.text("token")
		inv.TokenHash = store.HashInvite(token)
		if inv.SealedToken, err = w.seal(identity.InviteAtRest, inv.ID, []byte(token)); err != nil {
			return nil, err
		}
		list = append(list, inv)
	}
	return list, nil
}

// invite makes our row but for its token, or says why there is none.
func (w *work) invite(row record, owner sdk.Key) (inv *store.Invite, why string) {
	inv = &store.Invite{
		ID: row.text("id"), MeshID: w.id, Code: row.text("code"), Role: store.RoleMember,
		CreatedBy: row.text("created_by"),
		CreatedAt: row.timeOr("created_at", w.o.Now), RevokedAt: row.since("revoked_at", w.o.Now),
	}
	var err error
	if inv.ExpiresAt, err = row.time("expires_at"); err != nil || inv.ExpiresAt.IsZero() {
		return nil, "its expiry is no time between the years 1970 and 9999"
	}
	uses, err := row.whole("max_uses", 1)
	used, usedErr := row.whole("used_count", 0)
	if err != nil || usedErr != nil || uses < 0 || used < 0 {
		return nil, "its uses are no numbers"
	}
	inv.MaxUses, inv.UsedCount = int(uses), int(used)
	if row.text("role") == string(store.RoleAdmin) {
		inv.Role = store.RoleAdmin
	}
	if !signed(row, inv, owner) {
		return nil, "its stored signature is not the mesh owner's, or the row was changed after signing"
	}
	inv.Preset = w.preset(row, inv.ID)
	return inv, ""
}

// signed checks the capability of an invite of version 2, which is of use only
// with an owner's key, and keeps it. The original takes rows without one.
func signed(row record, inv *store.Invite, owner sdk.Key) bool {
	version, err := row.whole("version", 1)
	stored := row.text("capability_v2")
	if err != nil || version != 2 || stored == "" {
		return err == nil
	}
	v2 := identity.InviteV2{
		MeshID: inv.MeshID, InviteID: inv.ID, ExpiresAt: inv.ExpiresAt.Unix(), Role: string(inv.Role), OwnerPubkey: owner.String(),
	}
	inv.Capability = stored
	return v2.CheckCapability(stored) == identity.Accepted
}

// preset reads what an invite decides about its member, part by part.
func (w *work) preset(row record, id string) (p store.Preset) {
	var raw map[string]any
	if !row.json("preset", &raw) {
		w.notes.changed("invite", id, "its preset is no object, and decides nothing")
		return p
	}
	p.DisplayName, _ = raw["displayName"].(string)
	p.RoleTag, _ = raw["roleTag"].(string)
	if mode, _ := raw["messageMode"].(string); mode == "push" || mode == "inbox" || mode == "off" {
		p.MessageMode = mode
	}
	groups, _ := raw["groups"].([]any)
	p.Groups = w.listGroups(groups, "invite", id)
	return p
}
