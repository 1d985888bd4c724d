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
		l, err := c.newLink(ls, f, factories)
		if err != nil {
			problems = append(problems, Problem{Index: i, Link: ls.name(), Where: ls.Where, Text: err.Error()})
		}
		if l != nil {
			c.links = append(c.links, l)
			c.rows[i].link = l
		}
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
	c := &Chain{insecure: spec.Insecure, probes: spec.Probes, log: spec.Log, meters: newMeters(), inside: newGauge()}
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

// newLink makes a link. With an error it may return what has to be stopped.
func (c *Chain) newLink(ls LinkSpec, f *Factory, factories Factories) (*Link, error) {
	l, err := c.makeLink(ls, f)
	if err != nil {
		return nil, err
	}
	l.policy, l.then = ls.policy(f)
	l.meter, l.shadow, l.required = c.meters.of(l.name), ls.Shadow, ls.Required && !ls.Shadow
	l.expectPolicy()
	if l.shadow && c.shadows == nil {
		c.shadows = newShadows()
	}
	if ls.Fallback == nil {
		return l, nil
	}
	if stage, ok := factories[ls.Fallback.Stage]; ok {
		if l.fallback, err = c.makeLink(*ls.Fallback, &stage); err != nil {
			return l, fmt.Errorf("fallback %s: %w", ls.Fallback.Stage, err)
		}
		l.fallback.policy, l.fallback.meter = FailClosed, l.meter
	}
	return l, nil
}

// makeLink makes a link and its stage.
func (c *Chain) makeLink(ls LinkSpec, f *Factory) (*Link, error) {
	stage, err := f.New(ls)
	if err != nil {
		return nil, err
	}
	if stage == nil {
		return nil, fmt.Errorf("the factory of stage %q made none", ls.Stage)
	}
	l := &Link{
		name: ls.name(), stageName: ls.Stage, role: f.Role, owns: f.Owns,
		refusal: refusal(ls.name()), log: c.log,
	}
	if !f.Timed {
		l.deadline = ls.Deadline
	}
	l.use(newInstance(stage))
	return l, nil
}

// parts are the links whose stages live and die with l's: its fallback, and
// then l itself.
func (l *Link) parts() []*Link {
	if l.fallback == nil {
		return []*Link{l}
	}
	return []*Link{l.fallback, l}
}

// use puts an instance behind the link. An envelope never waits for one that
// only watches.
func (l *Link) use(in *instance) {
	l.instance, l.stage = in, in.stage
	l.recorder, _ = in.stage.(sdk.Recorder)
	if l.role != RoleObserver && l.role != RoleOwner {
		l.remote, _ = in.stage.(Remote)
	}
	l.observer, _ = in.stage.(sdk.Observer)
	l.submitter, _ = in.stage.(Submitter)
}

// carryOver replaces new instances by those of the running chain that were made
// from the same things.
func (c *Chain) carryOver(old *Chain) {
	for _, l := range c.links {
		i := slices.IndexFunc(old.links, func(o *Link) bool { return o.name == l.name })
		if i < 0 {
			continue
		}
		c.carry(l, old.links[i])
		if l.fallback != nil && old.links[i].fallback != nil {
			c.carry(l.fallback, old.links[i].fallback)
		}
	}
}

// carry takes the instance of another chain's link, if it is made from the same
// things.
func (c *Chain) carry(l, old *Link) {
	if l.instance.key == "" || l.instance.key != old.instance.key || l.name != old.name || l.stageName != old.stageName {
		return
	}
	if !old.instance.take() {
		return
	}
	fresh := l.instance
	l.use(old.instance)
	l.carried = true
	if err := fresh.release(context.Background()); err != nil {
		c.log.Error("stop of an unused stage", slog.String("link", l.name), slog.Any("err", err))
	}
}

// Carried reports whether the link of a name has the instance of the chain
// before this one.
func (c *Chain) Carried(link string) bool {
	return slices.ContainsFunc(c.links, func(l *Link) bool { return l.name == link && l.carried })
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
