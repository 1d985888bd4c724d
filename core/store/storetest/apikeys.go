package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var apiKeys = []test{
	{"an API key is read as it was written", createAPIKey},
	{"API keys are listed, the newest first", listAPIKeys},
	{"an API key is found by exactly how its id begins", findAPIKeys},
	{"a revoked API key stays as it was revoked first", revokeAPIKey},
	{"the use of an API key is written down", touchAPIKey},
	{"only good API keys take room", fullOfAPIKeys},
	{"of many API keys that are made at once no more fit than there is room", raceAPIKeys},
	{"of API keys that are not good any more the newest are kept", forgetAPIKeys},
	{"the API keys of a member end with it, and do not come back", endAPIKeys},
	{"whoever makes an API key while its member is banned has none", bannedAPIKeys},
	{"a member's first API keys find room however many the others have", ownAPIKeys},
	{"API keys survive a restart", reopenAPIKeys},
}

// apiKey makes the n-th key of the first member of the first mesh.
func apiKey(n int, member *store.Member) *store.APIKey {
	return &store.APIKey{
		ID: id(fmt.Sprintf("k%02d", n), 7), MeshID: member.MeshID, MemberID: member.ID, Label: fmt.Sprint("label ", n),
		Prefix: fmt.Sprintf("cm_%08d", n), Hash: [32]byte{byte(n), 1}, Capabilities: []store.KeyCapability{store.KeySend, store.KeyRead},
		CreatedAt: now().Add(time.Duration(n) * time.Second),
	}
}

func (s *suite) makeKeys(list ...*store.APIKey) {
	s.Helper()
	for _, k := range list {
		s.must(s.CreateAPIKey(s.ctx, k, plenty(), 1000))
	}
}

func createAPIKey(s *suite) {
	_, members := s.mesh(1)
	plain, full := apiKey(1, members[0]), apiKey(2, members[0])
	full.Topics, full.ExpiresAt = []string{"general", "o'ps"}, now().Add(time.Hour)
	full.LastUsedAt, full.RevokedAt = now().Add(time.Minute), now().Add(2*time.Minute)
	s.makeKeys(plain, full)
	for _, want := range []*store.APIKey{plain, full} {
		got, err := s.APIKeyByHash(s.ctx, want.Hash)
		s.must(err)
		same(s, got, want)
	}
	if _, err := s.APIKeyByHash(s.ctx, [32]byte{9}); !errors.Is(err, store.ErrNotFound) {
		s.Errorf("got %v, want ErrNotFound", err)
	}
	twin := apiKey(3, members[0])
	twin.Hash = plain.Hash
	if err := s.CreateAPIKey(s.ctx, twin, plenty(), 1000); !errors.Is(err, store.ErrConflict) {
		s.Errorf("a second key with the hash: got %v, want ErrConflict", err)
	}
}

func listAPIKeys(s *suite) {
	_, members := s.mesh(2)
	a, b, c := apiKey(1, members[0]), apiKey(2, members[1]), apiKey(3, members[0])
	a.RevokedAt = now()
	s.makeKeys(a, b, c)
	for _, tt := range []struct {
		member string
		limit  int
		want   []*store.APIKey
	}{
		{"", 10, []*store.APIKey{c, b, a}},
		{"", 2, []*store.APIKey{c, b}},
		{members[0].ID, 10, []*store.APIKey{c, a}},
		{"nobody", 10, nil},
	} {
		got, err := s.ListAPIKeys(s.ctx, a.MeshID, tt.member, tt.limit)
		s.must(err)
		same(s, got, tt.want)
	}
	got, err := s.ListAPIKeys(s.ctx, "another", "", 10)
	s.must(err)
	same(s, got, nil)
}

