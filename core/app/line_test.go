package app_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// far is a gate that judges elsewhere, and takes a different time for each
// message that is not urgent.
type far struct{ under, most *atomic.Int64 }

func (f far) Send(context.Context, *sdk.Envelope) (chain.Ticket, error) {
	n := f.under.Add(1)
	for most := f.most.Load(); n > most && !f.most.CompareAndSwap(most, n); most = f.most.Load() {
	}
	t := make(farTicket, 1)
	time.AfterFunc(time.Duration(rand.IntN(3))*time.Millisecond, func() {
		f.under.Add(-1)
		t <- struct{}{}
	})
	return t, nil
}

func (f far) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	t, err := f.Send(ctx, env)
	if err != nil {
		return sdk.Decision{}, err
	}
	return t.Wait(ctx, env)
}

func (far) Match() sdk.Match {
	return sdk.Match{Kinds: []sdk.Kind{sdk.KindSend}, Priorities: []sdk.Priority{sdk.PriorityNext, sdk.PriorityLow}}
}

type farTicket chan struct{}

func (t farTicket) Wait(context.Context, *sdk.Envelope) (sdk.Decision, error) {
	<-t
	return sdk.Next(), nil
}

// Messages of one connection are with a remote stage at the same time, and are
// delivered in the order in which they were sent, those too that the stage
// never sees; requests of other kinds are not overtaken either.
func TestOrderBehindARemoteStage(t *testing.T) {
	const messages = 400
	f := far{new(atomic.Int64), new(atomic.Int64)}
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), nil, func(o *app.Options) { putBeforeRoute(o, "far", f) })
	r.newMesh()
	ada := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{ConfirmPushes: true})
	bo := r.dial(session(r.member("bo", store.RoleMember)), dial.Options{ConfirmPushes: true})
	r.wantAtOnce(ada, bo)
	acks := make(chan wire.Ack, messages)
	for i := range messages {
		priority := []sdk.Priority{sdk.PriorityNow, sdk.PriorityNext}[rand.IntN(2)]
		err := ada.SendAsync(bo.Key().String(), priority, "", text(i), dial.SendOptions{}, func(a wire.Ack, err error) {
			if err != nil {
				t.Error(err)
			}
			acks <- a
		})
		if err != nil {
			t.Fatal(err)
		}
		if i%50 == 49 {
			if err := ada.Tell(wire.SetStatus{Status: []string{"idle", "working"}[i/50%2]}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range messages {
		r.wantText(bo, text(i))
	}
	for range messages {
		select {
		case a := <-acks:
			if !a.Queued {
				t.Fatalf("%+v", a)
			}
		case <-time.After(patience):
			t.Fatal("an ack is missing")
		}
	}
	if f.most.Load() < 2 {
		t.Error("the stage was never asked about two messages at a time")
	}
}

// wantAtOnce returns when messages reach a peer without a detour over the store,
// which gives the more urgent ones first: a session begins with a look into it.
func (r *rig) wantAtOnce(from, to *dial.Peer) {
	r.t.Helper()
	before := r.app.PushedAtOnce()
	eventually(r.t, "a message that is pushed at once", func() bool {
		r.send(from, to.Key().String(), sdk.PriorityNow, "ready?")
		r.wantText(to, "ready?")
		return r.app.PushedAtOnce() > before
	})
}

// What a peer sent before it left has its effect, whatever it waits for.
func TestLeavingBehindARemoteStage(t *testing.T) {
	f := far{new(atomic.Int64), new(atomic.Int64)}
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), nil, func(o *app.Options) { putBeforeRoute(o, "far", f) })
	r.newMesh()
	ada := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{ConfirmPushes: true})
	bo := r.dial(session(r.member("bo", store.RoleMember)), dial.Options{ConfirmPushes: true})
	for i := range 5 {
		err := ada.SendAsync(bo.Key().String(), sdk.PriorityNext, "", text(i), dial.SendOptions{}, func(wire.Ack, error) {})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := ada.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		r.wantText(bo, text(i))
	}
}
