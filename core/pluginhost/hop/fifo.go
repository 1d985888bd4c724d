package hop

// fifo is a queue whose room is used again. The zero fifo is empty.
type fifo[T any] struct {
	items []T
	first int
}

func (q *fifo[T]) len() int { return len(q.items) - q.first }

func (q *fifo[T]) push(v T) {
	if q.first > 0 && len(q.items) == cap(q.items) {
		n := copy(q.items, q.items[q.first:])
		clear(q.items[n:])
		q.items, q.first = q.items[:n], 0
	}
	q.items = append(q.items, v)
}

// head returns the oldest item, which there has to be.
func (q *fifo[T]) head() T { return q.items[q.first] }

func (q *fifo[T]) pop() T {
	var zero T
	v := q.items[q.first]
	q.items[q.first] = zero
	if q.first++; q.first == len(q.items) {
		q.items, q.first = q.items[:0], 0
	}
	return v
}

// unshift puts items before all others, in their order.
func (q *fifo[T]) unshift(items []T) {
	q.items = append(append(make([]T, 0, len(items)+q.len()), items...), q.items[q.first:]...)
	q.first = 0
}