func findAPIKeys(s *suite) {
	_, members := s.mesh(2)
	a, b, c := apiKey(11, members[0]), apiKey(12, members[0]), apiKey(13, members[1])
	s.makeKeys(a, b, c)
	for _, tt := range []struct {
		mesh, member, prefix string
		want                 []*store.APIKey
	}{
		{a.MeshID, "", a.ID, []*store.APIKey{a}},
		{a.MeshID, "", "k1", []*store.APIKey{a, b, c}},
		{a.MeshID, members[0].ID, "k1", []*store.APIKey{a, b}},
		{a.MeshID, "", "k%", nil},
		{a.MeshID, "", "k_", nil},
		{a.MeshID, "", a.ID + "0", nil},
		{"another", "", a.ID, nil},
	} {
		got, err := s.FindAPIKeys(s.ctx, tt.mesh, tt.member, tt.prefix, 10)
		s.must(err)
		same(s, got, tt.want)
	}
	got, err := s.FindAPIKeys(s.ctx, a.MeshID, "", "k1", 2)
	s.must(err)
	same(s, got, []*store.APIKey{a, b})
}

func revokeAPIKey(s *suite) {
	_, members := s.mesh(1)
	k := apiKey(1, members[0])
	s.makeKeys(k)
	for range 2 {
		s.must(s.RevokeAPIKey(s.ctx, k.MeshID, k.ID, now().Add(time.Duration(len(k.Label))*time.Minute)))
		k.Label += "!" // so that the second time is another one
	}
	got, err := s.APIKeyByHash(s.ctx, k.Hash)
	s.must(err)
	if want := now().Add(7 * time.Minute); !got.RevokedAt.Equal(want) || got.Good(now()) {
		s.Errorf("revoked at %v, want %v", got.RevokedAt, want)
	}
	for _, tt := range []struct{ mesh, id string }{{"another", k.ID}, {k.MeshID, k.ID[:31]}, {k.MeshID, "%"}} {
		if err := s.RevokeAPIKey(s.ctx, tt.mesh, tt.id, now()); !errors.Is(err, store.ErrNotFound) {
			s.Errorf("%+v: got %v, want ErrNotFound", tt, err)
		}
	}
}

func touchAPIKey(s *suite) {
	_, members := s.mesh(1)
	k := apiKey(1, members[0])
	s.makeKeys(k)
	for _, at := range []time.Duration{time.Minute, time.Hour, time.Second} {
		s.must(s.TouchAPIKey(s.ctx, k.ID, now().Add(at)))
	}
	s.must(s.TouchAPIKey(s.ctx, "nobody", now()))
	got, err := s.APIKeyByHash(s.ctx, k.Hash)
	s.must(err)
	if want := now().Add(time.Hour); !got.LastUsedAt.Equal(want) {
		s.Errorf("used at %v, want %v", got.LastUsedAt, want)
	}
}

func fullOfAPIKeys(s *suite) {
	_, members := s.mesh(2)
	over, revoked, good := apiKey(1, members[0]), apiKey(2, members[0]), apiKey(3, members[0])
	over.ExpiresAt, revoked.RevokedAt = over.CreatedAt.Add(time.Millisecond), now()
	good.ExpiresAt = now().Add(time.Hour)
	s.makeKeys(over, revoked, good)
	full := func(err error) *store.FullError {
		e, _ := errors.AsType[*store.FullError](err)
		return e
	}
	s.must(s.CreateAPIKey(s.ctx, apiKey(4, members[0]), store.Room{Mesh: 3, Member: 2}, 10))
	err := s.CreateAPIKey(s.ctx, apiKey(5, members[0]), store.Room{Mesh: 9, Member: 2}, 10)
	if e := full(err); e == nil || !e.Member {
		s.Errorf("got %v, want that the member has no room", err)
	}
	err = s.CreateAPIKey(s.ctx, apiKey(6, members[1]), store.Room{Mesh: 2, Member: 9}, 10)
	if e := full(err); e == nil || e.Member {
		s.Errorf("got %v, want that the mesh has no room", err)
	}
}

func raceAPIKeys(s *suite) {
	_, members := s.mesh(1)
	var made atomic.Int32
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			err := s.CreateAPIKey(s.ctx, apiKey(n, members[0]), store.Room{Mesh: 100, Member: 3}, 10)
			if err == nil {
				made.Add(1)
			} else if !errors.Is(err, store.ErrExhausted) {
				s.Error(err)
			}
		})
	}
	all.Wait()
	if made.Load() != 3 {
		s.Errorf("%d were made, want 3", made.Load())
	}
}

