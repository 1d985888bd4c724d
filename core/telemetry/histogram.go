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
// 8 and so on. The last bucket is for what is larger.
type doubling [doublings + 1]atomic.Int64

func (d *doubling) observe(n uint64) {
	i := 0
	if n > 1 {
		i = min(bits.Len64(n-1), doublings)
	}
	d[i].Add(1)
}

// series reads the buckets up to the first bound that is not below largest; what
// lies behind counts in the total only. bound turns an upper bound into the unit
// of the series.
func (d *doubling) series(largest uint64, bound func(uint64) float64, values []string) Series {
	s := Series{Values: values}
	last := min(bits.Len64(max(largest, 1)-1), doublings-1)
	for i := range d {
		s.Count += d[i].Load()
		if i <= last {
			s.Buckets = append(s.Buckets, Bucket{UpTo: bound(1 << i), Count: s.Count})
		}
	}
	return s
}

// Histogram counts durations in buckets from 1 µs to 19 hours, each twice as
// wide as the one before. An observation costs two atomic additions, three for a
// second and more, and no memory. The zero value is ready to use. Methods may be
// called concurrently.
type Histogram struct {
	buckets doubling
	seconds atomic.Int64 // whole ones of the sum: nanoseconds would overflow after 15,000 weeks in the queue
	rest    atomic.Int64 // nanoseconds
}

// Observe counts one duration. One below zero, which clocks that disagree make,
// counts as none.
func (h *Histogram) Observe(d time.Duration) {
	d = max(d, 0)
	h.buckets.observe((uint64(d) + uint64(time.Microsecond) - 1) / uint64(time.Microsecond))
	if d >= time.Second {
		h.seconds.Add(int64(d / time.Second))
		d %= time.Second
	}
	h.rest.Add(int64(d))
}

// Series reads the durations, in seconds. Its buckets reach up to longest; what
// took longer is in the count and in the sum.
func (h *Histogram) Series(longest time.Duration, values ...string) Series {
	s := h.buckets.series(uint64(max(longest, 0)/time.Microsecond), func(us uint64) float64 {
		return (time.Duration(us) * time.Microsecond).Seconds()
	}, values)
	s.Sum = float64(h.seconds.Load()) + time.Duration(h.rest.Load()).Seconds()
	return s
}

// Sizes counts sizes of something in buckets from 1 up, each twice as wide as
// the one before. The zero value is ready to use. Methods may be called
// concurrently.
type Sizes struct {
	buckets doubling
	sum     atomic.Int64
}

// Observe counts one size. One below zero counts as 0.
func (s *Sizes) Observe(n int) {
	n = max(n, 0)
	s.buckets.observe(uint64(n))
	s.sum.Add(int64(n))
}

// Series reads the sizes. Its buckets reach up to largest.
func (s *Sizes) Series(largest int, values ...string) Series {
	out := s.buckets.series(uint64(max(largest, 0)), func(n uint64) float64 { return float64(n) }, values)
	out.Sum = float64(s.sum.Load())
	return out
}
