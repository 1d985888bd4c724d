package delivery

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
)

const (
	// holdMax bounds how long a message is held back. A longer hold counts as
	// this one, so that a stage that is wrong about a date leaves no row for ever.
	holdMax = 366 * 24 * time.Hour

	// releasePoll is how often the store is asked when the next message is due.
	// This node knows of its own messages; the poll finds what another node
	// accepted that is gone by now, or what the clock has jumped to.
	releasePoll = 2 * time.Second

	// releaseAgain is the pause before a release is tried again: after the store
	// failed to answer, and while another node releases. It comes on top of
	// releaseRest.
	releaseAgain = 250 * time.Millisecond

	// releaseRest is the pause after a release, so that times close to each other
	// share one: a release costs a transaction, and a connection for the lock. What
	// is due meanwhile is late by as much.
	releaseRest = 250 * time.Millisecond

	// releaseBatch bounds one releasing transaction: commits wait for it.
	releaseBatch = 256

	lockRelease = "release of held messages"
)

// heldUntil returns until when a message is held back that is accepted now, in
// whole milliseconds and no sooner than asked for; zero when it is not.
func heldUntil(asked, now time.Time) time.Time {
	if !asked.After(now) {
		return time.Time{}
	}
	if last := now.Add(holdMax); asked.After(last) {
		asked = last
	}
	whole := asked.Truncate(time.Millisecond)
	if whole.Before(asked) {
		whole = whole.Add(time.Millisecond)
	}
	return whole
}

// releases is when the next held delivery is due, as far as this node knows.
type releases struct {
	mu   sync.Mutex
	next time.Time     // zero: none is known
	news chan struct{} // one signal: next is earlier than it was
}

func newReleases() *releases { return &releases{news: make(chan struct{}, 1)} }

// expect notes a time at which something on disk is due.
func (r *releases) expect(at time.Time) {
	if !r.learn(at) {
		return
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// learn notes a time and reports whether it is the earliest now.
func (r *releases) learn(at time.Time) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if first = r.next.IsZero() || at.Before(r.next); first {
		r.next = at
	}
	return first
}

// forget makes room for what the store says. Whatever is expected from here on
// stays known, because the store may have answered before it was written.
func (r *releases) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = time.Time{}
}

// release makes held deliveries wait like all others when they are due, until ctx
// ends.
func (e *Engine) release(ctx context.Context) {
	timer := time.NewTimer(0) // at once: something may be due since the last broker ended
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.releases.news:
		case <-timer.C:
		}
		now := time.Now()
		next, tried, err := e.releaseDue(ctx, now)
		if err != nil && ctx.Err() == nil {
			e.releaseFailed(err)
		}
		if tried || err != nil {
			sleep(ctx, releaseRest)
		}
		timer.Reset(releaseIn(next, now, err))
	}
}

// sleep returns after a while, or when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// releaseIn returns how long to wait after a release by now.
func releaseIn(next, now time.Time, err error) time.Duration {
	switch {
	case err != nil:
		return releaseAgain
	case next.IsZero():
		return releasePoll
	case !next.After(now):
		return releaseAgain // another node is at it
	}
	return min(time.Until(next), releasePoll)
}

// releaseFailed says that a release failed. That a database is away, the
// committer has said for all.
func (e *Engine) releaseFailed(err error) {
	level := slog.LevelWarn
	if errors.Is(err, store.ErrUnavailable) {
		level = slog.LevelDebug
	}
	e.log.Log(e.ctx, level, "release of held messages", slog.Any("err", err))
}

// releaseDue makes held deliveries that are due by now wait like all others,
// unless another node does that now, and tells whoever they are for. It returns
// when the next one is due: not after now when another node was at it, and zero
// when none is held. tried says that something was due.
func (e *Engine) releaseDue(ctx context.Context, now time.Time) (next time.Time, tried bool, err error) {
	e.releases.forget()
	next, err = e.queue.NextRelease(ctx)
	if tried = err == nil && !next.IsZero() && !next.After(now); tried {
		if err = e.releaseAlone(ctx, now); err == nil {
			next, err = e.queue.NextRelease(ctx)
		}
	}
	if err == nil && !next.IsZero() {
		e.releases.learn(next)
	}
	return next, tried, err
}

// releaseAlone releases what is due, unless another node does. Two at once would
// release one recipient's messages out of order.
func (e *Engine) releaseAlone(ctx context.Context, now time.Time) error {
	if e.options.Others == nil {
		return e.releaseAll(ctx, now)
	}
	_, err := e.options.Others.Alone(ctx, lockRelease, func(ctx context.Context) error { return e.releaseAll(ctx, now) })
	return err
}

func (e *Engine) releaseAll(ctx context.Context, now time.Time) error {
	for {
		list, err := e.queue.Release(ctx, now, releaseBatch)
		e.Counters.Released.Add(int64(len(list)))
		e.tellReleased(list)
		if err != nil || len(list) < releaseBatch {
			return err
		}
	}
}

// tellReleased tells each recipient once for each priority.
func (e *Engine) tellReleased(list []store.Released) {
	told := make(map[store.Released]struct{}, len(list))
	for _, r := range list {
		if _, done := told[r]; !done {
			told[r] = struct{}{}
			e.nudge(r.Mesh, r.Recipient, r.Priority)
		}
	}
}
