// Package measure says what it costs to ask a stage: how many envelopes a
// second, how long one takes, and how much CPU it uses on both sides of the
// boundary. Figures of one run on one machine can be compared with one another
// and with nothing else.
package measure

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Target is what is measured.
type Target struct {
	Name string

	// Ask judges one envelope and waits.
	Ask func(context.Context, *sdk.Envelope) (sdk.Decision, error)

	// Submit judges one envelope without waiting; it may be nil. False means
	// that there is no room now.
	Submit func(env *sdk.Envelope, done func(sdk.Decision, error)) bool

	// CPU returns what processes other than this one have used for it.
	CPU func() time.Duration
}

// Load is how a target is asked.
type Load struct {
	Name    string
	Callers int // that wait for each decision; 0: one that keeps Window under way
	Window  int
	Lasts   time.Duration // after a warm-up of a fifth of it
}

// Loads are the three that every comparison has: one caller alone, which is the
// time that a hop takes, many callers, which is what a busy broker does, and
// a window kept full, which is what the boundary can do.
func Loads(lasts time.Duration) []Load {
	return []Load{
		{Name: "one caller", Callers: 1, Lasts: lasts},
		{Name: "64 callers", Callers: 64, Lasts: lasts},
		{Name: "pipelined", Window: 1024, Lasts: lasts},
	}
}

// Result is what a run found.
type Result struct {
	Target    string        `json:"target"`
	Load      string        `json:"load"`
	Envelopes uint64        `json:"envelopes"`
	PerSecond float64       `json:"perSecond"`
	P50       time.Duration `json:"p50_ns"` // 0 when pipelined: it says how long the window is
	P99       time.Duration `json:"p99_ns"`
	CPU       time.Duration `json:"cpu_ns"`     // an envelope, all processes
	Allocs    float64       `json:"hostAllocs"` // an envelope, this process
	Failed    uint64        `json:"failed"`     // envelopes without a decision
}

// errNoSubmit is returned for a load that the target cannot take.
var errNoSubmit = errors.New("measure: the target cannot be asked without waiting")

// Run asks a target for as long as the load lasts. env makes the envelopes of a
// caller; each is used again when its decision is there.
func Run(ctx context.Context, t Target, l Load, env func(caller int) *sdk.Envelope) (Result, error) {
	r := &run{target: t, load: l, env: env}
	if l.Callers == 0 && t.Submit == nil {
		return Result{}, errNoSubmit
	}
	if err := r.during(ctx, l.Lasts/5); err != nil {
		return Result{}, err
	}
	r.count.Store(0)
	r.failed.Store(0)
	r.took = nil
	runtime.GC()
	before := r.reading()
	err := r.during(ctx, l.Lasts)
	return r.result(before, r.reading()), err
}

// run is a load under way.
type run struct {
	target Target
	load   Load
	env    func(int) *sdk.Envelope

	count, failed atomic.Uint64

	mu   sync.Mutex
	took []time.Duration
}

// reading is what counters say at one moment.
type reading struct {
	at     time.Time
	cpu    time.Duration
	allocs uint64
}

func (r *run) reading() reading {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	now := reading{at: time.Now(), cpu: ownCPU(), allocs: m.Mallocs}
	if r.target.CPU != nil {
		now.cpu += r.target.CPU()
	}
	return now
}

func (r *run) result(before, after reading) Result {
	n := max(r.count.Load(), 1)
	res := Result{
		Target: r.target.Name, Load: r.load.Name, Envelopes: r.count.Load(), Failed: r.failed.Load(),
		PerSecond: float64(n) / after.at.Sub(before.at).Seconds(),
		CPU:       (after.cpu - before.cpu) / time.Duration(n),
		Allocs:    float64(after.allocs-before.allocs) / float64(n),
	}
	if len(r.took) > 0 {
		slices.Sort(r.took)
		res.P50, res.P99 = r.took[len(r.took)/2], r.took[len(r.took)*99/100]
	}
	return res
}

func (r *run) during(ctx context.Context, lasts time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, lasts)
	defer cancel()
	if r.load.Callers == 0 {
		r.pipeline(ctx)
		return nil
	}
	var wg sync.WaitGroup
	for c := range r.load.Callers {
		wg.Go(func() { r.call(ctx, c) })
	}
	wg.Wait()
	return nil
}

// call is one caller. It reads the clock for one envelope in eight, so that
// reading it is no part of what is measured.
func (r *run) call(ctx context.Context, caller int) {
	template, env := r.env(caller), new(sdk.Envelope)
	var took times
	for i := 0; ctx.Err() == nil; i++ {
		template.Copy(env) // without what the stage did to it before
		if !took.wants(i) {
			r.ended(r.target.Ask(context.Background(), env))
			continue
		}
		start := time.Now()
		r.ended(r.target.Ask(context.Background(), env))
		took.add(time.Since(start))
	}
	r.mu.Lock()
	r.took = append(r.took, took.list...)
	r.mu.Unlock()
}

// times are what a caller keeps of how long its envelopes took: at most
// mostTimes of them, spread over the whole run.
type times struct {
	every int // one in so many, from 8; twice as many each time the list is full
	list  []time.Duration
}

const mostTimes = 1 << 14

func (t *times) wants(i int) bool {
	if t.every == 0 {
		t.every = 8
	}
	return i%t.every == 0
}

func (t *times) add(d time.Duration) {
	if len(t.list) < mostTimes {
		t.list = append(t.list, d)
		return
	}
	t.every *= 2
	for i := range mostTimes / 2 {
		t.list[i] = t.list[2*i]
	}
	t.list = t.list[:mostTimes/2]
}

func (r *run) ended(d sdk.Decision, err error) {
	if err != nil || d.Verdict == sdk.Undecided {
		r.failed.Add(1)
	}
	r.count.Add(1)
}

// slot is an envelope of the window, which is under way or free.
type slot struct {
	env  sdk.Envelope
	done func(sdk.Decision, error)
}

// pipeline keeps the window full from one goroutine.
func (r *run) pipeline(ctx context.Context) {
	template := r.env(0)
	free := make(chan *slot, r.load.Window)
	for range r.load.Window {
		s := &slot{}
		s.done = func(d sdk.Decision, err error) {
			r.ended(d, err)
			free <- s
		}
		free <- s
	}
	for ctx.Err() == nil {
		s := <-free
		template.Copy(&s.env)
		for !r.target.Submit(&s.env, s.done) {
			runtime.Gosched()
		}
	}
	for range r.load.Window {
		<-free // the last have come back
	}
}
