package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var memories = []test{
	{"a memory is found by its words", recallWords},
	{"the memory that fits best comes first, and of the same the newest", recallOrder},
	{"a query is words and nothing else", recallHostile},
	{"memories of other meshes are not found", recallOtherMesh},
	{"memories of members that are left out are not found", recallExcept},
	{"a query of many words is answered", recallLong},
	{"what is remembered twice is one memory", rememberTwice},
	{"a forgotten memory is gone, and can be written again", forget},
	{"a memory that does not fit is refused, and one less makes room", rememberFull},
	{"what many remember at once is one memory", rememberRace},
	{"memories survive a restart", rememberReopen},
}

func memory(mesh string, n int, content string) *store.Memory {
	return &store.Memory{
		ID: id("memory", n), MeshID: mesh, Content: content, MemberID: id("ada", 1), Author: "Ada",
		CreatedAt: now().Add(time.Duration(n) * time.Second),
	}
}

// plenty is room that no test fills.
func plenty() store.Room { return store.Room{Mesh: 10_000, Member: 10_000} }

// remember writes memories of the first mesh with these contents, from 1 on.
func (s *suite) remember(contents ...string) (list []*store.Memory) {
	s.Helper()
	for i, content := range contents {
		m := memory(id("mesh", 1), i+1, content)
		list = append(list, m)
		got, fresh, err := s.Remember(s.ctx, m, plenty())
		if err != nil || got != m.ID || !fresh {
			s.Fatalf("%q: got %s, fresh %v, error %v", content, got, fresh, err)
		}
	}
	return list
}

// wantRecall wants a query to find the memories with these contents, in any
// order.
func (s *suite) wantRecall(query string, want ...string) {
	s.Helper()
	list, err := s.Recall(s.ctx, id("mesh", 1), query, nil, 20)
	s.must(err)
	found := map[string]bool{}
	for _, m := range list {
		found[m.Content] = true
	}
	for _, w := range want {
		if !found[w] {
			s.Errorf("%q does not find %q", query, w)
		}
	}
	if len(list) != len(want) {
		s.Errorf("%q finds %d memories, want %d", query, len(list), len(want))
	}
}

func recallWords(s *suite) {
	s.mesh(0)
	const foxes, deploy, path = "Quick brown foxes jumped over it.", "Deploying is done by `make deploy`; never on Fridays!",
		"see core/store/open.go: the_wal_limit=64, ärger & 東京"
	m := memory(id("mesh", 1), 99, foxes+" twice")
	m.CreatedAt = m.CreatedAt.In(time.FixedZone("far away", 11*60*60))
	m.Tags = []string{"zoology", "animals"}
	_, _, err := s.Remember(s.ctx, m, plenty())
	s.must(err)
	s.remember(foxes, deploy, path)
	for query, want := range map[string][]string{
		"fox": {foxes, foxes + " twice"}, "FOXES jumping": {foxes, foxes + " twice"}, "twice fox": {foxes + " twice"},
		"deployed": {deploy}, "the deploy": {deploy}, "friday": {deploy}, "fox deploy": nil,
		"zoology": nil, // tags are not searched
		"open.go": {path}, "store": {path}, "wal limits": {path}, "64": {path}, "ÄRGER": {path}, "東京": {path}, "fo": nil,
		"": nil, " \t\n": nil, "the of and": nil, "the": nil, ".": nil,
	} {
		s.wantRecall(query, want...)
	}
	got, err := s.Recall(s.ctx, id("mesh", 1), "twice", nil, 20)
	s.must(err)
	same(s, got, []*store.Memory{m})
	if zone := got[0].CreatedAt.Location(); zone != time.UTC {
		s.Errorf("the time is in %v", zone)
	}
}

func recallOrder(s *suite) {
	s.mesh(0)
	list := s.remember("a fox", "a fox here", "a fox, a fox, a fox and a fox", "nobody")
	_, _, err := s.Remember(s.ctx, memory(id("mesh", 1), 5, "a  fox"), plenty())
	s.must(err)
	got, err := s.Recall(s.ctx, id("mesh", 1), "fox", nil, 20)
	s.must(err)
	if len(got) != 4 || got[0].ID != list[2].ID {
		s.Errorf("got %d, the first is %q", len(got), got[0].Content)
	}
	newest := -1
	for i, m := range got {
		switch m.Content {
		case "a  fox":
			newest = i
		case "a fox":
			if newest < 0 {
				s.Error("of two that fit as well, the older one comes first")
			}
		}
	}
	few, err := s.Recall(s.ctx, id("mesh", 1), "fox", nil, 2)
	s.must(err)
	same(s, few, got[:2])
}

