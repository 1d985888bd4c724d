package storetest

import (
	"time"

	"github.com/claudemesh/broker/core/store"
)

// addTopics gives a copy general and a topic that the first two members are in,
// with a key, two messages and a mention.
func addTopics(c *store.MeshCopy) {
	ada, bo := c.Members[0], c.Members[1]
	general, ops := topic(1), topic(2)
	general.Name, general.Everybody, general.CreatorID = "general", true, ""
	ops.Name, ops.Visibility, ops.CreatorID, ops.KeyPubkey = "ops", store.TopicPrivate, ada.ID, "ab"
	c.Topics = []*store.Topic{general, ops}
	for _, t := range c.Topics {
		t.MeshID = c.Mesh.ID
	}
	c.Seats = []*store.Seat{seat(ops, ada, store.TopicLead), seat(ops, bo, store.TopicObserver), seat(general, bo, store.TopicMember)}
	c.Seats[1].LastReadAt = now()
	c.TopicKeys = []*store.TopicKey{{TopicID: ops.ID, MemberID: ada.ID, Encrypted: "e", Nonce: "n", CreatedAt: now()}}
	first, second := said(ops, ada, 1), said(ops, bo, 2)
	second.ReplyTo, second.Message.SenderSession = first.Message.ID, key(50)
	c.History = each([]*store.TopicMessage{first, second}, nil)
	c.Notifications = each([]*store.Notification{{
		MeshID: c.Mesh.ID, TopicID: ops.ID, MessageID: first.Message.ID, MemberID: bo.ID, SenderID: ada.ID, Sender: "Ada",
		Kind: store.NotificationMention, CreatedAt: now(), ReadAt: now(),
	}}, nil)
}

// importedTopic returns a topic that is here.
func (s *suite) importedTopic(name string) *store.Topic {
	s.Helper()
	t, err := s.FindTopic(s.ctx, id("mesh", 1), name)
	s.must(err)
	return t
}

func (s *suite) historyOf(t *store.Topic) []*store.TopicMessage {
	s.Helper()
	list, err := s.TopicHistory(s.ctx, store.TopicQuery{TopicID: t.ID, Now: now().Add(time.Hour), Limit: 100})
	s.must(err)
	return list
}

func importTopics(s *suite) {
	c := copied()
	s.importMesh(c)
	ops := s.importedTopic("ops")
	same(s, ops, c.Topics[1])
	same(s, s.importedTopic("general"), c.Topics[0])
	for i := range 2 {
		got, err := s.Seat(s.ctx, ops, c.Seats[i].MemberID)
		s.must(err)
		same(s, got, c.Seats[i])
	}
	k, err := s.TopicKey(s.ctx, ops.ID, c.Members[0].ID)
	s.must(err)
	same(s, k, c.TopicKeys[0])
	second, first := said(ops, c.Members[1], 2), said(ops, c.Members[0], 1)
	second.ReplyTo, second.Message.SenderSession = first.Message.ID, key(50)
	same(s, s.historyOf(ops), []*store.TopicMessage{second, first})
	told, err := s.Notifications(s.ctx, c.Mesh.ID, c.Members[1].ID, false, now(), 10)
	s.must(err)
	if len(told) != 1 || told[0].MessageID != first.Message.ID || told[0].Topic != "ops" || told[0].Sender != "Ada" || !told[0].ReadAt.Equal(now()) {
		s.Errorf("got %+v", told)
	}
}

func importLeft(s *suite) {
	c := copied()
	s.importMesh(c)
	bo := c.Members[1].ID
	ops, general := s.importedTopic("ops"), s.importedTopic("general")
	_, err := s.ChangeSeat(s.ctx, ops, bo, func(seat *store.Seat) error { seat.Standing = store.NoSeat; return nil })
	s.must(err)
	_, err = s.ChangeSeat(s.ctx, general, bo, func(seat *store.Seat) error { seat.Standing = store.LeftIt; return nil })
	s.must(err)

	c = copied()
	c.TopicKeys = append(c.TopicKeys, &store.TopicKey{TopicID: ops.ID, MemberID: bo, Encrypted: "e", Nonce: "n", CreatedAt: now()})
	r := s.importMesh(c)
	same(s, []store.Imported{r.Seats, r.TopicKeys}, []store.Imported{{Present: 3}, {Present: 2}})
	for _, t := range []*store.Topic{ops, general} {
		got, err := s.Seat(s.ctx, t, bo)
		s.must(err)
		if got.Standing == store.Seated {
			s.Errorf("who left %s is in it again", t.Name)
		}
	}
	_, err = s.TopicKey(s.ctx, ops.ID, bo)
	s.wantErr(err, store.ErrNotFound)
}

func importTakenTopic(s *suite) {
	s.must(s.CreateMesh(s.ctx, &store.Mesh{ID: id("mesh", 1), Slug: "mine", CreatedAt: now()}, nil))
	general, ops := topic(8), topic(9)
	general.Name, general.Everybody, ops.Name = "general", true, "ops"
	for _, t := range []*store.Topic{general, ops} {
		_, _, err := s.CreateTopic(s.ctx, t, nil, nil, plenty())
		s.must(err)
	}
	c := copied()
	said := said(c.Topics[0], c.Members[0], 3)
	c.History = each([]*store.TopicMessage{said}, nil)
	for _, want := range []store.Imported{{Added: 1}, {Present: 1}} {
		r := s.importMesh(c)
		same(s, []store.Imported{r.Topics, r.Seats, r.TopicKeys, r.History, r.Notifications}, []store.Imported{{Present: 1}, want, {}, want, {}})
		same(s, r.Conflicts, []store.ImportConflict{{
			Kind: "topic", ID: c.Topics[1].ID, Why: "its name is another topic's here: it is left out with all that is in it",
		}})
	}
	same(s, len(s.historyOf(general)), 1)
	same(s, len(s.historyOf(ops)), 0)
}

func importHistoryMoment(s *suite) {
	c := copied()
	var list []*store.TopicMessage
	for n := range 3 {
		h := said(c.Topics[1], c.Members[0], 10+n)
		h.Message.CreatedAt, h.Message.Seq = now(), 0
		list = append(list, h)
	}
	c.History = each(list, nil)
	s.importMesh(c)
	var seqs []int64
	for _, h := range s.historyOf(c.Topics[1]) {
		seqs = append(seqs, h.Message.Seq-store.SeqAt(now()))
	}
	same(s, seqs, []int64{2, 1, 0})
	same(s, s.waitingIDs(c.Mesh.ID, key(2)), []string{"one", "two"}) // they come behind
}
