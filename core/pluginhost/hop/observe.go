package hop

import (
	"time"

	"github.com/claudemesh/broker/sdk"
)

// outcomesAhead is how many batches of outcomes a plugin may have in hand.
const outcomesAhead = 4

// outcomes is what waits to be told to an observer. Nobody waits for it.
type outcomes struct {
	on     bool // the plugin wants them
	limit  int
	queue  fifo[[]byte]
	inHand []told // batches that it has not confirmed
	seq    uint64
	missed uint64 // left out since the last batch
}

// told is a batch of outcomes in the plugin's hand.
type told struct {
	at time.Time
	n  int
}

// open begins with a process.
func (o *outcomes) open(on bool) { o.on, o.inHand = on, nil }

// lost ends with a process, and returns how many outcomes it had in hand: the
// next one misses them.
func (o *outcomes) lost() (missed uint64) {
	for _, b := range o.inHand {
		missed += uint64(b.n)
	}
	o.missed += missed
	o.inHand = nil
	return missed
}

func (o *outcomes) idle() bool { return o.queue.len() == 0 && len(o.inHand) == 0 }

// Observe tells the plugin how an envelope ended. It never waits: a plugin that
// is behind, or away for longer than the window holds, misses outcomes, which
// are counted.
func (h *Hop) Observe(env *sdk.Envelope, out sdk.Outcome) {
	b, err := h.view.appendOutcome(nil, env, out)
	h.mu.Lock()
	defer h.unlock()
	o := &h.outcomes
	if h.closed || h.lane != nil && !o.on {
		return
	}
	if err != nil || len(b) > maxView || o.queue.len() >= o.limit {
		o.missed++
		h.counters.missed.Add(1)
		return
	}
	o.queue.push(b)
	if h.lane != nil {
		h.wakePump()
	}
}

// sendOutcomes sends the next batch of outcomes.
func (h *Hop) sendOutcomes() bool {
	h.mu.Lock()
	o := &h.outcomes
	l := h.lane
	if l == nil || !o.on || len(o.inHand) >= outcomesAhead || o.queue.len() == 0 || !l.free() {
		h.unlock()
		return false
	}
	var batch [][]byte
	for bytes := 0; len(batch) < maxBatch && o.queue.len() > 0; {
		if bytes += len(o.queue.head()); bytes > maxBatchBytes && len(batch) > 0 {
			break
		}
		batch = append(batch, o.queue.pop())
	}
	o.seq++
	now := time.Now()
	o.inHand = append(o.inHand, told{now, len(batch)})
	h.arm(now, h.o.HangAfter/2)
	seq, missed := o.seq, o.missed
	o.missed = 0
	h.unlock()
	l.outcomes(seq, batch, missed)
	return true
}

// observed says that the plugin is done with a batch of outcomes.
func (h *Hop) observed(l lane, _ uint64) {
	h.mu.Lock()
	defer h.unlock()
	if o := &h.outcomes; h.lane == l && len(o.inHand) > 0 {
		o.inHand = o.inHand[1:]
		h.wakePump()
	}
}
