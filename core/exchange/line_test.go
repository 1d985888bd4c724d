package exchange

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// turns notes who had its turn, in order.
type turns struct {
	mu   sync.Mutex
	took []int
}

func (s *turns) note(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = append(s.took, n)
}

func (s *turns) want(t *testing.T, want ...int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.took, want) {
		t.Errorf("turns: got %v, want %v", s.took, want)
	}
}

// slow is a waiter that goes on when the test lets it.
type slow struct {
	number int
	let    chan struct{}
	turns  *turns
}

func (s *slow) goOn() {
	<-s.let
	s.turns.note(s.number)
}

// slowOnes returns n waiters, numbered from zero.
func slowOnes(n int) ([]*slow, *turns) {
	var list []*slow
	s := new(turns)
	for i := range n {
		list = append(list, &slow{i, make(chan struct{}), s})
	}
	return list, s
}

func TestLineKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l line
		list, turns := slowOnes(4)
		for _, w := range list {
			l.add(w, len(list))
		}
		for _, w := range slices.Backward(list) {
			close(w.let) // the last may go on first, and must not
			synctest.Wait()
			if w.number > 0 {
				turns.want(t)
			}
		}
		turns.want(t, 0, 1, 2, 3)
		if !l.empty() {
			t.Error("the line is not empty at the end")
		}
	})
}

// A full line makes the reader wait, until the first has left.
func TestFullLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l line
		list, turns := slowOnes(3)
		added := 0
		go func() {
			for _, w := range list {
				l.add(w, 2)
				added++
			}
		}()
		synctest.Wait()
		if added != 2 {
			t.Errorf("%d were added to a line of 2", added)
		}
		close(list[0].let)
		synctest.Wait()
		if added != 3 {
			t.Errorf("%d were added when the first had left, want 3", added)
		}
		close(list[1].let)
		close(list[2].let)
		l.wait()
		turns.want(t, 0, 1, 2)
	})
}

// Whoever waits for a line waits for the request that is being worked on too. A
// line can be used again after it was empty.
func TestWaitForALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l line
		if l.wait() {
			t.Error("it waited for a line in which nobody ever was")
		}
		for range 2 {
			list, turns := slowOnes(2)
			for _, w := range list {
				l.add(w, 2)
			}
			waited := make(chan bool, 1)
			go func() { waited <- l.wait() }()
			close(list[0].let)
			synctest.Wait()
			turns.want(t, 0)
			select {
			case <-waited:
				t.Error("the wait was over with a request in the line")
			default:
			}
			close(list[1].let)
			if !<-waited {
				t.Error("it says that it did not wait")
			}
			turns.want(t, 0, 1)
		}
	})
}
