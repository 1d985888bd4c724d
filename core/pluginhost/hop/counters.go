package hop

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/telemetry"
)

// Counters are what hops count; those of one link share them. The zero value is
// ready to use. Methods may be called concurrently.
type Counters struct {
	failures [numFailures]atomic.Uint64
	batches  telemetry.Sizes     // envelopes in each that was sent
	queued   atomic.Int64        // nanoseconds that envelopes waited to be sent
	crossing telemetry.Histogram // from a batch's send to its answer
	late     atomic.Uint64
	replayed atomic.Uint64
	breaches atomic.Uint64
	missed   atomic.Uint64

	spans        atomic.Uint64
	spansDropped atomic.Uint64
}

// longestCrossing is up to where crossings are told apart.
const longestCrossing = 16 * time.Second

func (c *Counters) fail(err error) {
	if e, ok := errors.AsType[*Error](err); ok {
		c.failures[e.Failure].Add(1)
	}
}

// batch counts one that is sent.
func (c *Counters) batch(f *flight) {
	c.batches.Observe(f.n)
	var waited time.Duration
	for _, call := range f.calls {
		waited += f.sent.Sub(call.at)
	}
	c.queued.Add(int64(waited))
}

// landed counts one that was answered.
func (c *Counters) landed(f *flight, now time.Time) {
	c.crossing.Observe(now.Sub(f.sent))
}

// Stats are the state of a hop and its counters at one moment.
type Stats struct {
	Up       bool              `json:"up"`
	Breaker  string            `json:"breaker"` // closed, half-open or open
	Window   int               `json:"window"`  // most envelopes in the plugin's hand
	InHand   int               `json:"inHand"`  // envelopes, and requests that it answers
	Waiting  int               `json:"waiting"` // envelopes that have not been sent
	Batches  uint64            `json:"batches"`
	Sent     uint64            `json:"sent"` // envelopes in them
	Queued   time.Duration     `json:"queued_ns"`
	Answered uint64            `json:"answered"` // batches
	Crossing time.Duration     `json:"crossing_ns"`
	Failures map[string]uint64 `json:"failures,omitempty"`
	Late     uint64            `json:"late"`     // answers after the deadline
	Replayed uint64            `json:"replayed"` // envelopes that were asked again after a crash
	Breaches uint64            `json:"breaches"` // answers against the protocol
	Missed   uint64            `json:"missed"`   // outcomes that were not told

	Spans        uint64 `json:"spans"`        // of its own work that the plugin brought
	SpansDropped uint64 `json:"spansDropped"` // of those that were too many, too large or not its own

	// The same as Batches with Sent, and Answered with Crossing, as histograms.
	Sizes     telemetry.Series `json:"-"` // envelopes in a batch
	Crossings telemetry.Series `json:"-"` // seconds
}

// Stats reads the state and the counters.
func (h *Hop) Stats() Stats {
	s := h.counters.Stats()
	h.mu.Lock()
	defer h.mu.Unlock()
	s.Up, s.Window, s.InHand, s.Waiting, s.Breaker = h.lane != nil, h.window, h.inHand, h.queue.len(), h.trip.state()
	s.InHand += int(h.answers.inHand.Load())
	if h.front != nil && h.trip.state() == "closed" {
		s.Breaker = h.front.trips.state() // one of the two has nothing to do
	}
	return s
}

// Stats reads the counters. They have no state.
func (c *Counters) Stats() (s Stats) {
	s.Sizes, s.Crossings = c.batches.Series(maxBatch), c.crossing.Series(longestCrossing)
	s.Batches, s.Sent, s.Queued = uint64(s.Sizes.Count), uint64(s.Sizes.Sum), time.Duration(c.queued.Load()) //nolint:gosec // counts
	s.Answered, s.Crossing = uint64(s.Crossings.Count), time.Duration(s.Crossings.Sum*float64(time.Second))  //nolint:gosec // a count
	s.Late, s.Replayed, s.Breaches, s.Missed = c.late.Load(), c.replayed.Load(), c.breaches.Load(), c.missed.Load()
	s.Spans, s.SpansDropped = c.spans.Load(), c.spansDropped.Load()
	for f := range numFailures {
		if n := c.failures[f].Load(); n > 0 {
			if s.Failures == nil {
				s.Failures = make(map[string]uint64)
			}
			s.Failures[f.String()] = n
		}
	}
	return s
}
