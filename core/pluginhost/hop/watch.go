package hop

import (
	"fmt"
	"time"
)

// StuckAfter is how many times HangAfter a batch may take of a process that
// still answers pings.
const StuckAfter = 10

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
	next := sooner(h.expireQueue(now), h.expireFlights(now))
	reason, err := h.pulse(now)
	next = sooner(next, h.beat(now))
	broken := h.broken
	if next > 0 {
		h.arm(now, max(next, time.Millisecond))
	}
	h.unlock()
	report(broken, reason, err)
}

// sooner returns the smaller of two times of which 0 means never.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// expireQueue fails what has waited too long to be sent, and returns when to
// look again; 0 for never.
func (h *Hop) expireQueue(now time.Time) time.Duration {
	// With a process, it is replaced before that if it has stopped.
	limit, err, since := StuckAfter*h.o.HangAfter, errQueued, h.since
	if h.lane == nil {
		limit, err, since = h.o.HoldMax, down(h.why), h.outage
	}
	for h.queue.len() > 0 {
		c := h.queue.head()
		from := c.at
		if from.Before(since) {
			from = since // until then it waited for something else
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
func (h *Hop) expireFlights(now time.Time) (next time.Duration) {
	for _, f := range h.flights {
		if f.expired {
			continue
		}
		if left := h.o.Deadline - now.Sub(f.sent); left > 0 {
			next = left
			break
		}
		f.expired = true
		f.report(errDeadline)
		h.failBatch(f, errDeadline)
		h.cancels = append(h.cancels, f.seq)
		h.end(errDeadline, f.calls...)
		f.calls = nil
	}
	if len(h.cancels) > 0 {
		h.wakePump()
	}
	return next
}

// silence returns for how long the process has said nothing with something in
// its hand, and how long it has had the oldest batch; none when its hand is
// empty.
func (h *Hop) silence(now time.Time) (silent, oldest time.Duration, none bool) {
	if h.lane == nil || len(h.flights) == 0 && len(h.outcomes.inHand) == 0 {
		return 0, 0, true
	}
	if len(h.flights) > 0 {
		oldest = now.Sub(h.flights[0].sent)
	}
	waits := oldest
	if told := h.outcomes.inHand; len(told) > 0 {
		waits = max(waits, now.Sub(told[0].at))
	}
	return min(waits, now.Sub(h.heard)), oldest, false
}

// beat returns when the process is to be looked at again: half-way to HangAfter,
// and there; 0 when it has nothing in hand.
func (h *Hop) beat(now time.Time) time.Duration {
	silent, _, none := h.silence(now)
	if none {
		return 0
	}
	for _, at := range []time.Duration{h.o.HangAfter / 2, h.o.HangAfter} {
		if left := at - silent; left > 0 {
			return left
		}
	}
	return h.o.HangAfter / 4 // its end has been asked for
}

// pulse looks whether a process with a batch in hand is alive. It is asked for
// a sign half-way to HangAfter. Outcomes it may keep as long as it likes, if it
// answers that.
func (h *Hop) pulse(now time.Time) (reason string, err error) {
	silent, oldest, none := h.silence(now)
	switch {
	case none:
	case silent >= h.o.HangAfter:
		return BrokenHang, fmt.Errorf("it has been silent for %v with %d envelopes in hand", silent.Round(time.Millisecond), h.inHand)
	case oldest >= StuckAfter*h.o.HangAfter:
		return BrokenStuck, fmt.Errorf("it has had a batch in hand for %v", oldest.Round(time.Millisecond))
	case silent >= h.o.HangAfter/2:
		h.pings++
		h.ping = h.pings
		h.wakePump()
	}
	return "", nil
}
