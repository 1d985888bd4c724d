package presence

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// ErrFull is returned by Attach when the mesh has as many sessions as it may.
var ErrFull = errors.New("the mesh has as many sessions as it may")

// Codes of connections that presence closes; docs/errors.md lists them all.
const (
	codeNormal     = 1000
	reasonReplaced = "session_replaced"
)

// Arrival is a proved hello.
type Arrival struct {
	Member *store.Member
	Key    sdk.Key // session key, zero for none
	Role   Role
	Acks   bool // the client is expected to confirm by client_ack
	About  About

	// Passing says that nothing is kept of what the session is: it only hears, and
	// began with what others of the member have saved, and may have changed since.
	Passing bool

	// Groups to begin with. Saved, when not nil, restores the rest.
	Groups []store.Group
	Saved  *store.State
}

// Attached is the session that an arrival got.
type Attached struct {
	*Session
	Resumed bool   // the session was there before
	turn    uint64 // its place among the session's arrivals
}

// Attach finds the session that an arrival continues, or begins a new one. The
// session takes part in the mesh from now on; what it is sent waits until
// [Directory.Online].
//
// The same session key continues a session, and so does, for a session without
// one, the same launch id of the same member from the same host and channel:
// launch ids alone are public and repeat between hosts. A session that
// continues is exempt from the limit, which fails with ErrFull.
func (d *Directory) Attach(a Arrival) (Attached, error) {
	m := d.obtain(a.Member.MeshID)
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.findLocked(a); s != nil {
		if s.Elsewhere() {
			s = d.adoptLocked(m, s, a)
		}
		s.about, s.passing = a.About, a.Passing
		s.grace = d.arriving()
		s.arrivals++
		return Attached{s, true, s.arrivals}, nil
	}
	if len(m.sessions) >= d.options.MeshLimit {
		return Attached{}, ErrFull
	}
	s := d.newSession(a)
	m.addLocked(s)
	return Attached{s, false, 0}, nil
}

// arrivalTime is the least that a session has from its hello to its connection.
const arrivalTime = 10 * time.Second

// arriving returns until when a session whose hello came now is waited for.
func (d *Directory) arriving() time.Time { return d.now().Add(max(d.options.Grace, arrivalTime)) }

// findLocked returns the session that the arrival continues, nil for none.
func (m *mesh) findLocked(a Arrival) *Session {
	if !a.Key.IsZero() {
		for _, s := range m.byKey[a.Key] {
			if s.Key == a.Key && s.MemberID == a.Member.ID {
				return s
			}
		}
		return nil
	}
	if a.About.SessionID == "" {
		return nil // nothing tells this launch from another one
	}
	for _, s := range m.byKey[a.Member.Key] {
		if s.Key.IsZero() && s.about.SessionID == a.About.SessionID &&
			s.about.Hostname == a.About.Hostname && s.about.Channel == a.About.Channel {
			return s
		}
	}
	return nil
}

// newSession makes the session of an arrival.
func (d *Directory) newSession(a Arrival) *Session {
	now := d.now()
	s := &Session{
		ID: identity.NewID(), Mesh: a.Member.MeshID, MemberID: a.Member.ID, Member: a.Member.Key,
		Key: a.Key, Role: a.Role, Since: now,
		about: a.About, passing: a.Passing, groups: distinct(a.Groups), visible: true,
		state: state{Idle, Inferred, now},
		left:  now,
		grace: d.arriving(),
	}
	if a.Saved != nil {
		s.restore(a.Saved)
	}
	s.Box = d.engine.NewMailbox(delivery.Identity{
		Mesh: s.Mesh, Member: s.Member, Session: s.Key,
		Control: s.Role == RoleControl, Acks: a.Acks,
	})
	s.Box.Idle(s.state.Status == Idle)
	return s
}

// distinct drops groups whose name came before.
func distinct(groups []store.Group) (list []store.Group) {
	for _, g := range groups {
		if !slices.ContainsFunc(list, func(x store.Group) bool { return x.Name == g.Name }) {
			list = append(list, g)
		}
	}
	return list
}

// restore brings back what an earlier session left. "Do not disturb" was said
// by a person and holds; other statuses describe a moment that is over.
func (s *Session) restore(saved *store.State) {
	s.visible, s.profile, s.summary, s.base = saved.Visible, saved.Profile, saved.Summary, saved.Stats
	if Status(saved.Status) == DND {
		s.state = state{DND, Source(saved.StatusSource), saved.StatusUpdatedAt}
	}
	if saved.SessionKey == s.Key && !s.Key.IsZero() {
		s.streams, s.serves = saved.Kept.Streams, saved.Kept.Serves
	}
}

