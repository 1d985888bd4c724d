package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var topics = []test{
	{"a topic is written once under its name", createTopic},
	{"a topic is found by its id, and else by its name", findTopic},
	{"a mesh and a member have room for so many topics", createTopicFull},
	{"of many that make a topic at once one does", topicRace},
	{"who may know of a topic finds it in the list", listTopics},
	{"seats are taken, changed and left", changeSeats},
	{"where the last lead leaves, who is there longest becomes one", nextLead},
	{"a topic that nobody is in any more is deleted", endTopic},
	{"a topic is deleted when all who are in it are banned", deserted},
	{"everybody has a seat in a topic for everybody, unless it left", everybodySits},
	{"who is banned has no seat", bannedSeat},
	{"what was read is remembered, and only goes forward", readTopic},
	{"copies of a key are for who is seated, one each", topicKeys},
	{"a topic without a key gets one, once", claimTopicKey},
	{"a topic gets another key when nobody has a copy any more", reclaimTopicKey},
	{"topics survive a restart", reopenTopics},
}

// topic makes the n-th topic of the first mesh.
func topic(n int) *store.Topic {
	return &store.Topic{
		ID: id("topic", n), MeshID: id("mesh", 1), Name: fmt.Sprint("topic-", n), Description: "about it",
		Visibility: store.TopicPublic, CreatorID: id("member1", 1), CreatedAt: now(),
	}
}

func seat(t *store.Topic, m *store.Member, role store.TopicRole) *store.Seat {
	return &store.Seat{
		TopicID: t.ID, MemberID: m.ID, Key: m.Key, Name: m.DisplayName, Role: role, Standing: store.Seated, JoinedAt: now(),
	}
}

// found writes topics, with a lead each that may be nil.
func (s *suite) found(lead *store.Member, list ...*store.Topic) {
	s.Helper()
	for _, t := range list {
		var first *store.Seat
		if lead != nil {
			first = seat(t, lead, store.TopicLead)
		}
		got, fresh, err := s.CreateTopic(s.ctx, t, first, nil, plenty())
		if err != nil || !fresh {
			s.Fatalf("got %v, fresh %v, error %v", got, fresh, err)
		}
		same(s, got, t)
	}
}

// sit seats members.
func (s *suite) sit(t *store.Topic, role store.TopicRole, list ...*store.Member) {
	s.Helper()
	for i, m := range list {
		_, err := s.ChangeSeat(s.ctx, t, m.ID, func(seat *store.Seat) error {
			seat.Role, seat.Standing, seat.JoinedAt = role, store.Seated, now().Add(time.Duration(i)*time.Minute)
			return nil
		})
		s.must(err)
	}
}

// seated returns names and roles of who is in a topic.
func (s *suite) seated(t *store.Topic) string {
	s.Helper()
	list, err := s.Seats(s.ctx, t)
	s.must(err)
	var text strings.Builder
	for _, seat := range list {
		fmt.Fprintf(&text, "%s %s; ", seat.Name, seat.Role)
	}
	return text.String()
}

func leave(seat *store.Seat) error {
	seat.Standing = store.NoSeat
	return nil
}

func createTopic(s *suite) {
	_, members := s.mesh(2)
	t := topic(1)
	key := &store.TopicKey{TopicID: t.ID, MemberID: members[0].ID, Encrypted: "sealed", Nonce: "nonce", CreatedAt: now()}
	got, fresh, err := s.CreateTopic(s.ctx, t, seat(t, members[0], store.TopicLead), key, plenty())
	s.must(err)
	same(s, got, t)
	same(s, fresh, true)
	same(s, s.seated(t), "member 1 lead; ")
	copied, err := s.TopicKey(s.ctx, t.ID, members[0].ID)
	s.must(err)
	same(s, copied, key)

	again := topic(2)
	again.Name = t.Name
	got, fresh, err = s.CreateTopic(s.ctx, again, seat(again, members[1], store.TopicLead), nil, store.Room{})
	s.must(err)
	same(s, got, t)
	same(s, fresh, false)
	same(s, s.seated(t), "member 1 lead; ")
}

