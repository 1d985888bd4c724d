package app_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// reversal is a stage that makes urgent messages wait, and the others urgent.
type reversal struct{}

func (reversal) Handle(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	if env.Priority == sdk.PriorityNow {
		env.Priority = sdk.PriorityLow
	} else {
		env.Priority = sdk.PriorityNow
	}
	return sdk.Next(), nil
}

// A message has the priority that the stages leave it, also for a recipient that
// is busy.
func TestStageSetsThePriority(t *testing.T) {
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), nil, func(o *app.Options) {
		putBeforeRoute(o, "reversal", reversal{})
	})
	r.newMesh()
	ada := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{})
	bo := r.dial(session(r.member("bo", store.RoleMember)), dial.Options{ConfirmPushes: true})
	r.become(bo, presence.Working)
	for i, p := range []sdk.Priority{sdk.PriorityNow, sdk.PriorityNext} {
		if ack := r.send(ada, bo.Key().String(), p, text(i)); !ack.Queued {
			t.Fatalf("ack: %+v", ack)
		}
	}
	if push := r.wantText(bo, text(1)); push.Priority != sdk.PriorityNow {
		t.Errorf("the message that became urgent came with the priority %v", push.Priority)
	}
	r.become(bo, presence.Idle)
	if push := r.wantText(bo, text(0)); push.Priority != sdk.PriorityLow {
		t.Errorf("the message that was urgent came with the priority %v, want low", push.Priority)
	}
}

// become sets a peer's status and waits until it is in force.
func (r *rig) become(p *dial.Peer, s presence.Status) {
	r.t.Helper()
	if err := p.Tell(wire.SetStatus{Status: string(s)}); err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, "a status to be "+string(s), func() bool {
		for _, v := range r.app.Views(r.mesh.ID) {
			if v.Routing() == p.Key() {
				return v.Status == s
			}
		}
		return false
	})
}
