package app

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// making is a kept value that counts how often it was made.
type making struct {
	*kept[int]

	stop func() // ends run, and returns when it has ended

	mu   sync.Mutex
	made int
	took time.Duration
	err  error
}

// sometimes makes it take a time, or fail.
func (m *making) sometimes(took time.Duration, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.took, m.err = took, err
}

func (m *making) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.made
}

// newMaking runs it for the rest of the test.
func newMaking(t *testing.T, every time.Duration, rest int) *making {
	t.Helper()
	m := new(making)
	m.kept = newKept(every, rest, func(context.Context) (int, error) {
		m.mu.Lock()
		took := m.took
		m.mu.Unlock()
		time.Sleep(took)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.made++
		return m.made, m.err
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); m.run(ctx) }()
	m.stop = func() { cancel(); <-done }
	t.Cleanup(m.stop)
	return m
}

// watch asks once a second.
func (m *making) watch(t *testing.T, seconds int) {
	t.Helper()
	for range seconds {
		if _, _, err := m.get(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
	}
}

func TestKeptIsMadeSeldom(t *testing.T) {
	for _, tt := range []struct {
		name        string
		took        time.Duration
		least, most int // makes in an hour of asking once a second
	}{
		{"what is quick, each five seconds", 0, 600, 721},
		{"what is slow, for a hundredth of the time at most", 100 * time.Millisecond, 300, 360},
		{"what is very slow, each minute all the same", 3 * time.Second, 50, 58},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMaking(t, 5*time.Second, 100)
				m.sometimes(tt.took, nil)
				synctest.Wait()
				if m.count() != 0 {
					t.Error("made although nobody asked")
				}
				m.watch(t, 3600)
				if n := m.count(); n < tt.least || n > tt.most {
					t.Errorf("made %d times, want %d to %d", n, tt.least, tt.most)
				}
				time.Sleep(10 * time.Minute) // what was asked for during the pause is made once more
				before := m.count()
				time.Sleep(time.Hour)
				if n := m.count() - before; n != 0 {
					t.Errorf("made %d times while nobody asked", n)
				}
			})
		})
	}
}

// Who comes after a while gets what is new, and who stays never waits.
func TestKeptIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMaking(t, 5*time.Second, 100)
		m.sometimes(20*time.Millisecond, nil)
		for round := range 3 {
			before := m.count()
			v, at, err := m.get()
			if err != nil || v <= before || time.Since(at) != 20*time.Millisecond {
				t.Errorf("round %d: got %d of %v ago, %v, want one made after %d", round, v, time.Since(at), err, before)
			}
			for range 30 {
				time.Sleep(time.Second)
				asked := time.Now()
				if _, _, err := m.get(); err != nil || time.Since(asked) != 0 {
					t.Errorf("waited %v, %v", time.Since(asked), err)
				}
			}
			time.Sleep(time.Hour)
		}
	})
}

// While making fails the last value stays, with its time; it is made again soon
// after, however long it took to fail.
func TestKeptOutlivesErrors(t *testing.T) {
	for _, took := range []time.Duration{0, 100 * time.Millisecond, 10 * time.Second} {
		t.Run(took.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMaking(t, 5*time.Second, 100)
				m.watch(t, 11)
				good, at, err := m.get()
				if err != nil || good == 0 || at.IsZero() {
					t.Fatalf("got %d of %v, %v", good, at, err)
				}
				m.sometimes(took, errors.New("away"))
				for range 60 { // an outage that somebody watches
					time.Sleep(time.Second)
					_, _, _ = m.get()
				}
				if v, when, err := m.get(); v < good || !when.Equal(at.Add(time.Duration(v-good)*5*time.Second)) || err == nil {
					t.Errorf("got %d of %v, %v, want the last good one, its time, and why there is none newer", v, when, err)
				}
				m.sometimes(0, nil)
				over := time.Now()
				for range 5 + int(took/time.Second) {
					time.Sleep(time.Second)
					_, _, _ = m.get()
				}
				synctest.Wait()
				if _, when, err := m.get(); err != nil || when.Before(over) {
					t.Errorf("%v after the outage: the value is %v older than its end, %v", time.Since(over), over.Sub(when), err)
				}
			})
		})
	}
}

// As long as there is no value, get says so: zero may be a value too.
func TestKeptIsUnknownAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMaking(t, 5*time.Second, 100)
		m.sometimes(keptWait+time.Second, nil)
		if _, at, err := m.get(); !at.IsZero() || err != nil {
			t.Errorf("before the first is made: of %v, %v", at, err)
		}
		time.Sleep(2 * time.Second)
		if v, at, err := m.get(); v != 1 || at.IsZero() || err != nil {
			t.Errorf("after it: got %d of %v, %v", v, at, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		m := newMaking(t, 5*time.Second, 100)
		m.sometimes(0, errors.New("away"))
		if _, at, err := m.get(); !at.IsZero() || err == nil {
			t.Errorf("the first fails: of %v, %v", at, err)
		}
	})
}

// A store that hangs holds nobody up for long, nor again and again.
func TestKeptDoesNotHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMaking(t, 5*time.Second, 100)
		m.sometimes(time.Minute, nil)
		asked := time.Now()
		if _, at, err := m.get(); !at.IsZero() || err != nil || time.Since(asked) > keptWait {
			t.Errorf("of %v, %v after %v", at, err, time.Since(asked))
		}
		asked = time.Now()
		if _, _, err := m.get(); err != nil || time.Since(asked) != 0 {
			t.Errorf("the second: %v after %v", err, time.Since(asked))
		}
		time.Sleep(time.Hour)
		m.stop()
		asked = time.Now()
		if _, at, _ := m.get(); at.IsZero() || time.Since(asked) != 0 {
			t.Errorf("nobody makes it any more: waited %v", time.Since(asked))
		}
	})
}
