package app

import (
	"context"
	"sync"
	"time"
)

// keptWait is how long somebody waits for a value that is missing or too old.
const keptWait = 2 * time.Second

// kept is a value that is dear to make and asked for often. It is made by one
// goroutine, run, and only while somebody asks; everybody else takes the last
// one. The other methods may be called concurrently.
type kept[T any] struct {
	every  time.Duration // the least time from one make to the next
	share  int           // and the least in makes: with 100, making takes a hundredth of the time at most
	create func(ctx context.Context) (T, error)

	wanted chan struct{} // holds one wake-up for run

	mu      sync.Mutex
	value   T
	err     error
	due     time.Time     // when it may be made again
	asked   time.Time     // last
	renewed chan struct{} // closed at the next make
}

func newKept[T any](every time.Duration, share int, create func(ctx context.Context) (T, error)) *kept[T] {
	return &kept[T]{every: every, share: share, create: create, wanted: make(chan struct{}, 1), renewed: make(chan struct{})}
}

// run makes the value while it is asked for, until ctx ends.
func (k *kept[T]) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wanted:
		}
		began := time.Now()
		value, err := k.create(ctx)
		pause := max(k.every, time.Duration(k.share)*time.Since(began))
		k.put(value, err, pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// put keeps a value. After an error the one before stays.
func (k *kept[T]) put(value T, err error, pause time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err = err; err == nil {
		k.value = value
	}
	k.due = time.Now().Add(pause)
	close(k.renewed)
	k.renewed = make(chan struct{})
}

// get returns the value, and what went wrong with the newest make. It waits, not
// for long, only for who is the first to ask after a while: for all others the
// value is being renewed already. The zero value without an error is one that
// could not be had in time.
func (k *kept[T]) get(ctx context.Context) (T, error) {
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
		case <-ctx.Done():
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.value, k.err
}

// tell leaves a wake-up, unless there is one.
func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
