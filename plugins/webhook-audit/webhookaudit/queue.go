package webhookaudit

import "sync"

// queue holds batches until the endpoint has taken them. The collector puts and
// the poster takes, at the same time.
type queue interface {
	// put adds a batch as the newest, and says what of the oldest had to go for
	// it. With an error the batch is not in the queue.
	put(b batch) (gone, error)

	// head returns the oldest batch and leaves it where it is. It is false when
	// there is none. What turns out to be damaged is gone.
	head() (b batch, damaged gone, ok bool)

	// done removes the batch that head returned, if it is still there.
	done(b batch) error

	// waiting returns how many events are in the queue.
	waiting() int

	// durable says whether what is in the queue outlives the program.
	durable() bool

	close() error
}

// memory is a queue that is bounded in bytes.
type memory struct {
	max int

	mu      sync.Mutex
	batches []batch
	bytes   int
}

func (m *memory) put(b batch) (lost gone, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.batches = append(m.batches, b)
	m.bytes += len(b.body)
	for m.bytes > m.max && len(m.batches) > 1 {
		lost.add(m.batches[0].counts())
		m.removeLocked()
	}
	return lost, nil
}

func (m *memory) head() (batch, gone, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.batches) == 0 {
		return batch{}, gone{}, false
	}
	return m.batches[0], gone{}, true
}

func (m *memory) done(b batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.batches) > 0 && m.batches[0].id == b.id {
		m.removeLocked()
	}
	return nil
}

func (m *memory) removeLocked() {
	m.bytes -= len(m.batches[0].body)
	m.batches[0] = batch{}
	m.batches = m.batches[1:]
}

func (m *memory) waiting() (events int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.batches {
		events += b.events
	}
	return events
}

func (m *memory) durable() bool { return false }
func (m *memory) close() error  { return nil }
