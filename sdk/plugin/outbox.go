package plugin

import (
	"slices"
	"sync"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

const (
	mostLogs       = 1024 // records that wait for a stream that is not read
	mostLogsAtOnce = 64   // in one frame, which must not exceed a message
)

// sender is a stream, as far as an outbox needs it.
type sender interface {
	Send(frame *pluginpb.PluginFrame) error
}

// outbox sends what an instance has to say over its stream, from one
// goroutine, so that neither the receive loop nor a worker ever waits for the
// other side. Safe for concurrent use.
type outbox struct {
	in     *instance
	stream sender
	wake   chan struct{} // holds one token when there is something to send
	ended  chan struct{} // closed when run has returned
	failed error         // what ended it, once it has; nil after close

	mu     sync.Mutex
	next   letters
	closed bool
}

// letters is what waits to be sent.
type letters struct {
	pongs    []uint64
	judged   []*batch
	observed []*outcomes
	logs     []*pluginpb.LogRecord
}

func newOutbox(in *instance, stream sender) *outbox {
	return &outbox{in: in, stream: stream, wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

func (o *outbox) answer(b *batch) {
	if !o.add(func(l *letters) { l.judged = append(l.judged, b) }) {
		o.in.release(b, true)
	}
}

func (o *outbox) observed(seen *outcomes) {
	if !o.add(func(l *letters) { l.observed = append(l.observed, seen) }) {
		o.in.countOut(seen)
	}
}

func (o *outbox) pong(nonce uint64) {
	o.add(func(l *letters) { l.pongs = append(l.pongs, nonce) })
}

// log is false when the record found no room.
func (o *outbox) log(r *pluginpb.LogRecord) bool {
	room := false
	o.add(func(l *letters) {
		if room = len(l.logs) < mostLogs; room {
			l.logs = append(l.logs, r)
		}
	})
	return room
}

// rouse has what waits elsewhere sent.
func (o *outbox) rouse() { o.add(func(*letters) {}) }

// add is false when nothing is sent any more.
func (o *outbox) add(put func(*letters)) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	put(&o.next)
	select {
	case o.wake <- struct{}{}:
	default: // it is awake
	}
	return true
}

// run sends until close or the first error. What then waits is given up.
func (o *outbox) run() {
	defer close(o.ended)
	var now letters
	var frame pluginpb.PluginFrame
	for range o.wake {
		o.mu.Lock()
		now, o.next = o.next, now
		last := o.closed
		o.mu.Unlock()
		err := o.send(&now, &frame)
		now.clear()
		if o.failed = err; err != nil || last {
			break
		}
	}
	o.mu.Lock()
	o.closed = true
	rest := o.next
	o.next = letters{}
	o.mu.Unlock()
	o.give(&rest)
}

// close lets run send what waits, and end.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// send sends everything, and counts it out of the instance also when it fails.
// Pongs go first: they say that the loop runs.
func (o *outbox) send(l *letters, frame *pluginpb.PluginFrame) (err error) {
	put := func(f func()) {
		if err == nil {
			f()
			err = o.stream.Send(frame)
			frame.Verdicts, frame.Pong, frame.Observed, frame.Logs, frame.Spans = nil, nil, nil, nil, nil
		}
	}
	for _, nonce := range l.pongs {
		put(func() { frame.Pong = &pluginpb.Pong{Nonce: nonce} })
	}
	for _, b := range l.judged {
		put(func() { frame.Verdicts = b.conclude() })
		o.in.release(b, true)
	}
	for _, seen := range l.observed {
		put(func() { frame.Observed = &pluginpb.Observed{Seq: seen.pb.Seq} })
		o.in.countOut(seen)
	}
	for records := range slices.Chunk(l.logs, mostLogsAtOnce) {
		put(func() { frame.Logs = records })
	}
	for range mostSpans / mostSpansAtOnce { // a stage may go on ending spans
		spans := o.in.traces.take()
		if spans == nil {
			break
		}
		put(func() { frame.Spans = spans })
	}
	return err
}

// give counts out what is never sent.
func (o *outbox) give(l *letters) {
	for _, b := range l.judged {
		o.in.release(b, true)
	}
	for _, seen := range l.observed {
		o.in.countOut(seen)
	}
}

// clear forgets what was sent and keeps the lists.
func (l *letters) clear() {
	clear(l.judged)
	clear(l.observed)
	clear(l.logs)
	l.pongs, l.judged, l.observed, l.logs = l.pongs[:0], l.judged[:0], l.observed[:0], l.logs[:0]
}
