package identity

import (
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestNewID(t *testing.T) {
	shape := regexp.MustCompile(`^[A-Za-z0-9]{32}$`)
	counts := map[rune]int{}
	seen := map[string]bool{}
	const ids = 20_000
	for range ids {
		id := NewID()
		if !shape.MatchString(id) {
			t.Fatalf("got %q, want 32 letters and digits", id)
		}
		if seen[id] {
			t.Fatalf("got %q twice, want it once", id)
		}
		seen[id] = true
		for _, r := range id {
			counts[r]++
		}
	}
	// 10,323 of each are expected; 8 standard deviations are about 800.
	want := ids * IDSize / len(idAlphabet)
	for _, r := range idAlphabet {
		if d := counts[r] - want; d < -800 || d > 800 {
			t.Errorf("got %d times %q, want about %d", counts[r], r, want)
		}
	}
}

func TestNewUUID(t *testing.T) {
	shape := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for range 1000 {
		u := NewUUID()
		if !shape.MatchString(u) || seen[u] {
			t.Fatalf("got %q, want a new version 4 UUID", u)
		}
		seen[u] = true
	}
}

func TestIDsAreUniqueAcrossGoroutines(t *testing.T) {
	const goroutines, each = 32, 500
	made := make([][]string, goroutines)
	var wg sync.WaitGroup
	for g := range made {
		wg.Go(func() {
			for range each {
				made[g] = append(made[g], NewID(), NewUUID())
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, ids := range made {
		for _, id := range ids {
			if seen[id] {
				t.Fatalf("got %q twice, want it once", id)
			}
			seen[id] = true
		}
	}
}

func TestIDAllocations(t *testing.T) {
	if got := testing.AllocsPerRun(1000, func() { NewID() }); got > 1 {
		t.Errorf("NewID: got %v allocations, want at most 1", got)
	}
	if got := testing.AllocsPerRun(1000, func() { NewUUID() }); got > 1 {
		t.Errorf("NewUUID: got %v allocations, want at most 1", got)
	}
}

func TestNewInviteCode(t *testing.T) {
	counts := map[rune]int{}
	for range 4000 {
		code := NewInviteCode()
		if len(code) != InviteCodeSize {
			t.Fatalf("got %q, want %d characters", code, InviteCodeSize)
		}
		for _, r := range code {
			if !strings.ContainsRune(codeAlphabet, r) {
				t.Fatalf("got %q, want only %s", code, codeAlphabet)
			}
			counts[r]++
		}
	}
	if len(counts) != len(codeAlphabet) {
		t.Errorf("got %d different characters, want all %d", len(counts), len(codeAlphabet))
	}
}

func BenchmarkNewID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewID()
	}
}

func BenchmarkNewIDParallel(b *testing.B) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			NewID()
		}
	})
}

func BenchmarkNewUUID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewUUID()
	}
}

func TestMessageIDsSortByTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	before := NewMessageID(at)
	for _, later := range []time.Duration{time.Microsecond, time.Second, 24 * time.Hour, 100 * 365 * 24 * time.Hour} {
		id := NewMessageID(at.Add(later))
		if len(id) != IDSize || id <= before {
			t.Errorf("%v later: got %q after %q, want 32 characters that sort behind it", later, id, before)
		}
	}
	if a, b := NewMessageID(at), NewMessageID(at); a == b || a[:timeDigits] != b[:timeDigits] {
		t.Errorf("two ids of one moment: got %q and %q, want the same time and different ends", a, b)
	}
}

// Ids that were made within one millisecond could be equal, and the rows that came
// later vanished.
func TestFlawExt60IDsOfOneMomentDiffer(t *testing.T) {
	const count = 100_000
	now, seen := time.Now(), make(map[string]bool, 2*count)
	for range count {
		seen[NewID()] = true
		seen[NewMessageID(now)] = true
	}
	if len(seen) != 2*count {
		t.Errorf("%d ids, want %d", len(seen), 2*count)
	}
}
