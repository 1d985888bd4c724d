package hop

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Limits of one batch. With 64 callers that wait for their verdicts, batches of
// about 18 form however large the limit is; more only makes the first of a
// batch wait for the last.
const (
	maxBatch      = 64
	maxBatchBytes = 64 << 10

	// maxView is the largest envelope that crosses: a message, less its wrapper.
	maxView = pluginpb.MaxMessage - 1024
)

// Overload says what happens when a plugin has all the envelopes in hand that
// it may have.
type Overload string

// What happens to the next envelope.
const (
	Backpressure Overload = "backpressure" // its peer waits
	Shed         Overload = "shed"         // it fails
)

// Options are what a hop is made from. They never change.
type Options struct {
	Link   string // name in the pipeline; prefix of the stage's attributes
	Rights Rights

	Deadline time.Duration // of a batch, from when it is sent
	Window   int           // most envelopes in hand of the plugin
	Overload Overload

	// HoldMax is how long an envelope waits for a process that is away, and
	// HoldQueue how many may. Zero: none waits.
	HoldMax   time.Duration
	HoldQueue int

	// HangAfter is how long the process may be silent with a batch in hand.
	HangAfter time.Duration

	Breaker BreakerOptions

	// Tracer makes a span for each batch with an envelope that is sampled. It has
	// to record all that it is asked for: somebody has decided before. Nil: there
	// are none.
	Tracer trace.Tracer

	// Spans gets, by OnEnd, the spans that the plugin made for envelopes that are
	// sampled. It must not wait. Nil: they are not taken.
	Spans sdktrace.SpanProcessor

	// Counters are what the hop adds to, with the hops of the link before and after
	// it. Nil: ones of its own.
	Counters *Counters

	Log *slog.Logger
}

// Hop is the road to one instance. All methods may be called concurrently.
type Hop struct {
	o     Options
	view  *viewer
	calls calls
	codec codec
	kick  chan struct{} // wakes the pump; holds one
	quit  chan struct{} // ends the pump
	done  chan struct{} // closed when the pump has ended

	answers answers

	reasons  reasons
	logging  budget
	spanning budget
	recent   recent

	mu       sync.Mutex
	queue    fifo[*call] // encoded, not sent
	flights  []*flight   // sent and not answered, oldest first; also those whose deadline has passed
	inHand   int         // envelopes of flights: what the plugin owes
	window   int         // how many it may have
	ahead    ahead       // connections that the next batch must not overtake
	lane     lane        // nil while there is no process
	front    *desk       // where its process takes requests; nil without a lane
	again    bool        // what is lost with the lane is asked again on the next
	broken   func(reason string, err error)
	since    time.Time // when the lane came or went
	outage   time.Time // when the last lane went
	trip     *breaker  // of this process
	why      error     // why there is no lane
	waits    bool      // callers wait for the next lane
	heard    time.Time // when the lane last brought anything
	seq      uint64    // of the last batch
	cancels  []uint64  // batches whose answers are of no use any more
	ping     uint64    // to send; 0 for none
	pings    uint64
	outcomes outcomes
	closed   bool
	watch    *time.Timer
	armed    time.Time // when the watch looks next; zero: never
	ended    []ending  // calls to finish when the lock is free
	landings []landing // batches to record then

	counters *Counters
}

// flight is a batch that the plugin has in hand.
type flight struct {
	seq     uint64
	calls   []*call  // who waits; nil when the deadline has passed
	n       int      // envelopes
	conns   []uint64 // of the envelopes, where batches may be judged in any order
	sent    time.Time
	expired bool
	alone   bool        // its envelope was lost with a process before
	landed  time.Time   // when it was answered
	report  func(error) // tells the breaker how it ended
	traced  *traced     // for its span; nil: it gets none
}

// ending is calls that got no verdict.
type ending struct {
	calls []*call
	err   error
}

// New returns a hop without a process: callers wait until [Hop.Up].
func New(o Options) *Hop {
	h := &Hop{
		o: o, codec: newCodec(), view: newViewer(o.Rights, o.Link), kick: make(chan struct{}, 1),
		quit: make(chan struct{}), done: make(chan struct{}),
		counters: cmp.Or(o.Counters, new(Counters)), trip: newBreaker(o), window: o.Window, since: time.Now(), outage: time.Now(), why: errStarting, waits: o.HoldMax > 0,
	}
	h.outcomes.limit = o.Window
	h.logging.most, h.spanning.most = logsPerSecond, spansPerSecond
	h.watch = time.AfterFunc(time.Hour, h.look)
	h.watch.Stop()
	go h.pump()
	return h
}

// Ask sends the envelope across and waits for the decision. It never waits
// longer than ctx, the deadline and the time for a process that is away allow.
func (h *Hop) Ask(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	c, err := h.submit(ctx, env, nil)
	if err != nil {
		return sdk.Decision{}, err
	}
	return c.Wait(ctx, env)
}

