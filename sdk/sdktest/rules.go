package sdktest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// patience is how long anything may take that has no reason to wait. It is long
// because test machines stall, and it is only ever spent on a broken stage.
const patience = 5 * time.Second

func (s suite) kinds() (broken []string) {
	stage := s.newStage()
	kinds, match := wanted(stage)
	for _, k := range slices.Concat(kinds.Kinds, match.Kinds) {
		if k == "" || strings.Contains(strings.TrimSuffix(string(k), "*"), "*") {
			broken = append(broken, fmt.Sprintf("%q is no kind: it is empty, or has a star before its end", k))
		}
	}
	if len(broken) == 0 && len(chosen(stage)()) == 0 {
		broken = append(broken, "it wants no envelope: its Kinds and its Match exclude each other, or the bounds of a size")
	}
	return broken
}

func (s suite) decides() []string {
	return s.started(func(stage sdk.Stage, f *findings) {
		for _, env := range s.envelopes(stage) {
			about := describe(env)
			d, err := call(context.Background(), stage, env)
			if err != nil {
				f.add("%s: got the error %q; an error is for a stage that is broken", about, err)
				continue
			}
			switch {
			case d.Verdict == sdk.Undecided || d.Verdict > sdk.Answer:
				f.add("%s: verdict %d decides nothing", about, d.Verdict)
			case (d.Verdict == sdk.Deny || d.Verdict == sdk.Drop) && d.Reason == "":
				f.add("%s: %v without a reason; metrics and audit count by it", about, d.Verdict)
			case d.RetryAfter < 0:
				f.add("%s: RetryAfter is %v", about, d.RetryAfter)
			}
			f.addErr(about, finish(stage, env, d))
		}
	})
}

func (s suite) leavesAlone() []string {
	return s.started(func(stage sdk.Stage, f *findings) {
		for _, env := range s.envelopes(stage) {
			before := *env
			if _, err := call(context.Background(), stage, env); err != nil {
				f.addErr(describe(&before), err)
			}
			same := env.Kind == before.Kind && env.Target == before.Target &&
				env.Size == before.Size && env.Arrived.Equal(before.Arrived)
			if !same {
				f.add("%s became %s; a stage may narrow the audience, add attributes, hold a message and set its priority",
					describe(&before), describe(env))
			}
			if env.Priority > sdk.PriorityLow {
				f.add("%s got the priority %d; there is no such", describe(&before), env.Priority)
			}
		}
	})
}

// heedsContext gives the stage a context that has ended, and one that ends
// while the directory waits.
func (s suite) heedsContext() []string {
	return s.started(func(stage sdk.Stage, f *findings) {
		for _, env := range s.envelopes(stage) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			f.within(patience, describe(env)+" with an ended context", func() { _, _ = call(ctx, stage, env) })
		}
		env := Message(To("*"), func(env *sdk.Envelope) { env.Directory = silent{} })
		_, match := wanted(stage)
		fit(env, &match, 0)
		if !wants(stage, env) {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		f.within(patience, "a context that ends while the directory waits", func() { _, _ = call(ctx, stage, env) })
	})
}

func (s suite) concurrent() []string {
	return s.started(func(stage sdk.Stage, f *findings) {
		var wg sync.WaitGroup
		envelopes := s.choice(stage)
		for i := range 32 {
			wg.Go(func() {
				for _, env := range envelopes() {
					env.Sender.Conn = uint64(i)
					f.addErr(describe(env), use(stage, env))
				}
			})
		}
		wg.Wait()
	})
}

// keepsNothing does with envelopes what the broker does after each: it writes
// over them. A stage that still reads one is found by the race detector, one
// that still writes is found here.
func (s suite) keepsNothing() []string {
	var poisoned []*sdk.Envelope
	broken := s.started(func(stage sdk.Stage, f *findings) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		envelopes := s.choice(stage)
		for range 8 {
			wg.Go(func() {
				for _, env := range envelopes() {
					f.addErr(describe(env), use(stage, env))
					poison(env)
					mu.Lock()
					poisoned = append(poisoned, env)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	})
	for _, env := range poisoned {
		if !isPoisoned(env) {
			return append(broken, "an envelope was written to after Handle, Record and Done had returned")
		}
	}
	return broken
}

func (s suite) lives() []string {
	var f findings
	stage := s.newStage()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	f.addErr("start", start(ctx, stage))
	for _, env := range s.envelopes(stage) {
		f.addErr(describe(env), use(stage, env))
	}
	f.addErr("Missed", miss(stage))
	f.within(patience, "Stop", func() { f.addErr("stop", stop(ctx, stage)) })
	return f.list
}

func (s suite) stopsUnstarted() []string {
	var f findings
	stage := s.newStage()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	f.within(patience, "Stop", func() { f.addErr("stop", stop(ctx, stage)) })
	return f.list
}

// started runs a check on a stage between its start and its stop.
func (s suite) started(check func(sdk.Stage, *findings)) []string {
	f := new(findings)
	stage := s.newStage()
	if err := start(context.Background(), stage); err != nil {
		return []string{"start: " + err.Error()}
	}
	check(stage, f)
	f.addErr("stop", stop(context.Background(), stage))
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.list
}
