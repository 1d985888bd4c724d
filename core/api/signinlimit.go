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
// row until it is swept. With them at most 2,000 are open at a time on one node,
// so that the chance to hit one with a guessed user code stays one in 500 million.
const (
	begunPerAddress = 30   // a minute, and at once
	begunPerNode    = 1000 // in the life of one, and at once
)

// begun limits how many sign-ins are begun.
type begun struct {
	addresses, node *bucket.Set[network]
}

func newBegun(epoch time.Time) *begun {
	return &begun{
		addresses: bucket.New[network](bucket.Size{Count: begunPerAddress, Per: time.Minute, Burst: begunPerAddress, Most: 1 << 14}, epoch),
		node:      bucket.New[network](bucket.Size{Count: begunPerNode, Per: signInTTL, Burst: begunPerNode}, epoch),
	}
}

// allow takes one of an address's sign-ins, and one of the node's. Whoever asks
// from this machine has the node's limit alone.
func (b *begun) allow(c *feature.Call) error {
	var wait time.Duration
	ok := true
	if !c.HTTP.Local {
		wait, ok = b.addresses.Take(networkOf(c.Env.Sender.Remote), c.Env.Arrived)
	}
	if ok {
		wait, ok = b.node.Take(network{}, c.Env.Arrived)
	}
	if ok {
		return nil
	}
	return &core.Error{
		Code: sdk.ReasonRateLimit, Message: "too many sign-ins were begun: try again later, or paste a token", RetryAfter: wait,
	}
}

// network is the address that counts for a limit: an IPv4 address, or the /64 of
// an IPv6 address, which one customer has at least.
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

// Hash implements [bucket.Key].
func (n network) Hash(seed maphash.Seed) uint64 { return maphash.Comparable(seed, n) }

// Keep implements [bucket.Key].
func (n network) Keep() network { return n }
