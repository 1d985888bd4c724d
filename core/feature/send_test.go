package feature

import (
	"fmt"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/sdk"
)

// shutGate admits nobody while it is true.
type shutGate bool

func (g *shutGate) Admit(*presence.Session) error {
	if *g {
		return core.Refuse(sdk.ReasonShuttingDown, "later")
	}
	return nil
}

// A message that the gate refuses reaches nobody, and leaves its
// client_message_id free.
func TestGateRefusesAMessage(t *testing.T) {
	r := newRig(t)
	shut := shutGate(true)
	reg := NewRegistry()
	reg.roster = r.roster
	Send(reg, r.engine, SendOptions{MessageBytes: 1 << 16, Gate: &shut})
	ada, bo := r.join("ada"), r.join("bo").ready()
	before := len(bo.pushed)
	send := func(fingerprint string) string {
		answer, _ := ada.askOf(reg, fmt.Sprintf(`{"type":"send","id":"i","targetSpec":%q,"priority":"now","nonce":"n","ciphertext":"c",
			"client_message_id":"m","request_fingerprint":%q}`, bo.session.Routing().String(), fingerprint))
		return answer
	}
	wantText(t, send("first"), `{"type":"ack","id":"i","messageId":"","queued":false,"error":"shutting_down: later"}`)
	if n := len(bo.pushed) - before; n > 0 {
		t.Errorf("%d pushes of a refused message", n)
	}
	shut = false
	if answer := send("second"); !strings.Contains(answer, `"queued":true`) {
		t.Errorf("the id was not free: %s", answer)
	}
	if n := len(bo.pushed) - before; n != 1 {
		t.Errorf("%d pushes, want 1", n)
	}
}
