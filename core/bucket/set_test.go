package bucket_test

import (
	"fmt"
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/bucket"
)

var noon = time.Date(2026, 8, 3, 12, 0, 0, 0, time.UTC)

type name string

func (n name) Hash(seed maphash.Seed) uint64 { return maphash.String(seed, string(n)) }
func (n name) Keep() name                    { return n }

func newSet(count int, per time.Duration, burst, most int) *bucket.Set[name] {
	return bucket.New[name](bucket.Size{Count: count, Per: per, Burst: burst, Most: most}, noon)
}

func TestTake(t *testing.T) {
	const hold = -1 * time.Hour // a take at that time adds nothing
	tests := []struct {
		name  string
		count int
		per   time.Duration
		burst int
		takes []time.Duration // after noon
		want  []time.Duration // how long to wait; 0 is a token
	}{
		{"it gives a burst and then the rate", 1, time.Second, 2, []time.Duration{0, 0, 0, time.Second, time.Second}, []time.Duration{0, 0, time.Second, 0, time.Second}},
		{"it rounds the wait up", 7, time.Second, 1, []time.Duration{0, 0, 143 * time.Millisecond}, []time.Duration{0, 143 * time.Millisecond, 0}},
		{"it holds no more than a burst", 1, time.Second, 2, []time.Duration{time.Hour, time.Hour, time.Hour}, []time.Duration{0, 0, time.Second}},
		{"it adds nothing when time goes back", 1, time.Second, 1, []time.Duration{0, hold, 0, time.Second}, []time.Duration{0, time.Second, time.Second, 0}},
		{"it overflows with no time or rate", 1_000_000_000, time.Hour, 1, []time.Duration{0, 1 << 62}, []time.Duration{0, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSet(tt.count, tt.per, tt.burst, 0)
			for i, after := range tt.takes {
				peeked, could := s.Peek("ada", noon.Add(after))
				wait, ok := s.Take("ada", noon.Add(after))
				if wait != tt.want[i] || ok != (wait == 0) {
					t.Errorf("take %d: got %s, %v, want %s", i, wait, ok, tt.want[i])
				}
				if peeked != wait || could != ok {
					t.Errorf("take %d: a peek said %s, %v", i, peeked, could)
				}
			}
		})
	}
}

func TestCharge(t *testing.T) {
	tests := []struct {
		name    string
		charges int
		want    time.Duration // wait after them, of a bucket of 2 that gets 1 a second
	}{
		{"it leaves what is left", 1, 0},
		{"it empties the bucket", 2, time.Second},
		{"it goes below empty", 5, 4 * time.Second},
		{"it goes an hour below, and no further", 100_000, time.Hour + time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSet(1, time.Second, 2, 0)
			for range tt.charges {
				s.Charge("ada", noon)
			}
			if wait, ok := s.Peek("ada", noon); wait != tt.want || ok != (wait == 0) {
				t.Errorf("got %s, %v, want %s", wait, ok, tt.want)
			}
			if _, ok := s.Take("ada", noon.Add(tt.want)); !ok {
				t.Errorf("there is no token after %s", tt.want)
			}
		})
	}
}

func TestPeekRemembersNobody(t *testing.T) {
	s := newSet(1, time.Second, 2, 0)
	for i := range 1000 {
		s.Peek(name(fmt.Sprint(i)), noon)
	}
	if n := s.Len(); n != 0 {
		t.Errorf("%d are remembered", n)
	}
}

func TestSweep(t *testing.T) {
	tests := []struct {
		name    string
		count   int // a minute
		burst   int
		charges int // of each, beside one
		after   int // minutes
		want    int // of 1000 buckets
	}{
		{"it keeps a bucket that was used nine minutes ago", 60, 10, 0, 9, 1000},
		{"it forgets a bucket that was not used for ten minutes", 60, 10, 0, 10, 0},
		{"it keeps one that is not full by then", 1, 30, 29, 29, 1000},
		{"it forgets that one when it is full", 1, 30, 29, 30, 0},
		{"it keeps one that has not paid back", 1, 30, 39, 39, 1000},
		{"it forgets that one when it has", 1, 30, 39, 40, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSet(tt.count, time.Minute, tt.burst, 0)
			for i := range 1000 {
				for range tt.charges + 1 {
					s.Charge(name(fmt.Sprint("idle-", i)), noon)
				}
			}
			for i := range 1000 { // touches every shard
				s.Take(name(fmt.Sprint("busy-", i)), noon.Add(time.Duration(tt.after)*time.Minute))
			}
			if got := s.Len() - 1000; got != tt.want {
				t.Errorf("%d idle buckets are left, want %d", got, tt.want)
			}
		})
	}
}

// A flood of new callers costs no more memory than there may be callers, and
// frees nobody who has to wait.
func TestFlood(t *testing.T) {
	const most = 6400
	s := newSet(1, time.Minute, 10, most)
	for range 11 {
		s.Take("mallory", noon)
	}
	for i := range 20 * most {
		s.Take(name(fmt.Sprint("flood-", i)), noon.Add(time.Duration(i)*time.Microsecond))
	}
	if n := s.Len(); n > most || n < most*9/10 {
		t.Errorf("%d are remembered, want almost %d", n, most)
	}
	if _, ok := s.Take("mallory", noon.Add(time.Second)); ok {
		t.Error("who has to wait was forgotten")
	}
}

func TestFloodMemory(t *testing.T) {
	s := newSet(1, time.Minute, 10, 10_000)
	flood := func(from, to int) uint64 {
		for i := from; i < to; i++ {
			s.Take(name(fmt.Sprint("flood-", i)), noon)
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := flood(0, 50_000)
	after := flood(50_000, 500_000)
	if after > before+2<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	runtime.KeepAlive(s)
}

// A bucket is exact also when many take from it: no token twice, none lost.
func TestConcurrent(t *testing.T) {
	s := newSet(1, time.Hour, 1000, 640)
	var passed atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 200 {
				if _, ok := s.Take("ada", noon); ok {
					passed.Add(1)
				}
				s.Peek("ada", noon)
				s.Charge(name(fmt.Sprint(i, j)), noon.Add(-time.Second))
			}
		})
	}
	wg.Wait()
	if n := passed.Load(); n != 1000 {
		t.Errorf("%d of 3200 passed a bucket of 1000", n)
	}
}

func TestTakeDoesNotAllocate(t *testing.T) {
	s := newSet(1, time.Second, 10, 100)
	if n := testing.AllocsPerRun(1000, func() { s.Take("ada", noon); s.Peek("ada", noon); s.Charge("ada", noon) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkTake(b *testing.B) {
	b.Run("one", func(b *testing.B) {
		s, at := newSet(1_000_000, time.Second, 1000, 0), noon
		b.ReportAllocs()
		for b.Loop() {
			at = at.Add(time.Microsecond)
			s.Take("ada", at)
		}
	})
	b.Run("flood", func(b *testing.B) {
		s, names := newSet(1, time.Minute, 10, 1<<14), make([]name, 1<<17)
		for i := range names {
			names[i] = name(fmt.Sprint(i))
		}
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			s.Take(names[i%len(names)], noon)
			i++
		}
	})
}
