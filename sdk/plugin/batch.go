package plugin

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// A batch is waiting until the first worker begins it, or until it is known
// that nobody wants its verdicts.
const (
	waiting int32 = iota
	begun
	tooLate   // from here on: not to be judged
	calledOff // by the broker
	ended     // with the instance
	unjudged  // by an observer
)

// unjudgedWhy says why a batch was not begun.
func unjudgedWhy(state int32) string {
	switch state {
	case tooLate:
		return "its time was over before it was begun"
	case calledOff:
		return "it was called off before it was begun"
	case ended:
		return "the instance has ended"
	default:
		return "the stage judges nothing"
	}
}

// batch is a Batch on its way to its Verdicts. It belongs to the receive loop,
// then to its workers, then to whoever sends the answer, then to the free list.
type batch struct {
	seq       uint64
	envelopes []*pluginpb.Envelope
	came      time.Time
	deadline  time.Time // zero: none
	ctx       *callContext
	to        answerer

	state atomic.Int32
	left  atomic.Int32 // workers that have not finished their part

	slots    []*slot // one for each envelope; workers write to different ones
	verdicts pluginpb.Verdicts
}

// answerer takes batches that have been judged.
type answerer interface{ answer(b *batch) }

// slot is the verdict about one envelope, with what it needs of memory.
type slot struct {
	verdict pluginpb.Verdict
	notes   []*pluginpb.Attribute // lent to verdict.Attributes
	used    bool                  // differs from the default
	traced  bool                  // its envelope is part of a trace
}

// reset makes the batch ready for n envelopes.
func (b *batch) reset(pb *pluginpb.Batch, now time.Time) {
	b.seq, b.envelopes, b.came, b.deadline = pb.Seq, pb.Envelopes, now, time.Time{}
	if pb.DeadlineNanos > 0 {
		b.deadline = now.Add(time.Duration(pb.DeadlineNanos))
	}
	b.state.Store(waiting)
	for len(b.slots) < len(b.envelopes) {
		b.slots = append(b.slots, new(slot))
	}
	for _, s := range b.slots[:len(b.envelopes)] {
		s.used, s.traced = false, false
	}
}

// begin reports whether the batch is to be judged: it is not when its verdicts
// are of no use any more. Every worker of a batch gets the same answer.
func (b *batch) begin() bool {
	if !b.deadline.IsZero() && b.state.Load() == waiting && !time.Now().Before(b.deadline) {
		b.state.CompareAndSwap(waiting, tooLate)
	}
	b.state.CompareAndSwap(waiting, begun)
	return b.state.Load() == begun
}

// conclude fills in the message. In a batch that was not begun every envelope
// has failed, so that the answer is well formed whoever reads it.
func (b *batch) conclude() *pluginpb.Verdicts {
	v := &b.verdicts
	v.Seq, v.Count, v.DefaultVerdict = b.seq, uint32(len(b.envelopes)), 1
	v.Exceptions, v.JudgedNanos = v.Exceptions[:0], 0
	if state := b.state.Load(); state != begun {
		for _, s := range b.slots[:len(b.envelopes)] {
			s.fail(unjudgedWhy(state))
		}
	}
	for i, s := range b.slots[:len(b.envelopes)] {
		if s.traced && v.JudgedNanos == 0 {
			v.JudgedNanos = max(int64(time.Since(b.came)), 1) // 0 says that it was not measured
		}
		if s.used {
			s.verdict.Index = uint32(i)
			v.Exceptions = append(v.Exceptions, &s.verdict)
		}
	}
	return v
}

// exception marks the slot as one that differs and returns its verdict, with
// "continue" and nothing else in it.
func (s *slot) exception() *pluginpb.Verdict {
	v := &s.verdict
	if !s.used {
		s.used = true
		v.Verdict, v.Reason, v.Text, v.Error = 1, "", "", ""
		v.RetryAfterNanos, v.SetPriority, v.HoldUntilNanos = 0, 0, 0
		v.Attributes, v.LeaveOut = v.Attributes[:0], v.LeaveOut[:0]
	}
	return v
}

// note adds an attribute to the verdict.
func (s *slot) note(key, value string) {
	v := s.exception()
	n := len(v.Attributes)
	if n == len(s.notes) {
		s.notes = append(s.notes, new(pluginpb.Attribute))
	}
	s.notes[n].Key, s.notes[n].Value = key, value
	v.Attributes = s.notes[:n+1]
}

// fail makes the verdict a failure of the stage, which says nothing about the
// envelope and changes nothing of it.
func (s *slot) fail(text string) {
	s.used = false
	v := s.exception()
	v.Verdict, v.Error = 0, cut(text)
}

// longestText is the longest text of the author's in a message, in bytes. A
// longer one is cut: 64 KiB of envelopes must not answer with megabytes.
const longestText = 4 << 10

// cut makes a text of the author's one that fits into a message. Bytes that
// are no UTF-8 are replaced: other codecs refuse a message with them.
func cut(text string) string {
	if len(text) > longestText {
		return strings.ToValidUTF8(text[:longestText], "") + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
