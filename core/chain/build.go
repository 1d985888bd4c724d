package chain

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/claudemesh/broker/sdk"
)

// Build makes a chain, or returns an [*IllegalError] with everything that is
// wrong with the spec. The chain is not started yet. Whoever built a chain must
// stop it in the end, also when it never started.
func Build(spec Spec, factories Factories) (*Chain, error) {
	c := newChain(spec)
	problems := check(spec, factories)
	for i, ls := range spec.Links {
		f := factories.find(ls)
		c.rows = append(c.rows, newRow(ls, f))
		if !ls.Enabled || f == nil {
			continue
		}
		l, err := c.newLink(ls, f)
		if err != nil {
			problems = append(problems, Problem{Index: i, Link: ls.name(), Where: ls.Where, Text: err.Error()})
			continue
		}
		c.links = append(c.links, l)
		c.rows[i].link = l
	}
	if len(problems) > 0 {
		slices.SortStableFunc(problems, func(a, b Problem) int {
			return cmp.Compare(uint(a.Index), uint(b.Index)) // -1, the whole chain, comes last
		})
		return nil, dropUnbuilt(c, &IllegalError{problems})
	}
	if spec.Previous != nil {
		c.carryOver(spec.Previous)
	}
	c.compile()
	return c, nil
}

func newChain(spec Spec) *Chain {
	c := &Chain{insecure: spec.Insecure, trace: spec.Trace, log: spec.Log, meters: newMeters(), inside: newGauge()}
	if spec.Previous != nil {
		c.lineage = spec.Previous.meters
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	switch {
	case spec.Timing == 0:
		c.every = DefaultTiming
	case spec.Timing > 0:
		c.every = uint32(min(spec.Timing, 1<<30))
	}
	return c
}

// find returns the factory for a link, nil for an unknown stage.
func (fs Factories) find(ls LinkSpec) *Factory {
	if ls.Use != nil {
		return ls.Use
	}
	if f, ok := fs[ls.Stage]; ok {
		return &f
	}
	return nil
}

func (c *Chain) newLink(ls LinkSpec, f *Factory) (*Link, error) {
	stage, err := f.New(ls)
	if err != nil {
		return nil, err
	}
	if stage == nil {
		return nil, fmt.Errorf("the factory of stage %q made none", ls.Stage)
	}
	l := &Link{
		name: ls.name(), stageName: ls.Stage, role: f.Role, deadline: ls.Deadline,
		policy: ls.OnFailure, meter: c.meters.of(ls.name()), log: c.log,
	}
	if l.policy == "" {
		l.policy = f.policies()[0]
	}
	l.onFailure = sdk.Next()
	if l.policy != FailOpen {
		l.onFailure = sdk.Decision{
			Verdict: sdk.Deny, Reason: sdk.ReasonStageFailed, RetryAfter: failedRetryAfter,
			Text: fmt.Sprintf("the broker could not judge the request (stage %s failed); try again", l.name),
		}
	}
	l.use(newInstance(stage))
	return l, nil
}

// use puts an instance behind the link.
func (l *Link) use(in *instance) {
	l.instance, l.stage = in, in.stage
	l.recorder, _ = in.stage.(sdk.Recorder)
	l.observer, _ = in.stage.(sdk.Observer)
}

// carryOver replaces new instances by those of the running chain that were made
// from the same things.
func (c *Chain) carryOver(old *Chain) {
	for _, l := range c.links {
		if l.instance.key == "" {
			continue
		}
		i := slices.IndexFunc(old.links, func(o *Link) bool {
			return o.name == l.name && o.stageName == l.stageName && o.instance.key == l.instance.key
		})
		if i < 0 || !old.links[i].instance.take() {
			continue
		}
		fresh := l.instance
		l.use(old.links[i].instance)
		if err := fresh.release(context.Background()); err != nil {
			c.log.Error("stop of an unused stage", slog.String("link", l.name), slog.Any("err", err))
		}
	}
}

// dropUnbuilt stops what a refused chain has made so far.
func dropUnbuilt(c *Chain, why error) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	if err := c.Stop(ctx); err != nil {
		c.log.Error("stop of an unused chain", slog.Any("err", err))
	}
	return why
}
