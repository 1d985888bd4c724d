package presence

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// details are the part of a session that other nodes need and that the columns
// of its presence row do not have. Nodes of different releases read each
// other's: fields are only ever added.
type details struct {
	Online   bool          `json:"online"`
	Moves    int64         `json:"moves,omitempty"`
	Seen     time.Time     `json:"seen"`  // when it last sent anything, as of now
	Grace    time.Time     `json:"grace"` // until when it may come back; of use when not online
	Hostname string        `json:"hostname,omitempty"`
	PeerType string        `json:"peerType,omitempty"`
	Channel  string        `json:"channel,omitempty"`
	Model    string        `json:"model,omitempty"`
	Member   sdk.Key       `json:"member"`
	Status   Status        `json:"status"`
	Source   Source        `json:"source"`
	StatusAt time.Time     `json:"statusAt"`
	Groups   []store.Group `json:"groups,omitempty"`
	Summary  string        `json:"summary,omitempty"`
	Visible  bool          `json:"visible"`
	Profile  store.Profile `json:"profile"`
	Stats    *Stats        `json:"stats,omitempty"`
	Base     store.Stats   `json:"base"`
	Streams  []string      `json:"streams,omitempty"`
	Serves   bool          `json:"serves,omitempty"`
}

func (s *Session) detailsLocked() []byte {
	v := s.viewLocked()
	b, err := json.Marshal(details{
		Online: v.Online, Moves: s.moves, Seen: v.LastSeen, Grace: s.grace,
		Hostname: v.Hostname, PeerType: v.PeerType, Channel: v.Channel, Model: v.Model, Member: s.Member,
		Status: v.Status, Source: v.Source, StatusAt: v.StatusSince,
		Groups: v.Groups, Summary: v.Summary, Visible: v.Visible, Profile: v.Profile, Stats: v.Stats, Base: s.base, Streams: v.Streams, Serves: v.Serves,
	})
	if err != nil {
		panic(fmt.Sprint("presence: details are plain values: ", err))
	}
	return b
}

