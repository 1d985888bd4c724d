package ratelimit

import (
	"hash/maphash"
	"strings"
)

// owner is whose bucket it is.
type owner struct{ mesh, member string }

// Hash implements bucket.Key.
func (o owner) Hash(seed maphash.Seed) uint64 { return maphash.String(seed, o.member) }

// Keep implements bucket.Key: the names may be parts of a frame.
func (o owner) Keep() owner {
	return owner{strings.Clone(o.mesh), strings.Clone(o.member)}
}
