package chain

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// failure says how a stage failed; its text is a metric label.
type failure uint8

const (
	failError     failure = iota // Handle returned an error
	failUndecided                // Handle returned the zero Decision, or no known verdict
	failPanic                    // the stage panicked
	failDeadline                 // the link's deadline passed
	failCancelled                // the caller went away; not the stage's fault
	numFailures
)

func (f failure) String() string {
	return [numFailures]string{"error", "undecided", "panic", "deadline", "cancelled"}[f]
}

// FailureWords returns all words that a [FailureStat] can have.
func FailureWords() []string {
	words := make([]string, 0, numFailures)
	for f := range numFailures {
		words = append(words, f.String())
	}
	return words
}

func classify(ctx context.Context, err error) failure {
	_, panicked := errors.AsType[*panicError](err)
	switch {
	case panicked:
		return failPanic
	case ctx.Err() != nil:
		return failCancelled
	case err == nil:
		return failUndecided
	case errors.Is(err, context.DeadlineExceeded):
		return failDeadline
	}
	return failError
}

// quiet lets one log line a second through and counts the others.
type quiet struct {
	next    atomic.Int64 // Unix nanoseconds before which nothing more is logged
	skipped atomic.Uint64
}

// allow reports whether to log now, and how many lines were left out before.
func (q *quiet) allow(now time.Time) (skipped uint64, ok bool) {
	at, next := now.UnixNano(), q.next.Load()
	if at < next || !q.next.CompareAndSwap(next, at+int64(time.Second)) {
		q.skipped.Add(1)
		return 0, false
	}
	return q.skipped.Swap(0), true
}
