package delivery

import (
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/tracing"
)

// follow makes the push that is next to be remembered part of its message's
// trace, if there is one. since is when it could have been made at the earliest.
func (e *Engine) follow(p *push, since time.Time) {
	if !p.d.msg.Traced {
		return
	}
	p.span = e.options.Traces.Pushed(tracing.Push{
		Trace: p.d.msg.Trace, Since: since, At: p.at, Stored: p.d.drained, Tries: p.tries,
	})
}

// takeUp decides whether a message that was read from the store is followed.
func (e *Engine) takeUp(m *store.Message) {
	if m.Trace != "" {
		m.Traced = e.options.Traces.Follows(m.Trace)
	}
}
