package delivery

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// recentMax is how many messages the engine remembers the status of. A message
// that was confirmed before a row was needed is known here only.
const recentMax = 16384

// recentDeliveries is how many deliveries of messages to several recipients the
// engine remembers the status of: some 20 MB. Without it, messages to
// topics with a thousand members would fill a gigabyte.
const recentDeliveries = 1 << 18

// recent remembers the latest messages, oldest dropped first.
type recent struct {
	mu   sync.Mutex
	byID map[string]int // place in ring
	ring []remembered
	next int // where the next one goes
	held int // places in front of next that are taken
	many int // deliveries in the lists of these
}

// remembered is what is remembered of one message: no body, no frame.
type remembered struct {
	id, mesh, sender, target string
	at                       time.Time
	one                      [1]store.DeliveryStatus // of the usual message, to one recipient
	many                     []store.DeliveryStatus  // in the order of recipients when it is long
}

// long is from how many deliveries on a message's list is sorted, so that each
// confirmation finds its own without looking at those of all others.
const long = 64

func byRecipient(d store.DeliveryStatus, to sdk.Key) int {
	return bytes.Compare(d.Recipient[:], to[:])
}

// deliver notes when a recipient has confirmed.
func (m *remembered) deliver(to sdk.Key, at time.Time) {
	list := m.deliveries()
	sorted := len(list) >= long
	if sorted {
		first, _ := slices.BinarySearchFunc(list, to, byRecipient)
		list = list[first:]
	}
	for i := range list {
		switch d := &list[i]; {
		case d.Recipient != to && sorted:
			return
		case d.Recipient == to && d.DeliveredAt.IsZero():
			d.DeliveredAt = at
		}
	}
}

func (m *remembered) deliveries() []store.DeliveryStatus {
	if m.many != nil {
		return m.many
	}
	return m.one[:]
}

func newRecent() *recent {
	return &recent{byID: make(map[string]int), ring: make([]remembered, recentMax)}
}

func (r *recent) accepted(m *store.Message, audience []sdk.Recipient) {
	it := remembered{id: m.ID, mesh: m.MeshID, sender: m.SenderMemberID, target: m.TargetSpec, at: m.CreatedAt}
	if len(audience) != 1 {
		it.many = make([]store.DeliveryStatus, len(audience))
	}
	list := it.deliveries()
	for i := range list {
		list[i].MemberID, list[i].Recipient = audience[i].MemberID, addressOf(&audience[i])
	}
	if len(list) >= long {
		slices.SortFunc(list, func(a, b store.DeliveryStatus) int { return byRecipient(a, b.Recipient) })
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == len(r.ring) {
		r.dropLocked()
	}
	r.ring[r.next] = it
	r.byID[m.ID] = r.next
	r.next = (r.next + 1) % len(r.ring)
	r.held++
	for r.many += len(it.many); r.many > recentDeliveries; {
		r.dropLocked()
	}
}

// dropLocked forgets the oldest message.
func (r *recent) dropLocked() {
	oldest := &r.ring[(r.next-r.held+len(r.ring))%len(r.ring)]
	delete(r.byID, oldest.id)
	r.many -= len(oldest.many)
	r.held--
	*oldest = remembered{}
}

// addressOf returns the key that a recipient's delivery is addressed to.
func addressOf(r *sdk.Recipient) sdk.Key {
	if r.Session.IsZero() {
		return r.Member
	}
	return r.Session
}

func (r *recent) delivered(id string, to sdk.Key, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	place, ok := r.byID[id]
	if !ok {
		return
	}
	r.ring[place].deliver(to, at)
}

// Recent returns what is known about messages of a mesh whose id begins with
// prefix, at most two.
func (e *Engine) Recent(mesh, prefix string) []*store.Status {
	r := e.recent
	r.mu.Lock()
	defer r.mu.Unlock()
	if place, ok := r.byID[prefix]; ok && r.ring[place].mesh == mesh {
		return []*store.Status{r.ring[place].status()}
	}
	if len(prefix) >= identity.IDSize {
		return nil // a whole id, and not among these
	}
	var found []*store.Status
	for i := range r.ring {
		it := &r.ring[i]
		if it.mesh == mesh && len(it.id) > len(prefix) && it.id[:len(prefix)] == prefix {
			if found = append(found, it.status()); len(found) == 2 {
				break
			}
		}
	}
	return found
}

// status returns a copy.
func (m *remembered) status() *store.Status {
	return &store.Status{
		Message: &store.Message{
			ID: m.id, MeshID: m.mesh, SenderMemberID: m.sender, TargetSpec: m.target, CreatedAt: m.at,
		},
		Deliveries: append([]store.DeliveryStatus(nil), m.deliveries()...),
	}
}
