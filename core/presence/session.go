package presence

import (
	"sync"
	"time"

	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Conn is the connection under a session.
type Conn interface {
	delivery.Link

	// Send writes a frame that needs no confirmation.
	Send(frame []byte) bool

	// CloseWith ends the connection with a WebSocket close code and a reason.
	CloseWith(code int, reason string)

	// LastSeen returns when the peer last sent anything.
	LastSeen() time.Time
}

// Role tells sessions of agents from a daemon's control connection, which
// clients hide from their lists.
type Role string

// Roles, as peers_list names them.
const (
	RoleSession Role = "session"
	RoleControl Role = "control-plane"
)

// About is what a session tells about itself at its hello.
type About struct {
	Name      string // display name
	SessionID string // the client's name for its launch
	Pid       int64
	Cwd       string
	Hostname  string
	PeerType  string
	Channel   string
	Model     string
}

// Session is one launch of an agent in one mesh.
type Session struct {
	// Set when the session begins, never changed.
	ID       string // row id of its presence
	Mesh     string
	MemberID string
	Member   sdk.Key
	Key      sdk.Key // zero when the session brought none
	Role     Role
	Since    time.Time
	Box      *delivery.Mailbox // nil for a session that is connected to another node

	// switching is held while the session's connection changes, so that its
	// mailbox follows in the same order. It is locked before the mesh.
	switching sync.Mutex

	// Guarded by the lock of its mesh.
	about    About
	passing  bool      // nothing is kept of it
	arrivals uint64    // hellos that continued the session
	turn     uint64    // of these, the one that conn came by
	conn     Conn      // nil in grace, and for sessions of other nodes
	there    bool      // connected to another node
	orphan   bool      // was there, until that node died
	node     string    // that it is, or was, connected to
	version  int64     // rises with each change; of use among nodes only
	moves    int64     // how often it has moved from one node to another
	adopted  bool      // its hello came here, and it has no connection here yet
	local    bool      // its hello came from this machine, to this node
	left     time.Time // when conn ended
	grace    time.Time // when the grace time ends
	ended    bool
	state    state
	groups   []store.Group
	summary  string
	visible  bool
	profile  store.Profile
	stats    *Stats
	base     store.Stats       // what was restored
	streams  []string          // that it subscribes to; replaced, never changed in place
	serves   bool              // it offers tools, or has
	told     map[string]uint64 // how often it has published, by stream; of use on its node only
}

// Stats are the counters that a session reports about itself, as it last did.
// Fields that it left out are nil.
type Stats struct {
	MessagesIn  *float64 `json:"messagesIn,omitempty"`
	MessagesOut *float64 `json:"messagesOut,omitempty"`
	ToolCalls   *float64 `json:"toolCalls,omitempty"`
	Uptime      *float64 `json:"uptime,omitempty"`
	Errors      *float64 `json:"errors,omitempty"`
}

// Elsewhere reports whether the session belongs to another node: nothing can be
// changed of it here.
func (s *Session) Elsewhere() bool { return s.Box == nil }

// Routing returns the key that others reach this session by.
func (s *Session) Routing() sdk.Key {
	if s.Key.IsZero() {
		return s.Member
	}
	return s.Key
}

// recipient returns the address of a copy for this very session.
func (s *Session) recipient() sdk.Recipient {
	return sdk.Recipient{MemberID: s.MemberID, Member: s.Member, Session: s.Key}
}

// View is a session as others see it at one moment.
type View struct {
	*Session
	About
	Online      bool // false in grace
	Status      Status
	Source      Source
	Groups      []store.Group
	Summary     string
	Visible     bool
	Profile     store.Profile
	Stats       *Stats
	LastSeen    time.Time
	StatusSince time.Time
	Streams     []string
	Serves      bool
}

// viewLocked copies the session's state. Groups are replaced, never changed in
// place, so the slice may be shared.
func (s *Session) viewLocked() View {
	v := View{
		Session: s, About: s.about, Online: s.conn != nil || s.there,
		Status: s.state.Status, Source: s.state.Source, StatusSince: s.state.At,
		Groups: s.groups, Summary: s.summary, Visible: s.visible, Profile: s.profile, Stats: s.stats,
		LastSeen: s.left, Streams: s.streams, Serves: s.serves,
	}
	switch {
	case s.conn != nil:
		v.LastSeen = s.conn.LastSeen()
	case s.there:
		v.LastSeen = time.Now() // its own node cuts it when it is silent
	}
	return v
}

// savedLocked returns what the session gets back when it returns.
func (s *Session) savedLocked(now time.Time) *store.State {
	return &store.State{
		MeshID: s.Mesh, MemberID: s.MemberID, SessionKey: s.Key,
		Groups: s.groups, Profile: s.profile, Visible: s.visible, Summary: s.summary,
		Status: string(s.state.Status), StatusSource: string(s.state.Source), StatusUpdatedAt: s.state.At,
		Stats: s.totalsLocked(), LastSeenAt: now, Kept: store.Kept{Streams: s.streams, Serves: s.serves},
	}
}

// totalsLocked returns the session's lifetime counters. A client loads what was
// restored into its own counters and reports those, so a report replaces the
// restored values and is never added to them.
func (s *Session) totalsLocked() store.Stats {
	total := s.base
	if s.stats == nil {
		return total
	}
	for _, f := range []struct {
		to   *float64
		from *float64
	}{
		{&total.MessagesIn, s.stats.MessagesIn},
		{&total.MessagesOut, s.stats.MessagesOut},
		{&total.ToolCalls, s.stats.ToolCalls},
		{&total.Errors, s.stats.Errors},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	return total
}
