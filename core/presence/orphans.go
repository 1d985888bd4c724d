package presence

import (
	"time"

	"github.com/claudemesh/broker/core/store"
)

// Orphan gives the sessions of dead nodes their grace time, from when the node
// was last known to live, which dead returns. A node that was taken for dead and
// lives has its sessions again.
func (d *Directory) Orphan(dead func(node string) (since time.Time, is bool)) {
	for _, m := range d.all() {
		m.mu.Lock()
		for s := range m.sessions {
			if !s.there && !s.orphan {
				continue
			}
			since, is := dead(s.node)
			if is && !s.orphan {
				s.left, s.grace = since, since.Add(d.options.Grace)
			}
			s.there, s.orphan = !is, is
		}
		m.mu.Unlock()
	}
}

// HasOrphans reports whether EndOrphans would end a session now.
func (d *Directory) HasOrphans(dead func(node string) (since time.Time, is bool)) bool {
	for _, m := range d.all() {
		m.mu.RLock()
		for s := range m.sessions {
			if _, is := d.overLocked(s, dead); is {
				m.mu.RUnlock()
				return true
			}
		}
		m.mu.RUnlock()
	}
	return false
}

// overLocked reports whether a session is a dead node's, and its grace time over.
func (d *Directory) overLocked(s *Session, dead func(node string) (since time.Time, is bool)) (time.Time, bool) {
	if !s.Elsewhere() || s.there || !d.now().After(s.grace) {
		return time.Time{}, false
	}
	return dead(s.node)
}

// EndOrphans ends the sessions of dead nodes that did not come back in time, and
// returns them as they last were. One node at a time may do this.
func (d *Directory) EndOrphans(dead func(node string) (since time.Time, is bool)) []View {
	var views []View
	for _, m := range d.all() {
		m.mu.Lock()
		var rows []*store.Presence
		for s := range m.sessions {
			if _, is := d.overLocked(s, dead); is {
				views = append(views, s.viewLocked())
				d.endLocked(m, s)
				rows = append(rows, d.rowLocked(s, s.left))
			}
		}
		m.mu.Unlock()
		for _, row := range rows {
			d.tell(row)
		}
	}
	return views
}
