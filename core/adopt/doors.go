package adopt

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode"

	"github.com/claudemesh/broker/core/store"
)

// apiKeys returns the keys that are good. The original keeps what this broker keeps
// of a secret, its SHA-256, so that programs go on with the keys that they have.
func (w *work) apiKeys(ctx context.Context) (list []*store.APIKey, err error) {
	const good = `WHERE t.mesh_id = $1 AND t.revoked_at IS NULL
		AND (t.expires_at IS NULL OR t.expires_at > $2::timestamp) ORDER BY t.id`
	for row, err := range w.src.read(ctx, "api_key", good, w.id, w.o.Now.UTC().Format(timeLayout)) {
		if err != nil {
			return nil, err
		}
		k, why := w.apiKey(row)
		if why != "" {
			w.notes.skipped("API key", row.text("id"), why+": make another one")
			continue
		}
		list = append(list, k)
	}
	return list, nil
}

// apiKey makes our row, or says why there is none.
func (w *work) apiKey(row record) (k *store.APIKey, why string) {
	m := w.byID[row.text("issued_by_member_id")]
	hash, err := hex.DecodeString(row.text("secret_hash"))
	expires, wrong := row.time("expires_at")
	switch {
	case m == nil || !m.Live():
		return nil, "the member for whom it would act is not imported, or revoked"
	case err != nil || len(hash) != sha256.Size:
		return nil, "what is kept of its secret is not a SHA-256"
	case wrong != nil:
		return nil, "its end is no time"
	}
	k = &store.APIKey{
		ID: row.text("id"), MeshID: w.id, MemberID: m.ID, Label: cmp.Or(row.text("label"), "imported"), Prefix: row.text("secret_prefix"),
		Hash: [sha256.Size]byte(hash), CreatedAt: row.timeOr("created_at", w.o.Now), ExpiresAt: expires,
		LastUsedAt: row.since("last_used_at", w.o.Now),
	}
	if k.Capabilities = w.keyCapabilities(row, m); len(k.Capabilities) == 0 {
		return nil, "it is for nothing that is known here"
	}
	var scopes []string
	if !row.json("topic_scopes", &scopes) || scopes != nil && (len(scopes) == 0 || slices.Contains(scopes, "")) {
		return nil, "it is for no topic" // none here would be all of them
	}
	for _, s := range scopes {
		k.Topics = append(k.Topics, strings.TrimPrefix(s, "#"))
	}
	return k, ""
}

// keyCapabilities returns what a key may do. Any member could make keys for
// anything there; what only admins may give here is narrowed to what its member may
// do itself.
func (w *work) keyCapabilities(row record, m *store.Member) (list []store.KeyCapability) {
	var names []any
	if !row.json("capabilities", &names) {
		return nil
	}
	for _, n := range names {
		name, _ := n.(string)
		c := store.KeyCapability(name)
		switch {
		case !slices.Contains(store.AllKeyCapabilities(), c):
			w.notes.changed("API key", row.text("id"), "a capability that is unknown here was left out")
		case c == store.KeyAdmin && m.Role != store.RoleAdmin:
			w.notes.changed("API key", row.text("id"), "its member is no admin: in the place of admin it may send, read and state_write")
			list = append(list, store.KeySend, store.KeyRead, store.KeyStateWrite)
		default:
			list = append(list, c)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// webhooks returns those that are in use, at the addresses that they have. Messages
// are their member's here, and go to everybody.
func (w *work) webhooks(ctx context.Context, mesh *store.Mesh) (list []*store.Webhook, err error) {
	for row, err := range w.src.read(ctx, "webhook", "WHERE t.mesh_id = $1 AND t.active ORDER BY t.id", w.id) {
		if err != nil {
			return nil, err
		}
		m, name, secret := w.byID[row.text("created_by")], row.text("name"), row.text("secret")
		switch {
		case m == nil:
			w.notes.skipped("webhook", row.text("id"), "the member that made it, whose messages it would send, is not imported")
			continue
		case strings.TrimSpace(name) == "" || len(name) > maxThingName || strings.ContainsFunc(name, unicode.IsControl):
			w.notes.skipped("webhook", row.text("id"), "its name is none that a webhook can have here")
			continue
		case !isSecret(secret):
			w.notes.skipped("webhook", row.text("id"), "its secret is not 64 hex digits: make another one")
			continue
		case !m.Live() || !mesh.May(m, store.CanManageWebhooks):
			w.notes.changed("webhook", row.text("id"), "it takes nothing until its member is not revoked and has the permission canManageWebhooks")
		}
		list = append(list, &store.Webhook{
			ID: row.text("id"), MeshID: w.id, Name: name, MemberID: m.ID, Author: m.DisplayName, Target: "*",
			CreatedAt: row.timeOr("created_at", w.o.Now), Secret: sha256.Sum256([]byte(secret)),
		})
	}
	return list, nil
}

// isSecret reports whether a text is the secret of a webhook, as the original makes
// them: short ones could be guessed.
func isSecret(text string) bool {
	b, err := hex.DecodeString(text)
	return err == nil && len(b) == 32
}
