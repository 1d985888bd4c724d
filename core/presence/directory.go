package presence

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/delivery"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Options are the times of presence.
type Options struct {
	Grace     time.Duration // how long a session outlives its connection
	StatusTTL time.Duration // how long "working" holds without a new word
	HookFresh time.Duration // how long a hook's word outranks others
	MeshLimit int           // most sessions in one mesh
	Announce  int           // most event frames a second in one mesh, over all recipients

	// Node names this process among those that share a store, and Others is the
	// way to them; empty and nil for a broker on its own.
	// Slot is its number, which no other one has.
	Node   string
	Slot   int64
	Others Others
}

// Others are the other nodes. All methods return at once and may be called
// concurrently.
type Others interface {
	// Forward hands an event to the sessions of a mesh on other nodes.
	Forward(mesh string, frame []byte, except Except)

	// Listen says that a key has a session here, and Unlisten that one of its
	// sessions is no longer here.
	Listen(mesh string, key sdk.Key)
	Unlisten(mesh string, key sdk.Key)

	// Held reports whether this node may decide about its sessions. One whose
	// lease is over does not know which of them live elsewhere.
	Held() bool
}

// Journal writes down what has to survive a restart. Its methods return at
// once; the rows go into the next transaction.
type Journal interface {
	SavePresence(*store.Presence)
	SaveState(*store.State)
}

// Directory is every session of every mesh. All methods may be called
// concurrently.
type Directory struct {
	options Options
	engine  *delivery.Engine
	journal Journal
	log     *slog.Logger
	now     func() time.Time

	mu     sync.RWMutex
	meshes map[string]*mesh

	hints hints

	Counters Counters
}

// Counters count sweeps and hooks since the start.
type Counters struct {
	Sweeps atomic.Int64 // passes over the statuses
	Freed  atomic.Int64 // sessions that were stuck in "working"

	Hooks        atomic.Int64 // calls of the status hook
	HooksLimited atomic.Int64 // of these, refused because there were too many
}

// NewDirectory returns an empty directory.
func NewDirectory(o Options, e *delivery.Engine, j Journal, log *slog.Logger) *Directory {
	return &Directory{options: o, engine: e, journal: j, log: log, now: time.Now, meshes: map[string]*mesh{}}
}

// mesh returns the mesh with an id, nil when nobody is there.
func (d *Directory) mesh(id string) *mesh {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.meshes[id]
}

