package bustest

import (
	"slices"
	"sync"
	"testing"

	"github.com/claudemesh/broker/core/bus"
)

// inbox writes down what one node hears.
type inbox struct {
	mu   sync.Mutex
	got  []string
	lost int
}

// listen subscribes to the subjects; each entry is the subject, a space, and
// the data.
func listen(b bus.Bus, subjects ...string) *inbox {
	in := &inbox{}
	b.OnLost(func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.lost++
	})
	for _, subject := range subjects {
		b.Subscribe(subject, func(data []byte) { in.add(subject + " " + string(data)) })
	}
	return in
}

func (in *inbox) add(entry string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.got = append(in.got, entry)
}

func (in *inbox) all() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.got)
}

func (in *inbox) losses() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.lost
}

// want waits until the inbox holds exactly the entries.
func (in *inbox) want(tb testing.TB, entries ...string) {
	tb.Helper()
	eventually(tb, "messages arrive", func() bool { return len(in.all()) >= len(entries) })
	if got := in.all(); !slices.Equal(got, entries) {
		tb.Fatalf("got %.200q, want %.200q", got, entries)
	}
}

// linked waits until a message of one bus reaches the other, over a subject of
// its own. In a cluster of servers a subscription takes a moment to be known
// everywhere.
func linked(tb testing.TB, from, to bus.Bus) {
	tb.Helper()
	heard := make(chan struct{}, 1)
	cancel := to.Subscribe("bustest.linked", func([]byte) {
		select {
		case heard <- struct{}{}:
		default:
		}
	})
	defer cancel()
	eventually(tb, "the two nodes hear each other", func() bool {
		from.Publish("bustest.linked", nil)
		select {
		case <-heard:
			return true
		default:
			return false
		}
	})
}
