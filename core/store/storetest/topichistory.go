package storetest

import (
	"fmt"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var topicHistories = []test{
	{"messages are written with the batch and read in pages", topicHistory},
	{"messages of members that are left out take nobody's place", historyExcept},
	{"a message that is held is not shown before its time", historyHeld},
	{"unread messages of others are counted", unreadTopic},
	{"whom a message mentions is told, and says what it has read", notifications},
	{"of the history only so much is kept", pruneTopics},
}

// said makes the n-th message of a topic, by a member.
func said(t *store.Topic, by *store.Member, n int) *store.TopicMessage {
	at := now().Add(time.Duration(n) * time.Second)
	return &store.TopicMessage{
		TopicID: t.ID, BodyVersion: 2, ShownAt: at,
		Message: &store.Message{
			Seq: store.SeqAt(at), ID: id("message", n), MeshID: t.MeshID, SenderMemberID: by.ID, SenderMember: by.Key,
			SenderName: by.DisplayName, Nonce: "nonce", Ciphertext: fmt.Sprint("sealed ", n), CreatedAt: at,
		},
	}
}

// say writes messages as a batch.
func (s *suite) say(list ...*store.TopicMessage) {
	s.Helper()
	s.commit(store.Batch{History: list})
}

// heard returns the bodies of messages.
func (s *suite) heard(q store.TopicQuery) (list []string) {
	s.Helper()
	q.Now = now().Add(time.Hour)
	found, err := s.TopicHistory(s.ctx, q)
	s.must(err)
	for _, h := range found {
		list = append(list, h.Message.Ciphertext)
	}
	return list
}

func topicHistory(s *suite) {
	_, members := s.mesh(1)
	t, other := topic(1), topic(2)
	s.found(members[0], t, other)
	var list []*store.TopicMessage
	for n := range 70 { // more than a statement takes
		list = append(list, said(t, members[0], n))
	}
	list[3].Message.SenderSession, list[3].ReplyTo, list[3].BodyVersion = key(77), list[1].Message.ID, 1
	list[3].Message.Nonce = ""
	s.say(list...)
	s.say(said(other, members[0], 100))
	got, err := s.TopicHistory(s.ctx, store.TopicQuery{TopicID: t.ID, Before: list[4].Message.ID, Now: now().Add(time.Hour), Limit: 2})
	s.must(err)
	same(s, got, []*store.TopicMessage{list[3], list[2]})
	for _, tt := range []struct {
		q    store.TopicQuery
		want []string
	}{
		{store.TopicQuery{Limit: 2}, []string{"sealed 69", "sealed 68"}},
		{store.TopicQuery{Limit: 5, Before: id("message", 2)}, []string{"sealed 1", "sealed 0"}},
		{store.TopicQuery{Limit: 5, Before: id("message", 0)}, nil},
		{store.TopicQuery{Limit: 5, Before: id("message", 100)}, nil},
		{store.TopicQuery{Limit: 5, Before: "nothing"}, nil},
		{store.TopicQuery{Limit: 2, After: id("message", 60)}, []string{"sealed 61", "sealed 62"}},
		{store.TopicQuery{Limit: 2, After: id("message", 69)}, nil},
		{store.TopicQuery{Limit: 2, After: "nothing"}, nil},
		{store.TopicQuery{Limit: 0}, nil},
	} {
		tt.q.TopicID = t.ID
		same(s, s.heard(tt.q), tt.want)
	}
	for id, want := range map[string]bool{list[0].Message.ID: true, id("message", 100): false, "": false} {
		got, err := s.HasTopicMessage(s.ctx, t.ID, id)
		s.must(err)
		same(s, got, want)
	}
	s.say(list[0]) // what is written twice is there once
	same(s, len(s.heard(store.TopicQuery{TopicID: t.ID, Limit: 1000})), 70)
}

func historyExcept(s *suite) {
	_, members := s.mesh(2)
	t := topic(1)
	s.found(members[0], t)
	for n := range 10 {
		s.say(said(t, members[n%2], n))
	}
	same(s, s.heard(store.TopicQuery{TopicID: t.ID, Except: []string{members[1].ID, "'"}, Limit: 3}),
		[]string{"sealed 8", "sealed 6", "sealed 4"})
}

func historyHeld(s *suite) {
	_, members := s.mesh(1)
	t := topic(1)
	s.found(members[0], t)
	h := said(t, members[0], 1)
	h.ShownAt = now().Add(2 * time.Hour)
	s.say(said(t, members[0], 0), h)
	same(s, s.heard(store.TopicQuery{TopicID: t.ID, Limit: 3}), []string{"sealed 0"})
}

func unreadTopic(s *suite) {
	_, members := s.mesh(3)
	t, all := topic(1), topic(2)
	all.Everybody = true
	s.found(members[0], t)
	s.found(nil, all)
	for n := 10; n < 20; n++ {
		s.say(said(t, members[n%2], n), said(all, members[n%2], n+100))
	}
	s.must(s.ReadTopic(s.ctx, t, members[0].ID, now().Add(15*time.Second)))
	for n, want := range map[int]string{0: "2 5", 1: "0 5", 2: "0 10"} {
		list, err := s.ListTopics(s.ctx, t.MeshID, members[n].ID, 10)
		s.must(err)
		same(s, fmt.Sprint(list[0].Unread, " ", list[1].Unread), want)
	}
}

func notifications(s *suite) {
	_, members := s.mesh(3)
	t := topic(1)
	s.found(members[0], t)
	first, second, held := said(t, members[0], 1), said(t, members[0], 2), said(t, members[0], 3)
	first.Mentions, second.Mentions = []string{members[1].ID, members[2].ID}, []string{members[1].ID}
	held.Mentions, held.ShownAt = []string{members[1].ID}, now().Add(2*time.Hour)
	s.say(first, second, held)
	list := func(n int, unread bool) []*store.Notification {
		list, err := s.Notifications(s.ctx, t.MeshID, members[n].ID, unread, now().Add(time.Hour), 10)
		s.must(err)
		return list
	}
	got := list(1, true)
	want := func(h *store.TopicMessage, read time.Time) *store.Notification {
		return &store.Notification{
			ID: fmt.Sprint(h.Message.Seq), MeshID: t.MeshID, TopicID: t.ID, Topic: t.Name, MessageID: h.Message.ID,
			MemberID: members[1].ID, SenderID: members[0].ID, Sender: members[0].DisplayName, Kind: store.NotificationMention,
			CreatedAt: h.ShownAt, ReadAt: read,
		}
	}
	same(s, got, []*store.Notification{want(second, time.Time{}), want(first, time.Time{})})
	same(s, len(list(2, true)), 1)
	same(s, len(list(0, false)), 0)
	n, err := s.ReadNotifications(s.ctx, t.MeshID, members[1].ID, []string{got[0].ID, "nothing", "'"}, now())
	s.must(err)
	same(s, n, 1)
	same(s, list(1, true), []*store.Notification{want(first, time.Time{})})
	same(s, list(1, false)[0], want(second, now()))
	n, err = s.ReadNotifications(s.ctx, t.MeshID, members[2].ID, nil, now())
	s.must(err)
	same(s, n, 1)
	same(s, len(list(2, true)), 0)
	same(s, len(list(1, true)), 1)
}

func pruneTopics(s *suite) {
	_, members := s.mesh(2)
	t, other := topic(1), topic(2)
	s.found(members[0], t, other)
	for n := range 10 {
		h := said(t, members[0], n)
		h.Mentions = []string{members[1].ID}
		s.say(h)
	}
	s.say(said(other, members[0], 20))
	left := func() (n int) { return len(s.heard(store.TopicQuery{TopicID: t.ID, Limit: 100})) }
	prune := func(room store.TopicRoom, limit int, want int64) {
		s.Helper()
		n, err := s.PruneTopics(s.ctx, room, limit)
		s.must(err)
		same(s, n, want)
	}
	plenty := store.TopicRoom{Topic: 100, Mesh: 100, Bytes: 1 << 20}
	prune(plenty, 10, 0)
	room := plenty
	room.Topic = 8
	prune(room, 1, 1)
	prune(room, 100, 1)
	same(s, s.heard(store.TopicQuery{TopicID: t.ID, After: id("message", 2), Limit: 100})[0], "sealed 3")
	same(s, left(), 8)
	room = plenty
	room.Mesh = 6
	prune(room, 100, 3) // the other topic's is the newest
	same(s, left(), 5)
	room = plenty
	room.Bytes = int64(3 * len("noncesealed 9"))
	prune(room, 100, 4) // the other topic's is longer
	same(s, left(), 1)
	list, err := s.Notifications(s.ctx, t.MeshID, members[1].ID, false, now().Add(time.Hour), 100)
	s.must(err)
	same(s, len(list), 1)
	room = plenty
	room.Since = now().Add(10 * time.Second)
	prune(room, 100, 1)
	same(s, left(), 0)
	same(s, len(s.heard(store.TopicQuery{TopicID: other.ID, Limit: 100})), 1)
	var many []*store.TopicMessage // more than a transaction takes
	for n := range 2*store.PruneAtOnce + 1 {
		many = append(many, said(t, members[0], 100+n))
	}
	s.say(many...)
	room = plenty
	room.Topic, room.Mesh = 1, len(many)
	prune(room, store.PruneAtOnce+1, store.PruneAtOnce+1)
	prune(room, store.PruneAtOnce+1, store.PruneAtOnce-1)
	same(s, s.heard(store.TopicQuery{TopicID: t.ID, Limit: 100}), []string{fmt.Sprint("sealed ", 100+len(many)-1)})
}
