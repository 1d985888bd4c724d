package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Buckets of a latency: 64 for each doubling, so that a value is known to
// within 1.6 %. The last one begins above an hour.
const (
	bucketBits = 6
	perOctave  = 1 << bucketBits
	buckets    = (43 - bucketBits) * perOctave
)

// latencies counts how long things took. Methods may be called concurrently.
type latencies struct {
	counts [buckets]atomic.Uint32
	worst  atomic.Int64
}

// observe counts one duration.
func (l *latencies) observe(d time.Duration) {
	l.counts[bucketOf(int64(d))].Add(1)
	for {
		worst := l.worst.Load()
		if int64(d) <= worst || l.worst.CompareAndSwap(worst, int64(d)) {
			return
		}
	}
}

// bucketOf returns the bucket of a number of nanoseconds.
func bucketOf(ns int64) int {
	if ns < perOctave {
		return int(max(ns, 0))
	}
	shift := bits.Len64(uint64(ns)) - bucketBits - 1
	return min((shift+1)<<bucketBits+int(ns>>shift)-perOctave, buckets-1)
}

// upTo returns the first number of nanoseconds behind a bucket.
func upTo(bucket int) int64 {
	if bucket < perOctave {
		return int64(bucket) + 1
	}
	shift := bucket>>bucketBits - 1
	return int64(bucket&(perOctave-1)+perOctave+1) << shift
}

// count returns how many durations were observed.
func (l *latencies) count() (n int64) {
	for i := range l.counts {
		n += int64(l.counts[i].Load())
	}
	return n
}

// quantile returns a duration that the part q of all did not exceed.
func (l *latencies) quantile(q float64) time.Duration {
	rest := int64(q * float64(l.count()))
	for i := range l.counts {
		n := int64(l.counts[i].Load())
		if rest < n {
			return min(time.Duration(upTo(i)), time.Duration(l.worst.Load()))
		}
		rest -= n
	}
	return time.Duration(l.worst.Load())
}
