package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var skills = []test{
	{"a skill comes back as it was shared", skillRoundTrip},
	{"a skill is only replaced over whom its author saw, and stays as old as it was", skillOver},
	{"a skill that was removed leaves its name free", skillRemove},
	{"skills are found by name, description and tags, in any case", skillFind},
	{"a query is text and nothing else", skillHostile},
	{"a mesh and a member have room for so many skills", skillRoom},
	{"of many that share one new name at once one is first, and no more fit than there is room", skillRace},
	{"skills survive a restart, and no other mesh has them", skillReopen},
}

// skill makes a skill of the first mesh.
func skill(name string) *store.Skill {
	return &store.Skill{
		MeshID: id("mesh", 1), Name: name, Description: "does " + name, Instructions: "1. Do " + name, Tags: []string{"a", "b"},
		Manifest: []byte(`{"b":1.50,"a":[]}`), MemberID: "ada", Author: "Ада", CreatedAt: now(), UpdatedAt: now(),
	}
}

// share writes new skills.
func (s *suite) shareSkills(list ...*store.Skill) {
	s.Helper()
	for _, sk := range list {
		s.must(s.ShareSkill(s.ctx, sk, nil, ample))
	}
}

func (s *suite) wantSkill(want *store.Skill) {
	s.Helper()
	got, err := s.Skill(s.ctx, want.MeshID, want.Name)
	s.must(err)
	same(s, got, want)
	if (got.Manifest == nil) != (want.Manifest == nil) { // an empty one is no JSON
		s.Errorf("%s: manifest %q, want %q", want.Name, got.Manifest, want.Manifest)
	}
}

func skillRoundTrip(s *suite) {
	s.mesh(0)
	full := skill("überprüfen 🗝")
	bare := &store.Skill{MeshID: id("mesh", 1), Name: "bare", CreatedAt: now(), UpdatedAt: now()}
	s.shareSkills(full, bare)
	s.wantSkill(full)
	s.wantSkill(bare)
	_, err := s.Skill(s.ctx, id("mesh", 1), "none")
	s.wantErr(err, store.ErrNotFound)
}

func skillOver(s *suite) {
	s.mesh(0)
	ada, bo := "ada", "bo"
	first := skill("k")
	s.wantErr(s.ShareSkill(s.ctx, first, &ada, ample), store.ErrConflict)
	s.shareSkills(first)
	s.wantErr(s.ShareSkill(s.ctx, skill("k"), nil, ample), store.ErrConflict)
	s.wantErr(s.ShareSkill(s.ctx, skill("k"), &bo, ample), store.ErrConflict)
	s.wantSkill(first)
	next := &store.Skill{
		MeshID: first.MeshID, Name: "k", Description: "new", Instructions: "other", MemberID: "bo", Author: "Bo",
		CreatedAt: now().Add(time.Hour), UpdatedAt: now().Add(time.Hour),
	}
	s.must(s.ShareSkill(s.ctx, next, &ada, store.Room{})) // it needs no room
	next.CreatedAt = first.CreatedAt
	s.wantSkill(next)
	s.wantSkills("NEW", "k")
	s.wantSkills("does")
}

func skillRemove(s *suite) {
	s.mesh(0)
	sk := skill("k")
	s.shareSkills(sk)
	s.wantErr(s.RemoveSkill(s.ctx, sk.MeshID, "k", "bo"), store.ErrConflict)
	s.wantErr(s.RemoveSkill(s.ctx, sk.MeshID, "other", "ada"), store.ErrConflict)
	s.wantSkill(sk)
	s.must(s.RemoveSkill(s.ctx, sk.MeshID, "k", "ada"))
	_, err := s.Skill(s.ctx, sk.MeshID, "k")
	s.wantErr(err, store.ErrNotFound)
	s.shareSkills(sk)
}

