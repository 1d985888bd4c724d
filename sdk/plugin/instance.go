package plugin

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

const (
	// stopPatience is how long Stop may take when nobody says otherwise.
	stopPatience = 5 * time.Second

	// answerTime is what is left of a drain's time when that of Stop is over: the
	// answer has to be back before the broker gives up. Of a short time it is a
	// tenth. Stop has as much even when work took all of the drain's time.
	answerTime = 250 * time.Millisecond

	// mostHeld is how many envelopes and outcomes one instance holds. A broker
	// keeps to its window, which is far below; one that does not is cut off.
	mostHeld = 1 << 16

	// mostFree is how many used batches are kept for the next ones.
	mostFree = 64
)

var (
	errTooMany = errors.New("more envelopes in hand than any window allows")
	errSeq     = errors.New("a batch with this seq is in hand")
)

// instance is one stage with one set of options, with its workers.
type instance struct {
	// Set by newInstance, never changed.
	service *service
	id      string
	stage   string
	link    string
	granted rights
	traces  *traces // nil: the broker takes none
	parts
	ctx      context.Context // ends when it is abandoned, or has stopped
	cancel   context.CancelFunc
	workers  []*worker
	outcomes *queue[*outcomes]
	stopped  chan struct{} // closed when Stop has returned

	// Guarded by service.logs.mu.
	heard bool                  // it has a stream, or had, or gets none
	early []*pluginpb.LogRecord // wait for the stream

	mu      sync.Mutex
	claimed bool // by a stream
	ending  bool
	stopBy  time.Time // when Stop's time is over; zero: nobody said
	live    map[uint64]*batch
	held    int           // envelopes and outcomes in hand
	empty   chan struct{} // closed when ending and held is 0
	free    []*batch
}

// newInstance makes an instance of a stage that was made. It works from begin on.
func newInstance(s *service, req *pluginpb.ConfigureRequest, p parts) *instance {
	in := &instance{
		service: s, id: req.Instance, stage: req.Stage, link: req.Link, parts: p,
		granted: grantsOf(req.Granted).rights(), outcomes: newQueue[*outcomes](), stopped: make(chan struct{}),
		live: make(map[uint64]*batch), empty: make(chan struct{}),
	}
	if s.traced.Load() {
		in.traces = newTraces(in.stage)
	}
	in.ctx, in.cancel = context.WithCancel(in.within(context.Background()))
	return in
}

// begin starts the workers of a stage that has started.
func (in *instance) begin(parallel int) {
	var running sync.WaitGroup
	if in.judge != nil {
		for i := range parallel {
			w := &worker{in: in, part: i, work: newQueue[*batch]()}
			in.workers = append(in.workers, w)
			running.Go(w.run)
		}
	}
	if in.observer != nil {
		running.Go(in.observe)
	}
	go in.bury(&running)
}

// bury stops the stage after its last envelope.
func (in *instance) bury(running *sync.WaitGroup) {
	running.Wait()
	select { // what was decided is to be on its way
	case <-in.empty:
	case <-in.ctx.Done():
	}
	defer close(in.stopped)
	defer in.service.logs.giveUp(in)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(in.ctx), in.timeToStop())
	defer cancel()
	in.stop(ctx)
	in.cancel()
}

// stop is Stop, whose error has nobody else to go to.
func (in *instance) stop(ctx context.Context) {
	if err := stop(ctx, in.whole); err != nil {
		in.service.log.ErrorContext(ctx, "stop", slog.String("stage", in.stage), slog.Any("err", err))
	}
}

// discard ends an instance that never began.
func (in *instance) discard(ctx context.Context) {
	in.stop(in.within(ctx))
	in.cancel()
	in.service.logs.giveUp(in)
}

// timeToStop returns how much time there is for Stop, if it began now.
func (in *instance) timeToStop() time.Duration {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.stopBy.IsZero() {
		return stopPatience
	}
	return max(time.Until(in.stopBy), answerTime)
}

