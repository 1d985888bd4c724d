package delivery

import (
	"time"

	"github.com/claudemesh/broker/core/tracing"
)

// tracedMost is to how many recipients of one message the pushes on its
// acceptance become spans. Those of a message to thousands would push the rest of
// its trace, and others' traces, out of what waits to be sent.
const tracedMost = 64

// follow makes a push part of its message's trace, if there is one. before is
// when the same was pushed to the same connection before; zero: it was not.
func (e *Engine) follow(p *push, before time.Time) {
	d := p.d
	if !d.traced {
		return
	}
	since := before
	switch {
	case !before.IsZero():
	case d.msg.AcceptedAt.IsZero():
		since = d.msg.CreatedAt // it was accepted by an earlier run, or elsewhere
	default:
		since = d.msg.AcceptedAt
	}
	p.span = e.options.Traces.Pushed(tracing.Push{Trace: d.msg.Trace, Since: since, At: p.at, Stored: d.drained, Tries: p.tries})
}
