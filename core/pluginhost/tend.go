package pluginhost

import (
	"context"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// A stage that could not be configured is tried again, soon and then less often.
// Restarts of the program have a pace of their own.
const (
	againFirst = 100 * time.Millisecond
	againMost  = 30 * time.Second
)

// tend keeps a stage configured in the process that runs, and in the next one,
// until the stage is stopped. Each stage has one goroutine for it: nobody else
// waits for what the plugin says, and a stage is configured once at a time.
// first gets how the first try ended; it holds one.
//
// What fails is tried again for as long as the process lives. The exception is
// a stage that was refused and never was up: nothing has changed since.
func (w *worker) tend(s *Stage, first chan<- error) {
	defer close(s.tended)
	pace := &backoff.ExponentialBackOff{
		InitialInterval: againFirst, Multiplier: 2, MaxInterval: againMost, RandomizationFactor: backoff.DefaultRandomizationFactor,
	}
	for served := false; s.ctx.Err() == nil; {
		l, err := w.missing(s)
		var again <-chan time.Time
		if l != nil {
			err = w.configure(l, s)
			served = served || err == nil
			if err != nil && (served || !isRefusal(err)) {
				again = time.After(pace.NextBackOff())
			}
		}
		switch {
		case first != nil:
			first <- err
			first = nil
		case l != nil && err != nil && s.ctx.Err() == nil:
			s.log.Error("plugin stage not configured", slog.Any("err", err), slog.Bool("tried_again", again != nil))
		}
		select {
		case <-again:
		case <-s.wake:
			pace.Reset()
		case <-s.ctx.Done():
		}
	}
}

// missing returns the process that runs and lacks a stage. There is none when
// the stage is configured or taken out, and when no process runs; the error is
// why.
func (w *worker) missing(s *Stage) (*life, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.life == nil:
		return nil, w.away(s)
	case w.life == s.life || !w.stages[s]:
		return nil, nil
	default:
		return w.life, nil
	}
}

// configure makes a stage's instance in a process, and says how that went.
func (w *worker) configure(l *life, s *Stage) error {
	ctx, cancel := context.WithTimeout(s.ctx, s.link.Plugin.StartTimeout)
	defer cancel()
	instance := w.host.nextInstance(s.link.Name)
	err := l.configure(ctx, s, instance, func(reason string, err error) { w.broken(l, reason, err) })
	if err != nil {
		w.unfit(l, s, err)
		return err
	}
	if err := w.publish(l, s, instance); err != nil {
		l.discard(instance)
		return err
	}
	return nil
}

// publish says that a stage is up in a process, unless the process has ended
// since or the stage is being stopped.
func (w *worker) publish(l *life, s *Stage, instance string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := s.ctx.Err()
	if w.life != l {
		err = w.away(s)
	}
	if err != nil {
		out := s.down.Load() // as it was said when the process ended
		s.hop.Load().Down(out.why, out.wait)
		return err
	}
	s.life, s.instance = l, instance
	s.down.Store(nil)
	return nil
}

// unfit says that a stage could not be configured in a process. Of one that has
// ended, more is known by now.
func (w *worker) unfit(l *life, s *Stage, why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.life == l && s.ctx.Err() == nil {
		s.isDown(why, !isRefusal(why))
	}
}
