package process_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/pluginhost/process"
	"github.com/claudemesh/broker/core/pluginhost/process/processtest"
)

// BenchmarkLife is a start, a call, and an end that was asked for.
func BenchmarkLife(b *testing.B) {
	for name, mtls := range map[string]bool{"plain": false, "mtls": true} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, processtest.Serve)
			r.options.MTLS = mtls
			var starts, stops time.Duration
			for b.Loop() {
				begun := time.Now()
				p, err := process.Start(context.Background(), r.prog, r.options)
				if err != nil {
					b.Fatal(err)
				}
				ask(b, p, processtest.Ping, "")
				starts += time.Since(begun)
				begun = time.Now()
				if err := p.Stop(context.Background()); err != nil {
					b.Fatal(err)
				}
				stops += time.Since(begun)
			}
			b.ReportMetric(float64(starts.Microseconds())/float64(b.N)/1e3, "ms/start")
			b.ReportMetric(float64(stops.Microseconds())/float64(b.N)/1e3, "ms/stop")
		})
	}
}

// BenchmarkKill is the time from a SIGKILL to the reaping.
func BenchmarkKill(b *testing.B) {
	r := newRig(b, processtest.Serve)
	var took time.Duration
	for b.Loop() {
		p, err := process.Start(context.Background(), r.prog, r.options)
		if err != nil {
			b.Fatal(err)
		}
		begun := time.Now()
		_ = syscall.Kill(p.PID(), syscall.SIGKILL)
		<-p.Done()
		took += time.Since(begun)
		_ = p.Stop(context.Background())
	}
	b.ReportMetric(float64(took.Microseconds())/float64(b.N)/1e3, "ms/kill")
}
