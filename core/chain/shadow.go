package chain

import (
	"context"
	"sync"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// maxSamples is how many judgements of shadowed stages one chain keeps that
// lack the stage's verdict or the end of the envelope. A sample has about
// 150 bytes.
const maxSamples = 4096

// Submitter is a stage that can be asked without waiting for it. The chain asks
// a stage in shadow this way, where it can.
//
// Submit takes what it needs from env before it returns. It returns false when
// it has no room, and never calls done then; else it calls done once, from any
// goroutine, also after the chain was stopped.
type Submitter interface {
	Submit(env *sdk.Envelope, done func(sdk.Decision, error)) bool
}

// shadows are the judgements of one chain's links in shadow. The stage's
// verdict and the end of the envelope come in either order; with both, a sample
// is counted. Safe for concurrent use.
type shadows struct {
	mu      sync.Mutex
	open    int                       // samples that are not counted yet
	byEnv   map[*sdk.Envelope]*sample // of envelopes that have not ended, linked by next
	free    *sample
	scratch []*sdk.Envelope // for stages that are asked on the walk
}

// sample is one envelope judged by one link in shadow.
type sample struct {
	shadows *shadows
	done    func(sdk.Decision, error) // s.judge, made once

	// Guarded by shadows.mu.
	link    *Link
	start   time.Time // zero when not timed
	judged  bool
	ended   bool
	verdict sdk.Verdict // Undecided: the stage failed
	end     end
	next    *sample
}

func newShadows() *shadows { return &shadows{byEnv: make(map[*sdk.Envelope]*sample)} }

// ask has a link in shadow judge an envelope, or drops the sample.
func (sh *shadows) ask(ctx context.Context, env *sdk.Envelope, l *Link, timed bool) {
	s := sh.begin(env, l, timed)
	if s == nil {
		l.meter.shadow.dropped.Add(1)
		return
	}
	if l.submitter != nil {
		if !l.submit(env, s) {
			sh.cancel(env, s)
			l.meter.shadow.dropped.Add(1)
		}
		return
	}
	var d sdk.Decision
	aside := sh.copyOf(env)
	err := l.call(ctx, aside, &d)
	if (err != nil || !decided(d.Verdict)) && ctx.Err() == nil {
		l.report(ctx, "stage failed in shadow", classify(ctx, err), env, err)
	}
	sh.giveBack(aside)
	if err != nil && ctx.Err() != nil { // the caller went away; that says nothing
		sh.cancel(env, s)
		l.meter.shadow.dropped.Add(1)
		return
	}
	s.judge(d, err)
}

// submit hands the envelope to the stage. One that panics has failed.
func (l *Link) submit(env *sdk.Envelope, s *sample) (taken bool) {
	var err error
	func() {
		defer contain(&err)
		taken = l.submitter.Submit(env, s.done)
	}()
	if err != nil {
		l.report(context.Background(), "stage failed in shadow", failPanic, env, err)
		s.judge(sdk.Decision{}, err)
		return true
	}
	return taken
}

// begin opens a sample, nil when there are too many.
func (sh *shadows) begin(env *sdk.Envelope, l *Link, timed bool) *sample {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.open >= maxSamples {
		return nil
	}
	sh.open++
	s := sh.free
	if s == nil {
		s = &sample{shadows: sh}
		s.done = s.judge
	} else {
		sh.free = s.next
	}
	s.link, s.next = l, sh.byEnv[env]
	sh.byEnv[env] = s
	if timed {
		s.start = time.Now()
	}
	return s
}

// cancel forgets the newest sample of an envelope that has not ended.
func (sh *shadows) cancel(env *sdk.Envelope, s *sample) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.next == nil {
		delete(sh.byEnv, env)
	} else {
		sh.byEnv[env] = s.next
	}
	sh.reuse(s)
}

// judge takes the stage's verdict.
func (s *sample) judge(d sdk.Decision, err error) {
	sh := s.shadows
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.link == nil || s.judged {
		return // a second call
	}
	m := s.link.meter
	s.judged = true
	if !s.start.IsZero() {
		m.seconds.observe(time.Since(s.start))
	}
	if err == nil && decided(d.Verdict) {
		s.verdict = d.Verdict
	} else {
		m.failures[classify(context.Background(), err)].Add(1)
	}
	if s.ended {
		sh.count(s)
	}
}

// settle takes the end of an envelope, for all samples of it.
func (sh *shadows) settle(env *sdk.Envelope, e end) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.byEnv[env]
	if s == nil {
		return
	}
	delete(sh.byEnv, env)
	for next := s; next != nil; s = next {
		s, next = next, next.next
		s.ended, s.end, s.next = true, e, nil
		if s.judged {
			sh.count(s)
		}
	}
}

// count counts a sample that has both, and makes room for another.
func (sh *shadows) count(s *sample) {
	s.link.meter.shadow.add(s.verdict, s.end)
	sh.reuse(s)
}

func (sh *shadows) reuse(s *sample) {
	*s = sample{shadows: sh, done: s.done, next: sh.free}
	sh.free = s
	sh.open--
}

// copyOf returns a copy of an envelope that a stage may change.
func (sh *shadows) copyOf(env *sdk.Envelope) *sdk.Envelope {
	sh.mu.Lock()
	var aside *sdk.Envelope
	if n := len(sh.scratch); n > 0 {
		aside, sh.scratch = sh.scratch[n-1], sh.scratch[:n-1]
	}
	sh.mu.Unlock()
	if aside == nil {
		aside = new(sdk.Envelope)
	}
	env.Copy(aside)
	return aside
}

// giveBack keeps a copy's buffers for the next one, and nothing of its content.
func (sh *shadows) giveBack(aside *sdk.Envelope) {
	new(sdk.Envelope).Copy(aside)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.scratch = append(sh.scratch, aside)
}