func findTopic(s *suite) {
	s.mesh(0)
	other := &store.Mesh{ID: id("mesh", 2), Slug: "second", CreatedAt: now()}
	s.must(s.CreateMesh(s.ctx, other, nil))
	t, spoof, archived := topic(1), topic(2), topic(3)
	spoof.Name = t.ID
	archived.ArchivedAt = now()
	s.found(nil, t, spoof, archived)
	for name, want := range map[string]*store.Topic{t.ID: t, t.Name: t, spoof.ID: spoof} {
		got, err := s.FindTopic(s.ctx, t.MeshID, name)
		s.must(err)
		same(s, got, want)
	}
	for _, name := range []string{archived.ID, archived.Name, "TOPIC-1", "topic-%", ""} {
		_, err := s.FindTopic(s.ctx, t.MeshID, name)
		s.wantErr(err, store.ErrNotFound)
	}
	for _, name := range []string{t.ID, t.Name} {
		_, err := s.FindTopic(s.ctx, other.ID, name)
		s.wantErr(err, store.ErrNotFound)
	}
	same2, fresh, err := s.CreateTopic(s.ctx, func() *store.Topic { x := topic(4); x.Name = archived.Name; return x }(), nil, nil, plenty())
	s.must(err)
	same(s, same2, archived)
	same(s, fresh, false)
}

func createTopicFull(s *suite) {
	s.mesh(0)
	s.found(nil, topic(1), topic(2))
	third := topic(3)
	_, _, err := s.CreateTopic(s.ctx, third, nil, nil, store.Room{Mesh: 10, Member: 2})
	var full *store.FullError
	if !errors.As(err, &full) || !full.Member {
		s.Errorf("got %v", err)
	}
	third.CreatorID = id("member1", 2)
	_, _, err = s.CreateTopic(s.ctx, third, nil, nil, store.Room{Mesh: 2, Member: 2})
	if !errors.As(err, &full) || full.Member {
		s.Errorf("got %v", err)
	}
	_, _, err = s.CreateTopic(s.ctx, third, nil, nil, store.Room{Mesh: 3, Member: 2})
	s.must(err)
}

func topicRace(s *suite) {
	s.mesh(0)
	const all = 8
	var wg sync.WaitGroup
	var made [all]bool
	var got [all]string
	for n := range all {
		wg.Go(func() {
			t := topic(n)
			t.Name = "one"
			found, fresh, err := s.CreateTopic(s.ctx, t, nil, nil, plenty())
			if err != nil {
				s.Error(err)
				return
			}
			made[n], got[n] = fresh, found.ID
		})
	}
	wg.Wait()
	fresh := 0
	for n := range all {
		if made[n] {
			fresh++
		}
		same(s, got[n], got[0])
	}
	same(s, fresh, 1)
}

func listTopics(s *suite) {
	_, members := s.mesh(3)
	public, private, dm, gone, all := topic(1), topic(2), topic(3), topic(4), topic(5)
	private.Visibility, dm.Visibility, gone.ArchivedAt, all.Everybody = store.TopicPrivate, store.TopicDM, now(), true
	s.found(members[0], public, private, gone)
	s.found(nil, dm, all)
	_, err := s.ChangeSeat(s.ctx, dm, members[1].ID, func(seat *store.Seat) error {
		seat.Role, seat.Standing, seat.JoinedAt = store.TopicMember, store.Invited, now()
		return nil
	})
	s.must(err)
	for n, want := range map[int]string{
		0: "topic-1 1 lead; topic-2 1 lead; topic-5 3 member; ",
		1: "topic-1 1; topic-3 0 invited; topic-5 3 member; ",
		2: "topic-1 1; topic-5 3 member; ",
	} {
		list, err := s.ListTopics(s.ctx, id("mesh", 1), members[n].ID, 100)
		s.must(err)
		var text strings.Builder
		for _, row := range list {
			fmt.Fprint(&text, row.Topic.Name, " ", row.Members)
			switch {
			case row.Seat == nil:
			case row.Seat.Standing == store.Seated:
				fmt.Fprint(&text, " ", row.Seat.Role)
			default:
				fmt.Fprint(&text, " ", row.Seat.Standing)
			}
			fmt.Fprint(&text, "; ")
		}
		same(s, text.String(), want)
	}
	list, err := s.ListTopics(s.ctx, id("mesh", 1), members[0].ID, 2)
	s.must(err)
	same(s, len(list), 2)
	same(s, list[0].Topic, public)
}

