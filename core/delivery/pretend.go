package delivery

import (
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Pretend is [Engine.Accept] for a message that nobody gets, and whose sender is not
// to know: its client_message_id is used up, and [Engine.Recent] has it wait for its
// audience.
func (e *Engine) Pretend(m *store.Message, audience []sdk.Recipient, now time.Time) *Acceptance {
	m.Seq = e.nextSeq(now)
	m.CreatedAt, m.NotBefore = now, time.Time{}
	e.recent.accepted(m, audience)
	e.sends.accepted(m)
	return &Acceptance{engine: e, msg: m}
}
