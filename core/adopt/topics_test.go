package adopt

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store"
)

const (
	generalID = "topic-general-00000000001"
	opsID     = "topic-ops-00000000000002"
	oldID     = "topic-old-00000000000003"
)

func testTopics(t *testing.T, r *rig, report *Report) {
	ops, err := r.store.FindTopic(t.Context(), "mesh01", "ops")
	r.must(err)
	same(t, ops, &store.Topic{
		ID: opsID, MeshID: "mesh01", Name: "ops", Visibility: store.TopicPrivate, CreatorID: "dee3", KeyPubkey: strings.Repeat("ab", 32),
		CreatedAt: time.Date(2026, 4, 5, 8, 0, 0, 0, time.UTC),
	})
	seats, err := r.store.Seats(t.Context(), ops)
	r.must(err)
	same(t, seats, []*store.Seat{
		{TopicID: opsID, MemberID: "bo", Key: key(t, "b2"), Name: "Bo", Role: store.TopicObserver, Standing: store.Seated,
			JoinedAt: time.Date(2026, 4, 7, 8, 0, 0, 0, time.UTC), LastReadAt: time.Date(2026, 4, 20, 10, 30, 0, 0, time.UTC)},
		{TopicID: opsID, MemberID: "dee3", Key: key(t, "d4"), Name: "Dee", Role: store.TopicLead, Standing: store.Seated,
			JoinedAt: time.Date(2026, 4, 5, 8, 0, 0, 0, time.UTC)},
	})
	sealed, err := r.store.TopicKey(t.Context(), opsID, "dee3")
	r.must(err)
	same(t, sealed, &store.TopicKey{
		TopicID: opsID, MemberID: "dee3", Encrypted: base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 80))),
		Nonce: base64.StdEncoding.EncodeToString([]byte(strings.Repeat("n", 24))), CreatedAt: time.Date(2026, 4, 5, 8, 0, 0, 0, time.UTC),
	})

	general, err := r.store.FindTopic(t.Context(), "mesh01", "general")
	r.must(err)
	seat, err := r.store.Seat(t.Context(), general, "bo")
	r.must(err)
	same(t, []any{general.ID, general.Everybody, seat.Role}, []any{generalID, true, store.TopicMember})
	if _, err := r.store.FindTopic(t.Context(), "mesh01", oldID); err == nil {
		t.Error("an archived topic is in use")
	}
	for mesh, id := range map[string]string{"mesh01": "topic-name-0000000000004", "mesh-ünï": "topic-zoe-00000000000006"} {
		found, err := r.store.FindTopic(t.Context(), mesh, "topic-"+id)
		if err != nil || found.ID != id || found.Everybody {
			t.Errorf("got %+v, error %v, want a topic with its id in its name", found, err)
		}
		r.wantNote(r.mesh(report, mesh), "topic", "its id in its name", id)
	}
	m := r.mesh(report, "mesh01")
	r.wantNote(m, "topic", "none of them is imported", "topic-ghost-000000000005")
	r.wantNote(m, "topic", "its key is none", oldID)
	r.wantNote(m, "seat", "is not imported", "seat5", "seat6")
	r.wantNote(m, "seat", "an older one", "seat3")
	r.wantNote(m, "topic key", "not in it", "tk2")
	r.wantNote(m, "topic key", "form", "tk3")
}

func testHistory(t *testing.T, r *rig, report *Report) {
	list, err := r.store.TopicHistory(t.Context(), store.TopicQuery{TopicID: opsID, Now: now, Limit: 10})
	r.must(err)
	at := time.Date(2026, 4, 20, 9, 0, 0, 0, time.UTC)
	same(t, list, []*store.TopicMessage{
		{TopicID: opsID, BodyVersion: 1, ReplyTo: "tm1", ShownAt: at, Message: &store.Message{
			Seq: store.SeqAt(at) + 1, ID: "tm2", MeshID: "mesh01", SenderMemberID: "bo", SenderMember: key(t, "b2"), SenderName: "Bo",
			Nonce: "n2", Ciphertext: "c2", CreatedAt: at,
		}},
		{TopicID: opsID, BodyVersion: 2, ShownAt: at, Message: &store.Message{
			Seq: store.SeqAt(at), ID: "tm1", MeshID: "mesh01", SenderMemberID: "dee3", SenderMember: key(t, "d4"),
			SenderSession: key(t, "52"), SenderName: "Dee", Nonce: "n1", Ciphertext: "c1", CreatedAt: at,
		}},
	})
	list, err = r.store.TopicHistory(t.Context(), store.TopicQuery{TopicID: generalID, Now: now, Limit: 10})
	r.must(err)
	if len(list) != 1 || !list[0].Message.CreatedAt.Equal(now) || !list[0].ShownAt.Equal(now) {
		t.Errorf("got %+v, want a message of a time to come at the time of the import", list)
	}

	told, err := r.store.Notifications(t.Context(), "mesh01", "bo", false, now, 10)
	r.must(err)
	if len(told) != 1 || told[0].MessageID != "tm1" || told[0].Sender != "Dee" || told[0].Topic != "ops" || told[0].ReadAt.IsZero() {
		t.Errorf("got %+v", told)
	}
	told, err = r.store.Notifications(t.Context(), "mesh01", "dee3", true, now, 10)
	r.must(err)
	same(t, len(told), 1)

	m := r.mesh(report, "mesh01")
	r.wantNote(m, "topic message", "sender", "tm4")
	r.wantNote(m, "topic message", "body version", "tm5")
	r.wantNote(m, "topic message", "topic", "tm6")
	r.wantNote(m, "notification", "is not imported", "n3")
	r.wantNote(m, "notification", "another kind", "n4")
}

