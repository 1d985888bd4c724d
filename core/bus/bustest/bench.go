package bustest

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// Bench measures what Publish costs its caller, and how long a message of 200
// bytes takes from one node to another when nothing else happens.
func Bench(b *testing.B, newRig func(tb testing.TB) Rig) {
	data := make([]byte, 200)
	b.Run("publish", func(b *testing.B) {
		r := newRig(b)
		from, to := r.open(b), r.open(b)
		var received atomic.Uint64
		to.Subscribe("bench.publish", func([]byte) { received.Add(1) })
		linked(b, from, to)
		b.ReportAllocs()
		for sent := uint64(0); b.Loop(); {
			from.Publish("bench.publish", data)
			if sent++; sent%1000 == 0 { // no buffer is to overflow
				b.StopTimer()
				eventually(b, "all arrive", func() bool { return received.Load() == sent })
				b.StartTimer()
			}
		}
	})
	b.Run("latency", func(b *testing.B) {
		r := newRig(b)
		from, to := r.open(b), r.open(b)
		heard := make(chan time.Time, 1)
		to.Subscribe("bench.latency", func([]byte) { heard <- time.Now() })
		linked(b, from, to)
		var took []time.Duration
		for b.Loop() {
			start := time.Now()
			from.Publish("bench.latency", data)
			took = append(took, (<-heard).Sub(start))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-µs")
		b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-µs")
	})
}
