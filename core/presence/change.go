package presence

import (
	"errors"
	"slices"
	"time"

	"github.com/claudemesh/broker/core/store"
)

// maxGroups is the most groups that one session can be in.
const maxGroups = 64

// ErrTooManyGroups is returned by JoinGroup.
var ErrTooManyGroups = errors.New("a session can be in 64 groups at most: leave one first")

// change runs f on a session under its mesh's lock and saves what came of it.
// It does nothing for a session that has ended.
func (d *Directory) change(s *Session, f func(m *mesh)) {
	m := d.obtain(s.Mesh)
	m.mu.Lock()
	if s.ended || s.Elsewhere() {
		m.mu.Unlock()
		return
	}
	f(m)
	saved := d.savedBothLocked(s, d.now())
	row := d.changedLocked(s)
	m.mu.Unlock()
	d.save(saved)
	d.tell(row)
}

// changedLocked returns what other nodes have to know of a session that has
// changed; nil for a broker on its own, and for a session that is between its
// hello and its connection.
func (d *Directory) changedLocked(s *Session) *store.Presence {
	if d.options.Others == nil || s.version == 0 || s.adopted {
		return nil
	}
	return d.rowLocked(s, time.Time{})
}

func (d *Directory) tell(row *store.Presence) {
	if row != nil {
		d.journal.SavePresence(row)
	}
}

// SetStatus writes a status. A hook cannot lift "do not disturb"; who says it
// by hand may do anything; a guess gives way to whatever was said lately.
// Becoming idle releases messages that were held.
func (d *Directory) SetStatus(s *Session, status Status, source Source) {
	d.change(s, func(*mesh) {
		switch {
		case source != Manual && s.state.Status == DND:
			return
		case source == Inferred && !s.state.guessable(d.now(), d.options.HookFresh):
			return
		}
		s.state = s.state.write(status, source, d.now(), d.options.HookFresh)
		s.Box.Idle(s.state.Status == Idle)
	})
}

// SetSummary replaces the text that tells others what the session works on.
func (d *Directory) SetSummary(s *Session, summary string) {
	d.change(s, func(*mesh) { s.summary = summary })
}

// SetVisible shows the session to other members, or hides it. It reports
// whether that changed anything.
func (d *Directory) SetVisible(s *Session, visible bool) (changed bool) {
	d.change(s, func(*mesh) {
		changed = s.visible != visible
		s.visible = visible
	})
	return changed
}

// EditProfile lets f change a copy of the profile.
func (d *Directory) EditProfile(s *Session, f func(*store.Profile)) {
	d.change(s, func(*mesh) { f(&s.profile) })
}

// SetStats replaces the counters that the session reports about itself. They
// are saved when the session leaves.
func (d *Directory) SetStats(s *Session, stats *Stats) {
	m := d.obtain(s.Mesh)
	m.mu.Lock()
	if s.ended || s.Elsewhere() {
		m.mu.Unlock()
		return
	}
	s.stats = stats
	row := d.changedLocked(s)
	m.mu.Unlock()
	d.tell(row)
}

// JoinGroup puts the session into a group, or changes its role there: a join
// without a role drops the role. ErrTooManyGroups.
func (d *Directory) JoinGroup(s *Session, g store.Group) (err error) {
	d.change(s, func(m *mesh) {
		i := slices.IndexFunc(s.groups, func(x store.Group) bool { return x.Name == g.Name })
		if i < 0 && len(s.groups) >= maxGroups {
			err = ErrTooManyGroups
			return
		}
		groups := slices.Clone(s.groups)
		if i < 0 {
			groups = append(groups, g)
		} else {
			groups[i] = g
		}
		m.regroupLocked(s, groups)
	})
	return err
}

// LeaveGroup takes the session out of a group; a session that is not in it
// stays as it is.
func (d *Directory) LeaveGroup(s *Session, name string) {
	d.change(s, func(m *mesh) {
		m.regroupLocked(s, slices.DeleteFunc(slices.Clone(s.groups), func(x store.Group) bool { return x.Name == name }))
	})
}

// regroupLocked replaces the session's groups.
func (m *mesh) regroupLocked(s *Session, groups []store.Group) {
	m.removeGroupsLocked(s)
	s.groups = groups
	m.addGroupsLocked(s)
}

// Find returns the sessions of a mesh that match.
func (d *Directory) Find(meshID string, match func(View) bool) []*Session {
	var found []*Session
	for _, v := range d.Views(meshID) {
		if match(v) {
			found = append(found, v.Session)
		}
	}
	return found
}
