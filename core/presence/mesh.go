package presence

import (
	"strings"
	"sync"

	"github.com/claudemesh/broker/sdk"
)

// mesh is the sessions of one mesh, with an index for each way to mean them, so
// that a message costs what its recipients cost, however many are connected.
type mesh struct {
	id     string
	others Others // nil for a broker on its own

	mu       sync.RWMutex
	sessions map[*Session]struct{}
	byID     map[string]*Session
	byKey    map[sdk.Key][]*Session           // by member key and by session key
	byGroup  map[string]map[*Session]struct{} // by group and by each of its ancestors
	byStream map[string]map[*Session]struct{} // by stream that it subscribes to
	announce allowance
}

// addLocked indexes a session.
func (m *mesh) addLocked(s *Session) {
	m.sessions[s] = struct{}{}
	m.byID[s.ID] = s
	for _, k := range s.keys() {
		m.addKeyLocked(k, s)
		if m.others != nil && !s.Elsewhere() {
			m.others.Listen(m.id, k)
		}
	}
	m.addGroupsLocked(s)
	m.addStreamsLocked(s)
}

// keys returns what a session can be reached by.
func (s *Session) keys() []sdk.Key {
	if s.Key.IsZero() {
		return []sdk.Key{s.Member}
	}
	return []sdk.Key{s.Member, s.Key}
}

// addKeyLocked keeps control connections in front; see [delivery.Directory].
func (m *mesh) addKeyLocked(k sdk.Key, s *Session) {
	list := append(m.byKey[k], s)
	if s.Role == RoleControl {
		copy(list[1:], list)
		list[0] = s
	}
	m.byKey[k] = list
}

func (m *mesh) addGroupsLocked(s *Session) {
	for _, g := range s.groups {
		for _, name := range lineage(g.Name) {
			set := m.byGroup[name]
			if set == nil {
				set = map[*Session]struct{}{}
				m.byGroup[name] = set
			}
			set[s] = struct{}{}
		}
	}
}

// removeLocked forgets a session.
func (m *mesh) removeLocked(s *Session) {
	delete(m.sessions, s)
	if m.byID[s.ID] == s {
		delete(m.byID, s.ID)
	}
	for _, k := range s.keys() {
		m.removeKeyLocked(k, s)
		if m.others != nil && !s.Elsewhere() {
			m.others.Unlisten(m.id, k)
		}
	}
	m.removeGroupsLocked(s)
	m.removeStreamsLocked(s)
}

func (m *mesh) removeKeyLocked(k sdk.Key, s *Session) {
	old := m.byKey[k]
	if len(old) <= 1 {
		delete(m.byKey, k)
		return
	}
	list := make([]*Session, 0, len(old)-1)
	for _, x := range old {
		if x != s {
			list = append(list, x)
		}
	}
	m.byKey[k] = list
}

func (m *mesh) removeGroupsLocked(s *Session) {
	for _, g := range s.groups {
		for _, name := range lineage(g.Name) {
			delete(m.byGroup[name], s)
			if len(m.byGroup[name]) == 0 {
				delete(m.byGroup, name)
			}
		}
	}
}

// lineage returns a group and its ancestors: "a/b/c" gives it, "a/b" and "a".
func lineage(group string) []string {
	names := []string{group}
	for {
		i := strings.LastIndexByte(group, '/')
		if i < 0 {
			return names
		}
		group = group[:i]
		names = append(names, group)
	}
}
