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

	mu     sync.Mutex
	begun  bool
	stages map[*Stage]bool
	life   *life         // nil while there is no process
	why    error         // why there is none
	tried  chan struct{} // closed when the first process is up or has failed
}

// life is a process that has said what it is.
type life struct {
	process *process.Process
	client  pluginpb.PluginClient
	program *Program
}

// errStopped is why there is no process after a stop.
var errStopped = errors.New("it was stopped")

// refusal is an error that the next process would repeat: what is wrong is the
// config or the program.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

func isRefusal(err error) bool {
	_, ok := errors.AsType[refusal](err)
	return ok
}

func newWorker(h *Host, key string, first *Stage) *worker {
	w := &worker{
		host: h, key: key, link: first.link, program: first.lend(), log: first.log, stages: make(map[*Stage]bool),
		why: errors.New("it has not been started"), tried: make(chan struct{}),
	}
	r := w.link.Plugin.Restart
	w.sup = supervise.New(supervise.Options{
		Name:  w.link.Name,
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
func (w *worker) broken(proc *process.Process, reason string, why error) {
	if reason != "stream" {
		w.kill(proc, reason, why)
		return
	}
	go func() {
		select {
		case <-proc.Done():
		case <-time.After(endsSoon):
			w.kill(proc, reason, why)
		}
	}()
}

// kill ends a process that has to be replaced, unless it already was.
func (w *worker) kill(proc *process.Process, reason string, why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.life == nil || w.life.process != proc {
		return
	}
	w.log.Warn("plugin is replaced", slog.String("reason", reason), slog.Any("err", why))
	w.sup.Kill(reason)
}

// output passes on what the program prints.
func (w *worker) output(stream, line string) {
	w.log.Info("plugin prints", slog.String("stream", stream), slog.String("line", line))
}

// up makes a process ready: it is asked what it is, and every stage is
// configured in it. A stage that it refuses does not keep the others from it.
func (w *worker) up(l supervise.Life) error {
	defer w.try()
	proc := l.(*process.Process)
	program, err := w.host.ask(context.Background(), proc.Conn())
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.why = err
		return err
	}
	w.life = &life{process: proc, client: pluginpb.NewPluginClient(proc.Conn()), program: program}
	for s := range w.stages {
		if err := w.configure(context.Background(), s); err != nil {
			w.log.Error("plugin stage not configured", slog.String("link", s.link.Name), slog.Any("err", err))
			s.isDown(err, false)
		}
	}
	return nil
}

// lost says that the process has ended; the next one is started at once.
func (w *worker) lost(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.life, w.why = nil, why
	if why == nil {
		why = errStopped
	}
	for s := range w.stages {
		s.isDown(why, !errors.Is(why, errStopped))
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
// is not; then the next process configures it.
func (w *worker) join(ctx context.Context, s *Stage) error {
	err := w.begin(ctx, s.link.Required)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stages[s] = true
	switch {
	case w.life != nil:
		err = w.configure(ctx, s)
	case err == nil:
		err = w.away()
	}
	if err != nil {
		s.isDown(err, true)
		return fmt.Errorf("plugin %s: %w", s.link.Name, err)
	}
	return nil
}

// away says why there is no process. The caller holds w.mu.
func (w *worker) away() error {
	if w.sup.State().Phase == supervise.Quarantined {
		return fmt.Errorf("its program is quarantined after too many crashes; when it is mended, run broker plugin resume %s: %w",
			w.link.Name, w.why)
	}
	return fmt.Errorf("its process has ended: %w", w.why)
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

// configure makes a stage's instance in the process that runs. The caller holds
// w.mu.
func (w *worker) configure(ctx context.Context, s *Stage) error {
	info, err := w.judge(ctx, s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	l := s.link
	instance := w.host.nextInstance(l.Name)
	r, err := w.life.client.Configure(ctx, &pluginpb.ConfigureRequest{
		Instance: instance, Stage: info.Name, Link: l.Name, Options: s.options,
		Granted: l.Plugin.Grants, InFlight: uint32(l.Plugin.InFlight),
	})
	if err != nil {
		return fmt.Errorf("the plugin could not be configured: %s", reason(err))
	}
	if err := diagnosed(l.Name, r.GetDiagnostics()); err != nil {
		return refusal{err}
	}
	said := info.match
	if r.GetHasMatch() {
		said = r.GetMatch()
	}
	match, err := matchOf(said)
	if err != nil {
		return refusal{err}
	}
	proc := w.life.process
	err = s.hop.Load().Up(hop.Session{
		Conn: proc.Conn(), Instance: instance, Stream: w.life.program.has(featureStream),
		Window: int(r.GetInFlight()), Idempotent: info.Idempotent,
		Observes: info.Observes && s.observes() && w.life.program.has(featureObserve),
		Broken:   func(reason string, err error) { w.broken(proc, reason, err) },
	})
	if err != nil {
		return fmt.Errorf("no stream to the plugin: %s", reason(err))
	}
	s.instance = instance
	s.match.Store(&match)
	s.down.Store(nil)
	return nil
}

// judge returns the stage's description, or what is wrong with its link.
func (w *worker) judge(ctx context.Context, s *Stage) (*Info, error) {
	info, err := fit(s.link, w.life.program)
	if err == nil {
		err = checkSchema(s.link.Name, info.Schema, s.options)
	}
	if err != nil {
		return nil, refusal{err}
	}
	if err := validate(ctx, w.life.client, s.link, info.Name, s.options); err != nil {
		return nil, refusal{err}
	}
	return info, nil
}

// isDown says that the stage cannot be asked. With wait, its next process is
// expected soon.
func (s *Stage) isDown(why error, wait bool) {
	s.down.Store(&why)
	s.hop.Load().Down(why, wait)
}

// drain has the process let go of a stage's instance.
func (w *worker) drain(ctx context.Context, s *Stage) error {
	w.mu.Lock()
	l, instance := w.life, s.instance
	w.mu.Unlock()
	if l == nil || instance == "" {
		return nil
	}
	return l.drain(ctx, s.link.Name, instance)
}

func (l *life) drain(ctx context.Context, link, instance string) error {
	left := time.Duration(0)
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	r, err := l.client.Drain(ctx, &pluginpb.DrainRequest{Instance: instance, DeadlineNanos: int64(left)})
	switch {
	case err != nil:
		return fmt.Errorf("plugin stage %s: not drained: %s", link, reason(err))
	case r.GetUnfinished() > 0:
		return fmt.Errorf("plugin stage %s: gave up %d envelopes or outcomes", link, r.GetUnfinished())
	}
	return nil
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