// obtain returns the mesh with an id, making it when nobody was there.
func (d *Directory) obtain(id string) *mesh {
	if m := d.mesh(id); m != nil {
		return m
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.meshes[id]
	if m == nil {
		m = &mesh{
			id:       id,
			others:   d.options.Others,
			sessions: map[*Session]struct{}{},
			byID:     map[string]*Session{},
			byKey:    map[sdk.Key][]*Session{},
			byGroup:  map[string]map[*Session]struct{}{},
			byStream: map[string]map[*Session]struct{}{},
			announce: allowance{rate: float64(d.options.Announce)},
		}
		d.meshes[id] = m
	}
	return m
}

// all returns every mesh.
func (d *Directory) all() []*mesh {
	d.mu.RLock()
	defer d.mu.RUnlock()
	list := make([]*mesh, 0, len(d.meshes))
	for _, m := range d.meshes {
		list = append(list, m)
	}
	return list
}

// Mailboxes implements [delivery.Directory].
func (d *Directory) Mailboxes(meshID string, key sdk.Key, dst []*delivery.Mailbox) []*delivery.Mailbox {
	m := d.mesh(meshID)
	if m == nil {
		return dst
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, s := range m.byKey[key] {
		if s.Box != nil {
			dst = append(dst, s.Box)
		}
	}
	return dst
}

// Elsewhere implements [delivery.Directory].
func (d *Directory) Elsewhere(meshID string, key sdk.Key) (connected bool) {
	m := d.mesh(meshID)
	if m == nil || m.others == nil {
		return false
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.ContainsFunc(m.byKey[key], func(s *Session) bool { return s.there })
}

// DaemonElsewhere implements [delivery.Directory].
func (d *Directory) DaemonElsewhere(meshID string, member sdk.Key) bool {
	m := d.mesh(meshID)
	if m == nil || m.others == nil {
		return false
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, s := range m.byKey[member] {
		if s.Role != RoleControl {
			return false // those come first
		}
		if s.there {
			return true
		}
	}
	return false
}

// EachMailbox implements [delivery.Directory].
func (d *Directory) EachMailbox(f func(*delivery.Mailbox)) {
	var boxes []*delivery.Mailbox
	for _, m := range d.all() {
		boxes = boxes[:0]
		m.mu.RLock()
		for s := range m.sessions {
			if s.Box != nil {
				boxes = append(boxes, s.Box)
			}
		}
		m.mu.RUnlock()
		for _, b := range boxes {
			f(b)
		}
	}
}

// Here returns the address behind a key that a connected or just departed
// session has: a session's own, or a member's with all its sessions.
func (d *Directory) Here(meshID string, key sdk.Key) (sdk.Recipient, bool) {
	m := d.mesh(meshID)
	if m == nil {
		return sdk.Recipient{}, false
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	behind := m.byKey[key]
	if len(behind) == 0 {
		return sdk.Recipient{}, false
	}
	r := behind[0].recipient()
	if key == r.Member {
		r.Session = sdk.Key{}
	}
	return r, true
}

// Reached reports whether a session is here, or in its grace time, that others
// reach by exactly this key.
func (d *Directory) Reached(meshID string, key sdk.Key) bool {
	m := d.mesh(meshID)
	if m == nil {
		return false
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.ContainsFunc(m.byKey[key], func(s *Session) bool { return s.Routing() == key })
}

// Audience appends the visible sessions that a group or everybody means, those
// of the sender's own member left out, control connections first.
func (d *Directory) Audience(meshID string, t sdk.Target, sender sdk.Key, dst []sdk.Recipient) []sdk.Recipient {
	m := d.mesh(meshID)
	if m == nil {
		return dst
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	set := m.sessions
	if t.Kind == sdk.TargetGroup {
		set = m.byGroup[t.Name]
	}
	var keyless map[sdk.Key]struct{}
	controls := len(dst)
	for s := range set {
		if !s.visible || s.Member == sender {
			continue
		}
		if s.Key.IsZero() {
			if _, twice := keyless[s.Member]; twice {
				continue
			}
			if keyless == nil {
				keyless = map[sdk.Key]struct{}{}
			}
			keyless[s.Member] = struct{}{}
		}
		dst = append(dst, s.recipient())
		if s.Role == RoleControl {
			last := len(dst) - 1
			dst[controls], dst[last] = dst[last], dst[controls]
			controls++
		}
	}
	return dst
}

// Siblings appends the sessions of a member that have a key of their own, but for
// the one with the key given and for control connections.
func (d *Directory) Siblings(meshID string, member, session sdk.Key, dst []sdk.Recipient) []sdk.Recipient {
	m := d.mesh(meshID)
	if m == nil {
		return dst
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, s := range m.byKey[member] {
		if s.Member == member && !s.Key.IsZero() && s.Key != session && s.Role != RoleControl {
			dst = append(dst, s.recipient())
		}
	}
	return dst
}

// Count returns this node's sessions of all meshes, grace included.
func (d *Directory) Count() int {
	n := 0
	for _, m := range d.all() {
		m.mu.RLock()
		for s := range m.sessions {
			if !s.Elsewhere() {
				n++
			}
		}
		m.mu.RUnlock()
	}
	return n
}

// Views returns the sessions of a mesh by the time they began.
func (d *Directory) Views(meshID string) []View {
	m := d.mesh(meshID)
	if m == nil {
		return nil
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	views := make([]View, 0, len(m.sessions))
	for s := range m.sessions {
		views = append(views, s.viewLocked())
	}
	sortViews(views)
	return views
}

// Guessable returns the connected sessions of all meshes whose status a guess
// may replace: all but "do not disturb" and what a hook or a person said lately.
func (d *Directory) Guessable() []View {
	now := d.now()
	var views []View
	for _, m := range d.all() {
		m.mu.RLock()
		for s := range m.sessions {
			if s.conn != nil && s.state.guessable(now, d.options.HookFresh) {
				views = append(views, s.viewLocked())
			}
		}
		m.mu.RUnlock()
	}
	return views
}

// View returns one session as it is now.
func (d *Directory) View(s *Session) View {
	m := d.obtain(s.Mesh)
	m.mu.RLock()
	defer m.mu.RUnlock()
	return s.viewLocked()
}

// Live returns the session's display name, and false when the session is over.
func (d *Directory) Live(s *Session) (name string, ok bool) {
	m := d.obtain(s.Mesh)
	m.mu.RLock()
	defer m.mu.RUnlock()
	return s.about.Name, !s.ended
}

// ByID returns a session of a mesh by its presence id, nil when there is none.
func (d *Directory) ByID(meshID, id string) *Session {
	m := d.mesh(meshID)
	if m == nil {
		return nil
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.byID[id]
}

// Members returns the ids of the members that have a session on this node.
func (d *Directory) Members() []string {
	found := map[string]struct{}{}
	for _, m := range d.all() {
		m.mu.RLock()
		for s := range m.sessions {
			if !s.Elsewhere() {
				found[s.MemberID] = struct{}{}
			}
		}
		m.mu.RUnlock()
	}
	return slices.Collect(maps.Keys(found))
}

// OfMember returns the sessions of a member, in whatever mesh it is.
func (d *Directory) OfMember(memberID string) []*Session {
	var found []*Session
	for _, m := range d.all() {
		m.mu.RLock()
		for s := range m.sessions {
			if s.MemberID == memberID {
				found = append(found, s)
			}
		}
		m.mu.RUnlock()
	}
	return found
}
