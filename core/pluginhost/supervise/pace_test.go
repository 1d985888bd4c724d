package supervise_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/claudemesh/broker/core/pluginhost/supervise"
	"github.com/google/go-cmp/cmp"
)

// start starts a supervisor whose end is the test's.
func start(t *testing.T, o supervise.Options) *supervise.Supervisor {
	t.Helper()
	s := supervise.New(o)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return s
}

func wantPhase(t *testing.T, s *supervise.Supervisor, want supervise.Phase) {
	t.Helper()
	synctest.Wait()
	if got := s.State(); got.Phase != want {
		t.Fatalf("got %+v, want phase %s", got, want)
	}
}

func TestPace(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name string
		up   []time.Duration // how long each life is up before it crashes
		want []time.Duration // the starts
	}{
		{
			"it answers the first crash at once and waits twice as long before each further start",
			[]time.Duration{0, 0, 0, 0},
			[]time.Duration{0, 0, 50 * ms, 150 * ms, 350 * ms},
		},
		{
			"it takes a crash after a minute for a first one",
			[]time.Duration{0, 0, time.Minute, 0},
			[]time.Duration{0, 0, 50 * ms, time.Minute + 50*ms, time.Minute + 100*ms},
		},
		{
			"it forgets crashes that are a minute old",
			[]time.Duration{0, 59 * time.Second, 59 * time.Second, 59 * time.Second},
			[]time.Duration{0, 0, 59*time.Second + 50*ms, 118*time.Second + 150*ms, 177*time.Second + 350*ms},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &plugin{}
				s := start(t, p.options(nil))
				for _, up := range tt.up {
					time.Sleep(up)
					p.crash()
					if next := s.State().NextStart; !next.IsZero() {
						time.Sleep(time.Until(next))
					}
					wantPhase(t, s, supervise.Up)
				}
				if diff := cmp.Diff(tt.want, p.started()); diff != "" {
					t.Errorf("starts (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestPaceHasALimitAndJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &plugin{}
		o := p.options(nil)
		o.Restart = supervise.Restart{Crashes: 100, Within: 24 * time.Hour, Reset: 24 * time.Hour}
		s := start(t, o)
		for i := range 30 {
			p.crash()
			state := s.State()
			wait := state.NextStart.Sub(state.Since)
			if i == 0 {
				continue // at once
			}
			want := min(50*time.Millisecond<<(i-1), 30*time.Second)
			if wait < want*8/10 || wait > want*12/10+1 {
				t.Errorf("crash %d: it waits %s, want about %s", i+1, wait, want)
			}
			time.Sleep(wait)
			wantPhase(t, s, supervise.Up)
		}
	})
}

func TestQuarantine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, j := &plugin{}, &journal{}
		s := start(t, p.options(j.log()))
		for range 5 {
			p.crash()
			time.Sleep(time.Second)
		}
		wantPhase(t, s, supervise.Quarantined)
		time.Sleep(time.Hour)
		wantPhase(t, s, supervise.Quarantined)
		if n := len(p.started()); n != 5 {
			t.Errorf("it was started %d times", n)
		}
		if n := j.count("is quarantined; when it is mended, run broker plugin resume filter"); n != 1 {
			t.Errorf("the log says %d times what to do", n)
		}
		state := s.State()
		if state.Restarts[supervise.ReasonCrash] != 5 || state.LastExit.Stderr != "boom\n" ||
			state.LastExit.Text != `ended with exit code 1, after "boom"` {
			t.Errorf("got %+v", state)
		}

		const ms = time.Millisecond
		if diff := cmp.Diff([]time.Duration{50 * ms, 100 * ms, 200 * ms, -1}, p.rests); diff != "" {
			t.Errorf("rests (-want +got):\n%s", diff)
		}

		s.Resume()
		wantPhase(t, s, supervise.Up)
		p.crash() // the first one of a new count, so at once
		wantPhase(t, s, supervise.Up)
		if n := len(p.started()); n != 7 {
			t.Errorf("it was started %d times", n)
		}
	})
}

// A plugin that does not start, or that cannot be brought up, is in a loop like
// one that crashes.
func TestQuarantineOfFailedStarts(t *testing.T) {
	tests := []struct {
		name, reason string
		prepare      func(*plugin)
	}{
		{"start", supervise.ReasonStart, func(p *plugin) { p.startErr = func() error { return errNo } }},
		{"up", supervise.ReasonUp, func(p *plugin) { p.upErr = func() error { return errNo } }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &plugin{}
				tt.prepare(p)
				s := supervise.New(p.options(nil))
				if err := s.Go(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				wantPhase(t, s, supervise.Quarantined)
				if got := s.State(); got.Restarts[tt.reason] != 5 || got.LastExit.Text != "no" {
					t.Errorf("got %+v", got)
				}
				for i, l := range p.lives {
					select {
					case <-l.done:
					default:
						t.Errorf("life %d was left", i)
					}
				}
				if err := s.Stop(t.Context()); err != nil {
					t.Error(err)
				}
				if len(p.downs) != 0 {
					t.Errorf("Down was called with %v", p.downs)
				}
			})
		})
	}
}

func TestResumeEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &plugin{}
		s := start(t, p.options(nil))
		for range 3 {
			p.crash()
			s.Resume()
			s.Resume()
			wantPhase(t, s, supervise.Up)
		}
		s.Resume() // nothing to resume
		p.crash()
		p.crash()
		wantPhase(t, s, supervise.Waiting)
	})
}
