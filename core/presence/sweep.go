package presence

import (
	"context"
	"time"
)

// sweepEvery is how often grace times and stuck statuses are looked at.
const sweepEvery = time.Second

// Sweep ends sessions whose grace time is over and frees those that are stuck
// in "working", until ctx ends. ended is called for each session that ended.
func (d *Directory) Sweep(ctx context.Context, ended func(View)) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if d.options.Others == nil || d.options.Others.Held() {
				for _, v := range d.EndExpired() {
					ended(v)
				}
			}
			d.FreeStuck()
		}
	}
}

// EndExpired ends the sessions whose grace time is over and returns them as
// they last were.
func (d *Directory) EndExpired() []View {
	now := d.now()
	var over []*Session
	for _, m := range d.all() {
		m.mu.RLock()
		for s := range m.sessions {
			if s.conn == nil && !s.Elsewhere() && now.After(s.grace) {
				over = append(over, s)
			}
		}
		m.mu.RUnlock()
	}
	var views []View
	for _, s := range over {
		if v, ok := d.endIfAway(s, now); ok {
			views = append(views, v)
		}
	}
	return views
}

// endIfAway ends a session that has not come back meanwhile. What it leaves was
// saved when it left.
func (d *Directory) endIfAway(s *Session, now time.Time) (View, bool) {
	m := d.obtain(s.Mesh)
	m.mu.Lock()
	if s.ended || s.conn != nil || !now.After(s.grace) || d.releaseLocked(m, s) {
		m.mu.Unlock()
		return View{}, false
	}
	last := s.viewLocked()
	d.endLocked(m, s)
	row := d.rowLocked(s, now)
	m.mu.Unlock()
	d.journal.SavePresence(row)
	return last, true
}

// FreeStuck makes sessions idle that have said "working" for longer than the
// status lives, and returns how many: the end of their turn was never told.
func (d *Directory) FreeStuck() int {
	now := d.now()
	var stuck []*Session
	for _, m := range d.all() {
		m.mu.RLock()
		for s := range m.sessions {
			if !s.Elsewhere() && s.state.stuck(now, d.options.StatusTTL) {
				stuck = append(stuck, s)
			}
		}
		m.mu.RUnlock()
	}
	for _, s := range stuck {
		d.change(s, func(*mesh) {
			if s.state.stuck(now, d.options.StatusTTL) {
				s.state = state{Idle, Inferred, now}
				s.Box.Idle(true)
			}
		})
	}
	d.Counters.Sweeps.Add(1)
	d.Counters.Freed.Add(int64(len(stuck)))
	return len(stuck)
}
