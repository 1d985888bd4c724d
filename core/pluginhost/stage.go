package pluginhost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/pluginhost/hop"
	"github.com/claudemesh/broker/core/pluginhost/process"
	"github.com/claudemesh/broker/sdk"
)

// Stage is a link's stage, somewhere in a plugin's process. It implements what
// the chain asks of a stage, built in or not.
type Stage struct {
	host    *Host
	link    config.Link
	options []byte
	path    string // of the program
	hash    string
	log     *slog.Logger

	mu      sync.Mutex       // one start or stop at a time
	program *process.Program // nil when a worker has it
	gone    bool

	ctx    context.Context // over when Stop is called
	cancel context.CancelFunc
	wake   chan struct{} // has it configured now, if it is not; holds one
	tended chan struct{} // closed when nothing configures it any more

	worker atomic.Pointer[worker]    // nil before Start
	hop    atomic.Pointer[hop.Hop]   // nil before Start
	match  atomic.Pointer[sdk.Match] // nil until it was configured
	down   atomic.Pointer[outage]    // nil when it can be asked
	kinds  atomic.Pointer[[]Kind]    // that it owns; nil until it was configured

	// Guarded by worker.mu.
	life     *life // that it is configured in; nil: it is not
	instance string
}

// Compile-time list of what the chain looks for.
var (
	_ sdk.Stage       = (*Stage)(nil)
	_ sdk.Selector    = (*Stage)(nil)
	_ sdk.Starter     = (*Stage)(nil)
	_ sdk.Stopper     = (*Stage)(nil)
	_ chain.Keyed     = (*Stage)(nil)
	_ chain.Health    = (*Stage)(nil)
	_ chain.Submitter = (*Stage)(nil)
	_ chain.Remote    = (*Stage)(nil)
	_ chain.Dated     = hop.Ticket(nil)
	_ chain.Dated     = unasked{}
)

// errNotStarted is the health of a stage before its start.
var errNotStarted = errors.New("it has not been started")

func (h *Host) newStage(link config.Link) (*Stage, error) {
	options, err := optionsOf(link)
	if err != nil {
		return nil, err
	}
	program, err := process.Open(link.Plugin.Path, link.Plugin.SHA256)
	if err != nil {
		return nil, err
	}
	s := &Stage{
		host: h, link: link, options: options, program: program, path: program.Path(), hash: program.Hash(),
		log: h.o.Log.With(slog.String("link", link.Name), slog.String("plugin", link.Plugin.Path)),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wake, s.tended = make(chan struct{}, 1), make(chan struct{})
	s.down.Store(&outage{errNotStarted, true})
	return s, nil
}

// programKey names all that the process is started from. Stages with equal keys
// share a process.
func (s *Stage) programKey() string {
	p := s.link.Plugin
	return keyOf(s.path, s.hash, p.SHA256, p.Args, p.Env, p.MTLS, p.StartTimeout, p.Restart)
}

// lend gives the open program to a worker, which closes it.
func (s *Stage) lend() *process.Program {
	p := s.program
	s.program = nil
	return p
}

// Key implements [chain.Keyed]: all that the stage was made from. Where the
// program's file was replaced, the key differs although the config does not.
func (s *Stage) Key() string {
	l := s.link
	return keyOf(s.programKey(), string(s.options), l.Plugin, l.OnFailure, l.Then, l.Deadline, l.Required)
}

func keyOf(parts ...any) string {
	b, err := json.Marshal(parts)
	if err != nil {
		return "" // never carried over; the parts are plain data, so it does not happen
	}
	return string(b)
}

// Start implements [sdk.Starter]. It returns when the stage is configured in a
// running process. An error means that the stage cannot run as it is
// configured; a stage that is not required, and whose process merely does not
// come up, starts without it.
func (s *Stage) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	joining, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	s.hop.Store(hop.New(s.hopOptions()))
	w, err := s.host.worker(s)
	if err != nil {
		return err
	}
	s.worker.Store(w)
	switch err = w.join(joining, s); {
	case err == nil:
		s.host.serves(s)
		return nil
	case !s.link.Required && !isRefusal(err):
		s.log.Warn("started without the plugin, which may come later", slog.Any("err", err))
		s.host.serves(s)
		return nil
	}
	return errors.Join(err, s.stop(ctx))
}

