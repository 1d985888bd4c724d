package telemetry

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHistogram(t *testing.T) {
	t.Parallel()
	var h Histogram
	for _, d := range []time.Duration{
		-time.Second, 0, 1, time.Microsecond, time.Microsecond + 1, 2 * time.Microsecond, 3 * time.Microsecond,
		4 * time.Microsecond, 5 * time.Microsecond, time.Hour, 1000 * time.Hour,
	} {
		h.Observe(d)
	}
	want := Series{
		Values:  []string{"queue"},
		Buckets: []Bucket{{1e-6, 4}, {2e-6, 6}, {4e-6, 8}},
		Count:   11,
		Sum:     (1001*time.Hour + 16*time.Microsecond + 2).Seconds(),
	}
	if diff := cmp.Diff(want, h.Series(3*time.Microsecond, "queue")); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
	all := h.Series(1 << 62).Buckets
	if last := all[len(all)-1]; len(all) != doublings || last.UpTo < (19*time.Hour).Seconds() || last.Count != 10 {
		t.Errorf("%d buckets, the last %+v; want %d, with all but the longest in them", len(all), last, doublings)
	}
}

// TestTheSumOfLongWaits has more nanoseconds than fit into 64 bits.
func TestTheSumOfLongWaits(t *testing.T) {
	t.Parallel()
	var h Histogram
	const week, n = 7 * 24 * time.Hour, 20_000
	for range n {
		h.Observe(week)
	}
	if got, want := h.Series(time.Second).Sum, n*week.Seconds(); got != want {
		t.Errorf("the sum is %v s, want %v", got, want)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	var s Sizes
	for _, n := range []int{-1, 0, 1, 2, 3, 4, 256, 257} {
		s.Observe(n)
	}
	want := Series{
		Buckets: []Bucket{{1, 3}, {2, 4}, {4, 6}, {8, 6}, {16, 6}, {32, 6}, {64, 6}, {128, 6}, {256, 7}},
		Count:   8, Sum: 523,
	}
	if diff := cmp.Diff(want, s.Series(256)); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

func TestObserveAllocatesNothing(t *testing.T) {
	var h Histogram
	var s Sizes
	if n := testing.AllocsPerRun(100, func() { h.Observe(time.Millisecond); s.Observe(7) }); n != 0 {
		t.Errorf("%v allocations for two observations", n)
	}
}
