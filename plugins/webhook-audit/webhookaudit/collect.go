package webhookaudit

import (
	"log/slog"
	"time"
)

// tellLostEvery is how often lost events are logged.
const tellLostEvery = time.Minute

// collect makes batches of what comes in, until Stop, and puts them into the
// queue.
func (w *Observer) collect(q queue) {
	defer close(w.collected)
	var told time.Time
	for w.gather() {
		events, missed := w.intake.take()
		w.lose(missed)
		if len(events) == 0 {
			continue
		}
		tell := w.lost.Swap(0)
		lost, err := q.put(newBatch(events, tell))
		w.drop(lost)
		if err != nil {
			w.lost.Add(tell)
			w.lose(len(events))
			w.logger().ErrorContext(w.logs, "events are lost", slog.Int("events", len(events)), slog.Any("err", err))
		}
		if now := time.Now(); lost.events+missed > 0 && now.Sub(told) >= tellLostEvery {
			told = now
			w.logger().WarnContext(w.logs, "events are lost: the endpoint is too slow or away, and the bounds are reached",
				slog.Uint64("events_since_start", w.allLost.Load()))
		}
		select {
		case w.more <- struct{}{}:
		default:
		}
	}
}

// gather waits until there is a batch to make. It is false when the last event
// is gone and no more will come.
func (w *Observer) gather() bool {
	for w.intake.waiting() == 0 {
		select {
		case <-w.intake.changed:
		case <-w.stopping:
			return w.intake.waiting() > 0
		}
	}
	full := time.NewTimer(time.Duration(w.o.MaxWait))
	defer full.Stop()
	for w.intake.waiting() < w.o.MaxEvents {
		select {
		case <-w.intake.changed:
		case <-full.C:
			return true
		case <-w.stopping:
			return true
		}
	}
	return true
}
