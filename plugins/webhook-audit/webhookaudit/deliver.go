package webhookaudit

import (
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// firstRetry is the middle of the first wait after a failure.
const firstRetry = 500 * time.Millisecond

// deliver posts batches in their order until the last one after Stop, or until
// Stop has waited enough.
func (w *Observer) deliver(q queue) {
	for last := false; w.ctx.Err() == nil; {
		b, damaged, ok := q.head()
		if damaged.events > 0 {
			w.drop(damaged)
			w.logger().ErrorContext(w.logs, "the spill is damaged; events are lost", slog.Int("events", damaged.events))
		}
		switch {
		case ok:
			if !w.settle(q, &b) {
				return
			}
			continue
		case last:
			return
		}
		select {
		case <-w.more:
		case <-w.collected:
			last = true // look once more: a batch may have come in between
		}
	}
}

// settle posts one batch until the endpoint takes it or refuses it for good. It
// is false when the observer ends before that.
func (w *Observer) settle(q queue, b *batch) bool {
	wait := backoff.NewExponentialBackOff()
	wait.MaxInterval = time.Duration(w.o.RetryMax)
	wait.InitialInterval = min(firstRetry, wait.MaxInterval)
	wait.Multiplier = 2
	since := time.Now()
	for away := false; ; away = true {
		a := w.to.post(w.ctx, b)
		switch {
		case a.taken:
			w.delivered.Add(uint64(b.events))
			if away {
				w.logger().InfoContext(w.logs, "the endpoint takes batches again", slog.Duration("after", time.Since(since)))
			}
			w.finish(q, b)
			return true
		case a.final:
			w.refuse(b, a)
			w.finish(q, b)
			return true
		case !away:
			w.logger().WarnContext(w.logs, "the endpoint takes no batches; they wait", slog.String("answer", a.reason))
		}
		if !w.rest(q, max(wait.NextBackOff(), a.rest)) {
			return false
		}
	}
}

// rest waits before the next attempt. It is false when there will be none.
func (w *Observer) rest(q queue, d time.Duration) bool {
	select {
	case <-w.stopping:
		if q.durable() {
			return false // tried once since Stop began, or just before
		}
		d = min(d, firstRetry)
	default:
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-w.stopping:
		if q.durable() {
			return true // one more attempt
		}
		select {
		case <-timer.C:
			return true
		case <-w.ctx.Done():
			return false
		}
	case <-w.ctx.Done():
		return false
	}
}

// refuse puts a batch where somebody can look at it.
func (w *Observer) refuse(b *batch, a answer) {
	w.refused.Add(uint64(b.events))
	log := w.logger().With(slog.String("batch", b.id), slog.Int("events", b.events), slog.String("answer", a.reason))
	if w.o.SpillDir == "" {
		log.ErrorContext(w.logs, "the endpoint refused a batch, and without spill_dir it is gone")
		return
	}
	if err := bury(w.o.SpillDir, b, a); err != nil {
		log.ErrorContext(w.logs, "the endpoint refused a batch, and the dead-letter file does not take it", slog.Any("err", err))
		return
	}
	log.ErrorContext(w.logs, "the endpoint refused a batch; it is in "+deadFile, slog.String("dir", w.o.SpillDir))
}

func (w *Observer) finish(q queue, b *batch) {
	if err := q.done(*b); err != nil {
		w.logger().ErrorContext(w.logs, "a batch stays in the spill and will be posted again", slog.String("batch", b.id), slog.Any("err", err))
	}
}
