package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
)

var values = []test{
	{"a value comes back byte by byte", valueRoundTrip},
	{"a value is only replaced over whom its writer saw", valueOver},
	{"a deleted value leaves its key free", valueDelete},
	{"values are listed by the bytes of their keys, page by page", valuePages},
	{"keys come without what they stand for", valueKeys},
	{"a mesh and a member have room for so many", valueRoom},
	{"no more values are added at once than fit", valueRace},
	{"meshes share nothing", valueMeshes},
}

var sharedValues = []sharedTest{
	{"a value and its signal are one transaction, and in one order", valueSignals},
}

// ample is room that no test fills.
var ample = store.Room{Mesh: 1000, Member: 1000}

func value(mesh *store.Mesh, key, json string) *store.Value {
	return &store.Value{MeshID: mesh.ID, Key: key, MemberID: "ada", Author: "Ада", At: now(), JSON: []byte(json)}
}

// add writes a new value.
func (s *suite) add(v *store.Value) *store.Value {
	s.Helper()
	s.must(s.SetValue(s.ctx, v, nil, ample, nil))
	return v
}

func (s *suite) wantValue(want *store.Value) {
	s.Helper()
	got, err := s.Value(s.ctx, want.MeshID, want.Key)
	s.must(err)
	same(s, got, want)
}

func valueRoundTrip(s *suite) {
	m, _ := s.mesh(0)
	for i, json := range []string{
		`{"b":1,"a":2}`, `1.50e+03`, `"é ü \u00e9 \ud83d\ude00 <>& \\u0000"`, `false`, `0`, `""`, `[]`, `123456789012345678901234567890`,
	} {
		s.wantValue(s.add(value(m, fmt.Sprintf("Schlüssel %d 🗝", i), json)))
	}
	bare := &store.Value{MeshID: m.ID, Key: "bare", At: now(), JSON: []byte(`1`)}
	s.wantValue(s.add(bare))
	_, err := s.Value(s.ctx, m.ID, "none")
	s.wantErr(err, store.ErrNotFound)
}

func valueOver(s *suite) {
	m, _ := s.mesh(0)
	ada, bo := "ada", "bo"
	first := value(m, "k", `1`)
	s.wantErr(s.SetValue(s.ctx, first, &ada, ample, nil), store.ErrConflict)
	s.add(first)
	s.wantErr(s.SetValue(s.ctx, value(m, "k", `2`), nil, ample, nil), store.ErrConflict)
	s.wantErr(s.SetValue(s.ctx, value(m, "k", `2`), &bo, ample, nil), store.ErrConflict)
	s.wantValue(first)
	next := value(m, "k", `2`)
	next.MemberID, next.Author, next.At = "bo", "Bo", now().Add(-time.Hour)
	s.must(s.SetValue(s.ctx, next, &ada, store.Room{}, nil)) // it needs no room
	s.wantValue(next)
}

func valueDelete(s *suite) {
	m, _ := s.mesh(0)
	v := s.add(value(m, "k", `1`))
	s.wantErr(s.DeleteValue(s.ctx, m.ID, "k", "bo", nil), store.ErrConflict)
	s.wantErr(s.DeleteValue(s.ctx, m.ID, "other", "ada", nil), store.ErrConflict)
	s.wantValue(v)
	s.must(s.DeleteValue(s.ctx, m.ID, "k", "ada", nil))
	_, err := s.Value(s.ctx, m.ID, "k")
	s.wantErr(err, store.ErrNotFound)
	s.add(v)
}

func valuePages(s *suite) {
	m, _ := s.mesh(0)
	keys := []string{" ", "A", "B", "_", "a", "aa", "b", "ä", "中", "🗝"}
	for i := range keys {
		s.add(value(m, keys[len(keys)-1-i], `1`))
	}
	var got []string
	for after := ""; ; {
		page, err := s.ListValues(s.ctx, m.ID, after, 3)
		s.must(err)
		if len(page) == 0 {
			break
		}
		if len(page) > 3 {
			s.Fatalf("a page has %d values", len(page))
		}
		for _, v := range page {
			got = append(got, v.Key)
			same(s, v, value(m, v.Key, `1`))
			after = v.Key
		}
	}
	same(s, got, keys)
	none, err := s.ListValues(s.ctx, m.ID, "", 0)
	s.must(err)
	same(s, none, nil)
}

