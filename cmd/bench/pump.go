package main

import (
	"sync"
	"time"
)

// roundTrip is how long a peer takes at least between an answer and its next
// message, as it would over a network. Without it the few connections that the
// server happens to read find their next message there already, are read on and
// on, and the others starve: the relay had a p99 of 300 ms that way.
const roundTrip = time.Millisecond

// pump sends the messages of a closed loop: one for each place in a window that
// became free, in the order in which they did.
type pump struct {
	refills func() bool // false when the load is over

	mu    sync.Mutex
	ready []*peer       // a peer is there once for each place
	wake  chan struct{} // holds a signal when ready is not empty
	done  chan struct{}
}

// newPump returns a pump that runs until stop.
func newPump(refills func() bool) *pump {
	u := &pump{refills: refills, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go u.run()
	return u
}

// add notes that a peer may send one more message. It never waits: the signal
// is taken before the list is.
func (u *pump) add(p *peer) {
	u.mu.Lock()
	u.ready = append(u.ready, p)
	first := len(u.ready) == 1
	u.mu.Unlock()
	if first {
		u.wake <- struct{}{}
	}
}

// stop ends the pump. Nobody may add any more.
func (u *pump) stop() {
	close(u.wake)
	<-u.done
}

func (u *pump) run() {
	defer close(u.done)
	var due []*peer
	for range u.wake {
		time.Sleep(roundTrip)
		u.mu.Lock()
		due, u.ready = u.ready, due[:0]
		u.mu.Unlock()
		if u.refills() {
			sendAll(due)
		}
		clear(due)
	}
}

// sendAll sends one message for each entry. A peer that is there several times
// writes its messages at once.
func sendAll(due []*peer) {
	for _, p := range due {
		p.mu.Lock()
		p.sendLocked()
		p.mu.Unlock()
	}
	for _, p := range due {
		p.flush()
	}
}
