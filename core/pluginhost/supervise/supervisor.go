package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/pluginhost/process"
)

// endTime is how long a life that was killed may take to be gone, before the
// next one is started beside it. Only a process that the system cannot end
// takes longer than milliseconds.
const endTime = 2 * time.Second

// soon is how long after a failed call the end of its process is waited for,
// which says more than the call's error.
const soon = 50 * time.Millisecond

// Supervisor keeps one plugin alive from Start to Stop. It is used once.
//
// All methods may be called concurrently.
type Supervisor struct {
	options Options
	pace    *pace

	ctx      context.Context // over when Stop is called
	cancel   context.CancelFunc
	resume   chan struct{} // holds one
	finished chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	state   State
	begun   bool
	life    Life            // the current one, also while it is brought up
	why     string          // reason with which it was killed
	stopCtx context.Context // of the first Stop
	stopErr error           // written before finished is closed
}

// New returns a supervisor that has not started anything.
func New(o Options) *Supervisor {
	o.Restart = o.Restart.withDefaults()
	if o.Up == nil {
		o.Up = func(Life) error { return nil }
	}
	if o.Down == nil {
		o.Down = func(error) {}
	}
	if o.Rest == nil {
		o.Rest = func(error, time.Time) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Supervisor{
		options: o, pace: newPace(o.Restart), resume: make(chan struct{}, 1), finished: make(chan struct{}),
		state: State{Phase: Stopped, Since: time.Now(), Restarts: map[string]uint64{}},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// errUsed says that a supervisor was started or stopped before.
var errUsed = errors.New("the supervisor was used before")

// Start starts the first life and returns when it is up, or why it is not; then
// nothing runs and the supervisor is stopped. The ctx bounds this first start.
// Once it has returned nil, the plugin is kept alive until Stop.
func (s *Supervisor) Start(ctx context.Context) error {
	if !s.begin() {
		return errUsed
	}
	first, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
	up := make(chan error, 1)
	go func() {
		defer s.finish()
		life, end := s.launch(first)
		if end != nil {
			s.note(end)
			up <- end.err
			return
		}
		up <- nil
		s.run(life, nil)
	}()
	err := <-up
	if err != nil {
		<-s.finished
	}
	return err
}

// Go is Start for a plugin that the broker can do without: it does not wait,
// and a first start that fails is answered like a crash.
func (s *Supervisor) Go() error {
	if !s.begin() {
		return errUsed
	}
	go func() {
		defer s.finish()
		s.run(s.launch(s.ctx))
	}()
	return nil
}

func (s *Supervisor) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun {
		return false
	}
	s.begun = true
	return true
}

func (s *Supervisor) finish() {
	s.enter(Stopped, 0)
	s.cancel()
	close(s.finished)
}

// Kill ends the life that is there, with the reason that its end is counted
// under, such as "hang" or "protocol". Of several reasons for one life the
// first one counts. It does not wait, and does nothing between lives.
func (s *Supervisor) Kill(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life == nil {
		return
	}
	if s.why == "" {
		s.why = reason
	}
	s.life.Kill()
}

// Resume ends a quarantine, or a wait for the next start, and forgets earlier
// crashes. It does not wait for the start, and does nothing in other phases.
func (s *Supervisor) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Phase != Quarantined && s.state.Phase != Waiting {
		return
	}
	select {
	case s.resume <- struct{}{}:
	default: // it is about to
	}
}

// Stop ends the life that is there, as [process.Process.Stop] does, and starts
// no other. It returns when that is done, with the life's error. A start or an
// Up in progress is cut short. Later calls wait for the first.
func (s *Supervisor) Stop(ctx context.Context) error {
	if s.begin() { // it never ran
		s.finish()
		return nil
	}
	s.mu.Lock()
	if s.stopCtx == nil {
		s.stopCtx = ctx
	}
	if s.life != nil && s.state.Phase == Starting {
		s.life.Kill()
	}
	s.cancel()
	s.mu.Unlock()
	<-s.finished
	return s.stopErr
}

// ending is the end of a life, or of the attempt at one.
type ending struct {
	reason string
	err    error
	stderr string
	up     time.Duration // how long it was up; 0 when it never was
}

// run watches lives and starts new ones until Stop. It gets a life or the end
// of an attempt.
func (s *Supervisor) run(life Life, end *ending) {
	for s.ctx.Err() == nil || life != nil {
		if life != nil {
			if end = s.watch(life); end == nil {
				return
			}
		}
		s.note(end)
		if !s.rest(end) {
			return
		}
		life, end = s.launch(s.ctx)
	}
}

// launch starts a life and brings it up. It returns one of the two.
func (s *Supervisor) launch(ctx context.Context) (Life, *ending) {
	s.enter(Starting, 0)
	life, err := s.options.Start(ctx)
	if err != nil {
		exit, _ := errors.AsType[process.Exit](err) // when the process was what ended
		return nil, &ending{reason: ReasonStart, err: err, stderr: exit.Stderr}
	}
	if !s.take(life) {
		s.drop(life)
		return nil, &ending{reason: ReasonStart, err: context.Cause(ctx)}
	}
	if err := s.options.Up(life); err != nil {
		return nil, s.failedUp(life, err)
	}
	s.enter(Up, 0)
	s.options.Log.Info("plugin is up", slog.String("plugin", s.options.Name()))
	return life, nil
}

// take makes a life the current one, unless Stop was called meanwhile.
func (s *Supervisor) take(life Life) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.life, s.why = life, ""
	return true
}

