package webhookaudit

import (
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

func openTestSpill(t testing.TB, dir string, maxBytes int64) *spill {
	t.Helper()
	lock, ok, err := tryLock(filepath.Join(dir, lockFile))
	if !ok || err != nil {
		t.Fatal("the lock is taken", err)
	}
	s, err := openSpill(dir, lock, maxBytes, false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A spill is a queue, whatever is done with it, and however often it is closed
// and opened again.
func TestASpillIsAQueue(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		s := openTestSpill(t, dir, 1<<30)
		s.segmentSize = 500
		var model []batch
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				b := newBatch([][]byte{rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(rt, "event")}, 0)
				if lost, err := s.put(b); err != nil || lost.events != 0 {
					rt.Fatal(lost, err)
				}
				model = append(model, b)
			},
			"take": func(rt *rapid.T) {
				b, _, ok := s.head()
				if ok != (len(model) > 0) || ok && (b.id != model[0].id || string(b.body) != string(model[0].body)) {
					rt.Fatalf("the head is %q %v, want the first of %d", b.id, ok, len(model))
				}
				if !ok {
					return
				}
				if err := s.done(b); err != nil {
					rt.Fatal(err)
				}
				model = model[1:]
			},
			"reopen": func(rt *rapid.T) {
				if err := s.close(); err != nil {
					rt.Fatal(err)
				}
				s = openTestSpill(t, dir, 1<<30)
				s.segmentSize = 500
			},
			"": func(rt *rapid.T) {
				if got := s.waiting(); got != len(model) {
					rt.Fatalf("%d events wait, want %d", got, len(model))
				}
			},
		})
		if err := s.close(); err != nil {
			rt.Fatal(err)
		}
	})
}

func TestADamagedRecordEndsItsSegment(t *testing.T) {
	dir := t.TempDir()
	s := openTestSpill(t, dir, 1<<30)
	first, second := newBatch([][]byte{[]byte("1")}, 0), newBatch([][]byte{[]byte("2")}, 0)
	for _, b := range []batch{first, second} {
		if _, err := s.put(b); err != nil {
			t.Fatal(err)
		}
	}
	path := s.path(s.segments[len(s.segments)-1].number)
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, first.recordSize()+5); err != nil { // as a crash cuts it off
		t.Fatal(err)
	}
	s = openTestSpill(t, dir, 1<<30)
	defer s.close()
	third := newBatch([][]byte{[]byte("3")}, 0)
	if _, err := s.put(third); err != nil {
		t.Fatal(err)
	}
	for _, want := range []batch{first, third} {
		b, _, ok := s.head()
		if !ok || b.id != want.id {
			t.Fatalf("got %q %v, want %q", b.id, ok, want.id)
		}
		if err := s.done(b); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamageWhileRunningIsCounted(t *testing.T) {
	s := openTestSpill(t, t.TempDir(), 1<<30)
	defer s.close()
	for range 3 {
		if _, err := s.put(newBatch([][]byte{[]byte("1")}, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(s.path(s.segments[0].number), 10); err != nil {
		t.Fatal(err)
	}
	if _, lost, ok := s.head(); ok || lost.events != 3 {
		t.Errorf("lost %v, found one: %v; want 3 lost", lost, ok)
	}
	b := newBatch([][]byte{[]byte("2")}, 0)
	if _, err := s.put(b); err != nil {
		t.Fatal(err)
	}
	if got, _, ok := s.head(); !ok || got.id != b.id {
		t.Errorf("got %q %v, want %q", got.id, ok, b.id)
	}
}

func TestAFullSpillDropsItsOldestSegment(t *testing.T) {
	s := openTestSpill(t, t.TempDir(), 10_000)
	defer s.close()
	lost := 0
	for range 1000 {
		n, err := s.put(newBatch([][]byte{make([]byte, 100), make([]byte, 100)}, 0))
		if err != nil {
			t.Fatal(err)
		}
		lost += n.events
		if s.bytes > s.max {
			t.Fatalf("%d bytes, %d are the most", s.bytes, s.max)
		}
	}
	if s.waiting()+lost != 2000 {
		t.Errorf("%d wait and %d are lost, of 2000", s.waiting(), lost)
	}
}

func BenchmarkDone(b *testing.B) {
	r := newReceiver(b)
	w, err := New(r.options(nil))
	if err != nil {
		b.Fatal(err)
	}
	w.intake.begin()
	b.ReportAllocs()
	for b.Loop() {
		tell(w, 0, 1)
	}
}