// Send sends the envelope across. The ticket has to be waited for, which is the
// second half of Ask.
func (h *Hop) Send(ctx context.Context, env *sdk.Envelope) (Ticket, error) {
	c, err := h.submit(ctx, env, nil)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Ticket stands for a decision on its way, for one wait.
type Ticket interface {
	Wait(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error)

	// WaitDated is Wait, and says when the verdict came, or the failure.
	WaitDated(ctx context.Context, env *sdk.Envelope) (d sdk.Decision, came time.Time, err error)
}

// Wait implements [Ticket].
func (c *call) Wait(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	d, _, err := c.WaitDated(ctx, env)
	return d, err
}

// WaitDated implements [Ticket].
func (c *call) WaitDated(ctx context.Context, env *sdk.Envelope) (d sdk.Decision, came time.Time, err error) {
	h := c.hop
	select {
	case <-c.wake:
	case <-ctx.Done():
		if !h.calls.abandon(c) {
			return d, time.Now(), ctx.Err()
		}
	}
	v, came, err := c.verdict, c.came, c.err
	h.calls.put(c)
	if err != nil {
		return d, came, h.failed(err)
	}
	d, err = h.apply(env, v)
	return d, came, h.failed(err)
}

// Submit sends the envelope across and returns; later is called once, on
// another goroutine, which it must not hold. What the verdict would change on
// the envelope is not carried out. Submit reports whether the envelope was
// taken; nothing is called otherwise.
func (h *Hop) Submit(ctx context.Context, env *sdk.Envelope, later func(sdk.Decision, error)) bool {
	_, err := h.submit(ctx, env, func(v *pluginpb.Verdict, err error) {
		switch {
		case err != nil:
			later(sdk.Decision{}, h.failed(err))
		case v == nil:
			later(sdk.Next(), nil)
		case v.GetVerdict() == uint32(sdk.Undecided):
			later(sdk.Decision{}, h.failed(stageError(v)))
		default:
			later(h.decision(v), nil)
		}
	})
	return err == nil
}

// submit queues an envelope.
func (h *Hop) submit(ctx context.Context, env *sdk.Envelope, later func(*pluginpb.Verdict, error)) (*call, error) {
	c := h.calls.get()
	if later == nil { // what is asked in shadow is not part of what happened
		c.span = sampledIn(ctx)
	}
	view, err := h.view.appendView(ctx, c.view, env, c.span)
	c.hop, c.conn, c.view, c.later, c.at = h, env.Sender.Conn, view, later, time.Now()
	if h.o.Spans != nil && c.span.IsSampled() {
		h.recent.add(c.span, c.at)
	}
	if err == nil && len(view) > maxView {
		err = tooLarge(len(view))
	}
	if err == nil {
		err = h.enqueue(c)
	}
	if err != nil {
		h.calls.put(c)
		return nil, h.failed(err)
	}
	return c, nil
}

// enqueue puts a call into the queue, or says why it cannot wait there.
func (h *Hop) enqueue(c *call) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	waiting := h.queue.len()
	switch {
	case h.closed:
		return errClosed
	case h.lane == nil && (!h.waits || waiting >= h.o.HoldQueue):
		return down(h.why)
	case h.lane != nil && h.trip.open():
		return errBreaker
	case h.lane != nil && waiting+h.inHand >= h.window && (h.o.Overload == Shed || c.later != nil):
		return errShed
	}
	h.queue.push(c)
	if h.lane == nil {
		h.arm(c.at, h.o.HoldMax)
		return nil
	}
	h.arm(c.at, h.o.Deadline)
	h.wakePump()
	return nil
}

// end has calls finished without a verdict once the lock is free: whoever
// waits for them may come back at once.
func (h *Hop) end(err error, calls ...*call) {
	if len(calls) > 0 {
		h.ended = append(h.ended, ending{calls, err})
	}
}

// unlock frees the lock and finishes the calls and batches that ended under it.
func (h *Hop) unlock() {
	ended, landings := h.ended, h.landings
	h.ended, h.landings = nil, nil
	var now time.Time
	if len(ended) > 0 {
		now = time.Now()
	}
	h.mu.Unlock()
	for _, l := range landings {
		h.record(l)
	}
	for _, e := range ended {
		for _, c := range e.calls {
			h.calls.finish(c, nil, e.err, now)
		}
	}
}

// wakePump lets the pump look at the queue.
func (h *Hop) wakePump() {
	select {
	case h.kick <- struct{}{}:
	default:
	}
}

// failed counts a failure.
func (h *Hop) failed(err error) error {
	if err == nil {
		return nil
	}
	h.counters.fail(err)
	return err
}

// Close fails what waits and ends the pump. The lane is let go.
func (h *Hop) Close() {
	h.mu.Lock()
	l, again := h.fell(errClosed, false), h.closed
	h.closed = true
	h.watch.Stop()
	h.unlock()
	if l != nil {
		l.close()
	}
	if !again {
		close(h.quit)
	}
	<-h.done
}

// Idle reports whether nothing is under way: neither an envelope nor an outcome
// nor a request.
func (h *Hop) Idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.queue.len() == 0 && h.inHand == 0 && h.outcomes.idle() && h.answers.inHand.Load() == 0
}
