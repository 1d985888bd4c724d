package bucket

import (
	"hash/maphash"
	"sync"
	"time"
)

// Buckets that nobody has touched for a while are forgotten; a caller that
// comes back gets a full one. Both times are the original broker's.
const (
	idleAfter  = int64(10 * time.Minute / time.Millisecond)
	sweepEvery = int64(5 * time.Minute / time.Millisecond)
)

// shards is the number of locks that callers are spread over. A power of two.
const shards = 64

// sample is how many buckets are looked at to find one to forget.
const sample = 8

// Key tells callers apart.
type Key[K any] interface {
	comparable

	// Hash spreads keys over the locks. Keys that differ may have the same.
	Hash(maphash.Seed) uint64

	// Keep returns the key in a form that may be held on to.
	Keep() K
}

// Set has a bucket for each caller that has done something lately. It may be
// used by many goroutines at once, and starts none.
type Set[K Key[K]] struct {
	size  size
	most  int // buckets of one shard; 0 is no bound
	epoch time.Time
	seed  maphash.Seed
	shard [shards]shard[K]
}

type shard[K Key[K]] struct {
	mu      sync.Mutex
	of      map[K]*bucket
	sweepAt int64
	_       [32]byte // a cache line each
}

// New returns a set of full buckets. Times are counted from epoch, which should
// be now, so that the monotonic clock counts.
func New[K Key[K]](s Size, epoch time.Time) *Set[K] {
	set := &Set[K]{
		size:  newSize(s),
		most:  (s.Most + shards - 1) / shards,
		epoch: epoch,
		seed:  maphash.MakeSeed(),
	}
	for i := range set.shard {
		set.shard[i].of = make(map[K]*bucket)
	}
	return set
}

// Take takes one token of a caller's, or returns how long to wait for one. A
// refusal costs nothing. It allocates for a caller's first only.
func (s *Set[K]) Take(key K, at time.Time) (wait time.Duration, ok bool) {
	// This is open and a deferred unlock, written out: it is on the way of every
	// message, and a fifth faster so.
	now := at.Sub(s.epoch).Milliseconds()
	sh := &s.shard[key.Hash(s.seed)%shards]
	sh.mu.Lock()
	if now >= sh.sweepAt {
		sh.sweep(&s.size, now)
	}
	own := sh.of[key]
	if own == nil {
		own = s.add(sh, key, now)
	}
	wait, ok = own.take(&s.size, now)
	sh.mu.Unlock()
	return wait, ok
}

// Peek says what Take would, and takes nothing.
func (s *Set[K]) Peek(key K, at time.Time) (wait time.Duration, ok bool) {
	now, sh := s.open(key, at)
	defer sh.mu.Unlock()
	own := sh.of[key]
	if own == nil {
		return 0, true
	}
	if parts := own.holds(&s.size, now); parts < s.size.per {
		return s.size.wait(parts), false
	}
	return 0, true
}

// Charge takes a token that may not be there: what many did at once, each
// after a Peek, is paid for with time, with up to an hour of it.
func (s *Set[K]) Charge(key K, at time.Time) {
	now, sh := s.open(key, at)
	defer sh.mu.Unlock()
	own := sh.of[key]
	if own == nil {
		own = s.add(sh, key, now)
	}
	own.charge(&s.size, now)
}

// Len returns the number of buckets that are remembered.
func (s *Set[K]) Len() (n int) {
	for i := range s.shard {
		sh := &s.shard[i]
		sh.mu.Lock()
		n += len(sh.of)
		sh.mu.Unlock()
	}
	return n
}

// open returns the time in milliseconds, and the key's shard, locked.
func (s *Set[K]) open(key K, at time.Time) (int64, *shard[K]) {
	now := at.Sub(s.epoch).Milliseconds()
	sh := &s.shard[key.Hash(s.seed)%shards]
	sh.mu.Lock()
	if now >= sh.sweepAt {
		sh.sweep(&s.size, now)
	}
	return now, sh
}

// add makes a full bucket, in place of another one when there are too many.
func (s *Set[K]) add(sh *shard[K], key K, now int64) *bucket {
	if s.most > 0 && len(sh.of) >= s.most {
		sh.forget(&s.size, now)
	}
	b := &bucket{parts: s.size.full, at: now}
	sh.of[key.Keep()] = b
	return b
}

// sweep forgets idle buckets, but none that is not full by now: to forget it
// would be to fill it. It runs in the way of a take, on the 64th part of the
// callers, so that no goroutine has to be started and stopped for it.
func (sh *shard[K]) sweep(s *size, now int64) {
	sh.sweepAt = now + sweepEvery
	for who, b := range sh.of {
		if now-b.at >= idleAfter && b.holds(s, now) >= s.full {
			delete(sh.of, who)
		}
	}
}

// forget makes room for one bucket. Of a few it takes the fullest, and the
// oldest of those, which is missed the least: a flood of new callers drives out
// its own, and not one that has to wait.
func (sh *shard[K]) forget(s *size, now int64) {
	var worst K
	var parts, at int64
	left := sample
	for who, b := range sh.of { // in an order that differs each time
		if has := b.holds(s, now); left == sample || has > parts || has == parts && b.at < at {
			worst, parts, at = who, has, b.at
		}
		if left--; left == 0 {
			break
		}
	}
	delete(sh.of, worst)
}
