package app

import (
	"context"
	"log/slog"
	"os"
	"runtime/metrics"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/console"
	"github.com/claudemesh/broker/core/telemetry"
)

const (
	// consoleRefusals is how many refusals the operator's page shows.
	consoleRefusals = 200

	// consoleLongest is up to where the times of sends are told apart.
	consoleLongest = 16 * time.Second
)

// Console is what the operator's page is made of beside the broker itself.
type Console struct {
	Token config.Secret // what a browser has to show
	File  string        // the config file; empty without one

	// Loaded returns which config runs, and Check what a reload would do now. Check
	// may start programs: it is asked when a file has changed, and not more often.
	Loaded func() admin.Loaded
	Check  func(ctx context.Context) (*admin.Reload, error)
}

// consoleSource tells the operator's page how the broker is. What is read of
// counters is read at once; what asks the store, looks at each session, or reads
// files is remembered for some seconds.
type consoleSource struct {
	app     *App
	options Console
	log     *slog.Logger
	started time.Time
	host    string // empty when the system does not tell

	rows   *kept[consoleRows]
	dryRun *kept[dryRun]
	verify verifying
}

var _ console.Source = (*consoleSource)(nil)

func newConsoleSource(a *App, o Console) *consoleSource {
	s := &consoleSource{app: a, options: o, log: a.log, started: time.Now()}
	s.host, _ = os.Hostname()
	s.rows = newKept(rowsEvery, rowsRest, s.readRows)
	s.dryRun = newKept(dryRunEvery, 0, (&dryRuns{check: o.Check, mark: s.mark}).look)
	return s
}

// tasks are what the source does beside being asked, each until its context ends.
func (s *consoleSource) tasks() []func(context.Context) {
	return []func(context.Context){s.rows.run, s.dryRun.run}
}

// Snapshot implements [console.Source]. It is for all who watch, so the context
// of the one who happened to ask bounds nothing: it waits for a few seconds at
// most, and only for what nobody asked about for a while.
func (s *consoleSource) Snapshot(context.Context) (*console.Snapshot, error) {
	a := s.app
	rows, at, err := s.rows.get()
	if at.IsZero() {
		rows.sessions = a.dir.Count()
	}
	snapshot := &console.Snapshot{
		At: time.Now(), StoreAt: at, Chain: a.Chain().Describe(true), Reasons: a.options.Refusals.Counts(), Refusals: a.options.Refusals.List(consoleRefusals),
		Meshes: rows.meshes, Left: rows.left, Nodes: rows.nodes,
		Plugins: s.plugins(), Config: s.config(),
	}
	snapshot.Broker = s.broker(rows)
	snapshot.Broker.Warnings = append(aboutRows(snapshot.At, at, err), s.warnings()...)
	for _, c := range snapshot.Reasons {
		snapshot.Broker.Refused += c.Count
	}
	return snapshot, nil
}

// broker says how this process is.
func (s *consoleSource) broker(rows consoleRows) console.Broker {
	a := s.app
	c := a.Config()
	sends := timing(a.exchange.Counters.Latency.Series(consoleLongest))
	b := console.Broker{
		Version: a.options.Version, Host: s.host, Store: c.Store.Engine(), Started: s.started,
		Peers: a.hub.Count(), Sessions: rows.sessions,
		Frames: uint64(a.exchange.Counters.Frames.Load()), Confirmed: uint64(a.engine.Counters.Confirmed.Load()), //nolint:gosec // counts
		Routed: sends.Count, Sends: sends, Queue: rows.waiting, Oldest: rows.oldest,
		Memory: memory(), CPU: cpuTime(),
	}
	if n := a.options.Cluster; n != nil {
		b.Node, b.Bus = n.ID(), string(c.BusKind())
	}
	return b
}

// warnings says what is wrong with the whole, beside the store.
func (s *consoleSource) warnings() (list []string) {
	a := s.app
	if a.gate.Draining() {
		list = append(list, "the broker is stopping")
	}
	required, _ := a.down()
	for _, link := range required {
		list = append(list, "not ready: the stage "+link+" is down, and it is required")
	}
	if n := a.options.Cluster; n != nil {
		if !n.Held() {
			list = append(list, "this replica's lease is over: it pushes nothing until the database answers")
		}
		if !n.BusUp() {
			list = append(list, "the bus is not connected: what other replicas do is seen some seconds late")
		}
	}
	return list
}

// config says what the chain was made of, and what a reload would make of it.
func (s *consoleSource) config() console.Config {
	c := console.Config{File: s.options.File}
	if s.options.Loaded != nil {
		c.Loaded = s.options.Loaded()
	}
	if run, _, _ := s.dryRun.get(); run.done {
		c.Reload, c.ReloadError, c.CheckedAt, c.CheckAgain = run.answer, run.refused, run.at, run.again
	}
	return c
}

// timing turns what counts towards upper bounds into what lies between them.
func timing(s telemetry.Series) chain.Timing {
	t := chain.Timing{Count: uint64(s.Count), Sum: time.Duration(s.Sum * float64(time.Second))} //nolint:gosec // counts
	below := int64(0)
	for _, b := range s.Buckets {
		t.Bounds = append(t.Bounds, time.Duration(b.UpTo*float64(time.Second)))
		t.Counts = append(t.Counts, uint64(b.Count-below)) //nolint:gosec // counts that rise
		below = b.Count
	}
	t.Counts = append(t.Counts, uint64(max(s.Count-below, 0))) //nolint:gosec // a count
	return t
}

// memory is what the process has from the system, in bytes.
func memory() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