func (s *Stage) hopOptions() hop.Options {
	l, p := s.link, s.link.Plugin
	o := hop.Options{
		Link: l.Name, Deadline: l.Deadline, Window: p.InFlight, Overload: hop.Overload(p.Overload),
		HangAfter: p.HangAfter, Counters: s.host.hopCounters(l.Name), Log: s.log, Tracer: s.host.o.Tracer, Spans: s.host.o.Spans,
		Breaker: hop.BreakerOptions{
			Failures: p.Breaker.Failures, Batches: p.Breaker.Batches, Misses: p.Breaker.Misses, Open: p.Breaker.Open,
		},
	}
	if o.Deadline == 0 { // as long as it needs; by then it is replaced
		o.Deadline = hop.StuckAfter * p.HangAfter
	}
	if l.OnFailure == config.Hold {
		o.HoldMax, o.HoldQueue = p.HoldMax, p.HoldQueue
	}
	for _, g := range p.Grants {
		o.Rights.Grant(g) // the config knows the same names
	}
	return o
}

// Stop implements [sdk.Stopper]: what is under way is finished, as far as ctx
// and the link's drain_timeout allow, and the process is ended with its last
// stage.
func (s *Stage) Stop(ctx context.Context) error {
	s.cancel() // a Start in progress is cut short
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stop(ctx)
}

func (s *Stage) stop(ctx context.Context) error {
	if s.gone {
		return nil
	}
	s.gone = true
	s.cancel()
	ctx, cancel := context.WithTimeout(ctx, s.link.Plugin.DrainTimeout)
	defer cancel()
	var err error
	if h := s.hop.Load(); h != nil {
		err = s.settle(ctx, h)
		h.Close()
	}
	if w := s.worker.Load(); w != nil {
		w.forget(s)
		if s.host.leave(s, w) {
			err = errors.Join(err, w.stop(ctx))
		}
		select {
		case <-s.tended:
		case <-ctx.Done():
		}
	}
	if s.program != nil {
		err = errors.Join(err, s.program.Close())
	}
	return err
}

// settle waits until nothing is under way and the plugin has let go of the
// instance.
func (s *Stage) settle(ctx context.Context, h *hop.Hop) error {
	const look = 2 * time.Millisecond
	for s.Health() == nil && !h.Idle() {
		select {
		case <-time.After(look):
		case <-ctx.Done():
			return fmt.Errorf("plugin stage %s: still had work in hand when its time was up", s.link.Name)
		}
	}
	if w := s.worker.Load(); w != nil {
		return w.drain(ctx, s)
	}
	return nil
}

// Handle implements [sdk.Stage].
func (s *Stage) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	if !s.wants(env) {
		return sdk.Next(), nil
	}
	return s.hop.Load().Ask(ctx, env)
}

// Send implements [chain.Remote].
func (s *Stage) Send(ctx context.Context, env *sdk.Envelope) (chain.Ticket, error) {
	if !s.wants(env) {
		return unasked{}, nil
	}
	return s.hop.Load().Send(ctx, env)
}

// Submit implements [chain.Submitter].
func (s *Stage) Submit(env *sdk.Envelope, done func(sdk.Decision, error)) bool {
	if !s.wants(env) {
		done(sdk.Next(), nil)
		return true
	}
	return s.hop.Load().Submit(context.Background(), env, done)
}

// wants reports whether the plugin asks for an envelope. The chain looks at that
// itself, but for a plugin that came up after the chain had asked what it wants.
func (s *Stage) wants(env *sdk.Envelope) bool {
	m := s.match.Load()
	return m == nil || m.Accepts(env)
}

// unasked is the ticket of an envelope that the plugin does not want.
type unasked struct{}

// Wait implements [chain.Ticket].
func (unasked) Wait(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Next(), nil }

// WaitDated implements [chain.Dated].
func (unasked) WaitDated(_ context.Context, env *sdk.Envelope) (sdk.Decision, time.Time, error) {
	return sdk.Next(), env.Arrived, nil // it was clear before
}

// tryNow has the stage configured at once, if a process runs and lacks it.
func (s *Stage) tryNow() {
	select {
	case s.wake <- struct{}{}:
	default: // it is about to be
	}
}

// observes reports whether the link wants outcomes told. A gate is asked, and
// told nothing.
func (s *Stage) observes() bool { return s.link.Plugin.Role == config.Observer }

// Match implements [sdk.Selector]: what the plugin said when it was configured
// last. Before that it is everything.
func (s *Stage) Match() sdk.Match {
	if m := s.match.Load(); m != nil {
		return *m
	}
	return sdk.Match{}
}

// Health implements [chain.Health].
func (s *Stage) Health() error {
	if out := s.down.Load(); out != nil {
		return out.why
	}
	return nil
}
