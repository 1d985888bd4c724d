package hop

import (
	"fmt"
	"time"
)

// stuckAfter is how many times HangAfter a batch may take of a process that
// still answers pings.
const stuckAfter = 10

// arm makes the watch look d after now at the latest. One timer serves all
// calls: it is set when something begins to wait, and looks again for as long
// as something does.
func (h *Hop) arm(now time.Time, d time.Duration) {
	at := now.Add(d)
	if h.closed || !h.armed.IsZero() && !at.Before(h.armed) {
		return
	}
	h.armed = at
	h.watch.Reset(d)
}

// look ends what has waited too long, and sees whether the process is alive.
func (h *Hop) look() {
	h.mu.Lock()
	h.armed = time.Time{}
	now := time.Now()
	next := h.expireQueue(now)
	if d, some := h.expireFlights(now); some && (next == 0 || d < next) {
		next = d
	}
	reason, err := h.pulse(now)
	broken := h.broken
	if next > 0 {
		h.arm(now, max(next, time.Millisecond))
	}
	h.unlock()
	report(broken, reason, err)
}

// expireQueue fails what has waited too long to be sent, and returns when to
// look again; 0 for never.
func (h *Hop) expireQueue(now time.Time) time.Duration {
	limit, err := stuckAfter*h.o.HangAfter, errQueued // by then the process has been replaced
	if h.lane == nil {
		limit, err = h.o.HoldMax, down(h.why)
	}
	for h.queue.len() > 0 {
		c := h.queue.head()
		from := c.at
		if h.lane != nil && from.Before(h.since) {
			from = h.since // it waited for the process; now it waits for its turn
		}
		if left := limit - now.Sub(from); left > 0 {
			return left
		}
		h.end(err, h.queue.pop())
	}
	return 0
}

// expireFlights fails the batches whose deadline has passed. The plugin still
// owes their answers, so they go on counting against the window.
func (h *Hop) expireFlights(now time.Time) (next time.Duration, some bool) {
	for _, f := range h.flights {
		if f.expired {
			continue
		}
		if left := h.o.Deadline - now.Sub(f.sent); left > 0 {
			return left, true
		}
		f.expired = true
		f.report(errDeadline)
		h.cancels = append(h.cancels, f.seq)
		h.end(errDeadline, f.calls...)
		f.calls = nil
	}
	if len(h.cancels) > 0 {
		h.wakePump()
	}
	return h.o.HangAfter / 4, len(h.flights) > 0
}

// pulse looks whether a process with a batch in hand is alive. It is asked for
// a sign half-way to HangAfter.
func (h *Hop) pulse(now time.Time) (reason string, err error) {
	if h.lane == nil || len(h.flights) == 0 {
		return "", nil
	}
	oldest := now.Sub(h.flights[0].sent)
	silent := min(oldest, now.Sub(h.heard))
	switch {
	case silent >= h.o.HangAfter:
		return "hang", fmt.Errorf("it has been silent for %v with %d envelopes in hand", silent.Round(time.Millisecond), h.inHand)
	case oldest >= stuckAfter*h.o.HangAfter:
		return "stuck", fmt.Errorf("it has had a batch in hand for %v", oldest.Round(time.Millisecond))
	case silent >= h.o.HangAfter/2:
		h.pings++
		h.ping = h.pings
		h.wakePump()
	}
	return "", nil
}
