package exchange

import (
	"maps"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Reasons counts refusals by reason. The zero value is ready to use.
type Reasons struct {
	mu     sync.Mutex
	counts map[sdk.Reason]int64
}

// Add counts one refusal.
func (r *Reasons) Add(reason sdk.Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = map[sdk.Reason]int64{}
	}
	r.counts[reason]++
}

// Snapshot returns a copy of the counts.
func (r *Reasons) Snapshot() map[sdk.Reason]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}

// latencyBuckets hold 1 µs, 2 µs, 4 µs … 16 s.
const latencyBuckets = 25

// Latency is a histogram with buckets of doubling width. The zero value is
// ready to use.
type Latency struct {
	buckets [latencyBuckets]atomic.Int64
	sum     atomic.Int64 // nanoseconds
}

// Observe counts one duration.
func (l *Latency) Observe(d time.Duration) {
	i := min(bits.Len64(uint64(max(d.Microseconds(), 0))), latencyBuckets-1)
	l.buckets[i].Add(1)
	l.sum.Add(int64(d))
}

// Snapshot calls f for each bucket, with its upper bound and the number of
// durations up to it, and returns the number and the sum of all.
func (l *Latency) Snapshot(f func(upTo time.Duration, n int64)) (count int64, sum time.Duration) {
	for i := range l.buckets {
		count += l.buckets[i].Load()
		f(time.Duration(1<<i)*time.Microsecond, count)
	}
	return count, time.Duration(l.sum.Load())
}
