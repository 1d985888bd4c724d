package storetest

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var contexts = []test{
	{"a context is found by its summary and by its tags", findContexts},
	{"a query for contexts has no wildcards", findLiterally},
	{"contexts are listed, the newest first", listContexts},
	{"a member's next context takes the place of the one before", shareAgain},
	{"of first contexts shared at once none fails", shareRace},
	{"contexts survive a restart", shareReopen},
}

// knows makes a context of the n-th member of the first mesh.
func knows(n int, summary string, tags ...string) *store.Context {
	return &store.Context{
		ID: id("context", n), MeshID: id("mesh", 1), MemberID: id("member", n), Name: fmt.Sprint("member ", n),
		Summary: summary, FilesRead: []string{"a/b.go", "c"}, KeyFindings: []string{"<it> works"}, Tags: tags,
		UpdatedAt: now().Add(time.Duration(n) * time.Second),
	}
}

// brief is a context as lists have it.
func brief(c *store.Context) *store.Context {
	b := *c
	b.FilesRead, b.KeyFindings = nil, nil
	return &b
}

func (s *suite) share(list ...*store.Context) {
	s.Helper()
	for _, c := range list {
		got, err := s.ShareContext(s.ctx, c, nil)
		if err != nil || got != c.ID {
			s.Fatalf("got %s, error %v", got, err)
		}
	}
}

func (s *suite) wantContexts(query string, want ...*store.Context) {
	s.Helper()
	got, err := s.FindContexts(s.ctx, id("mesh", 1), query, nil, 20)
	s.must(err)
	if len(got) != len(want) {
		s.Errorf("%q finds %d, want %d", query, len(got), len(want))
		return
	}
	same(s, got, want)
}

func findContexts(s *suite) {
	s.mesh(0)
	ada, bo, cy := knows(1, "The Wire codec, in core/wire", "codec", "Go"), knows(2, "deploying to STRASSE", "ops"), knows(3, "Ärger with locks")
	s.share(ada, bo, cy)
	for query, want := range map[string][]*store.Context{
		"wire": {ada}, "WIRE CODEC": {ada}, "core/w": {ada}, "codec": {ada}, "o": {cy, bo, ada}, "strasse": {bo}, "ärger": {cy}, "ÄRGER": {cy},
		"Go": {ada}, "go": nil, "ops": {bo}, "op": nil, "b.go": nil, "works": nil, "member": nil, "": {cy, bo, ada},
	} {
		s.wantContexts(query, want...)
	}
	got, err := s.FindContexts(s.ctx, id("mesh", 1), "o", nil, 2)
	s.must(err)
	same(s, got, []*store.Context{cy, bo})
	got, err = s.FindContexts(s.ctx, id("mesh", 2), "o", nil, 20)
	s.must(err)
	same(s, got, nil)
}

func findLiterally(s *suite) {
	s.mesh(0)
	plain, odd := knows(1, "one hundred", "a_b"), knows(2, `100% of a_b\c "d" 'e' [f]*?`, `%`, `"x"`)
	s.share(plain, odd)
	for query, want := range map[string][]*store.Context{
		"%": {odd}, "_": {odd}, "a_b": {odd, plain}, "a%b": nil, "o_e": nil, "0%": {odd}, `\c`: {odd}, `\`: {odd}, `"d"`: {odd}, `'e'`: {odd},
		`"x"`: {odd}, `x`: nil, "[f]*": {odd}, "?": {odd}, "one%": nil, "null": nil, "[": {odd},
	} {
		s.wantContexts(query, want...)
	}
}

func listContexts(s *suite) {
	s.mesh(0)
	other := &store.Mesh{ID: id("mesh", 2), Slug: "second", CreatedAt: now()}
	s.must(s.CreateMesh(s.ctx, other, nil))
	foreign := knows(9, "foreign")
	foreign.MeshID = other.ID
	s.share(foreign)
	var want []*store.Context
	for n := range 4 {
		c := knows(n, "x")
		s.share(c)
		want = append([]*store.Context{brief(c)}, want...)
	}
	for limit, want := range map[int][]*store.Context{0: nil, 3: want[:3], 9: want} {
		got, err := s.ListContexts(s.ctx, id("mesh", 1), nil, limit)
		s.must(err)
		same(s, got, want)
	}
}

func shareAgain(s *suite) {
	s.mesh(0)
	first, other := knows(1, "first", "old"), knows(2, "other")
	s.share(first, other)
	next := knows(1, "second")
	next.ID, next.Name, next.FilesRead, next.KeyFindings = id("context", 9), "Ada", nil, nil
	next.UpdatedAt = now().Add(time.Hour)
	got, err := s.ShareContext(s.ctx, next, nil)
	if err != nil || got != first.ID {
		s.Fatalf("got %s, error %v; want the id %s", got, err, first.ID)
	}
	next.ID = first.ID
	list, err := s.ListContexts(s.ctx, id("mesh", 1), nil, 20)
	s.must(err)
	same(s, list, []*store.Context{next, brief(other)})
	s.wantContexts("old")
}

func shareRace(s *suite) {
	s.mesh(0)
	var wg sync.WaitGroup
	var ids [8]string
	for n := range ids {
		wg.Go(func() {
			c := knows(1, strings.Repeat("x", n))
			c.ID = id("context", n)
			var err error
			if ids[n], err = s.ShareContext(s.ctx, c, nil); err != nil {
				s.Error(err)
			}
		})
	}
	wg.Wait()
	list, err := s.ListContexts(s.ctx, id("mesh", 1), nil, 20)
	s.must(err)
	if len(list) != 1 {
		s.Fatalf("there are %d contexts", len(list))
	}
	for _, got := range ids {
		if got != list[0].ID {
			s.Errorf("got id %s, want %s", got, list[0].ID)
		}
	}
}

func shareReopen(s *suite) {
	s.mesh(0)
	c := knows(1, "x", "t")
	s.share(c)
	s.reopen()
	s.wantContexts("t", c)
}