// stopWithin gives Stop the time that a drain has, unless it has one already.
func (in *instance) stopWithin(drain context.Context) {
	end, ok := drain.Deadline()
	if !ok {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.stopBy.IsZero() {
		in.stopBy = end.Add(-min(answerTime, time.Until(end)/10))
	}
}

func start(ctx context.Context, whole any) error {
	_, err := contained(func() (struct{}, error) {
		if s, ok := whole.(sdk.Starter); ok {
			return struct{}{}, s.Start(ctx)
		}
		return struct{}{}, nil
	})
	return err
}

func stop(ctx context.Context, whole any) error {
	_, err := contained(func() (struct{}, error) {
		if s, ok := whole.(sdk.Stopper); ok {
			return struct{}{}, s.Stop(ctx)
		}
		return struct{}{}, nil
	})
	return err
}

// submit hands a batch to the workers and never waits for them. What comes
// when the instance ends is answered as failed.
func (in *instance) submit(pb *pluginpb.Batch, to answerer) error {
	b, err := in.admit(pb, to)
	if err != nil {
		return err
	}
	if len(in.workers) == 0 {
		b.state.CompareAndSwap(waiting, unjudged)
	}
	if len(b.envelopes) == 0 || b.state.Load() > begun {
		to.answer(b)
		return nil
	}
	b.ctx = &callContext{Context: in.ctx, at: b.deadline}
	if len(in.workers) == 1 {
		b.left.Store(1)
		in.give(b, in.workers[0])
		return nil
	}
	// Every worker looks at a batch that has envelopes for more than one: it
	// passes over what is not its own.
	first := in.partOf(b.envelopes[0], 0)
	for i, env := range b.envelopes {
		if in.partOf(env, i) != first {
			b.left.Store(int32(len(in.workers)))
			for _, w := range in.workers {
				in.give(b, w)
			}
			return nil
		}
	}
	b.left.Store(1)
	in.give(b, in.workers[first])
	return nil
}

// give puts a batch on a worker's queue. A worker that has just ended finishes
// its part by not judging it.
func (in *instance) give(b *batch, w *worker) {
	if w.work.put(b) {
		return
	}
	if !b.state.CompareAndSwap(waiting, ended) { // other parts have begun; this one fails
		for i, env := range b.envelopes {
			if in.partOf(env, i) == w.part {
				b.slots[i].fail(unjudgedWhy(ended))
			}
		}
	}
	if b.left.Add(-1) == 0 {
		b.to.answer(b)
	}
}

// admit counts a batch in.
func (in *instance) admit(pb *pluginpb.Batch, to answerer) (*batch, error) {
	now := time.Now()
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.held+len(pb.Envelopes) > mostHeld {
		return nil, errTooMany
	}
	if in.live[pb.Seq] != nil {
		return nil, errSeq
	}
	b := new(batch)
	if n := len(in.free); n > 0 {
		b, in.free = in.free[n-1], in.free[:n-1]
	}
	b.reset(pb, now)
	b.to = to
	in.live[b.seq] = b
	in.held += len(b.envelopes)
	if in.ending {
		b.state.Store(ended)
	}
	return b, nil
}

// release counts a batch out that was answered. reuse says that nobody has it
// any more.
func (in *instance) release(b *batch, reuse bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.live, b.seq)
	in.countOutLocked(len(b.envelopes))
	b.envelopes, b.ctx, b.to = nil, nil, nil
	if reuse && len(in.free) < mostFree {
		in.free = append(in.free, b)
	}
}

func (in *instance) countOutLocked(n int) {
	in.held -= n
	in.checkEmptyLocked()
}

// checkEmptyLocked tells bury that all is answered.
func (in *instance) checkEmptyLocked() {
	if !in.ending || in.held > 0 {
		return
	}
	select {
	case <-in.empty:
	default:
		close(in.empty)
	}
}

// callOff makes batches that nobody has begun unwanted.
func (in *instance) callOff(seqs []uint64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, seq := range seqs {
		if b := in.live[seq]; b != nil {
			b.state.CompareAndSwap(waiting, calledOff)
		}
	}
}

// end takes no more work. What is in hand is finished, then the stage stops.
func (in *instance) end() {
	in.mu.Lock()
	in.ending = true
	in.checkEmptyLocked()
	in.mu.Unlock()
	for _, w := range in.workers {
		w.work.close()
	}
	in.outcomes.close()
}

// abandon gives up what is in hand: contexts end, and what has not been begun
// never is. It returns how much that was.
func (in *instance) abandon() int {
	in.end()
	in.mu.Lock()
	defer in.mu.Unlock()
	in.cancel()
	for _, b := range in.live {
		b.state.CompareAndSwap(waiting, ended)
	}
	return in.held
}

// partOf says which worker judges an envelope. Envelopes of one connection
// fall to one worker; those of no connection have no order to keep.
func (in *instance) partOf(env *pluginpb.Envelope, index int) int {
	n := uint64(len(in.workers))
	if n == 1 {
		return 0
	}
	if env.Conn == 0 {
		return int(uint64(index) % n)
	}
	return int(env.Conn % n)
}
