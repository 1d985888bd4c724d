package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost/hop"
	"github.com/claudemesh/broker/core/pluginhost/process"
	"github.com/claudemesh/broker/core/pluginhost/supervise"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// worker is a program that runs, with the stages that it serves. A stage that
// joins finds a process that runs already, or waits for the first one.
type worker struct {
	host    *Host
	key     string
	link    config.Link // of the first stage: how the program is started
	program *process.Program
	log     *slog.Logger
	sup     *supervise.Supervisor

	users int // guarded by host.mu

	mu     sync.Mutex // held for moments, never during a call of the plugin
	begun  bool
	stages map[*Stage]bool
	life   *life         // nil while there is no process
	lives  int           // so far
	why    error         // why there is none
	tried  chan struct{} // closed when the first process is up or has failed
}

// errStopped is why there is no process after a stop.
var errStopped = errors.New("it was stopped")

func newWorker(h *Host, key string, first *Stage) *worker {
	w := &worker{
		host: h, key: key, link: first.link, program: first.lend(), log: first.log, stages: make(map[*Stage]bool),
		why: errors.New("it has not been started"), tried: make(chan struct{}),
	}
	r := w.link.Plugin.Restart
	w.sup = supervise.New(supervise.Options{
		Name:  func() string { return w.name(nil) },
		Start: w.start,
		Up:    w.up,
		Down:  w.lost,
		Rest:  w.rest,
		Restart: supervise.Restart{
			First: r.First, Most: r.Most, Crashes: r.Crashes, Within: r.Within,
		},
		Log: h.o.Log,
	})
	return w
}

// start begins a life.
func (w *worker) start(ctx context.Context) (supervise.Life, error) {
	p := w.link.Plugin
	proc, err := process.Start(ctx, w.program, process.Options{
		RunDir: w.host.o.RunDir, Env: p.Env, Args: p.Args, MTLS: p.MTLS, StartTimeout: p.StartTimeout,
		Output: w.output,
	})
	if err != nil {
		w.mu.Lock()
		w.why = err
		w.mu.Unlock()
		w.try()
		return nil, err
	}
	return proc, nil
}

// try notes that a process is up or has failed. Only the supervisor calls it.
func (w *worker) try() {
	select {
	case <-w.tried:
	default:
		close(w.tried)
	}
}

// endsSoon is how long a process whose stream has ended may take to end too.
const endsSoon = 100 * time.Millisecond

// broken has a process replaced. One whose stream has ended is most often
// ending itself, and how it ends says more.
func (w *worker) broken(l *life, reason string, why error) {
	if reason != hop.BrokenStream {
		w.kill(l, reason, why)
		return
	}
	go func() {
		select {
		case <-l.process.Done():
		case <-time.After(endsSoon):
			w.kill(l, reason, why)
		}
	}()
}

// kill ends a process that has to be replaced, unless it was already. The lock
// keeps the next one from being the one that is ended.
func (w *worker) kill(l *life, reason string, why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.life != l || l.killed {
		return
	}
	l.killed = true
	w.log.Warn("plugin is replaced", slog.String("reason", reason), slog.Any("err", why))
	w.sup.Kill(reason)
}

// output passes on what the program prints.
func (w *worker) output(stream, line string) {
	w.log.Info("plugin prints", slog.String("stream", stream), slog.String("line", line))
}

// up makes a process known when it has said what it is. The stages configure
// themselves in it; one that it refuses does not keep the others from it.
func (w *worker) up(l supervise.Life) error {
	defer w.try()
	proc := l.(*process.Process)
	program, err := w.host.ask(context.Background(), proc.Conn(), w.host.o.Spans != nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.why = err
		return err
	}
	w.lives++
	w.life = &life{process: proc, client: pluginpb.NewPluginClient(proc.Conn()), program: program, number: w.lives}
	for s := range w.stages {
		s.tryNow()
	}
	return nil
}

// lost says that the process has ended; the next one is started at once.
func (w *worker) lost(why error) {
	wait := why != nil
	if !wait {
		why = errStopped
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.life, w.why = nil, why
	for s := range w.stages {
		s.life, s.instance = nil, ""
		s.isDown(why, wait)
	}
}

// rest says that the next process is started later, or, with no time, when an
// operator says so. Who would not live to see it does not wait for it.
func (w *worker) rest(why error, next time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s := range w.stages {
		if next.IsZero() || time.Until(next) > s.link.Plugin.HoldMax {
			s.isDown(why, false)
		}
	}
}

// join adds a stage. It returns when the stage is configured, or says why it
// is not; then it may be later.
func (w *worker) join(ctx context.Context, s *Stage) error {
	err := w.begin(ctx, s.link.Required)
	w.mu.Lock()
	w.stages[s] = true
	w.mu.Unlock()
	first := make(chan error, 1)
	go w.tend(s, first)
	if err == nil {
		select {
		case err = <-first:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		w.absent(s, err)
		return err // the chain says whose
	}
	return nil
}

// absent says why a stage is not there yet, when nothing else says so: callers
// wait for it since it was made.
func (w *worker) absent(s *Stage, why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.life == nil {
		s.isDown(why, w.sup.State().Phase != supervise.Quarantined)
	}
}

// away says why a stage finds no process. The caller holds w.mu.
func (w *worker) away(s *Stage) error {
	if w.sup.State().Phase == supervise.Quarantined {
		return fmt.Errorf("its program is quarantined after too many crashes; when it is mended, run broker plugin resume %s: %w",
			w.nameLocked(s), w.why)
	}
	return fmt.Errorf("its process has ended: %w", w.why)
}

// name returns a link that has a stage here now. It is another than that of a
// stage which may not stay, where there is another.
func (w *worker) name(but *Stage) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nameLocked(but)
}

func (w *worker) nameLocked(but *Stage) string {
	name := ""
	for s := range w.stages {
		if s != but && (name == "" || s.link.Name < name) {
			name = s.link.Name
		}
	}
	switch {
	case name != "":
		return name
	case but != nil:
		return but.link.Name
	default:
		return w.link.Name
	}
}

// begin starts the first process, if nobody has, and returns when it is up or
// has failed. One that is required is not tried again.
func (w *worker) begin(ctx context.Context, required bool) error {
	w.mu.Lock()
	begun := w.begun
	w.begun = true
	w.mu.Unlock()
	if begun {
		return nil
	}
	if required {
		return w.sup.Start(ctx)
	}
	if err := w.sup.Go(); err != nil {
		return err
	}
	select {
	case <-w.tried:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// outage is why a stage cannot be asked.
type outage struct {
	why  error
	wait bool // callers wait for its end
}

// isDown says that the stage cannot be asked. With wait, it is expected to be
// back soon. The caller holds the worker's lock.
func (s *Stage) isDown(why error, wait bool) {
	s.down.Store(&outage{why, wait})
	s.hop.Load().Down(why, wait)
}

// drain has the process let go of a stage's instance.
func (w *worker) drain(ctx context.Context, s *Stage) error {
	w.mu.Lock()
	l, instance := s.life, s.instance
	w.mu.Unlock()
	if l == nil {
		return nil
	}
	return l.drain(ctx, s.link.Name, instance)
}

// forget takes a stage out.
func (w *worker) forget(s *Stage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.stages, s)
}

// stop ends the process, which serves no stage any more.
func (w *worker) stop(ctx context.Context) error {
	w.mu.Lock()
	l := w.life
	w.mu.Unlock()
	var err error
	if l != nil {
		err = l.drain(ctx, w.link.Name, "")
	}
	return errors.Join(err, w.sup.Stop(ctx), w.program.Close())
}
