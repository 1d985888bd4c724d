package supervise_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claudemesh/broker/core/pluginhost/supervise"
	"github.com/google/go-cmp/cmp"
)

func TestKillHasAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &plugin{}
		s := start(t, p.options(nil))
		s.Kill("hang")
		s.Kill("protocol")
		wantPhase(t, s, supervise.Up)
		p.crash()
		time.Sleep(time.Second)
		state := s.State()
		if diff := cmp.Diff(map[string]uint64{"hang": 1, supervise.ReasonCrash: 1}, state.Restarts); diff != "" {
			t.Errorf("restarts (-want +got):\n%s", diff)
		}
		want := []string{"hang: it was ended by a signal: killed", `ended with exit code 1, after "boom"`}
		if diff := cmp.Diff(want, p.downs); diff != "" {
			t.Errorf("downs (-want +got):\n%s", diff)
		}
	})
}

func TestStartReturnsWhyNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, p := range map[string]*plugin{
			"start": {startErr: func() error { return errNo }},
			"up":    {upErr: func() error { return errNo }},
		} {
			s := supervise.New(p.options(nil))
			if err := s.Start(t.Context()); !errors.Is(err, errNo) {
				t.Errorf("%s: got %v", name, err)
			}
			wantPhase(t, s, supervise.Stopped)
			if err := s.Stop(t.Context()); err != nil {
				t.Errorf("%s: stop: %v", name, err)
			}
			if len(p.starts) != 1 {
				t.Errorf("%s: it was started %d times", name, len(p.starts))
			}
		}
	})
}

func TestStartIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := supervise.New(supervise.Options{Start: func(ctx context.Context) (supervise.Life, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Start(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// Stop works in every phase, twice, and before the start.
func TestStop(t *testing.T) {
	prepare := map[string]func(*testing.T, *plugin, *supervise.Supervisor){
		"new": func(*testing.T, *plugin, *supervise.Supervisor) {},
		"up":  func(_ *testing.T, _ *plugin, s *supervise.Supervisor) { _ = s.Go() },
		"waiting": func(_ *testing.T, p *plugin, s *supervise.Supervisor) {
			_ = s.Go()
			synctest.Wait()
			p.crash()
			p.crash()
		},
		"quarantined": func(_ *testing.T, p *plugin, s *supervise.Supervisor) {
			p.startErr = func() error { return errNo }
			_ = s.Go()
			time.Sleep(time.Minute)
		},
	}
	for name, f := range prepare {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &plugin{}
				s := supervise.New(p.options(nil))
				f(t, p, s)
				synctest.Wait()
				for range 2 {
					if err := s.Stop(t.Context()); err != nil {
						t.Error(err)
					}
				}
				wantPhase(t, s, supervise.Stopped)
				if err := s.Start(t.Context()); err == nil {
					t.Error("it was started again")
				}
				if name == "up" && (len(p.downs) != 1 || p.downs[0] != "stopped") {
					t.Errorf("Down was called with %v", p.downs)
				}
				s.Kill("late")
				s.Resume()
			})
		})
	}
}

// Stop cuts a start and an Up short.
func TestStopInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife()
		s := supervise.New(supervise.Options{
			Start: func(context.Context) (supervise.Life, error) { return l, nil },
			Up: func(l supervise.Life) error {
				<-l.Done()
				return errNo
			},
		})
		if err := s.Go(); err != nil {
			t.Fatal(err)
		}
		wantPhase(t, s, supervise.Starting)
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		wantPhase(t, s, supervise.Stopped)
	})
}
