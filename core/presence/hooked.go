package presence

import (
	"cmp"
	"slices"
	"strings"
)

// Hint is what a hook of an agent's tool says of a session. It names none of the
// broker's ids, since the tool knows none.
type Hint struct {
	SessionID string // the client's name for its launch, "" when the hook does not know
	Pid       int64  // 0 when the hook does not know
	Cwd       string
	Status    Status
}

// Level says how well a session fits a hint.
type Level uint8

// Levels, the best first.
const (
	BySession   Level = iota + 1 // the hint names the client's launch
	ByProcess                    // the same process in the same directory
	ByDirectory                  // the same directory
)

// level returns how well a launch fits a hint, and false when it does not fit.
func (h *Hint) level(about *About) (Level, bool) {
	switch {
	case h.SessionID != "" && h.SessionID == about.SessionID:
		return BySession, true
	case h.Cwd != about.Cwd:
		return 0, false
	case h.Pid != 0 && h.Pid == about.Pid:
		return ByProcess, true
	default:
		return ByDirectory, true
	}
}

// Candidate is a session that a hint may mean.
type Candidate struct {
	*Session
	Level    Level
	ClientID string // the client's name for its launch
	Online   bool   // false in grace
	Local    bool   // its hello came from this machine, to this node
}

// Candidates returns the sessions that a hint may mean, in one mesh or, with "",
// in all: the best level first, in a level those that are connected, and of these
// the newest. Whether the hook may speak of them is for the caller to judge.
//
// It looks at every session. A daemon's control connection has no turns, and is
// never meant.
func (d *Directory) Candidates(meshID string, h Hint) []Candidate {
	meshes := d.all()
	if meshID != "" {
		meshes = nil
		if m := d.mesh(meshID); m != nil {
			meshes = append(meshes, m)
		}
	}
	var list []Candidate
	for _, m := range meshes {
		m.mu.RLock()
		for s := range m.sessions {
			level, fits := h.level(&s.about)
			if fits && s.Role != RoleControl {
				list = append(list, Candidate{s, level, s.about.SessionID, s.conn != nil || s.there, s.local})
			}
		}
		m.mu.RUnlock()
	}
	slices.SortFunc(list, better)
	return list
}

// better orders candidates.
func better(a, b Candidate) int {
	away := func(c Candidate) int {
		if c.Online {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(a.Level, b.Level),
		cmp.Compare(away(a), away(b)),
		b.Since.Compare(a.Since),
		strings.Compare(a.ID, b.ID),
	)
}

// Arrived takes in where the hello of a session came from, and gives the session
// what a hook said of it a moment before. account is the one behind its member,
// local says that its connection is from this machine, and
// through no proxy.
//
// Whoever remembers a hint after it looked for sessions looks once more: then
// either it finds a session that comes at the same time, or Arrived finds the
// hint.
func (d *Directory) Arrived(s *Session, account string, local bool) {
	m := d.obtain(s.Mesh)
	m.mu.Lock()
	s.local = local
	about := s.about
	m.mu.Unlock()
	if s.Role == RoleControl {
		return
	}
	status, ok := d.hints.take(d.now(), func(p *pending) bool {
		return p.scope.covers(s.MemberID, account, local) && p.fits(&about)
	})
	if ok {
		d.SetStatus(s, status, Hook)
	}
}
