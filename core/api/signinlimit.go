package api

import (
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/bucket"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/sdk"
)

// Limits of sign-ins that are begun, which anybody may do and each of which is a
// row until it is swept. Each holds back before the next one is full, so that it
// takes fifteen networks to keep the others of a node out, and nobody from outside
// keeps the operator out. With them at most 4,000 are open at a time on one node,
// so that the chance to hit one with a guessed user code stays one in 270 million.
const (
	begunPerAddress = 30   // a minute, and at once
	begunPerRegion  = 100  // in the life of one, and at once
	begunFromAway   = 1500 // in the life of one, and at once, by all that are not on this machine
	begunHere       = 500  // in the life of one, and at once, by those who are
)

// Regions are networks of the size that a provider gets, in bits.
const (
	regionBits4 = 16
	regionBits6 = 32
)

// begun limits how many sign-ins are begun.
type begun struct {
	addresses, regions, away, here *bucket.Set[network]
}

func newBegun(epoch time.Time) *begun {
	set := func(count int, per time.Duration, most int) *bucket.Set[network] {
		return bucket.New[network](bucket.Size{Count: count, Per: per, Burst: count, Most: most}, epoch)
	}
	return &begun{
		addresses: set(begunPerAddress, time.Minute, 1<<14),
		regions:   set(begunPerRegion, signInTTL, 1<<14),
		away:      set(begunFromAway, signInTTL, 0),
		here:      set(begunHere, signInTTL, 0),
	}
}

// allow takes one of the sign-ins of an address, of its region, and of all; or of
// this machine.
func (b *begun) allow(c *feature.Call) error {
	wait, ok := b.take(c.Env.Sender.Remote, c.HTTP.Local, c.Env.Arrived)
	if ok {
		return nil
	}
	return &core.Error{
		Code: sdk.ReasonRateLimit, Message: "too many sign-ins were begun: try again later, or paste a token", RetryAfter: wait,
	}
}

func (b *begun) take(remote string, local bool, now time.Time) (wait time.Duration, ok bool) {
	if local {
		return b.here.Take(network{}, now)
	}
	address := networkOf(remote)
	if wait, ok = b.addresses.Take(address, now); !ok {
		return wait, false
	}
	if wait, ok = b.regions.Take(address.region(), now); !ok {
		return wait, false
	}
	return b.away.Take(network{}, now)
}

// network is the address that counts for a limit: an IPv4 address, or the /64 of
// an IPv6 address, which one customer has at least; or a region.
type network struct{ prefix netip.Prefix }

func networkOf(remote string) network {
	addr, err := netip.ParseAddr(remote)
	if err != nil {
		return network{}
	}
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return network{}
	}
	return network{prefix}
}

// region is the network around an address.
func (n network) region() network {
	addr, bits := n.prefix.Addr(), regionBits4
	if addr.Is6() {
		bits = regionBits6
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return network{}
	}
	return network{prefix}
}

// Hash implements [bucket.Key].
func (n network) Hash(seed maphash.Seed) uint64 { return maphash.Comparable(seed, n) }

// Keep implements [bucket.Key].
func (n network) Keep() network { return n }
