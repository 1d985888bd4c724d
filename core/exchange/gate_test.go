package exchange

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/sdk"
)

// openGate returns a gate for sessions of which one has ended.
func openGate(ended *presence.Session) *Gate {
	return NewGate(func(s *presence.Session) (string, bool) { return "", s != ended })
}

// reason returns why a message was not admitted, empty when it was.
func reason(err error) sdk.Reason {
	if refused, ok := errors.AsType[*core.Error](err); ok {
		return refused.Code
	}
	return ""
}

func TestGateAdmits(t *testing.T) {
	here, ended := new(presence.Session), new(presence.Session)
	tests := []struct {
		name string
		from *presence.Session
		stop func(*Gate, context.Context) error
		want sdk.Reason
	}{
		{"it admits a session that is here", here, nil, ""},
		{"it refuses a session that has ended", ended, nil, sdk.ReasonUnauthorized},
		{"it admits what was on its way when a stop began", here, (*Gate).Drain, ""},
		{"it refuses an ended session during a stop", ended, (*Gate).Drain, sdk.ReasonUnauthorized},
		{"it refuses everybody once it is shut", here, (*Gate).Shut, sdk.ReasonShuttingDown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := openGate(ended)
			if tt.stop != nil {
				if err := tt.stop(g, t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := reason(g.Admit(tt.from)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Each step of a stop waits for the messages that passed before it, and lets
// none pass after it.
func TestGateWaitsForWhatPassed(t *testing.T) {
	session := new(presence.Session)
	steps := []struct {
		name string
		pass func(*Gate) bool
		done func(*Gate)
		stop func(*Gate, context.Context) error
	}{
		{"a drain waits for what began", (*Gate).begin, (*Gate).end, (*Gate).Drain},
		{"a shut gate waits for what was admitted", func(g *Gate) bool { return g.Admit(session) == nil }, (*Gate).submitted, (*Gate).Shut},
	}
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := openGate(nil)
				for range 2 {
					if !s.pass(g) {
						t.Fatal("an open gate let nothing pass")
					}
				}
				over := make(chan error, 1)
				go func() { over <- s.stop(g, t.Context()) }()
				synctest.Wait()
				if !g.Draining() || s.pass(g) {
					t.Error("a message passed after the stop had begun")
				}
				s.done(g)
				synctest.Wait()
				select {
				case err := <-over:
					t.Errorf("it did not wait for the second message; error %v", err)
				default:
				}
				s.done(g)
				if err := <-over; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A drain that ran out of time still ends what began: shut, the gate refuses it.
func TestGateGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := openGate(nil)
		if !g.begin() {
			t.Fatal("an open gate let nothing pass")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := g.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("drain: got %v, want that its time was up", err)
		}
		if err := g.Shut(t.Context()); err != nil {
			t.Errorf("shut: %v", err)
		}
		if got := reason(g.Admit(new(presence.Session))); got != sdk.ReasonShuttingDown {
			t.Errorf("what came back late: got %q, want %s", got, sdk.ReasonShuttingDown)
		}
		g.end()
	})
}
