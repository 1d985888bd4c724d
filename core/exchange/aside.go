package exchange

import (
	"bytes"

	"github.com/claudemesh/broker/sdk"
)

// mostAside is how many requests of one connection wait for plugins. Beyond it the
// connection is not read until one has its answer.
const mostAside = 16

// largeAside is how many bytes a request may have that waits beside others. A
// larger one waits alone, so that a connection keeps 1 MiB and one frame in memory.
const largeAside = 64 << 10

// textGone is for the log alone: nobody is there to read it.
const textGone = "the connection ended before the request was looked at"

// goAside has a request of a kind that a plugin owns answered beside the others
// of its connection, one such request after the other: a plugin may take seconds,
// and meanwhile the connection is read. It reports whether there is such a plugin.
func (r *request) goAside(frame []byte) bool {
	c := r.conn
	if c.session == nil {
		return false // the auth stage refuses it
	}
	if r.call.Outside = r.chain.Outside(r.env.Kind); r.call.Outside == nil {
		return false
	}
	if c.asides == nil {
		c.asides = new(line)
	}
	if len(frame) > largeAside {
		c.asides.wait()
	}
	r.call.Body = bytes.Clone(frame) // the buffer is the next frame's
	c.asides.add(aside{r}, mostAside)
	return true
}

// aside is a request in the line of those that go aside.
type aside struct{ *request }

// goOn takes the request through the whole chain. Nothing is asked of a connection
// that is gone, nor for a session that ended while the request waited.
func (r aside) goOn() {
	_, live := r.x.dir.Live(r.call.Session)
	switch {
	case r.conn.gone.Load():
		r.decide(sdk.Refuse(sdk.ReasonUnavailable, textGone), nil)
	case !live:
		r.decide(sdk.Refuse(sdk.ReasonUnauthorized, textEnded), nil)
	default:
		r.decide(r.chain.Run(r.trail.Context(), &r.env))
	}
}
