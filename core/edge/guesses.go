package edge

import (
	"net/netip"
	"time"

	"github.com/claudemesh/broker/core/bucket"
)

// Guesses holds an address to a number of refused attempts at what could be
// guessed. It may be used by many goroutines at once.
type Guesses struct {
	set *bucket.Set[network] // nil: no limit
	now func() time.Time
}

// Allowed reports whether an address may try, and else how long it has to wait.
// It must be asked before an attempt is looked at, so that whoever has to wait
// does not learn whether it was right.
func (g *Guesses) Allowed(from netip.Addr) (wait time.Duration, ok bool) {
	if g.set == nil {
		return 0, true
	}
	return g.set.Peek(networkOf(from), g.now())
}

// Failed counts an attempt that was refused. Attempts that were under way at the
// same time all count, and are waited for.
func (g *Guesses) Failed(from netip.Addr) {
	if g.set != nil {
		g.set.Charge(networkOf(from), g.now())
	}
}
