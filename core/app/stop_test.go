package app_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/server"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

func TestStopTellsPeersToConnectElsewhere(t *testing.T) {
	r := newRig(t, nil)
	served := r.pair()
	waiting := open(t, r.url, socketOptions{}) // without a hello
	r.wantServed(served, "before")
	away := session(r.member("away", store.RoleMember))
	gone := r.dial(away, dial.Options{})
	gone.Abort()
	ack := r.send(served.ada, away.RoutingKey().String(), sdk.PriorityNext, "kept")
	if !ack.Queued {
		t.Fatalf("send: %+v", ack)
	}
	r.stop()
	for name, p := range map[string]*dial.Peer{"ada": served.ada, "bo": served.bo} {
		var closed *dial.CloseError
		if !errors.As(r.ended(p), &closed) || closed.Code != 1001 || closed.Reason != "shutting down" {
			t.Errorf("%s's connection ended with %v, want 1001 shutting down", name, p.Err())
		}
	}
	waiting.wantClosed(1001, "shutting down")

	again := start(t, r.file, nil)
	again.mesh = r.mesh
	back := again.dial(away, dial.Options{})
	if push := again.wantText(back, "kept"); push.MessageID != ack.MessageID {
		t.Errorf("got the id %s, want %s as acknowledged", push.MessageID, ack.MessageID)
	}
	// Everybody's presence has an end, in the time of who stopped.
	again.wantLeft(1, 1)
}

// While peers are sent away the port answers, so that a load balancer learns
// that the broker wants no more.
func TestStoppingBrokerIsNotReady(t *testing.T) {
	r := newRig(t, nil)
	late := r.member("late", store.RoleMember)
	held := r.greet(r.vouched(session(r.member("ada", store.RoleMember)), time.Now()), socketOptions{})
	if status, text, _ := r.request(http.MethodGet, "/health/ready", ""); status != 200 {
		t.Fatalf("before: got %d %s, want 200", status, text)
	}
	held.stall() // it does not answer the closing frame
	stopped := make(chan struct{})
	go func() { defer close(stopped); r.stop() }()
	eventually(t, "readiness to fail", func() bool {
		status, text, _ := r.request(http.MethodGet, "/health/ready", "")
		return status == http.StatusServiceUnavailable && strings.Contains(text, `"reason":"draining"`)
	})
	r.wantUnready(server.Draining)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := dial.Dial(ctx, r.url, late, dial.Options{}); err == nil {
		t.Error("a new peer was let in while the broker stops")
	}
	held.flow()
	<-stopped
	if code, reason := held.closed(); code != 1001 {
		t.Errorf("closed: got %d %s, want 1001", code, reason)
	}
}
