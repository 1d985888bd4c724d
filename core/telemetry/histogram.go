package telemetry

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// doublings is how many buckets of doubling width there are: up to 2^36 units,
// which is 19 hours for microseconds.
const doublings = 37

// doubling is a histogram of counts of some unit, with the upper bounds 1, 2, 4,
// 8 and so on. An observation costs two atomic additions and no memory.
type doubling struct {
	buckets [doublings + 1]atomic.Int64 // the last one is for what is larger
	sum     atomic.Int64
}

// observe counts n units; sum is what is added to the sum of all.
func (d *doubling) observe(n uint64, sum int64) {
	i := 0
	if n > 1 {
		i = min(bits.Len64(n-1), doublings)
	}
	d.buckets[i].Add(1)
	d.sum.Add(sum)
}

// series reads the buckets up to the first bound that is not below largest; what
// lies behind counts in the total only. bound turns an upper bound into the unit
// of the series.
func (d *doubling) series(largest uint64, bound func(uint64) float64, labels []Label) Series {
	s := Series{Labels: labels}
	last := min(bits.Len64(max(largest, 1)-1), doublings-1)
	for i := range d.buckets {
		s.Count += d.buckets[i].Load()
		if i <= last {
			s.Buckets = append(s.Buckets, Bucket{UpTo: bound(1 << i), Count: s.Count})
		}
	}
	return s
}

// Histogram counts durations in buckets from 1 µs to 19 hours, each twice as
// wide as the one before. The zero value is ready to use. Methods may be called
// concurrently.
type Histogram struct{ d doubling }

// Observe counts one duration. One below zero, which clocks that disagree make,
// counts as none.
func (h *Histogram) Observe(d time.Duration) {
	d = max(d, 0)
	h.d.observe((uint64(d)+uint64(time.Microsecond)-1)/uint64(time.Microsecond), int64(d))
}

// Series reads the durations, in seconds. Its buckets reach up to longest; what
// took longer is in the count and in the sum.
func (h *Histogram) Series(longest time.Duration, labels ...Label) Series {
	s := h.d.series(uint64(max(longest, 0)/time.Microsecond), func(us uint64) float64 {
		return (time.Duration(us) * time.Microsecond).Seconds()
	}, labels)
	s.Sum = time.Duration(h.d.sum.Load()).Seconds()
	return s
}

// Sizes counts sizes of something in buckets from 1 up, each twice as wide as
// the one before. The zero value is ready to use. Methods may be called
// concurrently.
type Sizes struct{ d doubling }

// Observe counts one size. One below zero counts as 0.
func (s *Sizes) Observe(n int) {
	n = max(n, 0)
	s.d.observe(uint64(n), int64(n))
}

// Series reads the sizes. Its buckets reach up to largest.
func (s *Sizes) Series(largest int, labels ...Label) Series {
	out := s.d.series(uint64(max(largest, 0)), func(n uint64) float64 { return float64(n) }, labels)
	out.Sum = float64(s.d.sum.Load())
	return out
}
