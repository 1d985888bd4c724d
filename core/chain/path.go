package chain

import (
	"maps"
	"slices"
	"strings"

	"github.com/claudemesh/broker/sdk"
)

// path is what envelopes of one kind visit: the chain without the links that
// did not ask for the kind.
type path struct {
	kind      sdk.Kind // the kind, "prefix*", or "*" for the rest; a metric label
	steps     []step
	recorders []*Link // in order
	observers []*Link // last first
	remote    bool    // a step judges elsewhere
}

// step is a link on a path, with the counters for this kind.
type step struct {
	link   *Link
	counts *counts
	aside  bool // the link has a filter or is in shadow
}

// family is the path of every kind that begins with prefix and that no stage
// names in full.
type family struct {
	prefix string
	path   *path
}

// path returns what envelopes of a kind visit. A kind that nobody names visits
// the links that want every kind, or its family.
func (c *Chain) path(kind sdk.Kind) *path {
	if p, ok := c.paths[kind]; ok {
		return p
	}
	for i := range c.families {
		if strings.HasPrefix(string(kind), c.families[i].prefix) {
			return c.families[i].path
		}
	}
	return c.rest
}

// compile works out the path of every kind that a stage names.
//
// The families that a kind belongs to are prefixes of one another, so the
// longest one's path holds the links of them all.
func (c *Chain) compile() {
	named := make(map[sdk.Kind]bool)
	for _, l := range c.links {
		if l.role == RoleOwner {
			continue // it is on no path: the route asks it
		}
		for _, p := range l.parts() {
			p.wish, p.filter = wishOf(p.stage)
		}
		for _, k := range slices.Concat(l.wish.matched, l.wish.selected) {
			named[k] = true
		}
	}
	c.paths, c.families = make(map[sdk.Kind]*path), nil
	for _, k := range slices.Sorted(maps.Keys(named)) {
		p := c.newPath(k)
		if prefix, ok := strings.CutSuffix(string(k), "*"); ok {
			c.families = append(c.families, family{prefix, p})
		} else {
			c.paths[k] = p
		}
	}
	slices.SortStableFunc(c.families, func(a, b family) int { return len(b.prefix) - len(a.prefix) })
	c.rest = c.newPath("*")
	c.outside = c.owners()
}

func (c *Chain) newPath(kind sdk.Kind) *path {
	p := &path{kind: kind}
	for _, l := range c.links {
		if l.role == RoleOwner || !l.wish.has(kind) {
			continue
		}
		p.remote = p.remote || l.remote != nil && !l.shadow
		p.steps = append(p.steps, step{l, l.meter.of(kind), l.shadow || l.filter != nil})
		if l.recorder != nil && !l.shadow {
			p.recorders = append(p.recorders, l)
		}
		if l.observer != nil {
			p.observers = append(p.observers, l)
		}
	}
	slices.Reverse(p.observers)
	return p
}
