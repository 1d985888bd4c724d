// Package bustest holds what every bus must do, whatever carries it.
package bustest

import (
	"context"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/bus"
)

// patience is how long the suite waits for what must happen. A healthy bus
// needs a fraction of it; after a server's restart it is seconds.
const patience = 30 * time.Second

// Rig is one kind of bus together with the server that it needs.
type Rig struct {
	// Open returns the bus of a new node, connected. The suite closes it.
	Open func(tb testing.TB) bus.Bus

	// Stop takes the server away from all nodes, Start brings it back. What
	// Start returns to is a server that answers.
	Stop, Start func(tb testing.TB)

	// Freeze makes the server hold the connections open and read nothing, until
	// Thaw. Nil where there is no server.
	Freeze, Thaw func(tb testing.TB)
}

// Run checks a kind of bus. newRig is called once for each part, and cleans up
// by tb.Cleanup.
func Run(t *testing.T, newRig func(tb testing.TB) Rig) {
	parts := []struct {
		name string
		run  func(t *testing.T, r Rig)
	}{
		{"it delivers to all others and not to itself", others},
		{"it delivers exact subjects only", exact},
		{"it keeps the order of one node over all subjects", order},
		{"it copies what is published", copies},
		{"it ends with cancel", cancels},
		{"it serves several subscriptions of one subject", several},
		{"it lets a subscriber publish and cancel", reentrant},
		{"it carries payloads of every size", sizes},
		{"it drops what no bus carries", refuses},
		{"it takes 10,000 subscriptions", many},
		{"it is used by many at once", concurrent},
		{"it recovers from a server that was away", recovers},
		{"it never holds up a publisher", neverBlocks},
		{"it tells the others what it could not send", tellsOthers},
		{"it sends before it closes", sendsBeforeClose},
		{"it may be used after it was closed", closed},
	}
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) { part.run(t, newRig(t)) })
	}
}

// open returns the bus of a new node and closes it with the test.
func (r Rig) open(tb testing.TB) bus.Bus {
	tb.Helper()
	b := r.Open(tb)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	eventually(tb, "the bus is up", b.Up)
	return b
}

// eventually waits until ok.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}
