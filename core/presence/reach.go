package presence

import (
	"slices"

	"github.com/claudemesh/broker/sdk"
)

// Reach returns the connection of a session by its presence id. Where the session
// is connected to another node, conn is nil and node says which; where it is
// nowhere connected, both are zero.
func (d *Directory) Reach(meshID, id string) (conn Conn, node string) {
	m := d.mesh(meshID)
	if m == nil {
		return nil, ""
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := m.byID[id]
	switch {
	case s == nil:
		return nil, ""
	case s.there:
		return nil, s.node
	default:
		return s.conn, ""
	}
}

// Behind returns the connected sessions of all nodes that a key means, the most
// likely one to answer first: sessions of agents before a daemon's own connection,
// and the one that came last before others.
func (d *Directory) Behind(meshID string, key sdk.Key) []View {
	m := d.mesh(meshID)
	if m == nil {
		return nil
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	var views []View
	for _, s := range m.byKey[key] {
		if s.conn != nil || s.there {
			views = append(views, s.viewLocked())
		}
	}
	slices.SortFunc(views, func(a, b View) int {
		if (a.Role == RoleControl) != (b.Role == RoleControl) {
			if a.Role == RoleControl {
				return 1
			}
			return -1
		}
		return b.Since.Compare(a.Since)
	})
	return views
}

// Serves notes that a session offers tools: when it ends, somebody has to look
// after them.
func (d *Directory) Serves(s *Session) {
	d.change(s, func(*mesh) { s.serves = true })
}
