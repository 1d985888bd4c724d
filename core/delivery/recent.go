package delivery

import (
	"sync"
	"time"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// recentMax is how many messages the engine remembers the status of. A message
// that was confirmed before a row was needed is known here only.
const recentMax = 16384

// recent remembers the latest messages, oldest dropped first.
type recent struct {
	mu   sync.Mutex
	byID map[string]*store.Status
	ring []string
	next int
}

func newRecent() *recent {
	return &recent{byID: make(map[string]*store.Status), ring: make([]string, recentMax)}
}

func (r *recent) accepted(m *store.Message, audience []sdk.Recipient) {
	s := &store.Status{Message: &store.Message{
		ID: m.ID, MeshID: m.MeshID, SenderMemberID: m.SenderMemberID, TargetSpec: m.TargetSpec, CreatedAt: m.CreatedAt,
	}, Deliveries: make([]store.DeliveryStatus, len(audience))}
	for i := range audience {
		s.Deliveries[i] = store.DeliveryStatus{Recipient: audience[i].Session, MemberID: audience[i].MemberID}
		if audience[i].Session.IsZero() {
			s.Deliveries[i].Recipient = audience[i].Member
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byID, r.ring[r.next])
	r.ring[r.next] = m.ID
	r.next = (r.next + 1) % len(r.ring)
	r.byID[m.ID] = s
}

func (r *recent) delivered(id string, to sdk.Key, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.byID[id]
	if s == nil {
		return
	}
	for i := range s.Deliveries {
		if d := &s.Deliveries[i]; d.Recipient == to && d.DeliveredAt.IsZero() {
			d.DeliveredAt = at
		}
	}
}

// Recent returns a copy of what is known about messages of a mesh whose id
// begins with prefix, at most two.
func (e *Engine) Recent(mesh, prefix string) []*store.Status {
	r := e.recent
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.byID[prefix]; s != nil && s.Message.MeshID == mesh {
		return []*store.Status{copyStatus(s)}
	}
	if len(prefix) >= identity.IDSize {
		return nil // a whole id, and not among these
	}
	var found []*store.Status
	for id, s := range r.byID {
		if s.Message.MeshID == mesh && len(id) > len(prefix) && id[:len(prefix)] == prefix {
			if found = append(found, copyStatus(s)); len(found) == 2 {
				break
			}
		}
	}
	return found
}

func copyStatus(s *store.Status) *store.Status {
	return &store.Status{Message: s.Message, Deliveries: append([]store.DeliveryStatus(nil), s.Deliveries...)}
}