func forgetAPIKeys(s *suite) {
	_, members := s.mesh(2)
	var want []*store.APIKey
	for n := range 4 {
		k := apiKey(n, members[0])
		if n < 3 {
			k.RevokedAt = now()
		}
		s.makeKeys(k)
		if n > 0 {
			want = append([]*store.APIKey{k}, want...)
		}
	}
	foreign, last := apiKey(8, members[1]), apiKey(9, members[0])
	foreign.RevokedAt = now()
	s.makeKeys(foreign)
	s.must(s.CreateAPIKey(s.ctx, last, plenty(), 2))
	got, err := s.ListAPIKeys(s.ctx, last.MeshID, "", 100)
	s.must(err)
	same(s, got, append([]*store.APIKey{last, foreign}, want...))
}

func endAPIKeys(s *suite) {
	_, members := s.mesh(2)
	a, over, foreign := apiKey(1, members[0]), apiKey(2, members[0]), apiKey(3, members[1])
	over.RevokedAt = now()
	s.makeKeys(a, over, foreign)
	s.must(s.SetRevoked(s.ctx, members[0].ID, time.Time{})) // it is live: nothing ends
	s.wantKeys(foreign, over, a)

	banned := now().Add(time.Hour)
	s.must(s.SetRevoked(s.ctx, members[0].ID, banned))
	a.RevokedAt = banned
	s.wantKeys(foreign, over, a)
	if err := s.CreateAPIKey(s.ctx, apiKey(4, members[0]), plenty(), 10); !errors.Is(err, store.ErrNotFound) {
		s.Errorf("a member that is banned makes a key: got %v, want ErrNotFound", err)
	}
	s.must(s.SetRevoked(s.ctx, members[0].ID, banned.Add(time.Hour)))
	s.must(s.SetRevoked(s.ctx, members[0].ID, time.Time{}))
	s.wantKeys(foreign, over, a)
	fresh := apiKey(5, members[0])
	s.makeKeys(fresh)
	s.wantKeys(fresh, foreign, over, a)
}

// wantKeys wants the mesh to have these keys and no others.
func (s *suite) wantKeys(want ...*store.APIKey) {
	s.Helper()
	got, err := s.ListAPIKeys(s.ctx, want[0].MeshID, "", 100)
	s.must(err)
	same(s, got, want)
}

func bannedAPIKeys(s *suite) {
	_, members := s.mesh(1)
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			if n == 3 {
				s.must(s.SetRevoked(s.ctx, members[0].ID, now().Add(time.Hour)))
				return
			}
			if err := s.CreateAPIKey(s.ctx, apiKey(n, members[0]), plenty(), 10); err != nil && !errors.Is(err, store.ErrNotFound) {
				s.Error(err)
			}
		})
	}
	all.Wait()
	list, err := s.ListAPIKeys(s.ctx, members[0].MeshID, "", 100)
	s.must(err)
	for _, k := range list {
		if k.Good(now()) {
			s.Errorf("key %s is good, and its member is banned", k.ID)
		}
	}
}

func ownAPIKeys(s *suite) {
	_, members := s.mesh(2)
	room := store.Room{Mesh: 3, Member: 3, Own: 2}
	for n := range 3 {
		s.must(s.CreateAPIKey(s.ctx, apiKey(n, members[0]), room, 10))
	}
	for n := range 2 {
		s.must(s.CreateAPIKey(s.ctx, apiKey(10+n, members[1]), room, 10))
	}
	err := s.CreateAPIKey(s.ctx, apiKey(12, members[1]), room, 10)
	if e, ok := errors.AsType[*store.FullError](err); !ok || e.Member || e.Most != 3 {
		s.Errorf("got %v, want that the mesh has no room", err)
	}
}

func reopenAPIKeys(s *suite) {
	_, members := s.mesh(1)
	k := apiKey(1, members[0])
	k.Topics = []string{"general"}
	s.makeKeys(k)
	s.reopen()
	got, err := s.APIKeyByHash(s.ctx, k.Hash)
	s.must(err)
	same(s, got, k)
}