func changeSeats(s *suite) {
	_, members := s.mesh(3)
	t := topic(1)
	s.found(members[0], t)
	got, err := s.Seat(s.ctx, t, members[1].ID)
	s.must(err)
	same(s, got, &store.Seat{TopicID: t.ID, MemberID: members[1].ID, Key: members[1].Key, Name: members[1].DisplayName})

	_, err = s.ChangeSeat(s.ctx, t, members[1].ID, func(seat *store.Seat) error {
		seat.Role, seat.Standing, seat.JoinedAt = store.TopicObserver, store.Invited, now()
		return nil
	})
	s.must(err)
	same(s, s.seated(t), "member 1 lead; ")
	got, err = s.ChangeSeat(s.ctx, t, members[1].ID, func(seat *store.Seat) error {
		if seat.Standing != store.Invited || seat.Role != store.TopicObserver {
			s.Errorf("got %+v", seat)
		}
		seat.Standing = store.Seated
		return nil
	})
	s.must(err)
	same(s, got.Role, store.TopicObserver)
	same(s, s.seated(t), "member 1 lead; member 2 observer; ")

	refused := errors.New("no")
	if got, err := s.ChangeSeat(s.ctx, t, members[1].ID, func(seat *store.Seat) error { _ = leave(seat); return refused }); !errors.Is(err, refused) || got != nil {
		s.Errorf("got %v, %v", got, err)
	}
	s.must(s.SealTopicKey(s.ctx, t, &store.TopicKey{TopicID: t.ID, MemberID: members[1].ID, CreatedAt: now()}))
	_, err = s.ChangeSeat(s.ctx, t, members[1].ID, leave)
	s.must(err)
	same(s, s.seated(t), "member 1 lead; ")
	_, err = s.TopicKey(s.ctx, t.ID, members[1].ID)
	s.wantErr(err, store.ErrNotFound)
	for _, nobody := range []string{"nobody", ""} {
		_, err = s.ChangeSeat(s.ctx, t, nobody, leave)
		s.wantErr(err, store.ErrNotFound)
		_, err = s.Seat(s.ctx, t, nobody)
		s.wantErr(err, store.ErrNotFound)
	}
}

func nextLead(s *suite) {
	_, members := s.mesh(4)
	t := topic(1)
	s.found(members[0], t)
	s.sit(t, store.TopicObserver, members[1])
	s.sit(t, store.TopicMember, members[3], members[2])
	_, err := s.ChangeSeat(s.ctx, t, members[0].ID, leave)
	s.must(err)
	same(s, s.seated(t), "member 2 observer; member 3 member; member 4 lead; ")
	for _, m := range members[2:] {
		_, err := s.ChangeSeat(s.ctx, t, m.ID, leave)
		s.must(err)
	}
	same(s, s.seated(t), "member 2 lead; ")
}

func endTopic(s *suite) {
	_, members := s.mesh(3)
	t := topic(1)
	s.found(members[0], t)
	s.say(said(t, members[0], 1))
	_, err := s.ChangeSeat(s.ctx, t, members[1].ID, func(seat *store.Seat) error {
		seat.Role, seat.Standing, seat.JoinedAt = store.TopicMember, store.Invited, now()
		return nil
	})
	s.must(err)
	_, err = s.ChangeSeat(s.ctx, t, members[1].ID, leave) // who was only invited ends nothing
	s.must(err)
	same(s, s.seated(t), "member 1 lead; ")
	s.must(s.SealTopicKey(s.ctx, t, &store.TopicKey{TopicID: t.ID, MemberID: members[0].ID, CreatedAt: now()}))
	_, err = s.ChangeSeat(s.ctx, t, members[0].ID, leave)
	s.must(err)
	_, err = s.FindTopic(s.ctx, t.MeshID, t.Name)
	s.wantErr(err, store.ErrNotFound)
	_, err = s.ChangeSeat(s.ctx, t, members[1].ID, func(*store.Seat) error { s.Error("called"); return nil })
	s.wantErr(err, store.ErrNotFound)
	s.wantErr(s.ReadTopic(s.ctx, t, members[0].ID, now()), store.ErrNotFound)
	s.wantErr(s.SealTopicKey(s.ctx, t, &store.TopicKey{TopicID: t.ID, MemberID: members[0].ID, CreatedAt: now()}), store.ErrNotFound)
	again := topic(2)
	again.Name = t.Name
	s.found(members[2], again)
	n, err := s.PruneTopics(s.ctx, store.TopicRoom{Topic: 100, Mesh: 100, Bytes: 1 << 20}, 100)
	s.must(err)
	same(s, n, 1)
}

