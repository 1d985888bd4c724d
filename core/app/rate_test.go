package app_test

import (
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Ten messages at once, and then one a second, for all sessions of a member
// together: what comes faster is refused in words that clients know.
func TestSendRate(t *testing.T) {
	r := newRig(t, func(c *config.Config) { c.Pipeline = config.Default().Pipeline })
	member := r.member("ada", store.RoleMember)
	first, second := r.dial(session(member), dial.Options{}), r.dial(session(member), dial.Options{})
	bo := r.dial(session(r.member("bo", store.RoleMember)), dial.Options{})
	for i := range 10 {
		from := []*dial.Peer{first, second}[i%2]
		if ack := r.send(from, bo.Key().String(), sdk.PriorityNow, text(i)); !ack.Queued {
			t.Fatalf("message %d: %+v", i, ack)
		}
	}
	for _, from := range []*dial.Peer{first, second} {
		ack := r.send(from, bo.Key().String(), sdk.PriorityNow, "too fast")
		if ack.Queued || ack.MessageID != "" || !strings.HasPrefix(ack.Error, "rate_limit: max 60 msg/min (burst 10)") {
			t.Errorf("one too many: got %+v, want it refused", ack)
		}
	}
	if ack := r.send(bo, first.Key().String(), sdk.PriorityNow, "back"); !ack.Queued {
		t.Errorf("another member: %+v", ack)
	}
	for i := range 10 {
		r.wantText(bo, text(i))
	}
}
