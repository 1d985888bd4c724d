package grants

import (
	"slices"
	"sync/atomic"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Allows reports whether a recipient that said g allows a sender something.
//
// The entry under the sender's member key decides, also when it is empty; where
// there is none, the one under its session key; where there is none either, the
// default. An entry stands alone: it adds nothing to the default.
func Allows(g store.Grants, member, session sdk.Key, want store.Capability) bool {
	if len(g) == 0 {
		return byDefault(want)
	}
	list, ok := g[member]
	if !ok && !session.IsZero() {
		list, ok = g[session]
	}
	if !ok {
		return byDefault(want)
	}
	return slices.Contains(list, want)
}

// byDefault reports what a member allows everybody of whom it has said nothing.
func byDefault(c store.Capability) bool {
	switch c {
	case store.CapRead, store.CapDM, store.CapBroadcast, store.CapStateRead:
		return true
	default:
		return false
	}
}

// Drops counts recipients that were left out, by the capability that they did
// not grant. The zero Drops is ready; it outlives the stages that count into
// it, so that a reload does not set it back.
type Drops struct{ dm, broadcast atomic.Uint64 }

func (d *Drops) add(c store.Capability, n int) {
	if c == store.CapDM {
		d.dm.Add(uint64(n))
	} else {
		d.broadcast.Add(uint64(n))
	}
}

// DM returns how many recipients of direct messages were left out.
func (d *Drops) DM() uint64 { return d.dm.Load() }

// Broadcast returns how many recipients of multicasts were left out.
func (d *Drops) Broadcast() uint64 { return d.broadcast.Load() }