func deserted(s *suite) {
	_, members := s.mesh(4)
	banned, alive, fresh, invited, all := topic(1), topic(2), topic(3), topic(4), topic(5)
	all.Everybody = true
	s.found(members[0], banned, alive, invited)
	s.found(members[2], fresh)
	s.found(nil, all)
	s.sit(banned, store.TopicMember, members[1])
	s.sit(alive, store.TopicMember, members[3])
	_, err := s.ChangeSeat(s.ctx, invited, members[3].ID, func(seat *store.Seat) error {
		seat.Role, seat.Standing, seat.JoinedAt = store.TopicMember, store.Invited, now()
		return nil
	})
	s.must(err)
	s.must(s.SealTopicKey(s.ctx, banned, &store.TopicKey{TopicID: banned.ID, MemberID: members[0].ID, CreatedAt: now()}))
	ended := func(want int64, limit int) {
		s.Helper()
		n, err := s.EndTopics(s.ctx, now(), limit)
		s.must(err)
		same(s, n, want)
	}
	s.must(s.SetRevoked(s.ctx, members[0].ID, now().Add(-time.Minute)))
	ended(1, 10) // to the one that is left an invitation is nothing
	s.must(s.SetRevoked(s.ctx, members[1].ID, now().Add(-time.Minute)))
	s.must(s.SetRevoked(s.ctx, members[2].ID, now()))
	ended(0, 0)
	ended(1, 1)
	ended(0, 10) // who was banned just now may be brought back
	for t, want := range map[*store.Topic]error{banned: store.ErrNotFound, invited: store.ErrNotFound, alive: nil, fresh: nil, all: nil} {
		if _, err := s.FindTopic(s.ctx, t.MeshID, t.Name); !errors.Is(err, want) {
			s.Errorf("%s: got %v, want %v", t.Name, err, want)
		}
	}
}

func everybodySits(s *suite) {
	_, members := s.mesh(3)
	t := topic(1)
	t.Everybody = true
	s.found(nil, t)
	same(s, s.seated(t), "member 1 member; member 2 member; member 3 member; ")
	got, err := s.Seat(s.ctx, t, members[1].ID)
	s.must(err)
	want := seat(t, members[1], store.TopicMember)
	want.JoinedAt = members[1].JoinedAt
	same(s, got, want)
	_, err = s.ChangeSeat(s.ctx, t, members[1].ID, func(seat *store.Seat) error { seat.Standing = store.LeftIt; return nil })
	s.must(err)
	same(s, s.seated(t), "member 1 member; member 3 member; ")
	late := member(t.MeshID, 9)
	s.must(s.AddMember(s.ctx, late))
	same(s, s.seated(t), "member 1 member; member 3 member; member 9 member; ")
	s.sit(t, store.TopicMember, members[1])
	same(s, s.seated(t), "member 1 member; member 2 member; member 3 member; member 9 member; ")
}

func bannedSeat(s *suite) {
	_, members := s.mesh(2)
	t, all := topic(1), topic(2)
	all.Everybody = true
	s.found(members[0], t)
	s.found(nil, all)
	s.sit(t, store.TopicMember, members[1])
	s.must(s.SetRevoked(s.ctx, members[0].ID, now()))
	same(s, s.seated(t), "member 2 member; ")
	same(s, s.seated(all), "member 2 member; ")
	_, err := s.Seat(s.ctx, t, members[0].ID)
	s.wantErr(err, store.ErrNotFound)
	s.sit(t, store.TopicMember, members[1]) // nobody leads any more
	same(s, s.seated(t), "member 2 lead; ")
}

func readTopic(s *suite) {
	_, members := s.mesh(2)
	t, all := topic(1), topic(2)
	all.Everybody = true
	s.found(members[0], t)
	s.found(nil, all)
	for _, in := range []*store.Topic{t, all} {
		for _, at := range []time.Time{now().Add(time.Hour), now()} {
			s.must(s.ReadTopic(s.ctx, in, members[0].ID, at))
			got, err := s.Seat(s.ctx, in, members[0].ID)
			s.must(err)
			same(s, got.LastReadAt, now().Add(time.Hour))
		}
	}
	s.wantErr(s.ReadTopic(s.ctx, t, members[1].ID, now()), store.ErrNotFound)
	s.wantErr(s.ReadTopic(s.ctx, t, "nobody", now()), store.ErrNotFound)
}

