package hop

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// errLost is what the breaker is told of batches that ended with their
// process: a crash is dealt with by a restart, not by asking less.
var errLost = errors.New("the process ended")

// BreakerOptions say when a plugin that runs, and answers badly or not at all,
// is left alone for a while.
type BreakerOptions struct {
	Failures int           // percent of batches that may fail, of Batches or more in a second or in two deadlines
	Batches  int           // how few tell nothing
	Misses   int           // failed batches in a row that open it, however few
	Open     time.Duration // how long it stays open; then one batch is a probe
}

// breaker counts batches.
type breaker struct {
	two    *twoStep
	misses atomic.Int64 // failed batches since the last good one; the library forgets them each second
}

func newBreaker(o Options) *breaker {
	b := new(breaker)
	b.two = newTwoStep(o, &b.misses)
	return b
}

type twoStep = gobreaker.TwoStepCircuitBreaker[struct{}]

// counted is how long what failed counts: a miss is known a deadline after it
// began.
func (o *Options) counted() time.Duration { return max(time.Second, 2*o.Deadline) }

// newTwoStep makes what opens after so many misses in a row, which somebody else
// counts, or when too large a part has failed.
func newTwoStep(options Options, misses *atomic.Int64) *twoStep {
	o := options.Breaker
	return gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: 1,
		Interval:    options.counted(),
		Timeout:     o.Open,
		IsExcluded:  func(err error) bool { return errors.Is(err, errLost) },
		ReadyToTrip: func(c gobreaker.Counts) bool {
			bad := c.Requests >= uint32(o.Batches) && c.TotalFailures*100 >= c.Requests*uint32(o.Failures)
			return bad || misses.Load() >= int64(o.Misses)
		},
	})
}

// open reports whether envelopes fail at once.
func (b *breaker) open() bool { return b.two.State() == gobreaker.StateOpen }

// allow asks for one batch. report tells how it ended.
func (b *breaker) allow() (report func(error), ok bool) {
	tell, err := b.two.Allow()
	if err != nil {
		return nil, false
	}
	return func(err error) {
		switch {
		case err == nil:
			b.misses.Store(0)
		case !errors.Is(err, errLost):
			b.misses.Add(1)
		}
		tell(err)
	}, true
}

// state returns closed, half-open or open.
func (b *breaker) state() string { return b.two.State().String() }
