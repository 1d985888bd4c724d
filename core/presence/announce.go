package presence

import (
	"time"

	"github.com/claudemesh/broker/sdk"
)

// allowance is a budget of event frames: one second's worth may be spent at
// once. Guarded by the mesh's lock.
type allowance struct {
	rate float64 // frames a second; 0 means no limit
	left float64
	at   time.Time
}

// take spends n and reports whether there was enough.
func (a *allowance) take(n int, now time.Time) bool {
	if a.rate <= 0 {
		return true
	}
	a.left = min(a.rate, a.left+a.rate*now.Sub(a.at).Seconds())
	a.at = now
	if a.left < float64(n) {
		return false
	}
	a.left -= float64(n)
	return true
}

// Except says who need not hear of an event. Zero fields except nobody.
type Except struct {
	Session string  // presence id
	Member  sdk.Key // with all its sessions
}

func (e Except) covers(s *Session) bool {
	return s.ID == e.Session || (s.Member == e.Member && !e.Member.IsZero())
}

// Announce writes an event frame to the connected sessions of a mesh, those on
// other nodes too. Events are hints, and n sessions that come at once would
// cost n² frames: beyond the mesh's allowance an event is dropped, and peer
// lists tell the truth. It reports whether the event was written.
func (d *Directory) Announce(meshID string, frame []byte, except Except) bool {
	if d.options.Others != nil {
		d.options.Others.Forward(meshID, frame, except)
	}
	return d.Hear(meshID, frame, except)
}

// Hear is Announce for the sessions on this node.
func (d *Directory) Hear(meshID string, frame []byte, except Except) bool {
	m := d.mesh(meshID)
	if m == nil {
		return true
	}
	conns, ok := m.listeners(except, d.now())
	for _, c := range conns {
		if !c.Full(len(frame)) { // a hint must not make a peer slow
			c.Send(frame)
		}
	}
	return ok
}

// listeners returns the connections that an event goes to.
func (m *mesh) listeners(except Except, now time.Time) ([]Conn, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.announce.take(len(m.sessions), now) {
		return nil, false
	}
	conns := make([]Conn, 0, len(m.sessions))
	for s := range m.sessions {
		if s.conn != nil && !except.covers(s) {
			conns = append(conns, s.conn)
		}
	}
	return conns, true
}

// Tell writes a frame to the connected sessions of a member on this node.
func (d *Directory) Tell(meshID, memberID string, frame []byte) {
	m := d.mesh(meshID)
	if m == nil {
		return
	}
	m.mu.RLock()
	var conns []Conn
	for s := range m.sessions {
		if s.conn != nil && s.MemberID == memberID {
			conns = append(conns, s.conn)
		}
	}
	m.mu.RUnlock()
	for _, c := range conns {
		if !c.Full(len(frame)) { // a hint must not make a peer slow
			c.Send(frame)
		}
	}
}

// TellOthers writes a frame to the connected sessions of a mesh on this node,
// hidden ones too, that allows says yes to. The session with the presence id
// except is not asked.
func (d *Directory) TellOthers(meshID string, frame []byte, except string, allows func(*Session) bool) {
	m := d.mesh(meshID)
	if m == nil {
		return
	}
	for _, l := range m.connected(except) {
		if !l.conn.Full(len(frame)) && allows(l.session) { // a hint must not make a peer slow
			l.conn.Send(frame)
		}
	}
}

// listener is a session with its connection, as it was when somebody looked.
type listener struct {
	session *Session
	conn    Conn
}

// connected returns the sessions of this node that are connected, but for one.
func (m *mesh) connected(except string) []listener {
	m.mu.RLock()
	defer m.mu.RUnlock()
	list := make([]listener, 0, len(m.sessions))
	for s := range m.sessions {
		if s.conn != nil && s.ID != except {
			list = append(list, listener{s, s.conn})
		}
	}
	return list
}