// hostileQueries are what the languages of full-text searches are made of.
func hostileQueries() []string {
	return []string{
		`"`, `""`, `"fox`, `fox"`, `"fox" "`, `'`, `''`, `'fox`, `\`, `\'`, `*`, `fo*`, `^fox`, `fox AND`, `AND`, `OR`, `NOT`, `NEAR`,
		`NEAR(fox jump)`, `NEAR/2`, `content:fox`, `mesh:fox`, `mesh : "x"`, `-fox`, `- mesh : fox`, `{content} : fox`, `(`, `)`, `((fox)`,
		`fox + jump`, `fox & jump`, `fox | jump`, `!fox`, `fox <-> jump`, `fox:*`, `fox:A`, `:`, `;`, `%`, `_`, `?`, `$1`, `fox; DROP TABLE memory`,
		`rank`, `rowid`, `memory_words`, "fox\tjump", "\u200b", "\u0301", "fo\u0301x", "\u2028", "🦊", strings.Repeat(`"`, 999), strings.Repeat("(", 999),
		strings.Repeat("AND ", 200), strings.Repeat("x", 1024), strings.Repeat("é", 512),
	}
}

func recallHostile(s *suite) {
	s.mesh(0)
	s.remember("a fox AND a jump NEAR mesh", "OR: content rank rowid; DROP TABLE memory")
	for _, query := range hostileQueries() {
		if _, err := s.Recall(s.ctx, id("mesh", 1), query, nil, 20); err != nil {
			s.Errorf("%q: %v", query, err)
		}
	}
	for _, mesh := range []string{`x" OR content : "fox`, `x' | 'fox`, `=`, ``, `\`} {
		if got, err := s.Recall(s.ctx, mesh, "fox", nil, 20); err != nil || len(got) != 0 {
			s.Errorf("mesh %q: got %d, error %v", mesh, len(got), err)
		}
	}
	s.wantRecall("fox NEAR jump", "a fox AND a jump NEAR mesh")
	s.wantRecall("rank*", "OR: content rank rowid; DROP TABLE memory")
}

func recallOtherMesh(s *suite) {
	first, _ := s.mesh(0)
	other := &store.Mesh{ID: id("mesh", 2), Slug: "second", CreatedAt: now()}
	s.must(s.CreateMesh(s.ctx, other, nil))
	s.remember("a fox", "mesh "+other.ID)
	m := memory(other.ID, 50, "another fox "+first.ID)
	_, _, err := s.Remember(s.ctx, m, plenty())
	s.must(err)
	s.wantRecall("fox", "a fox")
	s.wantRecall(first.ID)
	s.wantRecall(other.ID, "mesh "+other.ID)
	got, err := s.Recall(s.ctx, other.ID, "fox", nil, 20)
	s.must(err)
	same(s, got, []*store.Memory{m})
	_, err = s.Memory(s.ctx, first.ID, m.ID)
	s.wantErr(err, store.ErrNotFound)
	s.wantErr(s.ForgetMemory(s.ctx, first.ID, m.ID, now()), store.ErrNotFound)
}

func recallExcept(s *suite) {
	s.mesh(0)
	other := memory(id("mesh", 1), 7, "bo's fox")
	other.MemberID = id("bo", 1)
	s.remember("a fox", "another fox")
	_, _, err := s.Remember(s.ctx, other, plenty())
	s.must(err)
	for _, tt := range []struct {
		except []string
		want   int
	}{{[]string{"nobody"}, 3}, {[]string{id("ada", 1)}, 1}, {[]string{"nobody", other.MemberID}, 2}, {[]string{id("ada", 1), other.MemberID}, 0}} {
		got, err := s.Recall(s.ctx, other.MeshID, "fox", tt.except, 20)
		s.must(err)
		if len(got) != tt.want {
			s.Errorf("without %q: got %d, want %d", tt.except, len(got), tt.want)
		}
	}
	for mesh, want := range map[string]int64{other.MeshID: 3, "other": 0} {
		n, err := s.CountMemories(s.ctx, mesh)
		s.must(err)
		same(s, n, want)
	}
}

func recallLong(s *suite) {
	s.mesh(0)
	var words []string
	for n := range 512 {
		words = append(words, fmt.Sprintf("w%d", n))
	}
	text := strings.Join(words, " ")
	s.remember(text, "w1 w2")
	s.wantRecall(text, text)
	s.wantRecall("w511 w1", text)
}

func rememberTwice(s *suite) {
	s.mesh(0)
	m := s.remember("a fox")[0]
	for name, tt := range map[string]struct {
		edit  func(*store.Memory)
		fresh bool
	}{
		"the same again":   {func(*store.Memory) {}, false},
		"at another time":  {func(m *store.Memory) { m.CreatedAt, m.Author = now().Add(time.Hour), "Eve" }, false},
		"with a tag":       {func(m *store.Memory) { m.Tags = []string{"t"} }, true},
		"by another one":   {func(m *store.Memory) { m.MemberID = id("bo", 1) }, true},
		"another content":  {func(m *store.Memory) { m.Content = "a fox " }, true},
		"content as a tag": {func(m *store.Memory) { m.Content, m.Tags = "", []string{"a fox"} }, true},
	} {
		again := memory(m.MeshID, 2, m.Content)
		again.ID = id("m", len(name))
		tt.edit(again)
		got, fresh, err := s.Remember(s.ctx, again, plenty())
		if want := map[bool]string{true: again.ID, false: m.ID}[tt.fresh]; err != nil || fresh != tt.fresh || got != want {
			s.Errorf("%s: got %s, fresh %v, error %v", name, got, fresh, err)
		}
	}
	got, err := s.Memory(s.ctx, m.MeshID, m.ID)
	s.must(err)
	same(s, got, m)
}

func forget(s *suite) {
	s.mesh(0)
	list := s.remember("a fox", "two foxes")
	s.must(s.ForgetMemory(s.ctx, list[0].MeshID, list[0].ID, now()))
	s.wantRecall("fox", "two foxes")
	s.wantErr(s.ForgetMemory(s.ctx, list[0].MeshID, list[0].ID, now()), store.ErrNotFound)
	s.wantErr(s.ForgetMemory(s.ctx, list[0].MeshID, "nothing", now()), store.ErrNotFound)
	_, err := s.Memory(s.ctx, list[0].MeshID, list[0].ID)
	s.wantErr(err, store.ErrNotFound)
	again := memory(list[0].MeshID, 7, "a fox")
	if got, fresh, err := s.Remember(s.ctx, again, plenty()); err != nil || !fresh || got != again.ID {
		s.Errorf("got %s, fresh %v, error %v", got, fresh, err)
	}
	s.wantRecall("fox", "two foxes", "a fox")
}

func rememberFull(s *suite) {
	s.mesh(0)
	list := s.remember("one", "two")
	mesh := list[0].MeshID
	var full *store.FullError
	for _, tt := range []struct {
		room   store.Room
		member bool
	}{{store.Room{Mesh: 2, Member: 9}, false}, {store.Room{Mesh: 9, Member: 2}, true}} {
		_, _, err := s.Remember(s.ctx, memory(mesh, 3, "three"), tt.room)
		s.wantErr(err, store.ErrExhausted)
		if !errors.As(err, &full) || full.Member != tt.member || full.Most != 2 {
			s.Errorf("got %v", err)
		}
		if got, fresh, err := s.Remember(s.ctx, memory(mesh, 3, "two"), tt.room); err != nil || fresh || got != list[1].ID {
			s.Errorf("what is there already: got %s, fresh %v, error %v", got, fresh, err)
		}
	}
	other := memory(mesh, 4, "four")
	other.MemberID = id("bo", 1)
	_, _, err := s.Remember(s.ctx, other, store.Room{Mesh: 3, Member: 1})
	s.must(err)
	s.must(s.ForgetMemory(s.ctx, mesh, list[0].ID, now()))
	_, _, err = s.Remember(s.ctx, memory(mesh, 3, "three"), store.Room{Mesh: 3, Member: 2})
	s.must(err)
}

func rememberRace(s *suite) {
	s.mesh(0)
	var (
		ids   [8]string
		fresh [8]bool
		wg    sync.WaitGroup
	)
	for n := range ids {
		wg.Go(func() {
			var err error
			if ids[n], fresh[n], err = s.Remember(s.ctx, memory(id("mesh", 1), n, "a fox"), plenty()); err != nil {
				s.Error(err)
			}
		})
	}
	wg.Wait()
	written := 0
	for n := range ids {
		if fresh[n] {
			written++
		}
		if ids[n] != ids[0] {
			s.Errorf("got ids %s and %s", ids[n], ids[0])
		}
	}
	if written != 1 {
		s.Errorf("%d were written", written)
	}
	s.wantRecall("fox", "a fox")
}

func rememberReopen(s *suite) {
	s.mesh(0)
	s.remember("a fox")
	s.reopen()
	s.wantRecall("foxes", "a fox")
}
