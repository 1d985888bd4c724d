package supervise_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/pluginhost/process/processtest"
	"github.com/claudemesh/broker/core/pluginhost/supervise"
)

// BenchmarkRestart is the time from a SIGKILL to the first answer of the next
// process, after a first crash.
func BenchmarkRestart(b *testing.B) {
	for name, mtls := range map[string]bool{"plain": false, "mtls": true} {
		b.Run(name, func(b *testing.B) {
			var took time.Duration
			for b.Loop() {
				r := newReal(b, processtest.Serve, mtls, nil)
				if err := r.Start(b.Context()); err != nil {
					b.Fatal(err)
				}
				first := r.next(b)
				begun := time.Now()
				_ = syscall.Kill(first.PID(), syscall.SIGKILL)
				r.next(b)
				took += time.Since(begun)
				r.await(b, supervise.Up)
				if err := r.Stop(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(took.Microseconds())/float64(b.N)/1e3, "ms/restart")
		})
	}
}
