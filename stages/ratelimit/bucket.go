package ratelimit

import (
	"hash/maphash"
	"strings"
	"sync"
	"time"
)

// Buckets that nobody has touched for a while are forgotten; a member that
// comes back gets a full one. Both times are the original broker's.
const (
	idleAfter  = 10 * time.Minute / time.Millisecond
	sweepEvery = 5 * time.Minute / time.Millisecond
)

// bucket is what one member may still do. Tokens are counted in parts, per of
// them to a token: whole numbers, so that no take is lost to rounding.
type bucket struct {
	parts int64
	at    int64 // milliseconds of the stage's clock when parts was right
}

// size says how much a bucket holds and how fast it fills.
type size struct {
	count int64 // tokens in one per; also parts in one millisecond
	per   int64 // milliseconds; also parts in one token
	burst int64 // tokens in a full bucket
}

func sizeOf(l Limit, burst int) size {
	return size{count: int64(l.Rate.Count), per: l.Rate.Per.Milliseconds(), burst: int64(burst)}
}

func (s size) full() int64 { return s.burst * s.per }

// fill is how many milliseconds an empty bucket needs to be full.
func (s size) fill() int64 { return (s.full() + s.count - 1) / s.count }

// take takes one token, or returns how long to wait for one. A refusal costs
// nothing. Time that goes backwards adds nothing, and is not added again when it
// has come forward: frames of two sessions may be out of order by a moment.
func (b *bucket) take(s *size, now int64) (wait time.Duration, ok bool) {
	if passed := now - b.at; passed > 0 {
		b.at = now
		if passed >= s.fill() {
			b.parts = s.full()
		} else {
			b.parts = min(s.full(), b.parts+passed*s.count)
		}
	}
	if b.parts >= s.per {
		b.parts -= s.per
		return 0, true
	}
	ms := (s.per - b.parts + s.count - 1) / s.count
	return time.Duration(ms) * time.Millisecond, false
}

// owner is whose bucket it is.
type owner struct{ mesh, member string }

// shards is the number of locks that members are spread over. A power of two.
const shards = 64

// buckets are the buckets of one limit, a bucket for each member that has done
// something lately.
type buckets struct {
	size  size
	seed  maphash.Seed
	shard [shards]shard
}

type shard struct {
	mu      sync.Mutex
	of      map[owner]*bucket
	sweepAt int64
	_       [32]byte // a cache line each
}

func newBuckets(s size) *buckets {
	b := &buckets{size: s, seed: maphash.MakeSeed()}
	for i := range b.shard {
		b.shard[i].of = make(map[owner]*bucket)
	}
	return b
}

// take takes one token of a member's. It allocates for a member's first only.
func (b *buckets) take(mesh, member string, now int64) (wait time.Duration, ok bool) {
	sh := &b.shard[maphash.String(b.seed, member)%shards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if now >= sh.sweepAt {
		sh.sweep(&b.size, now)
	}
	own := sh.of[owner{mesh, member}]
	if own == nil {
		own = &bucket{parts: b.size.full(), at: now}
		sh.of[owner{strings.Clone(mesh), strings.Clone(member)}] = own
	}
	return own.take(&b.size, now)
}

// sweep forgets idle buckets, but none that is not full by now: to forget it
// would be to fill it. It runs in the way of a take, on the 64th part of the
// members, so that no goroutine has to be started and stopped for it.
func (sh *shard) sweep(s *size, now int64) {
	sh.sweepAt = now + int64(sweepEvery)
	idle := max(int64(idleAfter), s.fill())
	for who, b := range sh.of {
		if now-b.at >= idle {
			delete(sh.of, who)
		}
	}
}