// Mirror takes in the row of a session as another node, or the store, has it.
// Rows may come in any order and more than once: of two versions the higher one
// counts. A session of this node that lives on elsewhere is closed here.
//
// What a node says before it knows that it has lost a session counts nothing
// where the session is now, however high the version.
func (d *Directory) Mirror(p *store.Presence) error {
	var about details
	if err := json.Unmarshal(p.Details, &about); err != nil {
		return fmt.Errorf("presence %s of node %s: %w", p.ID, p.Node, err)
	}
	m := d.obtain(p.MeshID)
	if d.outlived(m, p, about.Moves) {
		return nil
	}
	if mine := m.displacedBy(p, about.Moves); mine != nil {
		d.yield(m, mine, p)
	}
	if p.Node == d.options.Node {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if old := m.byID[p.ID]; old != nil {
		if !old.Elsewhere() || old.version >= p.Version {
			return nil
		}
		old.ended = true
		m.removeLocked(old)
	}
	if p.DisconnectedAt.IsZero() && m.twinLocked(p) == nil {
		m.addLocked(mirrored(p, &about))
	}
	return nil
}

// outlived reports whether an open row is about a time before the session moved
// to this node. If it looks newer than what this node has said, everybody is
// told once more where the session is.
func (d *Directory) outlived(m *mesh, p *store.Presence, moves int64) bool {
	m.mu.Lock()
	s := m.byID[p.ID]
	if s == nil || s.Elsewhere() || s.moves <= moves {
		m.mu.Unlock()
		return false
	}
	var row *store.Presence
	if s.version < p.Version {
		s.version = p.Version
		row = d.changedLocked(s)
	}
	m.mu.Unlock()
	d.tell(row)
	return true
}

// releaseLocked gives an adopted session back that got no connection here: the
// next look into the store finds where it is.
func (d *Directory) releaseLocked(m *mesh, s *Session) bool {
	if s.adopted {
		d.endLocked(m, s)
	}
	return s.adopted
}

// displacedBy returns the session of this node that a row says lives elsewhere,
// or has ended; nil when there is none.
//
// Two nodes that give one session key a session at the same moment make two
// rows. Both nodes decide alike: the one that began later stays.
func (m *mesh) displacedBy(p *store.Presence, moves int64) *Session {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if s := m.byID[p.ID]; s != nil {
		if s.Elsewhere() || s.version == 0 || (s.version >= p.Version && s.moves >= moves) {
			return nil
		}
		return s
	}
	if s := m.twinLocked(p); s != nil && (s.Since.Before(p.ConnectedAt) || (s.Since.Equal(p.ConnectedAt) && s.ID < p.ID)) {
		return s
	}
	return nil
}

// twinLocked returns another session of this node with the key of a row that is
// open.
func (m *mesh) twinLocked(p *store.Presence) *Session {
	if p.SessionKey.IsZero() || !p.DisconnectedAt.IsZero() {
		return nil
	}
	for _, s := range m.byKey[p.SessionKey] {
		if s.Key == p.SessionKey && s.ID != p.ID && !s.Elsewhere() {
			return s
		}
	}
	return nil
}

// yield gives a session up: it lives elsewhere now, as row p says. Nobody is
// told, since for its mesh it goes on.
func (d *Directory) yield(m *mesh, s *Session, p *store.Presence) {
	s.switching.Lock()
	defer s.switching.Unlock()
	m.mu.Lock()
	if s.ended {
		m.mu.Unlock()
		return
	}
	conn := s.conn
	s.conn = nil
	d.endLocked(m, s)
	var row *store.Presence
	if s.ID != p.ID && s.version != 0 {
		row = d.rowLocked(s, d.now()) // it lives on in another row
	}
	m.mu.Unlock()
	s.Box.Disconnect(nil)
	if conn != nil {
		conn.CloseWith(codeNormal, reasonReplaced)
	}
	d.tell(row)
}

// mirrored returns the session that a row of another node describes.
func mirrored(p *store.Presence, about *details) *Session {
	return &Session{
		ID: p.ID, Mesh: p.MeshID, MemberID: p.MemberID, Member: about.Member,
		Key: p.SessionKey, Role: Role(p.Role), Since: p.ConnectedAt,
		about: About{
			Name: p.DisplayName, SessionID: p.SessionID, Pid: p.Pid, Cwd: p.Cwd,
			Hostname: about.Hostname, PeerType: about.PeerType, Channel: about.Channel, Model: about.Model,
		},
		there: about.Online, node: p.Node, version: p.Version, moves: about.Moves, left: about.Seen, grace: about.Grace,
		state:  state{about.Status, about.Source, about.StatusAt},
		groups: about.Groups, summary: about.Summary, visible: about.Visible, profile: about.Profile,
		stats: about.Stats, base: about.Base, streams: about.Streams, serves: about.Serves,
	}
}

// adoptLocked makes a session of another node one of this node: its next
// connection is here.
func (d *Directory) adoptLocked(m *mesh, theirs *Session, a Arrival) *Session {
	theirs.ended = true
	m.removeLocked(theirs)
	s := d.newSession(a)
	s.ID, s.Since, s.version, s.moves = theirs.ID, theirs.Since, theirs.version, theirs.moves+1
	s.state, s.groups, s.summary, s.visible = theirs.state, theirs.groups, theirs.summary, theirs.visible
	s.profile, s.stats, s.base = theirs.profile, theirs.stats, theirs.base
	s.streams, s.serves = theirs.streams, theirs.serves
	s.adopted = true
	s.Box.Idle(s.state.Status == Idle)
	m.addLocked(s)
	return s
}

// Known is one session in the eyes of a directory.
type Known struct {
	Mesh    string
	Version int64
	Own     bool // of this node
}

// Known returns every session that has a row, by its presence id.
func (d *Directory) Known() map[string]Known {
	known := map[string]Known{}
	for _, m := range d.all() {
		m.mu.RLock()
		for s := range m.sessions {
			if s.version != 0 {
				known[s.ID] = Known{m.id, s.version, !s.Elsewhere()}
			}
		}
		m.mu.RUnlock()
	}
	return known
}

// Unmirror forgets a session of another node that is no longer open, if it is
// still at the version.
func (d *Directory) Unmirror(meshID, id string, version int64) {
	m := d.obtain(meshID)
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.byID[id]; s != nil && s.Elsewhere() && s.version == version {
		s.ended = true
		m.removeLocked(s)
	}
}

// Rewrite writes the row of a session of this node again, with a new version:
// it did not reach the store.
func (d *Directory) Rewrite(meshID, id string) {
	m := d.obtain(meshID)
	m.mu.Lock()
	var row *store.Presence
	if s := m.byID[id]; s != nil && !s.Elsewhere() {
		row = d.changedLocked(s)
	}
	m.mu.Unlock()
	d.tell(row)
}

// Bury ends an open row of this node whose session is over.
func (d *Directory) Bury(p *store.Presence) {
	over := *p
	over.DisconnectedAt, over.Version = d.now(), p.Version+1
	d.tell(&over)
}

// Republish tells the other nodes of every session of this node again, with a
// new version: they may have given this node up meanwhile. Grace times start
// anew, since nobody could come back here.
func (d *Directory) Republish() {
	for _, m := range d.all() {
		m.mu.Lock()
		var rows []*store.Presence
		for s := range m.sessions {
			if s.Elsewhere() {
				continue
			}
			if s.conn == nil {
				s.grace = d.now().Add(d.options.Grace)
			}
			if row := d.changedLocked(s); row != nil {
				rows = append(rows, row)
			}
		}
		m.mu.Unlock()
		for _, row := range rows {
			d.tell(row)
		}
	}
}
