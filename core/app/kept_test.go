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
func newMaking(t *testing.T, every time.Duration, share int) *making {
	t.Helper()
	m := new(making)
	m.kept = newKept(every, share, func(context.Context) (int, error) {
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
	t.Cleanup(func() { cancel(); <-done })
	return m
}

// watch asks once a second.
func (m *making) watch(t *testing.T, seconds int) {
	t.Helper()
	for range seconds {
		if _, err := m.get(t.Context()); err != nil {
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
		{"what is very slow, too", 3 * time.Second, 10, 13},
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
			v, err := m.get(t.Context())
			if err != nil || v <= before {
				t.Errorf("round %d: got %d, %v, want one made after %d", round, v, err, before)
			}
			for range 30 {
				time.Sleep(time.Second)
				asked := time.Now()
				if _, err := m.get(t.Context()); err != nil || time.Since(asked) != 0 {
					t.Errorf("waited %v, %v", time.Since(asked), err)
				}
			}
			time.Sleep(time.Hour)
		}
	})
}

func TestKeptOutlivesErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMaking(t, 5*time.Second, 100)
		m.watch(t, 11)
		good, err := m.get(t.Context())
		if err != nil || good == 0 {
			t.Fatalf("got %d, %v", good, err)
		}
		m.sometimes(0, errors.New("away"))
		time.Sleep(5 * time.Second)
		_, _ = m.get(t.Context())
		synctest.Wait()
		if v, err := m.get(t.Context()); v < good || err == nil {
			t.Errorf("got %d, %v, want the last good one and why there is none newer", v, err)
		}
		m.sometimes(0, nil)
		time.Sleep(10 * time.Second)
		m.watch(t, 1)
	})
}

// A store that hangs holds nobody up for long, nor again and again.
func TestKeptDoesNotHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMaking(t, 5*time.Second, 100)
		m.sometimes(time.Minute, nil)
		asked := time.Now()
		if v, err := m.get(t.Context()); v != 0 || err != nil || time.Since(asked) > keptWait {
			t.Errorf("got %d, %v after %v", v, err, time.Since(asked))
		}
		asked = time.Now()
		if _, err := m.get(t.Context()); err != nil || time.Since(asked) != 0 {
			t.Errorf("the second: %v after %v", err, time.Since(asked))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		time.Sleep(time.Hour)
		asked = time.Now()
		_, _ = m.get(ctx)
		if time.Since(asked) > time.Second {
			t.Errorf("waited %v beyond the caller's own end", time.Since(asked))
		}
	})
}
