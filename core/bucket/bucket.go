// Package bucket holds callers to a number of takes in a time: a token bucket
// for each, in this process's memory.
package bucket

import "time"

// debtMost is how long a bucket that was charged while it was empty may take to
// be at zero again.
const debtMost = int64(time.Hour / time.Millisecond)

// Size says how much a bucket holds, how fast it fills, and how many there may
// be.
type Size struct {
	Count int           // tokens that come in one Per
	Per   time.Duration // at least a millisecond
	Burst int           // tokens in a full bucket
	Most  int           // buckets that are remembered, about; 0 is no bound
}

// size is a Size in the units that are counted in.
type size struct {
	count int64 // tokens in one per; also parts in one millisecond
	per   int64 // milliseconds; also parts in one token
	full  int64 // parts in a full bucket
	fill  int64 // milliseconds after which any bucket is full
}

func newSize(s Size) size {
	count, per := int64(s.Count), s.Per.Milliseconds()
	full := int64(s.Burst) * per
	return size{count: count, per: per, full: full, fill: (full+count-1)/count + debtMost}
}

// bucket is what one caller may still do. Tokens are counted in parts, per of
// them to a token: whole numbers, so that no take is lost to rounding.
type bucket struct {
	parts int64 // below zero after a charge of an empty one
	at    int64 // milliseconds of the set's clock when parts was right
}

// holds returns the parts in the bucket by now. Time that goes backwards adds
// nothing.
func (b *bucket) holds(s *size, now int64) int64 {
	passed := max(0, now-b.at)
	if passed >= s.fill {
		return s.full
	}
	return min(s.full, b.parts+passed*s.count)
}

// take takes one token, or returns how long to wait for one. A refusal costs
// nothing. Time that goes backwards is not added again when it has come forward:
// frames of two sessions may be out of order by a moment.
func (b *bucket) take(s *size, now int64) (wait time.Duration, ok bool) {
	b.parts = b.holds(s, now)
	b.at = max(b.at, now)
	if b.parts >= s.per {
		b.parts -= s.per
		return 0, true
	}
	return s.wait(b.parts), false
}

// charge takes a token that may not be there.
func (b *bucket) charge(s *size, now int64) {
	b.parts = max(b.holds(s, now)-s.per, -debtMost*s.count)
	b.at = max(b.at, now)
}

// wait is how long a bucket with so many parts needs to hold a token.
func (s *size) wait(parts int64) time.Duration {
	ms := (s.per - parts + s.count - 1) / s.count
	return time.Duration(ms) * time.Millisecond
}