func topicKeys(s *suite) {
	_, members := s.mesh(4)
	t := topic(1)
	s.found(members[0], t)
	s.sit(t, store.TopicMember, members[2], members[1])
	unsealed := func() (names []string) {
		list, err := s.UnsealedSeats(s.ctx, t, 2)
		s.must(err)
		for _, seat := range list {
			names = append(names, seat.Name)
		}
		return names
	}
	same(s, unsealed(), []string{"member 1", "member 3"})
	k := &store.TopicKey{TopicID: t.ID, MemberID: members[2].ID, Encrypted: "e", Nonce: "n", CreatedAt: now()}
	s.must(s.SealTopicKey(s.ctx, t, k))
	same(s, unsealed(), []string{"member 1", "member 2"})
	other := *k
	other.Encrypted = "another"
	s.wantErr(s.SealTopicKey(s.ctx, t, &other), store.ErrConflict)
	got, err := s.TopicKey(s.ctx, t.ID, k.MemberID)
	s.must(err)
	same(s, got, k)
	other.MemberID = members[3].ID
	s.wantErr(s.SealTopicKey(s.ctx, t, &other), store.ErrNotFound)
	_, err = s.TopicKey(s.ctx, t.ID, members[3].ID)
	s.wantErr(err, store.ErrNotFound)
}

func claimTopicKey(s *suite) {
	_, members := s.mesh(2)
	t := topic(1)
	s.found(members[0], t)
	k := &store.TopicKey{TopicID: t.ID, MemberID: members[1].ID, Encrypted: "e", Nonce: "n", CreatedAt: now()}
	s.wantErr(s.ClaimTopicKey(s.ctx, t, "aa", k), store.ErrNotFound)
	k.MemberID = members[0].ID
	s.must(s.ClaimTopicKey(s.ctx, t, "bb", k))
	s.wantErr(s.ClaimTopicKey(s.ctx, t, "cc", k), store.ErrConflict)
	got, err := s.FindTopic(s.ctx, t.MeshID, t.ID)
	s.must(err)
	same(s, got.KeyPubkey, "bb")
}

func reclaimTopicKey(s *suite) {
	_, members := s.mesh(3)
	t := topic(1)
	t.Everybody = true
	s.found(nil, t)
	copyOf := func(n int) *store.TopicKey {
		return &store.TopicKey{TopicID: t.ID, MemberID: members[n].ID, Encrypted: "e", Nonce: "n", CreatedAt: now()}
	}
	s.must(s.ClaimTopicKey(s.ctx, t, "aa", copyOf(0)))
	s.must(s.SealTopicKey(s.ctx, t, copyOf(1)))
	_, err := s.ChangeSeat(s.ctx, t, members[0].ID, func(seat *store.Seat) error { seat.Standing = store.LeftIt; return nil })
	s.must(err)
	s.wantErr(s.ClaimTopicKey(s.ctx, t, "bb", copyOf(2)), store.ErrConflict)
	s.must(s.SetRevoked(s.ctx, members[1].ID, now())) // the last one that had a copy
	s.must(s.ClaimTopicKey(s.ctx, t, "bb", copyOf(2)))
	s.wantErr(s.ClaimTopicKey(s.ctx, t, "cc", copyOf(2)), store.ErrConflict)
	got, err := s.FindTopic(s.ctx, t.MeshID, t.ID)
	s.must(err)
	same(s, got.KeyPubkey, "bb")
	s.must(s.SetRevoked(s.ctx, members[1].ID, time.Time{}))
	_, err = s.TopicKey(s.ctx, t.ID, members[1].ID) // its copy is of the key before
	s.wantErr(err, store.ErrNotFound)
}

func reopenTopics(s *suite) {
	_, members := s.mesh(1)
	t := topic(1)
	t.KeyPubkey = "ab"
	s.found(members[0], t)
	s.say(said(t, members[0], 1))
	s.reopen()
	got, err := s.FindTopic(s.ctx, t.MeshID, t.Name)
	s.must(err)
	same(s, got, t)
	same(s, s.seated(t), "member 1 lead; ")
	same(s, s.heard(store.TopicQuery{TopicID: t.ID, Limit: 3}), []string{"sealed 1"})
}
