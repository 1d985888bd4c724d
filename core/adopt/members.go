package adopt

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// readMembers returns one row for each key: of several, one that is live, and
// of these the oldest.
func (w *work) readMembers(ctx context.Context) ([]*store.Member, error) {
	w.byID, w.byKey = make(map[string]*store.Member), make(map[sdk.Key]*store.Member)
	var all []*store.Member
	for row, err := range w.src.read(ctx, "member", "WHERE t.mesh_id = $1 ORDER BY t.id", w.id) {
		if err != nil {
			return nil, err
		}
		if m := w.member(row); m != nil {
			all = append(all, m)
		}
	}
	slices.SortStableFunc(all, func(a, b *store.Member) int {
		if a.Live() != b.Live() {
			if a.Live() {
				return -1
			}
			return 1
		}
		return a.JoinedAt.Compare(b.JoinedAt)
	})
	for _, m := range all {
		kept := w.byKey[m.Key]
		if kept == nil {
			kept, w.byKey[m.Key] = m, m
			w.members = append(w.members, m)
		} else {
			w.notes.skipped("member", m.ID, "its key has another row, "+kept.ID+", which takes what belongs to it")
		}
		w.byID[m.ID] = kept
	}
	return w.members, nil
}

// member makes our row, nil for one that nobody can be.
func (w *work) member(row record) *store.Member {
	id := row.text("id")
	key, err := sdk.ParseKey(row.text("peer_pubkey"))
	if err != nil || identity.SmallOrder(key) {
		w.notes.skipped("member", id, "its key is not 64 hex digits of an ed25519 key: it never could connect, "+
			"as members that claimed an invite of version 2")
		return nil
	}
	m := &store.Member{
		ID: id, MeshID: w.id, Key: key, DisplayName: cmp.Or(row.text("display_name"), "member-"+key.String()[:8]),
		Role: store.RoleMember, RoleTag: row.text("role_tag"), MessageMode: "push",
		DefaultGroups: w.readGroups(row, "default_groups", "member", id),
		Grants:        w.grants(row, id), AccountID: row.text("user_id"),
		JoinedAt: row.timeOr("joined_at", w.o.Now), RevokedAt: row.since("revoked_at", w.o.Now),
	}
	if row.text("role") == string(store.RoleAdmin) || m.AccountID != "" && m.AccountID == w.owner {
		m.Role = store.RoleAdmin // the owner's account may do there what an admin may do here
	}
	m.Permissions = w.permissionsOf(m)
	if mode := row.text("message_mode"); mode == "inbox" || mode == "off" {
		m.MessageMode = mode
	}
	return m
}

// readGroups reads a list of groups, of which it keeps those that have a name
// that a group can have, each once.
func (w *work) readGroups(row record, column, kind, id string) (list []store.Group) {
	var raw []any
	if !row.json(column, &raw) {
		w.notes.changed(kind, id, column+" is no list: it has no groups")
		return nil
	}
	return w.listGroups(raw, kind, id)
}

// listGroups is readGroups of a list that was read.
func (w *work) listGroups(raw []any, kind, id string) (list []store.Group) {
	for _, v := range raw {
		var g store.Group
		switch v := v.(type) {
		case string:
			g.Name = v
		case map[string]any:
			g.Name, _ = v["name"].(string)
			g.Role, _ = v["role"].(string)
		}
		if sdk.CheckGroup(g.Name) != nil {
			w.notes.changed(kind, id, "a group with a name that none can have was left out")
			continue
		}
		if !slices.ContainsFunc(list, func(x store.Group) bool { return x.Name == g.Name }) {
			list = append(list, g)
		}
	}
	return list
}

// inGroup reports whether one of the groups is the named one or below it.
func inGroup(groups []store.Group, name string) bool {
	return slices.ContainsFunc(groups, func(g store.Group) bool {
		return g.Name == name || strings.HasPrefix(g.Name, name+"/")
	})
}

// sessionKeys returns whose the session keys are that may still be in use, or
// be waited for: those of presences that were open, or heard of, within the
// time that a message waits. Anybody could present any key there; it is the
// first one's.
func (w *work) sessionKeys(ctx context.Context) (list []*store.SessionKey, err error) {
	w.sessions = make(map[sdk.Key]*store.SessionKey)
	const query = `WHERE t.session_pubkey IN (
			SELECT p.session_pubkey FROM mesh.presence p JOIN mesh.member m ON m.id = p.member_id
			WHERE m.mesh_id = $1 AND p.session_pubkey <> '' AND (p.disconnected_at IS NULL
			OR p.disconnected_at >= $2::timestamp OR p.last_ping_at >= $2::timestamp))
		AND t.member_id IN (SELECT m.id FROM mesh.member m WHERE m.mesh_id = $1)
		ORDER BY t.connected_at`
	since := w.o.Now.Add(-w.o.ExpireAfter).UTC().Format(timeLayout)
	for row, err := range w.src.read(ctx, "presence", query, w.id, since) {
		if err != nil {
			return nil, err
		}
		if k := w.sessionKey(row); k != nil {
			w.sessions[k.Key] = k
			list = append(list, k)
		}
	}
	return list, nil
}

// sessionKey makes our row, nil for a key that has its owner, or can have none.
func (w *work) sessionKey(row record) *store.SessionKey {
	text := row.text("session_pubkey")
	key, err := sdk.ParseKey(text)
	owner := w.byID[row.text("member_id")]
	switch first := w.sessions[key]; {
	case owner == nil: // noted with the member
		return nil
	case err != nil || key.IsZero() || w.byKey[key] != nil:
		w.notes.skipped("session key", text, "it is no key, or a member's own")
		return nil
	case first == nil:
		return &store.SessionKey{
			MeshID: w.id, Key: key, MemberID: owner.ID, ClaimedAt: row.timeOr("connected_at", time.UnixMilli(1).UTC()),
		}
	case first.MemberID != owner.ID:
		w.notes.changed("session key", text, "several members presented it: it belongs to the one that was first")
	}
	return nil
}
