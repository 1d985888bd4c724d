package grants

import (
	"sync/atomic"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Allows reports whether a recipient that said g allows a sender something; see
// [store.Grants.Allows].
func Allows(g store.Grants, member, session sdk.Key, want store.Capability) bool {
	return g.Allows(member, session, want)
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