// Online gives a session its connection, and whatever waits for it. The session
// continues on the connection whose hello came last: others are closed, also
// when they get here later.
func (d *Directory) Online(at Attached, c Conn) {
	s := at.Session
	s.switching.Lock()
	defer s.switching.Unlock()
	m := d.obtain(s.Mesh)
	m.mu.Lock()
	if s.ended || at.turn < s.turn {
		m.mu.Unlock()
		c.CloseWith(codeNormal, reasonReplaced)
		return
	}
	s.turn, s.adopted = at.turn, false
	old := s.conn
	s.conn = c
	row := d.rowLocked(s, time.Time{})
	m.mu.Unlock()
	if old != nil && old != c {
		old.CloseWith(codeNormal, reasonReplaced)
	}
	d.journal.SavePresence(row)
	s.Box.Connect(c)
}

// Leave takes the connection from a session, unless another one has taken its
// place. A session that said goodbye ends at once; any other has its grace time
// to come back. The view is the session's last; over reports whether it ended.
func (d *Directory) Leave(s *Session, c Conn, goodbye bool) (last View, over bool) {
	s.switching.Lock()
	defer s.switching.Unlock()
	m := d.obtain(s.Mesh)
	now := d.now()
	m.mu.Lock()
	if s.conn != c || s.ended {
		m.mu.Unlock()
		return View{}, false
	}
	last = s.viewLocked()
	s.conn, s.left, s.grace = nil, now, now.Add(d.options.Grace)
	saved := d.savedBothLocked(s, now)
	ended := time.Time{}
	if goodbye {
		d.endLocked(m, s)
		ended = now
	}
	row := d.rowLocked(s, ended)
	m.mu.Unlock()
	s.Box.Disconnect(c)
	d.save(saved)
	if goodbye || d.options.Others != nil {
		d.journal.SavePresence(row)
	}
	return last, goodbye
}

// End removes a session for good and closes its connection. It reports false
// when the session had ended already, or belongs to another node.
func (d *Directory) End(s *Session, code int, reason string) (last View, ended bool) {
	s.switching.Lock()
	defer s.switching.Unlock()
	m := d.obtain(s.Mesh)
	now := d.now()
	m.mu.Lock()
	if s.ended || s.Elsewhere() || d.releaseLocked(m, s) {
		m.mu.Unlock()
		return View{}, false
	}
	last = s.viewLocked()
	conn := s.conn
	s.conn = nil
	saved := d.savedBothLocked(s, now)
	d.endLocked(m, s)
	row := d.rowLocked(s, now)
	m.mu.Unlock()
	s.Box.Disconnect(nil)
	if conn != nil {
		conn.CloseWith(code, reason)
	}
	d.save(saved)
	d.journal.SavePresence(row)
	return last, true
}

// Disconnect closes a session's connection and leaves the session its grace
// time.
func (d *Directory) Disconnect(s *Session, code int, reason string) {
	m := d.obtain(s.Mesh)
	m.mu.RLock()
	conn := s.conn
	m.mu.RUnlock()
	if conn != nil {
		conn.CloseWith(code, reason)
	}
}

func (d *Directory) endLocked(m *mesh, s *Session) {
	s.ended = true
	m.removeLocked(s)
}

// savedBothLocked returns the session's own row and its member's; none for a session
// that keeps nothing.
func (d *Directory) savedBothLocked(s *Session, now time.Time) []*store.State {
	if s.passing {
		return nil
	}
	own := s.savedLocked(now)
	if s.Key.IsZero() {
		own.Kept = store.Kept{}
		return []*store.State{own}
	}
	member := *own
	member.SessionKey, member.Kept = sdk.Key{}, store.Kept{}
	return []*store.State{own, &member}
}

func (d *Directory) save(rows []*store.State) {
	for _, r := range rows {
		d.journal.SaveState(r)
	}
}

// rowLocked returns the stored form of a session as it is now; the zero time
// means that it is here.
func (d *Directory) rowLocked(s *Session, ended time.Time) *store.Presence {
	p := &store.Presence{
		ID: s.ID, MeshID: s.Mesh, MemberID: s.MemberID, SessionKey: s.Key,
		SessionID: s.about.SessionID, DisplayName: s.about.Name, Role: string(s.Role), Pid: s.about.Pid, Cwd: s.about.Cwd,
		ConnectedAt: s.Since, DisconnectedAt: ended,
	}
	if d.options.Others != nil {
		s.version = d.versionAfter(s.version)
		p.Node, p.Version, p.Details = d.options.Node, s.version, s.detailsLocked()
	}
	return p
}

// versionAfter returns a version above v that no other node makes: it tells two
// nodes apart that change one session at the same moment.
func (d *Directory) versionAfter(v int64) int64 {
	v = max(v+1, d.now().UnixMicro())
	return v + (d.options.Slot-v%store.MaxNodes+store.MaxNodes)%store.MaxNodes
}

func sortViews(views []View) {
	slices.SortFunc(views, func(a, b View) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
}