// wantFound wants a query to find the skills with these names, in this order.
func (s *suite) wantSkills(query string, want ...string) {
	s.Helper()
	list, err := s.FindSkills(s.ctx, id("mesh", 1), query, nil, 100)
	s.must(err)
	var got []string
	for _, sk := range list {
		got = append(got, sk.Name)
	}
	same(s, got, want)
}

func skillFind(s *suite) {
	s.mesh(0)
	deploy, review, other := skill("Deploy"), skill("review"), skill("é")
	deploy.Tags, review.Description, other.MemberID = []string{"Übung"}, "looks at the Code", "bo"
	s.shareSkills(review, other, deploy)
	s.wantSkills("", "Deploy", "review", "é")
	s.wantSkills("PLOY", "Deploy")
	s.wantSkills("the code", "review")
	s.wantSkills("üBUNG", "Deploy")
	s.wantSkills("1. Do") // instructions are not searched
	s.wantSkills("É", "é")

	got, err := s.FindSkills(s.ctx, id("mesh", 1), "", []string{"bo", "nobody"}, 100)
	s.must(err)
	deploy.Instructions, deploy.Manifest, review.Instructions, review.Manifest = "", nil, "", nil
	same(s, got, []*store.Skill{deploy, review})
	for limit, want := range map[int]int{0: 0, 1: 1} {
		got, err = s.FindSkills(s.ctx, id("mesh", 1), "", nil, limit)
		if s.must(err); len(got) != want {
			s.Errorf("%d skills, want %d", len(got), want)
		}
	}
}

func skillHostile(s *suite) {
	s.mesh(0)
	s.shareSkills(skill("100%_'\\"))
	for _, query := range []string{"%", "_", "'", `\`, "100%_'\\"} {
		s.wantSkills(query, "100%_'\\")
	}
	for _, query := range []string{"1%0", "1_0", "' OR 1=1 --"} {
		s.wantSkills(query)
	}
}

func skillRoom(s *suite) {
	s.mesh(0)
	room := store.Room{Mesh: 3, Member: 2}
	share := func(member, name string) error {
		sk := skill(name)
		sk.MemberID = member
		return s.ShareSkill(s.ctx, sk, nil, room)
	}
	s.must(share("ada", "1"))
	s.must(share("ada", "2"))
	wantFull(s, share("ada", "3"), store.FullError{Member: true, Most: 2})
	s.wantErr(share("ada", "2"), store.ErrConflict) // that is what the caller has to hear
	s.must(share("bo", "3"))
	wantFull(s, share("bo", "4"), store.FullError{Most: 3})
	s.wantSkills("", "1", "2", "3")
}

func skillRace(s *suite) {
	s.mesh(0)
	const most, writers = 3, 12
	var all sync.WaitGroup
	var got [writers]error
	for i := range writers {
		all.Go(func() {
			got[i] = s.ShareSkill(s.ctx, skill(fmt.Sprint(i/2)), nil, store.Room{Mesh: most, Member: most})
		})
	}
	all.Wait()
	won := 0
	for _, err := range got {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrExhausted):
			s.Error(err)
		}
	}
	if list, err := s.FindSkills(s.ctx, id("mesh", 1), "", nil, 100); err != nil || won != most || len(list) != most {
		s.Errorf("%d have won, %d skills, error %v; want %d", won, len(list), err, most)
	}
}

func skillReopen(s *suite) {
	s.mesh(0)
	other := &store.Mesh{ID: id("mesh", 2), Slug: "second", CreatedAt: now()}
	s.must(s.CreateMesh(s.ctx, other, nil))
	sk := skill("k")
	s.shareSkills(sk)
	s.reopen()
	s.wantSkill(sk)
	_, err := s.Skill(s.ctx, other.ID, "k")
	s.wantErr(err, store.ErrNotFound)
	s.wantErr(s.RemoveSkill(s.ctx, other.ID, "k", "ada"), store.ErrConflict)
	list, err := s.FindSkills(s.ctx, other.ID, "", nil, 10)
	s.must(err)
	same(s, list, nil)
}
