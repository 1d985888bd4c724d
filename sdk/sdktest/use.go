package sdktest

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// findings collects what is broken. Safe for concurrent use.
type findings struct {
	mu   sync.Mutex
	list []string
}

func (f *findings) add(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, fmt.Sprintf(format, args...))
}

func (f *findings) addErr(about string, err error) {
	if err != nil {
		f.add("%s: %v", about, err)
	}
}

// within runs do and finds it broken when it takes longer than limit. do is
// then left behind.
func (f *findings) within(limit time.Duration, about string, do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		f.add("%s: no return after %v", about, limit)
	}
}

// observing is an observer as a stage.
type observing struct{ sdk.Observer }

func (observing) Handle(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Next(), nil }

// whole is what has the abilities of a stage.
func whole(stage sdk.Stage) any {
	if o, ok := stage.(observing); ok {
		return o.Observer
	}
	return stage
}

// wanted returns what a stage wants, by its Kinds and by its Match.
func wanted(stage sdk.Stage) (kinds, match sdk.Match) {
	if m, ok := whole(stage).(sdk.Matcher); ok {
		kinds.Kinds = m.Kinds()
	}
	if s, ok := whole(stage).(sdk.Selector); ok {
		match = s.Match()
	}
	return kinds, match
}

// wants reports whether the chain would ask the stage, or tell it.
func wants(stage sdk.Stage, env *sdk.Envelope) bool {
	kinds, match := wanted(stage)
	return kinds.Accepts(env) && match.Accepts(env)
}

// use takes an envelope all the way, as the chain does.
func use(stage sdk.Stage, env *sdk.Envelope) error {
	d, err := call(context.Background(), stage, env)
	if err != nil {
		return err
	}
	return finish(stage, env, d)
}

// call is Handle with panics turned into errors.
func call(ctx context.Context, stage sdk.Stage, env *sdk.Envelope) (d sdk.Decision, err error) {
	defer contain(&err)
	return stage.Handle(ctx, env)
}

// finish is Record and Done, as far as the stage has them.
func finish(stage sdk.Stage, env *sdk.Envelope, d sdk.Decision) (err error) {
	defer contain(&err)
	if d.Verdict == sdk.Continue { // then another stage decided
		d = sdk.Decision{Verdict: sdk.Answer}
	}
	if r, ok := whole(stage).(sdk.Recorder); ok {
		r.Record(env, d)
	}
	if o, ok := stage.(sdk.Observer); ok {
		o.Done(env, sdk.Outcome{Decision: d, Stage: "other", Took: time.Microsecond, Recipients: 1})
	}
	return nil
}

// miss tells of outcomes that nobody will tell.
func miss(stage sdk.Stage) (err error) {
	defer contain(&err)
	if m, ok := whole(stage).(sdk.MissedObserver); ok {
		m.Missed(3)
	}
	return nil
}

func start(ctx context.Context, stage sdk.Stage) (err error) {
	defer contain(&err)
	if s, ok := whole(stage).(sdk.Starter); ok {
		return s.Start(ctx)
	}
	return nil
}

func stop(ctx context.Context, stage sdk.Stage) (err error) {
	defer contain(&err)
	if s, ok := whole(stage).(sdk.Stopper); ok {
		return s.Stop(ctx)
	}
	return nil
}

func contain(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
	}
}
