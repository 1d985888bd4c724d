package exchange

import (
	"sync"

	"github.com/claudemesh/broker/sdk"
)

// line holds the requests of one connection that wait for a remote stage, in
// the order in which they came. The reader adds them and reads on; one
// goroutine, which is there only while something waits, takes each through the
// rest of the chain. So effects happen in order, and a plugin is asked about
// many envelopes of one connection at a time.
type line struct {
	mu      sync.Mutex
	waiting []waiter
	working bool
	left    sync.Cond // signalled when a request has left; its lock is mu
}

// waiter is a request in a line. goOn takes it to its decision, after which it is
// not touched any more.
type waiter interface{ goOn() }

// add puts a request at the end, and waits while the line has most others.
func (l *line) add(r waiter, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left.L = &l.mu
	for len(l.waiting) >= most {
		l.left.Wait()
	}
	l.waiting = append(l.waiting, r)
	if !l.working {
		l.working = true
		go l.work()
	}
}

// empty reports whether no request waits or is being worked on. Only the reader
// adds, so what it is told stays true until it does.
func (l *line) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting) == 0
}

// wait returns when the line is empty, and reports whether it was not before.
func (l *line) wait() (waited bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left.L = &l.mu
	for len(l.waiting) > 0 {
		waited = true
		l.left.Wait()
	}
	return waited
}

// work takes requests to their end until none is left. A request stays in the
// line while it is worked on.
func (l *line) work() {
	for {
		l.mu.Lock()
		if len(l.waiting) == 0 {
			l.working = false
			l.waiting = nil
			l.mu.Unlock()
			return
		}
		r := l.waiting[0]
		l.mu.Unlock()
		r.goOn()
		l.mu.Lock()
		l.waiting[0] = nil
		l.waiting = l.waiting[1:]
		l.left.Signal()
		l.mu.Unlock()
	}
}

// goOn takes a request from the line through the rest of the chain. Whether its
// session is still there is the [Gate]'s to say, at the chain's end.
func (r *request) goOn() {
	gate := r.x.options.Gate
	for !r.ended {
		r.ended = r.walk.Resume(r.trail.Context(), &r.env)
	}
	r.decide(r.walk.Decision())
	gate.end()
}

// mayWaitInLine reports whether the requests behind this one may be read before
// it has its answer. That is so for messages: none of them changes what the
// stages before the route think of the next. A stop lets no message begin to wait.
// The [Gate] counts a request that may, until its end.
func (r *request) mayWaitInLine() bool {
	return r.env.Kind == sdk.KindSend && r.live && r.chain.Remote(r.env.Kind) && r.x.options.Gate.begin()
}
