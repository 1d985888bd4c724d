package delivery

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// drainRetry is the pause after the store failed to answer a drain, and how long
// a drain waits for a sign that the client reads.
const drainRetry = time.Second

// readTimeout bounds one read of a drain.
const readTimeout = 10 * time.Second

// nudge tells the mailbox that the store may hold something of priority p for
// it. From now on nothing is pushed around the drain, until the drain has
// found nothing more.
func (m *Mailbox) nudge(p sdk.Priority) {
	m.mu.Lock()
	if m.link == nil || p > m.max {
		m.mu.Unlock()
		return
	}
	m.behind, m.again = true, true
	start := !m.draining
	if start {
		m.draining = true
	}
	m.mu.Unlock()
	if !start {
		return
	}
	m.engine.start(m.drain)
}

// drain pushes what waits in the store until nothing is left or the session
// goes away. One runs at a time.
func (m *Mailbox) drain() {
	var place store.Cursor
	for m.drainBatch(&place) {
	}
}

// drainBatch reads one batch behind place, pushes it, and moves place. It
// reports whether to go on.
func (m *Mailbox) drainBatch(place *store.Cursor) bool {
	m.mu.Lock()
	if m.link == nil {
		m.draining = false
		m.mu.Unlock()
		return false
	}
	if m.again {
		m.again, *place = false, store.Cursor{} // something more urgent may have come
	}
	m.forgetMarkedLocked()
	link, top, careful := m.link, m.max, m.careful
	m.careful = false
	m.mu.Unlock()

	rows, err := m.engine.read(m, top, *place, careful)
	if err != nil {
		return m.drainFailed(err, careful)
	}
	if !m.engine.held() {
		return m.pause() // what was read may be others' by now
	}
	daemon := m.engine.daemonElsewhere(m.id.Mesh, m.id.Member) // locks the mesh, which comes before the mailbox

	m.mu.Lock()
	if m.link != link {
		m.again = true
		m.mu.Unlock()
		return true
	}
	blocked := m.pushRowsLocked(rows, place, daemon)
	if !blocked && len(rows) < m.engine.options.DrainBatch && !m.again {
		m.behind, m.draining = m.kept > 0, false
		m.mu.Unlock()
		return false
	}
	m.mu.Unlock()
	return !blocked || m.waitProgress()
}

// drainFailed waits a little after the store failed, as long as the engine runs.
// That a database is away, the committer has said for all.
func (m *Mailbox) drainFailed(err error, careful bool) bool {
	e := m.engine
	if e.ctx.Err() == nil {
		e.Counters.DrainErrors.Add(1)
		level := slog.LevelWarn
		if errors.Is(err, store.ErrUnavailable) {
			level = slog.LevelDebug
		}
		e.log.Log(e.ctx, level, "drain", slog.String("mesh", m.id.Mesh), slog.Any("err", err))
	}
	m.mu.Lock()
	m.careful = m.careful || careful
	m.mu.Unlock()
	return m.pause()
}

// pause makes a drain wait a little, and reports whether to go on.
func (m *Mailbox) pause() bool {
	select {
	case <-m.engine.ctx.Done():
		m.stopDrain()
		return false
	case <-time.After(drainRetry):
		return true
	}
}

// waitProgress returns when something was confirmed or the link has changed, or
// after a while: a client that confirms nothing yet may have read something.
func (m *Mailbox) waitProgress() bool {
	select {
	case <-m.progress:
		return true
	case <-time.After(drainRetry):
		return true
	case <-m.engine.ctx.Done():
		m.stopDrain()
		return false
	}
}

func (m *Mailbox) stopDrain() {
	m.mu.Lock()
	m.draining = false
	m.mu.Unlock()
}

// pushRowsLocked pushes what is not on its way already, and moves place to the
// last row that needs no second look. blocked means that the session has to
// confirm something before the rest can follow.
//
// The recipient may have become busy while the rows were read: what may no
// longer disturb it stays for the drain that runs when it is idle again.
func (m *Mailbox) pushRowsLocked(rows []store.Waiting, place *store.Cursor, daemon bool) (blocked bool) {
	flying := make(map[claim]struct{}, len(m.sent))
	for i := range m.sent {
		flying[claim{m.sent[i].d.msg.Seq, m.sent[i].d.to}] = struct{}{}
	}
	for i := range rows {
		msg, to := rows[i].Message, rows[i].Recipient
		if msg.Priority > m.max {
			break // rows come by priority
		}
		c := claim{msg.Seq, to}
		_, flies := flying[c]
		_, had := m.had[c]
		_, done := m.marks[c]
		if !flies && !had && !done && m.eligible(msg, to) {
			d := &delivery{msg: msg, to: to, frame: m.engine.encodeNew(msg), drained: true, traced: msg.Traced, daemon: daemon && to == m.id.Member}
			d.state.Store(stored)
			if !m.roomLocked(len(d.frame)) || m.link.Full(len(d.frame)) || !m.pushLocked(d, &m.engine.Counters.PushedLater) {
				return true
			}
			m.engine.Counters.Drained.Add(1)
		}
		*place = store.Cursor{Priority: msg.Priority, Seq: msg.Seq, Recipient: to}
	}
	return false
}

// read asks the store for what waits for a mailbox; with careful, after
// everything that was accepted or confirmed before is written.
func (e *Engine) read(m *Mailbox, top sdk.Priority, after store.Cursor, careful bool) ([]store.Waiting, error) {
	if careful {
		if err := e.committer.Barrier(e.ctx); err != nil {
			return nil, err
		}
	}
	select {
	case e.drains <- struct{}{}:
		defer func() { <-e.drains }()
	case <-e.ctx.Done():
		return nil, e.ctx.Err()
	}
	ctx, cancel := context.WithTimeout(e.ctx, readTimeout)
	defer cancel()
	return e.queue.Pending(ctx, store.Drain{
		Mesh: m.id.Mesh, Keys: m.keys, Max: top, After: after,
		Now: time.Now(), Limit: e.options.DrainBatch,
	})
}
