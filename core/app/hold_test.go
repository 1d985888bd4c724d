package app_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// childHold is set for a child process that holds every message back: for how
// long.
const childHold = "BROKER_TEST_CHILD_HOLD"

// night is a stage that holds every message back for a while.
type night time.Duration

func (n night) Handle(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	env.Hold(env.Arrived.Add(time.Duration(n)))
	return sdk.Decision{Verdict: sdk.Continue}, nil
}

// holdBack puts a night before the route stage.
func holdBack(o *app.Options, hold time.Duration) { putBeforeRoute(o, "night", night(hold)) }

// holdInChild does what the environment asks a child process for.
func holdInChild(o *app.Options) error {
	text := os.Getenv(childHold)
	if text == "" {
		return nil
	}
	hold, err := time.ParseDuration(text)
	if err == nil {
		holdBack(o, hold)
	}
	return err
}

func TestStageHoldsAMessageBack(t *testing.T) {
	const hold = 500 * time.Millisecond
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), nil, func(o *app.Options) { holdBack(o, hold) })
	r.newMesh()
	ada := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{ConfirmPushes: true})
	bo := r.dial(session(r.member("bo", store.RoleMember)), dial.Options{PlainHello: true})
	before := time.Now()
	for i, to := range []string{bo.Key().String(), "*"} {
		if ack := r.send(ada, to, sdk.PriorityNow, text(i)); !ack.Queued || ack.Error != "" {
			t.Fatalf("ack: %+v", ack)
		}
	}
	if n, _, err := r.store.QueueDepth(t.Context()); err != nil || n != 2 && time.Since(before) < hold {
		t.Errorf("%d wait, error %v; want 2", n, err)
	}
	for i := range 2 {
		r.wantText(bo, text(i))
	}
	if took := time.Since(before); took < hold {
		t.Errorf("it took %v, want at least %v", took, hold)
	}
	eventually(t, "the deliveries to be confirmed", func() bool {
		n, _, err := r.store.QueueDepth(context.Background())
		return err == nil && n == 0
	})
}

// A broker that is killed while it holds a message back has it still.
func TestHeldMessageSurvivesAKill(t *testing.T) {
	const hold = 3 * time.Second
	path := filepath.Join(t.TempDir(), "broker.db")
	r := start(t, path, nil)
	r.newMesh()
	ada, bo := session(r.member("ada", store.RoleMember)), r.member("bo", store.RoleMember)
	r.stop()

	t.Setenv(childHold, hold.String())
	broker := startChild(t, path)
	r.url = broker.url
	before := time.Now()
	ack := r.send(r.dial(ada, dial.Options{}), bo.RoutingKey().String(), sdk.PriorityNow, "good night")
	broker.kill()
	if !ack.Queued {
		t.Fatalf("ack: %+v", ack)
	}
	broker = startChild(t, path)
	defer broker.kill()
	r.url = broker.url
	push := r.wantText(r.dial(session(bo), dial.Options{ConfirmPushes: true}), "good night")
	if took := time.Since(before); push.MessageID != ack.MessageID || took < hold {
		t.Errorf("got %s after %v, want %s after %v", push.MessageID, took, ack.MessageID, hold)
	}
}
