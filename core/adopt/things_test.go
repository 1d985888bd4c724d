package adopt

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/token"
)

func testSkills(t *testing.T, r *rig, report *Report) {
	at := func(hour int) time.Time { return time.Date(2026, 4, 19, hour, 0, 0, 0, time.UTC) }
	for _, want := range []*store.Skill{
		{MeshID: "mesh01", Name: "review", Description: "Reads code", Instructions: "1. Read", Tags: []string{"code"}, MemberID: "dee3", Author: "Dee",
			Manifest: []byte(`{"model":"any","when_to_use":1.50}`), CreatedAt: at(10), UpdatedAt: at(11)},
		{MeshID: "mesh01", Name: "orphan", CreatedAt: at(10), UpdatedAt: at(10)},
		{MeshID: "mesh01", Name: "deep", Description: "d", Instructions: "i", MemberID: "ann", Author: "Ann", CreatedAt: at(10), UpdatedAt: at(10)},
	} {
		got, err := r.store.Skill(t.Context(), "mesh01", want.Name)
		r.must(err)
		same(t, got, want)
	}
	streams, err := r.store.ListStreams(t.Context(), "mesh01", 10)
	r.must(err)
	same(t, streams, []*store.Stream{{ID: "str1", MeshID: "mesh01", Name: "build", Author: "Ann", CreatedAt: at(10)}})
	m := r.mesh(report, "mesh01")
	r.wantNote(m, "skill", "its name", "sk4")
	r.wantNote(m, "skill", "too deep", "sk3")
	r.wantNote(m, "stream", "its name", "str2")
}

func testVault(t *testing.T, r *rig, report *Report) {
	got, err := r.store.VaultSecrets(t.Context(), "mesh01", "dee3", []string{"TOKEN"})
	r.must(err)
	same(t, got, []*store.VaultEntry{{
		MeshID: "mesh01", MemberID: "dee3", Key: "TOKEN", Ciphertext: "c2VhbGVk", Nonce: "bm9uY2U=", SealedKey: "a2V5", Type: "file",
		MountPath: "/run/x", Description: "for it", CreatedAt: time.Date(2026, 4, 1, 10, 0, 0, 0, time.UTC),
		UpdatedAt: time.Date(2026, 4, 3, 10, 0, 0, 0, time.UTC),
	}})
	got, err = r.store.VaultSecrets(t.Context(), "mesh01", "ann", []string{"ODD"})
	r.must(err)
	same(t, got[0].Type, "env")
	m := r.mesh(report, "mesh01")
	r.wantNote(m, "secret", "a newer one", "va1")
	r.wantNote(m, "secret", "is not imported", "va3")
	r.wantNote(m, "secret", "its name", "va4")
	r.wantNote(m, "secret", "its type", "va5")
}

func testAPIKeys(t *testing.T, r *rig, report *Report) {
	hash, ok := token.HashOfAPIKey("cm_" + strings.Repeat("A", 43))
	if !ok {
		t.Fatal("the original's form of a key is none here")
	}
	k, err := r.store.APIKeyByHash(t.Context(), hash)
	r.must(err)
	at := func(month time.Month, day int) time.Time { return time.Date(2026, month, day, 10, 0, 0, 0, time.UTC) }
	same(t, k, &store.APIKey{
		ID: "key01", MeshID: "mesh01", MemberID: "dee3", Label: "ci", Prefix: "cm_AAAAAAAA", Hash: hash,
		Capabilities: []store.KeyCapability{store.KeyRead, store.KeySend}, Topics: []string{"ops", "build"}, CreatedAt: at(4, 10),
		ExpiresAt: at(5, 10), LastUsedAt: at(4, 19),
	})
	for id, want := range map[string]string{"bo": "read send state_write", "ann": "admin"} {
		list, err := r.store.ListAPIKeys(t.Context(), "mesh01", id, 10)
		r.must(err)
		var words []string
		for _, c := range list[0].Capabilities {
			words = append(words, string(c))
		}
		if len(list) != 1 || strings.Join(words, " ") != want || list[0].Topics != nil {
			t.Errorf("%s: got %+v, want %s for all topics", id, list[0], want)
		}
	}
	m := r.mesh(report, "mesh01")
	for words, ids := range map[string][]string{
		"not imported, or revoked": {"key05", "key06"}, "not a SHA-256": {"key07"}, "for no topic": {"key04"}, "nothing that is known": {"key08"},
		"no admin": {"key02"}, "unknown here": {"key02", "key08"},
	} {
		r.wantNote(m, "API key", words, ids...)
	}
}