// A member that was removed from a topic here, and one that left, stay out of it
// when the import is repeated, and a topic that is over stays so.
func TestWhoLeftATopicDoesNotComeBack(t *testing.T) {
	r := newRig(t)
	r.run(now)
	leave := func(topic, member string, to store.Standing) {
		found, err := r.store.FindTopic(t.Context(), "mesh01", topic)
		r.must(err)
		_, err = r.store.ChangeSeat(t.Context(), found, member, func(s *store.Seat) error {
			s.Standing = to
			return nil
		})
		r.must(err)
	}
	seated := func(topic string) (ids []string) {
		found, err := r.store.FindTopic(t.Context(), "mesh01", topic)
		r.must(err)
		seats, err := r.store.Seats(t.Context(), found)
		r.must(err)
		for _, s := range seats {
			ids = append(ids, s.MemberID)
		}
		return ids
	}
	leave("ops", "dee3", store.NoSeat)
	leave("general", "bo", store.LeftIt)
	r.exec(`INSERT INTO mesh.topic_member (id, topic_id, member_id, role, joined_at) VALUES
		('seat9', 'topic-ops-00000000000002', 'ann', 'member', '2026-04-20 12:00:00')`)
	m := r.mesh(r.run(now), "mesh01")
	same(t, []Count{m.Seats, m.TopicKeys}, []Count{{Added: 1, Present: 3, Skipped: 3}, {Added: 1, Present: 1, Skipped: 1}})
	same(t, seated("ops"), []string{"ann", "bo"})
	if slices.Contains(seated("general"), "bo") {
		t.Error("who left general is in it again")
	}
	if _, err := r.store.TopicKey(t.Context(), opsID, "dee3"); err == nil {
		t.Error("who was removed has a copy of the key again")
	}

	leave("ops", "bo", store.NoSeat)
	leave("ops", "ann", store.NoSeat)
	same(t, r.mesh(r.run(now), "mesh01").Topics, Count{Present: 4, Skipped: 1})
	if _, err := r.store.FindTopic(t.Context(), "mesh01", "ops"); err == nil {
		t.Error("a topic that ended is back")
	}
}

// A mesh that was imported before topics were has its own general by now.
func TestGeneralThatIsHere(t *testing.T) {
	r := newRig(t)
	r.must(r.store.CreateMesh(t.Context(), &store.Mesh{ID: "mesh01", Slug: "mine", CreatedAt: now}, nil))
	here := &store.Topic{ID: "here", MeshID: "mesh01", Name: "general", Visibility: store.TopicPublic, Everybody: true, CreatedAt: now}
	other := &store.Topic{ID: "other", MeshID: "mesh01", Name: "ops", Visibility: store.TopicPublic, CreatedAt: now}
	for _, topic := range []*store.Topic{here, other} {
		_, _, err := r.store.CreateTopic(t.Context(), topic, nil, nil, store.Room{Mesh: 10, Member: 10})
		r.must(err)
	}
	for range 2 {
		m := r.mesh(r.run(now), "mesh01")
		r.wantNote(m, "topic", "another topic's here", opsID)
		list, err := r.store.TopicHistory(t.Context(), store.TopicQuery{TopicID: "here", Now: now, Limit: 10})
		r.must(err)
		if len(list) != 1 || list[0].Message.ID != "tm3" {
			t.Errorf("got %+v, want the history of general in the one that is here", list)
		}
		list, err = r.store.TopicHistory(t.Context(), store.TopicQuery{TopicID: "other", Now: now, Limit: 10})
		r.must(err)
		same(t, len(list), 0)
	}
	if seat, err := r.store.Seat(t.Context(), other, "bo"); err != nil || seat.Standing != store.NoSeat {
		t.Errorf("got %+v, error %v: an import put somebody into another topic", seat, err)
	}
}

// Any member could make any number of topics there. The list of topics here counts
// on general being among those that it looks at.
func TestTooManyTopics(t *testing.T) {
	r := newRig(t)
	r.exec(`INSERT INTO mesh.topic (id, mesh_id, name, created_at) SELECT 'many' || n, 'mesh01', 'a' || n, '2026-03-01 08:00:00'
		FROM generate_series(1, 1000) n`)
	m := r.mesh(r.run(now), "mesh01")
	same(t, m.Topics, Count{Added: maxTopics, Skipped: 5})
	if _, err := r.store.FindTopic(t.Context(), "mesh01", "general"); err != nil {
		t.Errorf("general is left out: %v", err)
	}
	same(t, m.History, Count{Added: 1, Skipped: 5})
}
