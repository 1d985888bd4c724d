package hop

import (
	"runtime"
	"time"
)

// pump sends batches until the hop is closed. It is the only goroutine that
// writes to the lane.
func (h *Hop) pump() {
	defer close(h.done)
	for {
		select {
		case <-h.kick:
		case <-h.quit:
			return
		}
		for {
			// Whoever is about to hand over an envelope does it now, and the batch
			// is that much larger.
			runtime.Gosched()
			if !h.pumpOne() {
				break
			}
		}
	}
}

// pumpOne sends what there is to say, and reports whether it sent anything.
func (h *Hop) pumpOne() bool {
	control := h.sayControl()
	outcomes := h.sendOutcomes()
	batch := h.sendBatch()
	return control || outcomes || batch
}

// sayControl sends pings and cancels.
func (h *Hop) sayControl() bool {
	h.mu.Lock()
	l, cancels, ping := h.lane, h.cancels, h.ping
	h.cancels, h.ping = nil, 0
	h.mu.Unlock()
	if l == nil || len(cancels) == 0 && ping == 0 {
		return false
	}
	l.control(cancels, ping)
	return true
}

// sendBatch sends the next batch.
func (h *Hop) sendBatch() bool {
	l, seq, b := h.takeOff()
	if l == nil {
		return false
	}
	l.batch(seq, b)
	return true
}

// takeOff makes a flight of what waits, and returns it encoded: from then on its
// calls may end at any moment. The lane is nil when nothing may leave now.
func (h *Hop) takeOff() (lane, uint64, raw) {
	h.mu.Lock()
	defer h.unlock()
	if h.lane == nil || h.queue.len() == 0 || !h.lane.free() {
		return nil, 0, nil
	}
	room := h.room()
	if room <= 0 || h.ahead.has(h.queue.head()) {
		return nil, 0, nil
	}
	report, ok := h.trip.allow()
	if !ok {
		h.failQueue(errBreaker)
		return nil, 0, nil
	}
	h.seq++
	f := &flight{seq: h.seq, sent: time.Now(), report: report, calls: make([]*call, 0, min(room, h.queue.len()))}
	for bytes := 0; len(f.calls) < room && h.queue.len() > 0; {
		c := h.queue.head()
		if h.ahead.has(c) || c.lost && len(f.calls) > 0 {
			break
		}
		if bytes += len(c.view); bytes > maxBatchBytes && len(f.calls) > 0 {
			break
		}
		f.calls = append(f.calls, h.queue.pop())
	}
	f.n, f.alone = len(f.calls), f.calls[0].lost
	f.traced = h.tracedOf(f)
	h.ahead.add(f)
	h.flights = append(h.flights, f)
	h.inHand += f.n
	h.arm(f.sent, min(h.o.Deadline, h.o.HangAfter/2))
	h.counters.batch(f)
	return h.lane, f.seq, h.lane.encode(f.seq, f.calls)
}

// room returns how many envelopes the next batch may have. One that a process
// was lost with goes alone, and while it is in the plugin's hand nothing else
// is: if it was the cause, no other envelope is lost with it, and if it was not,
// it is soon answered.
func (h *Hop) room() int {
	lost := h.queue.head().lost
	for _, f := range h.flights {
		if !f.expired && (lost || f.alone) {
			return 0
		}
	}
	if lost {
		return 1
	}
	return min(h.window-h.inHand, maxBatch)
}

// ahead are the connections with an envelope in the hand of a plugin that may
// judge batches in any order, which one of the simple level may. The nil ahead,
// of a stream, holds nobody up.
type ahead map[uint64]int

func (a ahead) has(c *call) bool { return c.conn != 0 && a[c.conn] > 0 }

func (a ahead) add(f *flight) {
	if a == nil {
		return
	}
	f.conns = make([]uint64, 0, len(f.calls))
	for _, c := range f.calls {
		f.conns = append(f.conns, c.conn)
		a[c.conn]++
	}
}

func (a ahead) remove(f *flight) {
	for _, conn := range f.conns {
		if a[conn]--; a[conn] == 0 {
			delete(a, conn)
		}
	}
}

// failQueue ends every call that has not been sent.
func (h *Hop) failQueue(err error) {
	for h.queue.len() > 0 {
		h.end(err, h.queue.pop())
	}
}
