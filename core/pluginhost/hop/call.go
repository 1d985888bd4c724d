package hop

import (
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// States of a call.
const (
	callWaits     uint32 = iota // somebody waits for the answer
	callFinished                // the answer is there
	callAbandoned               // nobody waits any more; whoever answers it puts it back
)

// call is one envelope on its way. It holds nothing of the caller's: the view
// was copied, so a caller may give up at any moment.
type call struct {
	hop  *Hop
	conn uint64            // whose order is kept; 0 for none
	lost bool              // a process ended with it in hand
	view []byte            // the encoded envelope
	at   time.Time         // when it was queued
	span trace.SpanContext // that the plugin is told; zero unless it is sampled

	// Written before the state changes to callFinished.
	verdict *pluginpb.Verdict // nil: continue
	err     error
	came    time.Time // when either did

	state atomic.Uint32
	wake  chan struct{}                  // holds one; for callers that wait
	later func(*pluginpb.Verdict, error) // for callers that do not; nil for the others
}

// calls keeps what calls need for the next envelope.
type calls struct{ pool sync.Pool }

func (p *calls) get() *call {
	if c, ok := p.pool.Get().(*call); ok {
		return c
	}
	return &call{wake: make(chan struct{}, 1)}
}

func (p *calls) put(c *call) {
	c.view, c.lost, c.verdict, c.err, c.later = c.view[:0], false, nil, nil, nil
	if c.span.IsSampled() {
		c.span = trace.SpanContext{}
	}
	c.state.Store(callWaits)
	p.pool.Put(c)
}

// finish answers a call with what came, and when. Only the one that took the
// call out of the queue or out of its flight may do so.
func (p *calls) finish(c *call, v *pluginpb.Verdict, err error, came time.Time) {
	if later := c.later; later != nil {
		p.put(c)
		later(v, err)
		return
	}
	c.verdict, c.err, c.came = v, err, came
	if c.state.CompareAndSwap(callWaits, callFinished) {
		c.wake <- struct{}{}
		return
	}
	p.put(c)
}

// abandon is for a caller that waits no more. It reports whether the answer
// came first, which is then in the call.
func (p *calls) abandon(c *call) (answered bool) {
	if c.state.CompareAndSwap(callWaits, callAbandoned) {
		return false
	}
	<-c.wake
	return true
}
