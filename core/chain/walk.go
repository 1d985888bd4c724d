package chain

import (
	"context"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Remote is a stage that judges elsewhere, so that its caller need not wait
// where it stands: it sends the envelope, does something else, and takes the
// decision later. Handle is Send and Wait in one.
type Remote interface {
	// Send takes what the stage needs of the envelope. What is sent first is
	// judged first, as far as it comes from one connection.
	Send(ctx context.Context, env *sdk.Envelope) (Ticket, error)
}

// Ticket stands for a decision on its way.
type Ticket interface {
	// Wait returns the decision, and carries out on the envelope what the stage
	// changes. It is called once, whatever becomes of the envelope.
	Wait(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error)
}

// Dated is a ticket that knows when its decision came, which may be long before
// it is waited for: a connection's envelopes go on in their order. A stage took
// until then; with another ticket, until the end of the wait.
type Dated interface {
	// WaitDated is Wait, and says when the decision came, or the failure. The zero
	// time stands for now; one that is before the envelope was sent, for at once.
	// It is called instead of Wait, of the walks that are timed.
	WaitDated(ctx context.Context, env *sdk.Envelope) (d sdk.Decision, came time.Time, err error)
}

// Walk is a run of an envelope through a chain that stops where it would have
// to wait for a remote stage. It belongs to one goroutine at a time. The zero
// Walk is ready for [Chain.Begin], also again after its end.
type Walk struct {
	chain *Chain
	steps []step // what is left of the path
	watch watch

	ticket Ticket // of the stage that steps[0] has sent the envelope to
	ctx    context.Context
	sent   time.Time

	decision sdk.Decision
	link     *Link
}

// Remote reports whether envelopes of a kind may visit a remote stage.
func (c *Chain) Remote(kind sdk.Kind) bool { return c.path(kind).remote }

// Begin starts a run and reports whether it has ended; else it has come to a
// remote stage, the envelope is on its way there, and Resume goes on. With halt
// it stops at the first remote stage of the path in any case, also when the
// envelope does not visit it: what a connection sent before is still there.
func (c *Chain) Begin(ctx context.Context, env *sdk.Envelope, w *Walk, halt bool) (ended bool) {
	*w = Walk{chain: c, steps: c.path(env.Kind).steps, watch: c.watch(ctx, env)}
	return w.walk(ctx, env, halt)
}

// Resume waits for the stage that the envelope was sent to, goes on, and reports
// whether the run has ended.
func (w *Walk) Resume(ctx context.Context, env *sdk.Envelope) (ended bool) {
	if w.ticket == nil {
		return w.walk(ctx, env, false)
	}
	s := &w.steps[0]
	var d sdk.Decision
	err := s.link.collect(w, env, &d)
	w.ticket = nil
	if s.settle(ctx, env, w.watch.probe, &d, err); d.Verdict != sdk.Continue {
		return w.end(d, s.link)
	}
	w.steps = w.steps[1:]
	return w.walk(ctx, env, false)
}

// Decision returns how the run ended, and the link that decided, as
// [Chain.Run] does.
func (w *Walk) Decision() (sdk.Decision, *Link) { return w.decision, w.link }

func (w *Walk) walk(ctx context.Context, env *sdk.Envelope, halt bool) (ended bool) {
	for len(w.steps) > 0 {
		s := &w.steps[0]
		remote := s.link.remote != nil && !s.link.shadow
		if !s.aside || !w.chain.pass(ctx, env, s.link, w.watch) {
			var d sdk.Decision
			if remote {
				err := s.link.send(ctx, env, w)
				if err == nil {
					return false
				}
				s.settle(ctx, env, w.watch.probe, &d, err)
			} else {
				s.ask(ctx, env, w.watch, &d)
			}
			if d.Verdict != sdk.Continue {
				return w.end(d, s.link)
			}
		}
		w.steps = w.steps[1:]
		if remote && halt {
			return false
		}
	}
	return w.end(unanswered, nil)
}

func (w *Walk) end(d sdk.Decision, l *Link) (ended bool) {
	w.decision, w.link, w.steps = d, l, nil
	return true
}

// send sends the envelope to a remote stage.
func (l *Link) send(ctx context.Context, env *sdk.Envelope, w *Walk) error {
	if w.watch.timed {
		w.sent = time.Now() // before the probe begins a span: the stage's work then lies within it
	}
	if w.watch.probe != nil {
		ctx = w.watch.probe.Enter(ctx, l)
	}
	if w.watch.timed {
		w.ctx = ctx
	}
	err := l.hand(ctx, env, w)
	if err != nil {
		w.ticket = nil
		l.leave(w, sdk.Decision{}, err, time.Time{})
	}
	return err
}

// hand takes the ticket for an envelope, and turns a panic into an error.
func (l *Link) hand(ctx context.Context, env *sdk.Envelope, w *Walk) (err error) {
	defer contain(&err)
	w.ticket, err = l.remote.Send(ctx, env)
	return err
}

// collect takes the decision of a remote stage.
func (l *Link) collect(w *Walk, env *sdk.Envelope, d *sdk.Decision) error {
	came, err := w.wait(env, d)
	l.leave(w, *d, err, came)
	return err
}

// wait waits for the decision, and turns a panic into an error.
func (w *Walk) wait(env *sdk.Envelope, d *sdk.Decision) (came time.Time, err error) {
	defer contain(&err)
	if !w.watch.timed {
		*d, err = w.ticket.Wait(context.Background(), env)
		return came, err
	}
	if t, ok := w.ticket.(Dated); ok {
		*d, came, err = t.WaitDated(w.ctx, env)
		return came, err
	}
	*d, err = w.ticket.Wait(w.ctx, env)
	return came, err
}

// leave tells whoever watches that a remote stage has answered, and when: the
// zero time stands for now.
func (l *Link) leave(w *Walk, d sdk.Decision, err error, came time.Time) {
	if !w.watch.timed {
		return
	}
	if came.IsZero() {
		came = time.Now()
	}
	took := max(came.Sub(w.sent), 0)
	l.meter.seconds.observe(took)
	if w.watch.probe != nil {
		w.watch.probe.Leave(w.ctx, l, d, err, took)
	}
}
