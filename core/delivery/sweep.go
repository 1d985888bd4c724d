package delivery

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// sweepEvery is how often mailboxes are looked at for confirmations that
	// take too long.
	sweepEvery = 5 * time.Second

	// pruneEvery is how often the store is asked to expire and to delete.
	pruneEvery = time.Minute

	// pruneBatch bounds one deleting transaction.
	pruneBatch = 1000

	// silentTries is after how many repeats a client that is expected to send
	// client_ack, and never did on this connection, is taken at its pongs: some
	// releases know the handshake and not yet the message.
	silentTries = 3
)

// Sweep repeats what is not confirmed in time, releases what was held back and
// deletes what is over, until ctx ends.
func (e *Engine) Sweep(ctx context.Context) {
	var releasing sync.WaitGroup
	defer releasing.Wait()
	releasing.Go(func() { e.release(ctx) })
	repeat := time.NewTicker(sweepEvery)
	defer repeat.Stop()
	prune := time.NewTicker(pruneEvery)
	defer prune.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-repeat.C:
			e.RepeatLate(now)
		case now := <-prune.C:
			if err := e.pruneAlone(ctx, now); err != nil && ctx.Err() == nil {
				e.log.Warn("queue sweep", slog.Any("err", err))
			}
		}
	}
}

// RepeatLate pushes again, on the same connection, what a client_ack should
// have confirmed by now.
func (e *Engine) RepeatLate(now time.Time) {
	e.dir.EachMailbox(func(m *Mailbox) { m.repeatLate(now) })
}

// pruneAlone is Prune, unless another node prunes now.
func (e *Engine) pruneAlone(ctx context.Context, now time.Time) error {
	if e.options.Others == nil {
		return e.Prune(ctx, now)
	}
	_, err := e.options.Others.Alone(ctx, "queue sweep", func(ctx context.Context) error { return e.Prune(ctx, now) })
	return err
}

// Prune ends deliveries whose time is over and deletes rows that nothing waits
// for any more.
func (e *Engine) Prune(ctx context.Context, now time.Time) error {
	for {
		n, err := e.queue.Expire(ctx, now, pruneBatch)
		if err != nil {
			return err
		}
		e.Counters.Expired.Add(n)
		if n < pruneBatch {
			break
		}
	}
	for {
		n, err := e.queue.PruneQueue(ctx, now.Add(-e.options.KeepDelivered), pruneBatch)
		if err != nil || n < pruneBatch {
			return err
		}
	}
}

// repeatLate pushes late entries again. Each repeat doubles the time until the
// next one.
func (m *Mailbox) repeatLate(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.draining {
		m.forgetMarkedLocked()
	}
	confirmsByAck := (m.id.Acks || m.acked) && !m.demoted
	if m.link == nil || len(m.sent) == 0 || !confirmsByAck || !m.engine.held() {
		return
	}
	timeout := m.engine.options.AckTimeout
	for i := range m.sent {
		p := &m.sent[i]
		if now.Sub(p.at) < timeout<<min(p.tries, 10) {
			continue
		}
		if p.tries >= silentTries && !m.acked {
			m.demoteLocked(now)
			return
		}
		if !m.repeatLocked(p, now) {
			return
		}
	}
}

// repeatLocked pushes an entry again, and reports whether the link took it.
func (m *Mailbox) repeatLocked(p *push, now time.Time) bool {
	number, ok := m.link.Push(p.d.frame)
	if !ok {
		return false
	}
	before := p.at
	p.number, p.at, p.tries = number, now, p.tries+1
	m.engine.Counters.Repeated.Add(1)
	m.engine.follow(p, before)
	return true
}

// demoteLocked takes the client at its pongs from now on. What it has not
// confirmed is pushed once more, so that a pong can cover it.
func (m *Mailbox) demoteLocked(now time.Time) {
	m.demoted = true
	for i := range m.sent {
		if !m.repeatLocked(&m.sent[i], now) {
			return
		}
	}
}
