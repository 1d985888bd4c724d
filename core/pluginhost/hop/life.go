package hop

import (
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// errReplaced is why a process is not asked that another stands beside.
var errReplaced = errors.New("another process took its place")

// errStarting is why there is no process before the first one is ready.
var errStarting = errors.New("it is being started")

// Reasons for which a process has to be replaced. They are words of a metric.
const (
	BrokenStream   = "stream"   // it closed its stream, and lives on
	BrokenHang     = "hang"     // it is silent
	BrokenStuck    = "stuck"    // it never ends a batch
	BrokenProtocol = "protocol" // it does not keep to the protocol
)

// Session is a process in which the instance has been configured.
type Session struct {
	Conn     grpc.ClientConnInterface
	Instance string // the id that Configure was given
	Stream   bool   // the plugin has "stream/1"; else single calls carry the batches
	Window   int    // the plugin's own limit; 0 for none
	Observes bool   // it wants outcomes
	Traces   bool   // it has "trace/1"

	// Program and Version are what the process calls itself, for its spans.
	Program, Version string

	// Idempotent says that judging an envelope twice does no harm: what a crashed
	// process had in hand is asked again.
	Idempotent bool

	// Broken is called when this process has to be replaced, perhaps more than
	// once, with [BrokenStream] or another of the reasons beside it. It must not
	// wait for the hop. Nil: nobody is told.
	Broken func(reason string, err error)
}

// Up opens a lane to a process. What waited for it is sent at once.
func (h *Hop) Up(s Session) error {
	l, err := h.open(s)
	if err != nil {
		return err
	}
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		l.close()
		return errClosed
	}
	var old lane
	if h.lane != nil {
		old = h.fell(errReplaced, true)
	}
	h.trip = newBreaker(h.o) // nothing that its predecessor did counts against it
	h.ahead = nil
	if !s.Stream {
		h.ahead = make(ahead)
	}
	h.front = newDesk(s, h.o)
	h.lane, h.since, h.heard, h.again, h.broken = l, time.Now(), time.Now(), s.Idempotent, s.Broken
	h.window = h.o.Window
	if s.Window > 0 {
		h.window = min(s.Window, h.window)
	}
	h.outcomes.open(s.Observes)
	h.arm(h.since, h.o.Deadline)
	h.unlock()
	if old != nil {
		old.close()
	}
	l.start()
	h.wakePump()
	return nil
}

// Down says that the process is gone, and why. With wait the next one is
// expected soon: callers wait for it as far as the options allow, and what was
// in hand is asked again where that does no harm.
func (h *Hop) Down(why error, wait bool) {
	h.mu.Lock()
	l := h.fell(why, wait)
	h.unlock()
	if l != nil {
		l.close()
	}
}

// fell is Down under the lock. The caller closes the lane.
func (h *Hop) fell(why error, wait bool) lane {
	l, flights := h.lane, h.flights
	if l != nil {
		h.outage = time.Now()
	}
	h.front = nil
	h.lane, h.why, h.waits, h.since = nil, why, wait && h.o.HoldMax > 0, time.Now()
	h.flights, h.inHand, h.cancels, h.ping = nil, 0, nil, 0
	h.counters.missed.Add(h.outcomes.lost())
	h.land(flights)
	if h.waits {
		h.arm(h.since, h.o.HoldMax)
	} else {
		h.failQueue(down(why))
	}
	return l
}

// land deals with what the lost process had in hand. Where it does no harm, an
// envelope is asked again, but only once: the second process that ends with it
// in hand may have ended because of it.
func (h *Hop) land(flights []*flight) {
	var again []*call
	for _, f := range flights {
		if f.expired {
			continue
		}
		f.report(errLost)
		h.failBatch(f, errCrash)
		for _, c := range f.calls {
			if !h.waits || !h.again || c.lost {
				h.end(errCrash, c)
				continue
			}
			c.lost = true
			again = append(again, c)
		}
	}
	if len(again) > 0 {
		h.counters.replayed.Add(uint64(len(again)))
		h.queue.unshift(again)
	}
}

