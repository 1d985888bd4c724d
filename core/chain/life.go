package chain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// stopGrace is how long stages get to stop when the caller's own time is up:
// after a start that failed, or a drain that did not end.
const stopGrace = 5 * time.Second

// errStopped is returned by Start after Stop.
var errStopped = errors.New("the chain was stopped; build another one")

// life is how far a chain has come.
type life struct {
	mu      sync.Mutex
	started bool
	stopped bool
}

// running reports whether the chain was started and not stopped.
func (l *life) running() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.started && !l.stopped
}

// Start starts the stages in order, but for those that run already in the chain
// before this one. When one fails, Start stops them all, last first, and
// returns why.
func (c *Chain) Start(ctx context.Context) error {
	c.life.mu.Lock()
	if c.life.stopped {
		c.life.mu.Unlock()
		return errStopped
	}
	c.life.started = true
	c.life.mu.Unlock()
	for _, l := range c.links {
		if err := l.start(ctx); err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
			defer cancel()
			return errors.Join(err, c.Stop(ctx))
		}
	}
	c.adopt()
	c.compile() // a plugin knows its kinds only now
	return nil
}

// adopt goes on counting where the chain before this one stands. A chain that
// is built and thrown away leaves no trace in the counters.
func (c *Chain) adopt() {
	if c.lineage == nil {
		return
	}
	c.meters, c.lineage = c.lineage, nil
	for _, l := range c.links {
		m := c.meters.of(l.name)
		for _, p := range l.parts() {
			p.meter = m
		}
		l.expectPolicy()
	}
}

// Stop stops the stages, last first, but for those that another chain has
// carried over. Only the first call does anything.
func (c *Chain) Stop(ctx context.Context) error {
	c.life.mu.Lock()
	again := c.life.stopped
	c.life.stopped = true
	c.life.mu.Unlock()
	if again {
		return nil
	}
	var errs []error
	for _, l := range slices.Backward(c.links) {
		errs = append(errs, l.stop(ctx)...)
	}
	return errors.Join(errs...)
}

// start starts the link's fallback and then its stage.
func (l *Link) start(ctx context.Context) error {
	for _, p := range l.parts() {
		if err := p.instance.start(ctx); err != nil {
			return fmt.Errorf("start of stage %s: %w", p.name, err)
		}
	}
	return nil
}

// stop ends the link's use of its stage and then of its fallback.
func (l *Link) stop(ctx context.Context) (errs []error) {
	for _, p := range slices.Backward(l.parts()) {
		if err := p.instance.release(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop of stage %s: %w", p.name, err))
		}
	}
	return errs
}

// instance is a stage that one or, around a reload, two chains use.
type instance struct {
	stage sdk.Stage
	key   string       // empty: never carried over
	users atomic.Int32 // chains; at 0 the stage is stopped, for good

	mu      sync.Mutex
	started bool
}

func newInstance(stage sdk.Stage) *instance {
	in := &instance{stage: stage}
	if k, ok := stage.(Keyed); ok {
		in.key = k.Key()
	}
	in.users.Store(1)
	return in
}

// take makes another chain a user, unless the last one has gone.
func (in *instance) take() bool {
	for {
		n := in.users.Load()
		if n == 0 {
			return false
		}
		if in.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (in *instance) start(ctx context.Context) (err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	starter, ok := in.stage.(sdk.Starter)
	if !ok || in.started {
		return nil
	}
	defer contain(&err)
	if err := starter.Start(ctx); err != nil {
		return err
	}
	in.started = true
	return nil
}

// release ends one chain's use. The last one stops the stage.
func (in *instance) release(ctx context.Context) (err error) {
	stopper, ok := in.stage.(sdk.Stopper)
	if in.users.Add(-1) > 0 || !ok {
		return nil
	}
	defer contain(&err)
	return stopper.Stop(ctx)
}
