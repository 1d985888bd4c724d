package storetest

import (
	"github.com/claudemesh/broker/core/store"
)

// addThings gives a copy one of each of what its first two members have.
func addThings(c *store.MeshCopy) {
	ada, bo := c.Members[0].ID, c.Members[1].ID
	st, sk, e, k, w := stream(1), skill("review"), secret(bo, "TOKEN"), apiKey(1, c.Members[1]), webhook(1, ada, "ci")
	sk.MemberID = ada
	k.Topics, k.ExpiresAt, k.LastUsedAt = []string{"ops"}, now().AddDate(1, 0, 0), now()
	c.Streams, c.Skills, c.Vault = []*store.Stream{st}, []*store.Skill{sk}, []*store.VaultEntry{e}
	c.APIKeys, c.Webhooks = []*store.APIKey{k}, []*store.Webhook{w}
}

func importThings(s *suite) {
	c := copied()
	s.importMesh(c)
	s.wantStreams(c.Streams...)
	s.wantSkill(c.Skills[0])
	s.wantSecrets(c.Members[1].ID, []string{"TOKEN"}, c.Vault...)
	k, err := s.APIKeyByHash(s.ctx, c.APIKeys[0].Hash)
	s.must(err)
	same(s, k, c.APIKeys[0])
	w, err := s.WebhookBySecret(s.ctx, c.Mesh.ID, c.Webhooks[0].Secret, now())
	s.must(err)
	same(s, w, c.Webhooks[0])
}

func importDeleted(s *suite) {
	c := copied()
	s.importMesh(c)
	bo := c.Members[1]
	s.must(s.RemoveSkill(s.ctx, c.Mesh.ID, "review", c.Members[0].ID))
	s.must(s.DeleteVaultEntry(s.ctx, c.Mesh.ID, bo.ID, "TOKEN"))
	s.must(s.DeleteWebhook(s.ctx, c.Webhooks[0].ID))
	s.must(s.RevokeAPIKey(s.ctx, c.Mesh.ID, c.APIKeys[0].ID, now()))
	s.must(s.CreateAPIKey(s.ctx, apiKey(2, bo), plenty(), 0)) // forgets the one that is revoked
	ops := s.importedTopic("ops")
	for _, m := range c.Members[:2] {
		_, err := s.ChangeSeat(s.ctx, ops, m.ID, func(seat *store.Seat) error { seat.Standing = store.NoSeat; return nil })
		s.must(err)
	}

	r := s.importMesh(copied())
	one := store.Imported{Present: 1}
	same(s, []store.Imported{r.Skills, r.Vault, r.Webhooks, r.APIKeys, r.Topics}, []store.Imported{one, one, one, one, {Present: 2}})
	_, err := s.Skill(s.ctx, c.Mesh.ID, "review")
	s.wantErr(err, store.ErrNotFound)
	_, err = s.Webhook(s.ctx, c.Mesh.ID, "ci")
	s.wantErr(err, store.ErrNotFound)
	_, err = s.APIKeyByHash(s.ctx, c.APIKeys[0].Hash)
	s.wantErr(err, store.ErrNotFound)
	_, err = s.FindTopic(s.ctx, c.Mesh.ID, "ops")
	s.wantErr(err, store.ErrNotFound)
	s.wantSecrets(bo.ID, []string{"TOKEN"})
}

func importTakenDoors(s *suite) {
	_, members := s.mesh(1)
	s.must(s.CreateWebhook(s.ctx, webhook(1, members[0].ID, "mine"), ample)) // the same secret
	s.makeKeys(apiKey(1, members[0]))
	c := copied()
	c.Mesh.ID, c.Mesh.Slug = id("mesh", 2), "second"
	c.Topics, c.Seats, c.TopicKeys, c.History, c.Notifications = nil, nil, nil, nil, nil
	c.Members[0], c.Members[1], c.Members[2] = member(c.Mesh.ID, 11), member(c.Mesh.ID, 12), member(c.Mesh.ID, 13)
	c.Invites, c.States, c.Values, c.Memories, c.Contexts, c.Tasks, c.Schedules = nil, nil, nil, nil, nil, nil, nil
	c.SessionKeys, c.Audit, c.Messages = nil, each(foreign(c.Mesh.ID, 1), nil), each[*store.MessageCopy](nil, nil)
	c.Members[2].RevokedAt = now()
	taken, banned, w := apiKey(1, c.Members[1]), apiKey(3, c.Members[2]), webhook(2, c.Members[0].ID, "ci")
	taken.ID, w.MeshID, w.Secret = "taken", c.Mesh.ID, [32]byte{1, 1}
	c.APIKeys, c.Webhooks = []*store.APIKey{taken, banned}, []*store.Webhook{w}
	r := s.importMesh(c)
	same(s, []store.Imported{r.APIKeys, r.Webhooks}, []store.Imported{{}, {}})
	same(s, r.Conflicts, []store.ImportConflict{
		{Kind: "API key", ID: taken.ID, Why: "its member is revoked here, or its id or its secret is here already"},
		{Kind: "API key", ID: banned.ID, Why: "its member is revoked here, or its id or its secret is here already"},
		{Kind: "webhook", ID: w.ID, Why: "its id, its name or its secret is here already"},
	})
}