// drop kills a life and waits until it is gone.
func (s *Supervisor) drop(life Life) (gone bool) {
	life.Kill()
	return wait(life, endTime)
}

// failedUp ends a life that could not be brought up. Its end by itself, if that
// was it, says more than the error of Up.
func (s *Supervisor) failedUp(life Life, err error) *ending {
	if wait(life, soon) {
		return s.ended(life, 0)
	}
	e := &ending{reason: ReasonUp, err: err}
	if s.drop(life) {
		e.stderr = life.Exit().Stderr
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life = nil
	return e
}

func wait(life Life, most time.Duration) bool {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-life.Done():
		return true
	case <-t.C:
		return false
	}
}

// watch waits for the end of a life that is up. It returns nil when Stop was
// what ended it.
func (s *Supervisor) watch(life Life) *ending {
	since := time.Now()
	select {
	case <-life.Done():
		if s.ctx.Err() == nil {
			e := s.ended(life, time.Since(since))
			s.options.Down(e.err)
			return e
		}
	case <-s.ctx.Done():
	}
	s.mu.Lock()
	ctx := s.stopCtx
	s.mu.Unlock()
	err := life.Stop(ctx)
	s.options.Down(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life, s.stopErr = nil, err
	return nil
}

// ended reads the end of a life that is done.
func (s *Supervisor) ended(life Life, up time.Duration) *ending {
	exit := life.Exit()
	s.mu.Lock()
	defer s.mu.Unlock()
	e := &ending{reason: ReasonCrash, err: exit, stderr: exit.Stderr, up: up}
	if s.why != "" {
		e.reason, e.err = s.why, fmt.Errorf("%s: it %w", s.why, exit)
	}
	s.life = nil
	return e
}

// rest waits until the next start is due, or for an operator. It reports false
// when Stop was called.
func (s *Supervisor) rest(e *ending) bool {
	attrs := []any{slog.String("plugin", s.options.Name()), slog.String("reason", e.reason), slog.Any("err", e.err)}
	delay, loop := s.pace.crash(time.Now(), e.up)
	select {
	case <-s.resume: // it came when the last wait was over already
	default:
	}
	var due <-chan time.Time
	switch {
	case loop:
		s.enter(Quarantined, 0)
		r := s.options.Restart
		s.options.Log.Error(fmt.Sprintf("plugin ended %d times within %s and is quarantined; when it is mended, run broker plugin resume %s",
			r.Crashes, r.Within, s.options.Name()), attrs...)
		s.options.Rest(e.err, time.Time{})
	case delay == 0:
		s.options.Log.Warn("plugin ended and is started again", attrs...)
		return s.ctx.Err() == nil
	default:
		s.options.Log.Warn("plugin ended and is started again", append(attrs, slog.Duration("after", delay))...)
		t := time.NewTimer(delay)
		defer t.Stop()
		due = t.C
		s.enter(Waiting, delay)
		s.options.Rest(e.err, time.Now().Add(delay))
	}
	select {
	case <-due:
		return true
	case <-s.resume:
		s.pace.forget()
		return true
	case <-s.ctx.Done():
		return false
	}
}
