package exchange

import (
	"maps"
	"sync"

	"github.com/claudemesh/broker/sdk"
)

// Reasons counts refusals by reason. The zero value is ready to use.
type Reasons struct {
	mu     sync.Mutex
	counts map[sdk.Reason]int64
}

// Add counts one refusal.
func (r *Reasons) Add(reason sdk.Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = map[sdk.Reason]int64{}
	}
	r.counts[reason]++
}

// Snapshot returns a copy of the counts.
func (r *Reasons) Snapshot() map[sdk.Reason]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}
