package adopt

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// source is a mesh as it was found.
type source struct {
	row   record
	given string // slug in the original, where several meshes may have the same
	slug  string // that no other mesh of the original has
}

// is reports whether a word names the mesh.
func (m source) is(word string) bool { return word == m.row.text("id") || word == m.given }

// meshes returns all meshes, oldest first, each with a slug of its own: of
// several with one slug the oldest that is in use keeps it.
func (s *Source) meshes(ctx context.Context) (list []source, err error) {
	for row, err := range s.read(ctx, "mesh", "ORDER BY t.id") {
		if err != nil {
			return nil, err
		}
		list = append(list, source{row: row, given: row.text("slug")})
	}
	byAge := func(a, b source) int {
		return a.row.timeOr("created_at", never).Compare(b.row.timeOr("created_at", never))
	}
	archived := func(m source) int {
		if _, ok := m.row.get("archived_at"); ok {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(list, func(a, b source) int { return cmp.Or(archived(a)-archived(b), byAge(a, b)) })
	taken := make(map[string]bool)
	for i := range list {
		slug := cmp.Or(list[i].given, "mesh")
		for n := 2; taken[slug]; n++ {
			slug = fmt.Sprintf("%s-%d", cmp.Or(list[i].given, "mesh"), n)
		}
		list[i].slug, taken[slug] = slug, true
	}
	slices.SortStableFunc(list, byAge)
	return list, nil
}

// mesh makes our row, its secrets sealed.
func (w *work) mesh(from *source) (*store.Mesh, error) {
	row := from.row
	m := &store.Mesh{
		ID: w.id, Slug: from.slug, Name: cmp.Or(row.text("name"), from.slug),
		Policy:       store.Policy{DisplayName: true, RoleTag: true, Groups: true, MessageMode: true},
		OwnerAccount: w.owner,
		CreatedAt:    row.timeOr("created_at", w.o.Now), ArchivedAt: row.since("archived_at", w.o.Now),
	}
	if policy := m.Policy; row.json("self_editable", &policy) {
		m.Policy = policy
	} else {
		w.notes.changed("mesh", w.id, "self_editable has another form: members may edit their whole profile")
	}
	if text := row.text("owner_pubkey"); text != "" {
		key, err := sdk.ParseKey(text)
		if err != nil || identity.SmallOrder(key) {
			w.notes.changed("mesh", w.id, "the owner's public key is none, so nobody can join by an invite")
		} else {
			m.OwnerKey = key
		}
	}
	var err error
	if m.OwnerSecret, err = w.ownerSecret(row, m.OwnerKey); err != nil {
		return nil, err
	}
	m.RootKey, err = w.rootKey(row)
	return m, err
}

// ownerSecret seals the seed of the owner's key, and refuses one that does not
// belong to the public key.
func (w *work) ownerSecret(row record, owner sdk.Key) (string, error) {
	text := row.text("owner_secret_key")
	if text == "" {
		return "", nil
	}
	secret, err := identity.ParseSecret(text)
	if err != nil || identity.PublicKey(secret) != owner {
		w.notes.changed("mesh", w.id, "the owner's secret key does not belong to the public one, so this broker cannot sign invites")
		return "", nil
	}
	defer clear(secret)
	return w.seal(identity.OwnerSecretAtRest, w.id, secret.Seed())
}

// rootKey seals the mesh's root key.
func (w *work) rootKey(row record) (string, error) {
	text := row.text("root_key")
	if text == "" {
		return "", nil
	}
	root, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil || len(root) != 32 {
		w.notes.changed("mesh", w.id, "the root key is none, so this broker cannot sign invites")
		return "", nil
	}
	return w.seal(identity.RootKeyAtRest, w.id, root)
}

// seal makes of a secret what may stand in the store, in the row with the id, and
// clears it.
func (w *work) seal(p identity.Purpose, id string, secret []byte) (string, error) {
	defer clear(secret)
	if w.o.Keys == nil {
		return "", core.Refuse("encryption_key", "encryption_key is needed to seal the owners' keys and the invites, which the original keeps plain: "+
			"set BROKER_ENCRYPTION_KEY to 64 hex digits")
	}
	return w.o.Keys.SealFor(p, id, secret), nil
}
