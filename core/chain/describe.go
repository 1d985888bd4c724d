package chain

import (
	"cmp"
	"slices"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// row is a link of the config as it is printed; link is nil when it is off.
type row struct {
	spec   LinkSpec
	role   Role
	plugin string
	link   *Link
}

func newRow(ls LinkSpec, f *Factory) row {
	r := row{spec: ls}
	if f != nil {
		r.role, r.plugin = f.Role, f.Plugin
	}
	return r
}

// Description is a chain as `broker chain` prints it.
type Description struct {
	Insecure bool              `json:"insecure,omitempty"`
	Links    []LinkDescription `json:"links"`
	Paths    []PathDescription `json:"paths"`
}

// LinkDescription is one link. A disabled one has a place, and no policy.
type LinkDescription struct {
	Name      string        `json:"name"`
	Stage     string        `json:"stage"`
	Role      string        `json:"role"`
	Plugin    string        `json:"plugin,omitempty"` // the program; empty for a stage that is built in
	Enabled   bool          `json:"enabled"`
	OnFailure Policy        `json:"on_failure,omitempty"`
	Then      Policy        `json:"then,omitempty"`     // what hold ends with
	Fallback  string        `json:"fallback,omitempty"` // the stage that steps in
	Shadow    bool          `json:"shadow,omitempty"`
	Required  bool          `json:"required,omitempty"`
	Condition string        `json:"condition,omitempty"` // up, or down and why; empty for a chain that does not run
	Deadline  time.Duration `json:"deadline_ns,omitempty"`
	Kinds     []sdk.Kind    `json:"kinds,omitempty"`  // empty: all
	Filter    string        `json:"filter,omitempty"` // which envelopes of the kinds; empty: all
	Also      []string      `json:"also,omitempty"`   // records, observes
	Stats     *LinkStats    `json:"stats,omitempty"`
}

// PathDescription is what envelopes of one kind visit.
type PathDescription struct {
	Kind  sdk.Kind `json:"kind"`
	Links []string `json:"links"`
}

// Describe returns the chain as it runs, with its counters when withStats is
// set.
func (c *Chain) Describe(withStats bool) Description {
	d := Description{Insecure: c.insecure, Links: []LinkDescription{}}
	running := c.life.running()
	for _, r := range c.rows {
		ld := LinkDescription{Name: r.spec.name(), Stage: r.spec.Stage, Role: r.role.String(), Plugin: r.plugin}
		if r.link != nil {
			ld.Deadline = r.spec.Deadline
			r.link.describe(&ld, withStats)
			if running {
				ld.Condition = r.link.condition()
			}
		}
		d.Links = append(d.Links, ld)
	}
	add := func(p *path) {
		names := []string{}
		for _, s := range p.steps {
			names = append(names, s.link.name)
		}
		d.Paths = append(d.Paths, PathDescription{p.kind, names})
	}
	for _, p := range c.paths {
		add(p)
	}
	for _, f := range c.families {
		add(f.path)
	}
	slices.SortFunc(d.Paths, func(a, b PathDescription) int { return cmp.Compare(a.Kind, b.Kind) })
	add(c.rest)
	return d
}

func (l *Link) describe(d *LinkDescription, withStats bool) {
	d.Enabled, d.OnFailure, d.Then = true, l.policy, l.then
	d.Shadow, d.Required = l.shadow, l.required
	if l.fallback != nil {
		d.Fallback = l.fallback.stageName
	}
	d.Kinds, d.Filter = l.wish.kinds(), describeFilter(l.filter)
	if l.role == RoleOwner {
		d.Kinds = l.owns
	}
	if l.recorder != nil && !l.shadow {
		d.Also = append(d.Also, "records")
	}
	if l.observer != nil {
		d.Also = append(d.Also, "observes")
	}
	if withStats {
		s := l.meter.stats(l.name)
		d.Stats = &s
	}
}
