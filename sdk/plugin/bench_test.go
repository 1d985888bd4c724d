package plugin_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// BenchmarkProcess sends batches through the whole way, gRPC in memory and both
// sides in this process, with a window of 4 batches.
func BenchmarkProcess(b *testing.B) {
	for _, size := range []int{1, 16, 64} {
		for _, verdict := range []string{"continue", "refuse"} {
			b.Run(fmt.Sprintf("%d/%s", size, verdict), func(b *testing.B) {
				_, s := configured(b, judge(func(context.Context, *sdk.Envelope) (sdk.Decision, error) {
					if verdict == "refuse" {
						return sdk.Refuse("no", "not now"), nil
					}
					return sdk.Next(), nil
				}))
				batch := &pluginpb.Batch{}
				for i := range size {
					env := envelope(uint64(i+1), "0123456789abcdefghijABCDEFGHIJ01")
					env.Member, env.Session, env.Target, env.TargetKey = key(1), key(2), 1, key(3)
					batch.Envelopes = append(batch.Envelopes, env)
				}
				frame := &pluginpb.HostFrame{Batch: batch}
				b.ReportAllocs()
				b.ResetTimer()
				for n := range b.N / size {
					batch.Seq = uint64(n + 1)
					s.send(frame)
					if n >= 4 {
						s.verdicts()
					}
				}
			})
		}
	}
}
