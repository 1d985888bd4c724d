package store

import (
	"slices"

	"github.com/claudemesh/broker/sdk"
)

// Entry returns what is said of a sender, and false when nothing is.
//
// The entry under the sender's member key counts, also when it is empty; where
// there is none, the one under its session key.
func (g Grants) Entry(member, session sdk.Key) ([]Capability, bool) {
	list, ok := g[member]
	if !ok && !session.IsZero() {
		list, ok = g[session]
	}
	return list, ok
}

// Allows reports whether a member that said g allows a sender something: by its
// entry, which stands alone and adds nothing to the default, or else by default.
func (g Grants) Allows(member, session sdk.Key, want Capability) bool {
	if list, ok := g.Entry(member, session); ok {
		return slices.Contains(list, want)
	}
	return want.ByDefault()
}

// ByDefault reports whether a member allows it to everybody of whom it has said
// nothing.
func (c Capability) ByDefault() bool {
	switch c {
	case CapRead, CapDM, CapBroadcast, CapStateRead:
		return true
	default:
		return false
	}
}
