package app

import (
	"os"
	"runtime"
	"runtime/metrics"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/telemetry"
)

// ownProcess writes what this process costs the machine, under the names
// that Prometheus' own libraries use.
func ownProcess(t *telemetry.Text) {
	t.Gauge("go_goroutines", "Goroutines", int64(runtime.NumGoroutine()))
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
	}
	metrics.Read(samples)
	t.Gauge("go_memory_total_bytes", "Memory that the runtime has from the system", int64(samples[0].Value.Uint64()))                   //nolint:gosec // bytes
	t.Gauge("go_memory_heap_objects_bytes", "Memory of objects, those that nobody uses any more too", int64(samples[1].Value.Uint64())) //nolint:gosec // bytes
	t.Counter("go_gc_cycles_total", "Garbage collections", int64(samples[2].Value.Uint64()))                                            //nolint:gosec // a count
	if n, ok := openFiles(); ok {
		t.Gauge("process_open_fds", "Open files and sockets", n)
	}
}

// poolMetrics writes how the pool of connections to the database is used.
func poolMetrics(t *telemetry.Text, u store.Usage) {
	t.Gauge("broker_db_connections_in_use", "Connections to the database that somebody uses", u.InUse)
	t.Gauge("broker_db_connections_idle", "Connections to the database that nobody uses", u.Idle)
	t.Gauge("broker_db_connections_max", "Most connections that the pool makes", u.Most)
	t.Counter("broker_db_pool_waits_total", "Times that all connections were in use", u.Waited)
	t.Counter("broker_db_pool_wait_microseconds_total", "What these waited", u.WaitTime.Microseconds())
}

// openFiles counts this process' files, where the system lists them.
func openFiles() (int64, bool) {
	d, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0, false
	}
	defer d.Close() //nolint:errcheck // only read
	names, err := d.Readdirnames(-1)
	if err != nil {
		return 0, false
	}
	return int64(len(names)) - 1, true // one is d
}
