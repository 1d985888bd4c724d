package app

import (
	"context"
	"sync"
	"time"
)

const (
	// keptWait is how long somebody waits for a value that is missing or too old.
	keptWait = 2 * time.Second

	// keptRest is the longest that a value is left alone because it was dear.
	keptRest = time.Minute
)

// kept is a value that is dear to make and asked for often. It is made by one
// goroutine, run, and only while somebody asks; everybody else takes the last
// one. get may be called concurrently, before run and after it too.
type kept[T any] struct {
	every  time.Duration // the least time between two makes
	rest   int           // and the least in times of what the first of them took, up to keptRest: with 100, a make of 0.1 s is followed by 10 s without one
	create func(ctx context.Context) (T, error)

	wanted chan struct{} // holds one wake-up for run
	ended  chan struct{} // closed when run has returned

	mu      sync.Mutex
	value   T
	at      time.Time     // when the make of value began; zero: there is none yet
	err     error         // of the newest make
	due     time.Time     // when it may be made again
	asked   time.Time     // last
	renewed chan struct{} // closed at the next make's end
}

func newKept[T any](every time.Duration, rest int, create func(ctx context.Context) (T, error)) *kept[T] {
	return &kept[T]{
		every: every, rest: rest, create: create,
		wanted: make(chan struct{}, 1), ended: make(chan struct{}), renewed: make(chan struct{}),
	}
}

// run makes the value while it is asked for, until ctx ends. It is called once.
func (k *kept[T]) run(ctx context.Context) {
	defer close(k.ended)
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wanted:
		}
		began := time.Now()
		value, err := k.create(ctx)
		pause := k.pause(time.Since(began), err)
		k.put(value, began, err, pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// pause is how long the value is left alone after a make. One that failed has no
// value to live on, however long it took.
func (k *kept[T]) pause(took time.Duration, err error) time.Duration {
	if err != nil {
		return k.every
	}
	return max(k.every, min(time.Duration(k.rest)*took, keptRest))
}

// put keeps a value. After an error the one before stays.
func (k *kept[T]) put(value T, began time.Time, err error, pause time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err = err; err == nil {
		k.value, k.at = value, began
	}
	k.due = time.Now().Add(pause)
	close(k.renewed)
	k.renewed = make(chan struct{})
}

// get returns the latest value, of when it is, and what went wrong with the
// newest make. A zero time says that there is no value yet, and then the value
// says nothing; with an error and a time, the value is the one before.
//
// It waits, up to keptWait, only for who is the first to ask after a while: for
// all others the value is being renewed already. It takes no context, since what
// one caller began to wait for is shown to others when that one is gone.
func (k *kept[T]) get() (value T, at time.Time, err error) {
	tell(k.wanted)
	k.mu.Lock()
	now := time.Now()
	old := now.Sub(k.asked) > 3*k.every && now.After(k.due)
	k.asked = now
	renewed := k.renewed
	k.mu.Unlock()
	if old {
		late := time.NewTimer(keptWait)
		defer late.Stop()
		select {
		case <-renewed:
		case <-late.C:
		case <-k.ended:
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.value, k.at, k.err
}

// tell leaves a wake-up, unless there is one.
func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
