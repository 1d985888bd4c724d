package storetest

import (
	"time"

	"github.com/claudemesh/broker/core/store"
)

var webhooks = []test{
	{"a webhook comes back as it was made, by its name and by its secret", webhookRoundTrip},
	{"a name belongs to one webhook, and is free when that was deleted", webhookNames},
	{"a rotated secret is good for a while", webhookRotate},
	{"a secret opens no other mesh", webhookMeshes},
	{"a mesh and a member have room for so many webhooks", webhookRoom},
}

// webhook makes the n-th webhook of the first mesh.
func webhook(n int, member, name string) *store.Webhook {
	return &store.Webhook{
		ID: id("webhook", n), MeshID: id("mesh", 1), Name: name, MemberID: member, Author: "Ада", Target: "@ops",
		Signature: "timed", SigningKey: "2.sealed", CreatedAt: now(), Secret: [32]byte{1, byte(n)},
	}
}

func webhookRoundTrip(s *suite) {
	s.mesh(0)
	b, a := webhook(1, "ada", "b"), webhook(2, "ada", "ä 'x'")
	b.Signature, b.SigningKey = "", ""
	for _, w := range []*store.Webhook{a, b} {
		s.must(s.CreateWebhook(s.ctx, w, ample))
	}
	s.reopen()
	list, err := s.ListWebhooks(s.ctx, b.MeshID)
	s.must(err)
	same(s, list, []*store.Webhook{b, a})
	got, err := s.Webhook(s.ctx, a.MeshID, a.Name)
	s.must(err)
	same(s, got, a)
	got, err = s.WebhookBySecret(s.ctx, a.MeshID, a.Secret, now())
	s.must(err)
	same(s, got, a)
	_, err = s.Webhook(s.ctx, a.MeshID, "none")
	s.wantErr(err, store.ErrNotFound)
	_, err = s.WebhookBySecret(s.ctx, a.MeshID, [32]byte{}, now())
	s.wantErr(err, store.ErrNotFound)
}

func webhookNames(s *suite) {
	s.mesh(0)
	w := webhook(1, "ada", "k")
	s.must(s.CreateWebhook(s.ctx, w, ample))
	s.wantErr(s.CreateWebhook(s.ctx, webhook(2, "bo", "k"), ample), store.ErrConflict)
	s.must(s.DeleteWebhook(s.ctx, w.ID))
	s.wantErr(s.DeleteWebhook(s.ctx, w.ID), store.ErrNotFound)
	s.must(s.CreateWebhook(s.ctx, webhook(2, "bo", "k"), ample))
}

func webhookRotate(s *suite) {
	s.mesh(0)
	w := webhook(1, "ada", "k")
	s.must(s.CreateWebhook(s.ctx, w, ample))
	first, next, until := w.Secret, [32]byte{2}, now().Add(time.Hour)
	s.must(s.RotateWebhook(s.ctx, w.ID, next, until))
	w.Secret, w.OldSecret, w.OldUntil = next, first, until
	for _, secret := range [][32]byte{first, next} {
		got, err := s.WebhookBySecret(s.ctx, w.MeshID, secret, until.Add(-time.Millisecond))
		s.must(err)
		same(s, got, w)
	}
	_, err := s.WebhookBySecret(s.ctx, w.MeshID, first, until)
	s.wantErr(err, store.ErrNotFound)
	s.wantErr(s.RotateWebhook(s.ctx, "none", [32]byte{3}, until), store.ErrNotFound)
}

func webhookMeshes(s *suite) {
	s.mesh(0)
	other := &store.Mesh{ID: id("mesh", 2), Slug: "second", CreatedAt: now()}
	s.must(s.CreateMesh(s.ctx, other, nil))
	here, there := webhook(1, "ada", "k"), webhook(2, "ada", "k")
	there.MeshID = other.ID
	s.must(s.CreateWebhook(s.ctx, here, ample))
	s.must(s.CreateWebhook(s.ctx, there, ample))
	_, err := s.WebhookBySecret(s.ctx, other.ID, here.Secret, now())
	s.wantErr(err, store.ErrNotFound)
}

func webhookRoom(s *suite) {
	s.mesh(0)
	room := store.Room{Mesh: 3, Member: 2}
	s.must(s.CreateWebhook(s.ctx, webhook(1, "ada", "1"), room))
	s.must(s.CreateWebhook(s.ctx, webhook(2, "ada", "2"), room))
	wantFull(s, s.CreateWebhook(s.ctx, webhook(3, "ada", "3"), room), store.FullError{Member: true, Most: 2})
	s.must(s.CreateWebhook(s.ctx, webhook(4, "bo", "4"), room))
	wantFull(s, s.CreateWebhook(s.ctx, webhook(5, "bo", "5"), room), store.FullError{Most: 3})
}
