package app_test

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// afar is a gate that judges elsewhere, in its own time: not before the test
// opens it.
type afar struct{ *gate }

func (a afar) Send(context.Context, *sdk.Envelope) (chain.Ticket, error) { return a, nil }

func (a afar) Wait(context.Context, *sdk.Envelope) (sdk.Decision, error) {
	a.pass()
	return sdk.Next(), nil
}

func (a afar) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	return a.Wait(ctx, env)
}

func (afar) Match() sdk.Match { return sdk.Match{Kinds: []sdk.Kind{sdk.KindSend}} }

// startAfar runs a broker with a stage that keeps messages waiting until the gate
// is opened.
func startAfar(t *testing.T, g *gate, change func(*config.Config)) *rig {
	t.Helper()
	g.close()
	r := startWith(t, filepath.Join(t.TempDir(), "broker.db"), change, func(o *app.Options) {
		putBeforeRoute(o, "afar", afar{g})
	})
	t.Cleanup(g.open)
	r.newMesh()
	return r
}

// answer is what a sender hears of a message.
type answer struct {
	ack wire.Ack
	err error
}

// sendAside sends a text, waits until it is with the stage behind the gate, and
// returns where its answer will be.
func (r *rig) sendAside(p *dial.Peer, g *gate, to, text string) <-chan answer {
	r.t.Helper()
	got := make(chan answer, 1)
	err := p.SendAsync(to, sdk.PriorityNext, "", text, dial.SendOptions{}, func(a wire.Ack, err error) { got <- answer{a, err} })
	if err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, "a message to wait for the stage", func() bool { return g.held() > 0 })
	return got
}

// A member that is revoked while its message waits for a remote stage has sent
// nothing.
func TestRevocationReachesTheLine(t *testing.T) {
	var g gate
	r := startAfar(t, &g, nil)
	ada, cy := r.member("ada", store.RoleMember), r.member("cy", store.RoleMember)
	bo := r.dial(session(r.member("bo", store.RoleMember)), dial.Options{ConfirmPushes: true})
	from := r.dial(session(ada), dial.Options{})
	r.sendAside(from, &g, bo.Key().String(), "too late")
	r.revoke(ada)
	g.open()
	eventually(t, "the message to be refused", func() bool { return r.app.Refused(sdk.ReasonUnauthorized) == 1 })
	r.send(r.dial(session(cy), dial.Options{}), bo.Key().String(), sdk.PriorityNext, "in time")
	r.wantText(bo, "in time")
}

// A broker that stops waits for the remote stages that messages are with, and
// acknowledges those messages. New ones get no answer, so that they go elsewhere.
func TestStopWaitsForTheLine(t *testing.T) {
	var g gate
	r := startAfar(t, &g, nil)
	ada := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{})
	away := session(r.member("away", store.RoleMember))
	r.dial(away, dial.Options{}).Abort()
	got := r.sendAside(ada, &g, away.RoutingKey().String(), "kept")
	late := r.dial(session(r.member("late", store.RoleMember)), dial.Options{})
	stopped := r.stopAside()
	unanswered := make(chan error, 1)
	err := late.SendAsync(away.RoutingKey().String(), sdk.PriorityNext, "", "not taken", dial.SendOptions{},
		func(_ wire.Ack, err error) { unanswered <- err })
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the late message to be turned away", func() bool { return r.app.Refused(sdk.ReasonShuttingDown) == 1 })
	g.open()
	<-stopped
	if err := <-unanswered; err == nil {
		t.Error("a message that came too late was answered; want none, so that it is sent again")
	}
	a := <-got
	if a.err != nil || !a.ack.Queued {
		t.Fatalf("got %+v, want an ack", a)
	}
	again := start(t, r.file, nil)
	again.mesh = r.mesh
	if push := again.wantText(again.dial(away, dial.Options{}), "kept"); push.MessageID != a.ack.MessageID {
		t.Errorf("got the id %s, want %s as acknowledged", push.MessageID, a.ack.MessageID)
	}
}

// A message whose stage takes longer than a stop may is not accepted: its sender
// has gone and would send it again.
func TestStopDoesNotWaitForever(t *testing.T) {
	var g gate
	r := startAfar(t, &g, func(c *config.Config) { c.ShutdownTimeout = 3 * time.Second })
	ada := r.dial(session(r.member("ada", store.RoleMember)), dial.Options{})
	away := session(r.member("away", store.RoleMember))
	r.dial(away, dial.Options{}).Abort()
	got := r.sendAside(ada, &g, away.RoutingKey().String(), "lost")
	stopped := r.stopAside()
	var closed *dial.CloseError
	if !errors.As(r.ended(ada), &closed) || closed.Code != 1001 {
		t.Errorf("the connection ended with %v, want 1001", ada.Err())
	}
	g.open()
	<-stopped
	if a := <-got; a.err == nil {
		t.Errorf("got the answer %+v after the end of the connection", a.ack)
	}
	again := start(t, r.file, nil)
	if n, _, err := again.store.QueueDepth(t.Context()); err != nil || n != 0 {
		t.Errorf("%d messages wait, error %v; want none", n, err)
	}
}

// stopAside stops the broker, and returns when it has begun to.
func (r *rig) stopAside() (stopped <-chan struct{}) {
	r.t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); r.stop() }()
	eventually(r.t, "the broker to stop", func() bool {
		status, _, _ := r.request(http.MethodGet, "/health/ready", "")
		return status != http.StatusOK
	})
	return done
}
