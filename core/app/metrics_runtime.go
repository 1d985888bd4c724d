package app

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/claudemesh/broker/core/telemetry"
)

// buildMetrics gives which program this is, as labels of a 1.
func (a *App) buildMetrics(to telemetry.To) {
	to.Gauges("broker_build_info", "Always 1: which release this is",
		labels(by("version", "version of the broker"), by("revision", "commit that it was built from, or unknown"), by("go_version", "version of Go")),
		[]telemetry.Sample{sample(1, a.options.Version, gitSHA(*a.config.Load()), runtime.Version())})
}

// runtimeMetrics gives how Go's runtime is, under the names that Prometheus' own
// libraries use.
func runtimeMetrics(to telemetry.To) {
	to.Gauges("go_info", "Always 1: which Go this is built with", labels(by("version", "version of Go")), []telemetry.Sample{sample(1, runtime.Version())})
	to.Gauge("go_goroutines", "Goroutines", float64(runtime.NumGoroutine()))
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/sched/gomaxprocs:threads"},
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/gomemlimit:bytes"},
	}
	metrics.Read(samples)
	number := func(i int) float64 { return float64(samples[i].Value.Uint64()) }
	to.Gauge("go_sched_gomaxprocs_threads", "Threads that run Go code at once, at most", number(2))
	to.Gauge("go_memstats_sys_bytes", "Memory that the runtime has from the system", number(0))
	to.Gauge("go_memstats_heap_alloc_bytes", "Memory of objects, those that nobody uses any more too", number(1))
	to.Counter("go_memstats_alloc_bytes_total", "Memory of all objects ever made", number(3))
	to.Gauge("go_gc_gomemlimit_bytes", "Memory that the garbage collector tries to stay below", number(4))
	var gc debug.GCStats
	debug.ReadGCStats(&gc)
	to.Summaries("go_gc_duration_seconds", "How long garbage collections stopped the program", nil,
		telemetry.Series{Count: gc.NumGC, Sum: gc.PauseTotal.Seconds()})
}
