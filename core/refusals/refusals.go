// Package refusals remembers what was refused lately, so that an operator finds
// out why.
//
// It is memory of this process alone: a restart forgets it, other replicas have
// their own. What has to be kept is in the audit log.
package refusals

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// DefaultSize is how many refusals of members a broker remembers, and how many
// of others. With the room that each has, that is under 900 KB.
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
	Request  string     `json:"request,omitempty"`  // the id that the answer over HTTP had, at most 64 bytes
	Dropped  bool       `json:"dropped,omitempty"`  // the sender was told that it was delivered
}

// Count is how often a stage refused for a reason, since the start.
type Count struct {
	Stage  string     `json:"stage,omitempty"`
	Reason sdk.Reason `json:"reason"`
	Count  uint64     `json:"count"`
}

// Ring holds the newest refusals, and counts all. Those of senders who have not
// proved who they are have places of their own: strangers can cause as many as
// they like, and push out their own alone. It may be used by many goroutines at
// once. A nil Ring remembers nothing.
type Ring struct {
	mu      sync.Mutex
	seq     uint64 // of the newest
	members shelf
	others  shelf
	tally   tally
}

// shelf holds the newest refusals of one sort, each in the place of the oldest.
type shelf struct {
	slots []slot
	n     uint64 // put here since the start
}

// New returns a ring of so many refusals, at least one, and as many of senders
// who have not proved who they are.
func New(size int) *Ring {
	size = max(size, 1)
	return &Ring{members: shelf{slots: make([]slot, size)}, others: shelf{slots: make([]slot, size)}, tally: tally{}}
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
	to := &r.members
	if f.MemberID == "" {
		to = &r.others
	}
	to.next().write(f, at, r.seq)
	r.tally.add(f.Stage, f.Reason)
}

// next returns the place of the next refusal.
func (s *shelf) next() *slot {
	s.n++
	return &s.slots[s.n%uint64(len(s.slots))]
}

// since adds those after the refusal of a number, oldest first.
func (s *shelf) since(seq uint64, list []Refusal) []Refusal {
	held := min(s.n, uint64(len(s.slots)))
	for i := s.n - held + 1; i <= s.n; i++ {
		if at := &s.slots[i%uint64(len(s.slots))]; at.seq > seq {
			list = append(list, at.read())
		}
	}
	return list
}

// List returns the newest refusals, newest first, at most so many; all for 0.
func (r *Ring) List(most int) []Refusal {
	list := r.Since(0)
	slices.Reverse(list)
	if most > 0 && len(list) > most {
		list = list[:most]
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
	list := r.others.since(seq, r.members.since(seq, nil))
	slices.SortFunc(list, func(a, b Refusal) int { return cmp.Compare(a.Seq, b.Seq) })
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
