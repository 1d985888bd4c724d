package hop_test

import (
	"testing"
)

// BenchmarkAsk is an envelope there and back, gRPC in memory and both sides in
// this process: one caller, and many whose envelopes share batches. Nothing is
// sampled.
func BenchmarkAsk(b *testing.B) {
	for name, parallel := range map[string]int{"one": 0, "many": 32} {
		b.Run(name, func(b *testing.B) {
			h := up(b, options(), &fake{})
			b.ReportAllocs()
			if parallel == 0 {
				env := message(1)
				for b.Loop() {
					if _, err := h.Ask(b.Context(), env); err != nil {
						b.Fatal(err)
					}
				}
				return
			}
			b.SetParallelism(parallel)
			b.RunParallel(func(pb *testing.PB) {
				env := message(1)
				for pb.Next() {
					if _, err := h.Ask(b.Context(), env); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