func valueKeys(s *suite) {
	m, _ := s.mesh(0)
	b, a := s.add(value(m, "b", `"long"`)), s.add(value(m, "a", `1`))
	got, err := s.ValueKeys(s.ctx, m.ID)
	s.must(err)
	a.JSON, b.JSON = nil, nil
	same(s, got, []*store.Value{a, b})
}

func valueRoom(s *suite) {
	m, _ := s.mesh(0)
	room := store.Room{Mesh: 3, Member: 2}
	set := func(member, key string) error {
		v := value(m, key, `1`)
		v.MemberID = member
		return s.SetValue(s.ctx, v, nil, room, nil)
	}
	s.must(set("ada", "1"))
	s.must(set("ada", "2"))
	wantFull(s, set("ada", "3"), store.FullError{Member: true, Most: 2})
	s.wantErr(set("ada", "2"), store.ErrConflict) // that is what the caller has to hear
	s.must(set("bo", "3"))
	wantFull(s, set("bo", "4"), store.FullError{Most: 3})
	if keys, err := s.ValueKeys(s.ctx, m.ID); err != nil || len(keys) != 3 {
		s.Errorf("%d values, error %v; want 3", len(keys), err)
	}
}

func wantFull(s *suite, err error, want store.FullError) {
	s.Helper()
	full, ok := errors.AsType[*store.FullError](err)
	if !ok || *full != want {
		s.Errorf("got error %v, want %v", err, &want)
	}
}

func valueRace(s *suite) {
	m, _ := s.mesh(0)
	const most, writers = 5, 12
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			v := value(m, fmt.Sprint(i), `1`)
			err := s.SetValue(s.ctx, v, nil, store.Room{Mesh: most, Member: most}, nil)
			if err != nil && !errors.Is(err, store.ErrExhausted) {
				s.Error(err)
			}
		})
	}
	all.Wait()
	if keys, err := s.ValueKeys(s.ctx, m.ID); err != nil || len(keys) != most {
		s.Errorf("%d values, error %v; want %d", len(keys), err, most)
	}
}

func valueMeshes(s *suite) {
	m, _ := s.mesh(0)
	other := &store.Mesh{ID: id("mesh", 2), Slug: "second", Name: "Second", OwnerKey: key(201), CreatedAt: now()}
	s.must(s.CreateMesh(s.ctx, other, nil))
	here, there := s.add(value(m, "k", `1`)), s.add(value(other, "k", `2`))
	s.must(s.DeleteValue(s.ctx, other.ID, "k", "ada", nil))
	s.wantValue(here)
	s.add(there)
	list, err := s.ListValues(s.ctx, other.ID, "", 10)
	s.must(err)
	same(s, list, []*store.Value{there})
}

func valueSignals(s *shared) {
	m, _ := s.mesh(0)
	ada := "ada"
	last, err := s.brokers[0].LastSignal(s.ctx)
	s.must(err)
	sig := func(text string) *store.Signal { return &store.Signal{Kind: store.SignalNotice, Payload: []byte(text)} }

	s.must(s.brokers[0].SetValue(s.ctx, value(m, "k", `1`), nil, ample, sig("new")))
	s.wantErr(s.brokers[1].SetValue(s.ctx, value(m, "k", `2`), nil, ample, sig("not new")), store.ErrConflict)
	s.wantErr(s.brokers[1].SetValue(s.ctx, value(m, "more", `2`), nil, store.Room{}, sig("no room")), store.ErrExhausted)
	s.must(s.brokers[1].SetValue(s.ctx, value(m, "k", `3`), &ada, ample, sig("over")))
	s.wantErr(s.brokers[2].DeleteValue(s.ctx, m.ID, "k", "bo", sig("not bo's")), store.ErrConflict)
	s.must(s.brokers[2].DeleteValue(s.ctx, m.ID, "k", "ada", sig("deleted")))

	list, err := s.brokers[0].SignalsAfter(s.ctx, last, 10)
	s.must(err)
	var got []string
	for _, sig := range list {
		got = append(got, sig.Kind+" "+string(sig.Payload))
	}
	same(&s.suite, got, []string{"notice new", "notice over", "notice deleted"})
}
