// Package refusals remembers what was refused lately, so that an operator finds
// out why.
//
// It is memory of this process alone: a restart forgets it, other replicas have
// their own. What has to be kept is in the audit log.
package refusals

import (
	"sync"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// DefaultSize is how many refusals a broker remembers. With the room that each
// has, that is under 400 KB.
const DefaultSize = 512

// Refusal is one envelope that was refused. Texts that are longer than their
// room are cut; none holds a body, a key or a token.
type Refusal struct {
	Seq      uint64     `json:"seq"` // 1 for the first, one more for each
	At       time.Time  `json:"at"`
	Kind     sdk.Kind   `json:"kind"`               // at most 64 bytes
	Mesh     string     `json:"mesh,omitempty"`     // id, at most 64 bytes; before auth the one that was claimed
	MemberID string     `json:"memberId,omitempty"` // at most 64 bytes; empty before auth
	Name     string     `json:"name,omitempty"`     // of the sender, at most 64 bytes
	Conn     uint64     `json:"conn,omitempty"`     // the connection; 0 for HTTP
	Stage    string     `json:"stage,omitempty"`    // the link that decided, at most 64 bytes; empty: before or after the chain
	Reason   sdk.Reason `json:"reason"`             // at most 64 bytes
	Text     string     `json:"text,omitempty"`     // what the sender was told, at most 240 bytes
	TraceID  string     `json:"traceId,omitempty"`  // 32 hex digits
	Status   int        `json:"status,omitempty"`   // of HTTP; 0 for a frame
}

// Count is how often a stage refused for a reason, since the start.
type Count struct {
	Stage  string     `json:"stage,omitempty"`
	Reason sdk.Reason `json:"reason"`
	Count  uint64     `json:"count"`
}

// Ring holds the newest refusals, and counts all. It may be used by many
// goroutines at once. A nil Ring remembers nothing.
type Ring struct {
	mu    sync.Mutex
	seq   uint64 // of the newest
	slots []slot // the refusal n is in slot n mod the length
	tally tally
}

// New returns a ring of so many refusals, at least one.
func New(size int) *Ring {
	return &Ring{slots: make([]slot, max(size, 1)), tally: tally{}}
}

// Add remembers a refusal, in place of the oldest when the ring is full. It
// gives it its number, keeps copies of its texts, and allocates for the first
// of a stage and reason only. A zero At is now.
func (r *Ring) Add(f *Refusal) {
	if r == nil {
		return
	}
	at := f.At
	if at.IsZero() {
		at = time.Now()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	s := &r.slots[r.seq%uint64(len(r.slots))]
	s.write(f, at)
	r.tally.add(f.Stage, f.Reason)
}

// List returns the newest refusals, newest first, at most so many; all for 0.
func (r *Ring) List(most int) []Refusal {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.held()
	if most > 0 {
		n = min(n, uint64(most))
	}
	list := make([]Refusal, 0, n)
	for i := range n {
		list = append(list, r.read(r.seq-i))
	}
	return list
}

// Since returns those after the refusal of a number, oldest first. Those that
// the ring has forgotten meanwhile are missing, which their numbers show.
func (r *Ring) Since(seq uint64) []Refusal {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if seq >= r.seq {
		return nil
	}
	n := min(r.held(), r.seq-seq)
	list := make([]Refusal, 0, n)
	for i := r.seq - n + 1; i <= r.seq; i++ {
		list = append(list, r.read(i))
	}
	return list
}

// Counts returns how often each stage refused for each reason, in no order.
func (r *Ring) Counts() []Count {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tally.list()
}

// held is the number of refusals in the ring.
func (r *Ring) held() uint64 { return min(r.seq, uint64(len(r.slots))) }

func (r *Ring) read(seq uint64) Refusal {
	f := r.slots[seq%uint64(len(r.slots))].read()
	f.Seq = seq
	return f
}
