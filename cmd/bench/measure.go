package main

import (
	"context"
	"time"
)

// result is what one scenario measured on one server. Times are microseconds.
type result struct {
	Idle    int     `json:"idle,omitempty"` // connections beside the active ones
	Count   int64   `json:"count"`          // messages received, or connections made, in the measured time
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"per_second"`

	ServerCPU  float64 `json:"server_cpu_us"`    // of one message or connection, all replicas together
	LoadCPU    float64 `json:"generator_cpu_us"` // the same of the generator
	ServerBusy float64 `json:"server_busy"`      // part of the time that the server had its core
	LoadBusy   float64 `json:"generator_busy"`   // near 1 the generator was the bottleneck
	OthersBusy float64 `json:"others_busy"`      // cores that other processes, or other machines, had meanwhile
	P50        float64 `json:"p50_us,omitempty"` // end to end, or of a connection
	P95        float64 `json:"p95_us,omitempty"`
	P99        float64 `json:"p99_us,omitempty"`
	Worst      float64 `json:"worst_us,omitempty"`

	DatabaseCPU  float64 `json:"database_cpu_us,omitempty"` // of PostgreSQL, all its processes
	DatabaseBusy float64 `json:"database_busy,omitempty"`
	BusCPU       float64 `json:"bus_cpu_us,omitempty"` // of NATS

	Commits float64 `json:"commits,omitempty"`      // transactions of the group commit for a message
	Rowless float64 `json:"rowless,omitempty"`      // part of the messages that needed no queue row
	Drained float64 `json:"drained,omitempty"`      // part of the messages that were read from the queue
	Audited int64   `json:"audited,omitempty"`      // entries of the audit chains, which were verified
	Acked   int64   `json:"acknowledged,omitempty"` // messages acknowledged, before and after the measured time too

	Resident  float64 `json:"resident_kib,omitempty"`           // of one connection
	Collected float64 `json:"resident_collected_kib,omitempty"` // after a garbage collection

	Faults faults `json:"faults"`
	Denial string `json:"denial,omitempty"` // the first refusal
}

// warmth is the part of the measured time that the load runs before it.
const warmth = 0.2

// meter measures rates and CPU times over a while.
type meter struct {
	fleet     *fleet
	at        time.Time
	count     int64
	used      usage
	counters  counters
	generator time.Duration
	machine   time.Duration
}

// newMeter begins to measure.
func (f *fleet) newMeter(count int64) (*meter, error) {
	c, err := f.readCounters()
	if err != nil {
		return nil, err
	}
	used, err := f.processes.usage()
	if err != nil {
		return nil, err
	}
	f.latencies.Store(new(latencies))
	return &meter{fleet: f, at: time.Now(), count: count, used: used, counters: c, generator: ownCPU(), machine: machineCPU()}, nil
}

// read returns what was measured since the meter was made. count is the counter
// that newMeter got, now.
func (m *meter) read(count int64) (*result, error) {
	took := time.Since(m.at)
	now, err := m.fleet.processes.usage()
	if err != nil {
		return nil, err
	}
	used, own := now.sub(m.used), ownCPU()-m.generator
	others := max(0, machineCPU()-m.machine-used.sum()-own)
	l := m.fleet.latencies.Swap(new(latencies)) // what comes later does not count
	counted, err := m.fleet.readCounters()
	if err != nil {
		return nil, err
	}
	n := count - m.count
	each, wall := max(float64(n), 1), float64(took)
	return &result{
		Count: n, Seconds: took.Seconds(), Rate: float64(n) / took.Seconds(),
		ServerCPU: micros(used.servers) / each, LoadCPU: micros(own) / each,
		DatabaseCPU: micros(used.database) / each, BusCPU: micros(used.bus) / each,
		ServerBusy: float64(used.servers) / wall, LoadBusy: float64(own) / wall, OthersBusy: float64(others) / wall,
		DatabaseBusy: float64(used.database) / wall,
		Commits:      float64(counted.commits-m.counters.commits) / each,
		Rowless:      float64(counted.direct-m.counters.direct) / each,
		Drained:      float64(counted.drained-m.counters.drained) / each,
		P50:          micros(l.quantile(0.50)), P95: micros(l.quantile(0.95)), P99: micros(l.quantile(0.99)),
		Worst: micros(time.Duration(l.worst.Load())),
	}, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// during measures the messages that are received during so many seconds, after
// a while of warming up.
func (f *fleet) during(ctx context.Context, seconds float64) (*result, error) {
	length := time.Duration(seconds * float64(time.Second))
	if err := f.wait(ctx, time.Duration(warmth*float64(length))); err != nil {
		return nil, err
	}
	m, err := f.newMeter(f.received.Load())
	if err != nil {
		return nil, err
	}
	if err := f.wait(ctx, length); err != nil {
		return nil, err
	}
	return m.read(f.received.Load())
}

// closed measures a closed loop of the first senders, each with so many
// messages under way at a time.
func (f *fleet) closed(ctx context.Context, senders, window int, seconds float64) (*result, error) {
	f.refilling.Store(true)
	for _, p := range f.peers[:senders] {
		p.send(window)
	}
	r, err := f.during(ctx, seconds)
	if err != nil {
		return nil, err
	}
	return r, f.drain(ctx)
}

// finish ends all connections. Without an error, what went wrong with messages
// is added to the last result.
func (f *fleet) finish(results []*result, err error) ([]*result, error) {
	f.leave()
	if err != nil {
		return nil, err
	}
	last := results[len(results)-1]
	last.Faults, last.Acked = f.faults(), f.accepted.Load()
	if text := f.denial.Load(); text != nil {
		last.Denial = *text
	}
	return results, nil
}