// lost is how a lane says that it broke. Only the lane in use matters.
func (h *Hop) lost(l lane, err error) {
	h.mu.Lock()
	if h.lane != l {
		h.unlock()
		return
	}
	broken := h.broken
	h.fell(err, true)
	h.unlock()
	l.close()
	report(broken, lostReason(err), err)
}

// lostReason tells a process that ended from one that sent what nobody can
// read, such as a message over the limit.
func lostReason(err error) string {
	if c := status.Code(err); c == codes.ResourceExhausted || c == codes.Internal {
		return BrokenProtocol
	}
	return BrokenStream
}

// report says that a process has to be replaced.
func report(broken func(string, error), reason string, err error) {
	if broken != nil && reason != "" {
		broken(reason, err)
	}
}

// answered takes the answer to a batch.
func (h *Hop) answered(l lane, v *pluginpb.Verdicts) {
	f, broken, err := h.landed(l, v)
	if err != nil {
		h.counters.breaches.Add(1)
		report(broken, BrokenProtocol, err)
	}
	if f == nil {
		return
	}
	if f.traced != nil { // when nobody waits for it any more
		defer h.record(landing{f: f, at: f.landed, judged: time.Duration(v.GetJudgedNanos()), err: err})
	}
	if err != nil {
		f.report(err)
		for _, c := range f.calls {
			h.calls.finish(c, nil, err, f.landed)
		}
		return
	}
	f.report(nil)
	h.deliver(f, v)
}

// refused takes the error of a single call; the process goes on.
func (h *Hop) refused(l lane, seq uint64, err error) {
	h.mu.Lock()
	defer h.unlock()
	for i, f := range h.flights {
		if h.lane != l || f.seq != seq {
			continue
		}
		h.remove(i)
		if !f.expired {
			failed := &Error{FailStage, err}
			f.report(err)
			h.failBatch(f, failed)
			h.end(failed, f.calls...)
		}
		return
	}
}

// landed takes the flight of an answer out of the list. It is nil when nobody
// waits for the answer any more.
func (h *Hop) landed(l lane, v *pluginpb.Verdicts) (f *flight, broken func(string, error), err error) {
	h.mu.Lock()
	defer h.unlock()
	if h.lane != l {
		return nil, nil, nil // of a process that has gone
	}
	h.heard = time.Now()
	for i, f := range h.flights {
		if f.seq != v.GetSeq() {
			continue
		}
		h.remove(i)
		f.landed = h.heard
		h.counters.landed(f, h.heard)
		if f.expired {
			h.counters.late.Add(1)
			return nil, h.broken, check(v, f.n)
		}
		return f, h.broken, check(v, f.n)
	}
	return nil, h.broken, breach("it answered batch %d, which it does not have", v.GetSeq())
}

// remove takes the i-th flight out of the list.
func (h *Hop) remove(i int) {
	f := h.flights[i]
	h.flights = append(h.flights[:i], h.flights[i+1:]...)
	h.inHand -= f.n
	h.ahead.remove(f)
	if h.queue.len() > 0 {
		h.wakePump()
	}
}

// deliver hands every call its verdict; nil stands for "continue".
func (h *Hop) deliver(f *flight, v *pluginpb.Verdicts) {
	var special [maxBatch]*pluginpb.Verdict
	for _, e := range v.GetExceptions() {
		special[e.GetIndex()] = e
	}
	var usual *pluginpb.Verdict
	if v.GetDefaultVerdict() != 1 {
		usual = &pluginpb.Verdict{Verdict: v.GetDefaultVerdict()}
	}
	for i, c := range f.calls {
		if special[i] == nil {
			special[i] = usual
		}
		h.calls.finish(c, special[i], nil, f.landed)
	}
}

// sign notes that the lane is alive.
func (h *Hop) sign(l lane) {
	h.mu.Lock()
	defer h.unlock()
	if h.lane == l {
		h.heard = time.Now()
	}
}

// credit sets the plugin's own window.
func (h *Hop) credit(l lane, window int) {
	h.mu.Lock()
	defer h.unlock()
	if h.lane == l {
		h.window = max(min(window, h.o.Window), 1) // it cannot stop the flow for good
		h.wakePump()
	}
}