// A key that was revoked here and pruned is not good again, a webhook and a skill that
// were deleted are not there again, and who is revoked here gets no key.
func TestWhatWasDeletedHereStaysSo(t *testing.T) {
	r := newRig(t)
	r.run(now)
	k, err := r.store.ListAPIKeys(t.Context(), "mesh01", "dee3", 10)
	r.must(err)
	r.must(r.store.RevokeAPIKey(t.Context(), "mesh01", "key01", now))
	fresh := *k[0]
	fresh.ID, fresh.Hash = "fresh", [32]byte{9}
	r.must(r.store.CreateAPIKey(t.Context(), &fresh, store.Room{Mesh: 10, Member: 10}, 0)) // prunes the one that is not good
	r.must(r.store.DeleteWebhook(t.Context(), "wh1"))
	r.must(r.store.DeleteVaultEntry(t.Context(), "mesh01", "dee3", "TOKEN"))
	r.must(r.store.RemoveSkill(t.Context(), "mesh01", "review", "dee3"))
	r.must(r.store.SetRevoked(t.Context(), "bo", now))
	r.exec(`INSERT INTO mesh.api_key (id, mesh_id, label, secret_hash, secret_prefix, capabilities, issued_by_member_id)
		VALUES ('key11', 'mesh01', 'late', repeat('11', 32), 'cm_KKKKKKKK', '["send"]', 'bo')`)

	m := r.mesh(r.run(now), "mesh01")
	same(t, []Count{m.APIKeys, m.Webhooks, m.Vault, m.Skills},
		[]Count{{Present: 3, Skipped: 6}, {Present: 2, Skipped: 3}, {Present: 2, Skipped: 3}, {Present: 3, Skipped: 1}})
	r.wantNote(m, "API key", "revoked here", "key11")
	hash, _ := token.HashOfAPIKey("cm_" + strings.Repeat("A", 43))
	if k, err := r.store.APIKeyByHash(t.Context(), hash); err == nil {
		t.Errorf("a key that was revoked is back: %+v", k)
	}
	if w, err := r.store.Webhook(t.Context(), "mesh01", "ci"); err == nil {
		t.Errorf("a webhook that was deleted is back: %+v", w)
	}
}

func testWebhooks(t *testing.T, r *rig, report *Report) {
	w, err := r.store.WebhookBySecret(t.Context(), "mesh01", sha256.Sum256([]byte(strings.Repeat("0f", 32))), now)
	r.must(err)
	same(t, w, &store.Webhook{
		ID: "wh1", MeshID: "mesh01", Name: "ci", MemberID: "ann", Author: "Ann", Target: "*", Secret: w.Secret,
		CreatedAt: time.Date(2026, 4, 10, 10, 0, 0, 0, time.UTC),
	})
	m := r.mesh(report, "mesh01")
	for words, id := range map[string]string{"canManageWebhooks": "wh2", "64 hex": "wh4", "its name": "wh5", "not imported": "wh6"} {
		r.wantNote(m, "webhook", words, id)
	}
	list, err := r.store.ListWebhooks(t.Context(), "mesh01")
	r.must(err)
	same(t, len(list), 2)
}

func testLeft(_ *testing.T, r *rig, report *Report) {
	m := r.mesh(report, "mesh01")
	r.wantNote(m, "file", "object store", "file1")
	r.wantNote(m, "service", "runs no servers", "srv1")
}
