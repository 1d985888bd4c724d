package webhookaudit

import "sync"

// intake holds encoded events until they are in a batch. It is bounded in
// bytes; beyond, the oldest go. Safe for concurrent use.
type intake struct {
	max    int // bytes
	enough int // events of a full batch

	changed chan struct{} // told when there is the first event, or a full batch

	mu     sync.Mutex
	events [][]byte
	bytes  int
	lost   int // since the last take
	begun  bool
	ended  bool
}

func newIntake(maxBytes, enough int) *intake {
	return &intake{max: maxBytes, enough: enough, changed: make(chan struct{}, 1)}
}

// begin lets events in: without anybody to take them they are not kept.
func (in *intake) begin() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.begun = true
}

// end takes no more events.
func (in *intake) end() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.ended = true
}

// add keeps an event and never waits.
func (in *intake) add(event []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.begun || in.ended {
		return
	}
	in.events = append(in.events, event)
	in.bytes += len(event)
	for in.bytes > in.max {
		in.bytes -= len(in.events[0])
		in.events[0] = nil
		in.events = in.events[1:]
		in.lost++
	}
	if n := len(in.events); n == 1 || n == in.enough {
		select {
		case in.changed <- struct{}{}:
		default:
		}
	}
}

// waiting returns how many events there are.
func (in *intake) waiting() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.events)
}

// take removes the oldest events, as many as a batch may have, and returns how
// many were lost before them.
func (in *intake) take() (events [][]byte, lost int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	n, bytes := 0, 0
	for n < len(in.events) && n < in.enough {
		if bytes += len(in.events[n]); bytes > longestBatch && n > 0 {
			break
		}
		in.bytes -= len(in.events[n])
		n++
	}
	events, lost = in.events[:n:n], in.lost
	in.events, in.lost = in.events[n:], 0
	if len(in.events) == 0 {
		in.events = nil
	}
	return events, lost
}
