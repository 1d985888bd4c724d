package plugin

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Limits of what a stage may note on one envelope, as the protocol sets them.
const (
	mostNotes     = 16
	mostNoteBytes = 1024
)

var (
	errAnswers    = errors.New("a plugin cannot answer; it continues, denies or drops")
	errNoKey      = errors.New("the stage noted an attribute without a key")
	errRecipients = errors.New("the stage changed recipients; it can only leave some out")
)

// worker judges the envelopes of an instance that fall to it: all of them, or
// with Parallel those of some connections.
type worker struct {
	in   *instance
	part int
	work *queue[*batch]
	view view
}

func (w *worker) run() {
	for {
		b, ok := w.work.take()
		if !ok {
			return
		}
		if b.begin() {
			w.judgePart(b)
		}
		if b.left.Add(-1) == 0 {
			b.ctx.end()
			b.to.answer(b)
		}
	}
}

func (w *worker) judgePart(b *batch) {
	for i, pb := range b.envelopes {
		if w.in.partOf(pb, i) == w.part {
			w.judge(b.ctx, pb, b.slots[i])
		}
	}
}

// judge asks the stage about one envelope and puts down what it says.
func (w *worker) judge(ctx context.Context, pb *pluginpb.Envelope, s *slot) {
	var span trace.Span
	if pb.Trace != "" && w.in.traces != nil {
		s.traced = true
		ctx, span = w.in.traces.begin(ctx, pb.Trace)
	}
	env := w.view.show(pb, w.in.granted)
	d, err := w.call(ctx, env)
	if err == nil {
		err = w.allowed(env, pb, d)
	}
	if err == nil {
		err = w.put(env, pb, d, s)
	}
	if err != nil {
		s.fail(err.Error())
	}
	if span != nil {
		conclude(span, d, err)
	}
}

// call is Handle, with a panic as an error.
func (w *worker) call(ctx context.Context, env *sdk.Envelope) (d sdk.Decision, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = w.in.service.panicked(ctx, "Handle", w.in, v)
		}
	}()
	return w.in.judge.Handle(ctx, env)
}

// allowed says what of a decision a plugin has no right to.
func (w *worker) allowed(env *sdk.Envelope, pb *pluginpb.Envelope, d sdk.Decision) error {
	switch {
	case d.Verdict == sdk.Undecided || d.Verdict > sdk.Answer:
		return fmt.Errorf("the stage decided nothing (verdict %d)", d.Verdict)
	case d.Verdict == sdk.Answer:
		return errAnswers
	case d.Verdict == sdk.Drop && !w.in.granted.drop:
		return fmt.Errorf("dropping needs the capability %s", VerdictDrop)
	case uint32(env.Priority) != pb.Priority && env.Priority > sdk.PriorityLow:
		return fmt.Errorf("there is no priority %d", env.Priority)
	case uint32(env.Priority) != pb.Priority && !w.in.granted.priority:
		return fmt.Errorf("changing the priority needs the capability %s", PriorityWrite)
	case !env.HoldUntil.IsZero() && !w.in.granted.hold:
		return fmt.Errorf("holding a message back needs the capability %s", DeliveryHold)
	}
	return nil
}

// put writes a decision, and what the stage did to the envelope, to its slot.
func (w *worker) put(env *sdk.Envelope, pb *pluginpb.Envelope, d sdk.Decision, s *slot) error {
	if d.Verdict != sdk.Continue {
		v := s.exception()
		v.Verdict, v.Reason, v.Text = uint32(d.Verdict), cut(string(d.Reason)), cut(d.Text)
		v.RetryAfterNanos = int64(d.RetryAfter)
	}
	if uint32(env.Priority) != pb.Priority {
		s.exception().SetPriority = uint32(env.Priority) + 1
	}
	if !env.HoldUntil.IsZero() {
		s.exception().HoldUntilNanos = env.HoldUntil.UnixNano()
	}
	if len(env.Attributes) > w.view.noted {
		if err := putNotes(env.Attributes[w.view.noted:], s); err != nil {
			return err
		}
	}
	if env.Narrowed() > 0 {
		return putLeftOut(env, pb, s)
	}
	return nil
}

func putNotes(notes []sdk.Attribute, s *slot) error {
	size := 0
	for _, a := range notes {
		if a.Key == "" {
			return errNoKey
		}
		size += len(a.Key) + len(a.Value)
		s.note(cut(a.Key), cut(a.Value))
	}
	if len(notes) > mostNotes || size > mostNoteBytes {
		return fmt.Errorf("the stage noted %d attributes with %d bytes; %d with %d are allowed",
			len(notes), size, mostNotes, mostNoteBytes)
	}
	return nil
}

// putLeftOut finds which recipients are gone: what is left has the order of
// the original.
func putLeftOut(env *sdk.Envelope, pb *pluginpb.Envelope, s *slot) error {
	kept, err := env.Audience(context.Background())
	if err != nil {
		return err
	}
	v := s.exception()
	for i, r := range pb.Audience {
		if len(kept) > 0 && kept[0].Member == keyOf(r.Member) && kept[0].Session == keyOf(r.Session) {
			kept = kept[1:]
			continue
		}
		v.LeaveOut = append(v.LeaveOut, uint32(i))
	}
	if len(kept) > 0 {
		return errRecipients
	}
	return nil
}
