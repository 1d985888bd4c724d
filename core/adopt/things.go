package adopt

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
)

// Limits of what a peer can ask for.
const (
	maxThingName = 128 // bytes of the name of a skill, a stream or a secret
	maxDepth     = 28  // objects and lists in each other
)

// things reads what members left for each other or themselves, and the doors of the
// world outside.
func (w *work) things(ctx context.Context, c *store.MeshCopy) (err error) {
	if c.Streams, err = w.streams(ctx); err != nil {
		return err
	}
	if c.Skills, err = w.skills(ctx); err != nil {
		return err
	}
	if c.Vault, err = w.vault(ctx); err != nil {
		return err
	}
	if c.APIKeys, err = w.apiKeys(ctx); err != nil {
		return err
	}
	c.Webhooks, err = w.webhooks(ctx, c.Mesh)
	return err
}

// streams returns the names of streams. Who created one is known by its name only.
func (w *work) streams(ctx context.Context) (list []*store.Stream, err error) {
	for row, err := range w.src.read(ctx, "stream", "WHERE t.mesh_id = $1 ORDER BY t.id", w.id) {
		if err != nil {
			return nil, err
		}
		st := &store.Stream{
			ID: row.text("id"), MeshID: w.id, Name: row.text("name"), Author: row.text("created_by_name"),
			CreatedAt: row.timeOr("created_at", w.o.Now),
		}
		if !named(st.Name) {
			w.notes.skipped("stream", st.ID, textNoName)
			continue
		}
		list = append(list, st)
	}
	return list, nil
}

const textNoName = "its name is empty or longer than 128 bytes"

func named(name string) bool { return name != "" && len(name) <= maxThingName }

// skills returns the instructions that members shared.
func (w *work) skills(ctx context.Context) (list []*store.Skill, err error) {
	for row, err := range w.src.read(ctx, "skill", "WHERE t.mesh_id = $1 ORDER BY t.id", w.id) {
		if err != nil {
			return nil, err
		}
		sk := &store.Skill{
			MeshID: w.id, Name: row.text("name"), Description: row.text("description"), Instructions: row.text("instructions"),
			Tags: w.texts(row, "tags", "skill"), Manifest: w.manifest(row), MemberID: w.writer(row.text("author_member_id")),
			Author: row.text("author_name"), CreatedAt: row.timeOr("created_at", w.o.Now),
		}
		sk.UpdatedAt = row.timeOr("updated_at", sk.CreatedAt)
		if !named(sk.Name) {
			w.notes.skipped("skill", row.text("id"), textNoName)
			continue
		}
		list = append(list, sk)
	}
	return list, nil
}

// manifest returns a skill's manifest without spaces, nil for none.
func (w *work) manifest(row record) []byte {
	text := row.text("manifest")
	if text == "" || text == "null" {
		return nil
	}
	var b bytes.Buffer
	if wire.Depth([]byte(text)) > maxDepth || json.Compact(&b, []byte(text)) != nil {
		w.notes.changed("skill", row.text("id"), "its manifest nests too deep, and it has none now")
		return nil
	}
	return b.Bytes()
}

// vault returns what members keep sealed. Of several secrets of one member under one
// key the newest counts.
func (w *work) vault(ctx context.Context) (list []*store.VaultEntry, err error) {
	kept := make(map[[2]string]bool) // member, key
	for row, err := range w.src.read(ctx, "vault_entry", "WHERE t.mesh_id = $1 ORDER BY t.updated_at DESC, t.id", w.id) {
		if err != nil {
			return nil, err
		}
		e := &store.VaultEntry{
			MeshID: w.id, MemberID: w.writer(row.text("member_id")), Key: row.text("key"), Ciphertext: row.text("ciphertext"),
			Nonce: row.text("nonce"), SealedKey: row.text("sealed_key"), Type: cmp.Or(row.text("entry_type"), "env"),
			MountPath: row.text("mount_path"), Description: row.text("description"), CreatedAt: row.timeOr("created_at", w.o.Now),
		}
		e.UpdatedAt = row.timeOr("updated_at", e.CreatedAt)
		switch {
		case e.MemberID == "":
			w.notes.skipped("secret", row.text("id"), "its member is not imported")
			continue
		case !named(e.Key):
			w.notes.skipped("secret", row.text("id"), textNoName)
			continue
		case kept[[2]string{e.MemberID, e.Key}]:
			w.notes.skipped("secret", row.text("id"), "its member has a newer one under this key")
			continue
		case e.Type != "env" && e.Type != "file":
			w.notes.changed("secret", row.text("id"), "its type is neither env nor file: it is env now")
			e.Type = "env"
		}
		kept[[2]string{e.MemberID, e.Key}] = true
		list = append(list, e)
	}
	return list, nil
}
