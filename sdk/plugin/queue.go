package plugin

import "sync"

// queue hands items from one goroutine to another, in order. It has no bound
// of its own: what is held is counted by the instance. Safe for concurrent use.
type queue[T any] struct {
	mu     sync.Mutex
	filled sync.Cond
	items  []T
	first  int // in items
	closed bool
}

func newQueue[T any]() *queue[T] {
	q := &queue[T]{}
	q.filled.L = &q.mu
	return q
}

// put appends an item and never waits. It is false when the queue is closed.
func (q *queue[T]) put(item T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if q.first > 0 && q.first == len(q.items) {
		q.items, q.first = q.items[:0], 0
	}
	q.items = append(q.items, item)
	q.filled.Signal()
	return true
}

// take waits for an item. It is false when the queue is closed and empty.
func (q *queue[T]) take() (item T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.first == len(q.items) {
		if q.closed {
			return item, false
		}
		q.filled.Wait()
	}
	var none T
	item, q.items[q.first] = q.items[q.first], none
	q.first++
	if q.first >= 64 && 2*q.first >= len(q.items) { // a queue that never runs empty must not grow
		q.items = append(q.items[:0], q.items[q.first:]...)
		q.first = 0
	}
	return item, true
}

// close lets take return what is left, and then end.
func (q *queue[T]) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.filled.Broadcast()
}
