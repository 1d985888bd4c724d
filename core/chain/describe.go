package chain

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// row is a link of the config as it is printed; link is nil when it is off.
type row struct {
	spec LinkSpec
	role Role
	link *Link
}

func newRow(ls LinkSpec, f *Factory) row {
	r := row{spec: ls}
	if f != nil {
		r.role = f.Role
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
	Enabled   bool          `json:"enabled"`
	OnFailure Policy        `json:"on_failure,omitempty"`
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
	for _, r := range c.rows {
		ld := LinkDescription{Name: r.spec.name(), Stage: r.spec.Stage, Role: r.role.String()}
		if r.link != nil {
			r.link.describe(&ld, withStats)
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
	d.Enabled, d.OnFailure, d.Deadline = true, l.policy, l.deadline
	d.Kinds, d.Filter = l.wish.kinds(), describeFilter(l.filter)
	if l.recorder != nil {
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

// WriteText prints the description as a table, and below it which links an
// envelope of each kind visits.
func (d Description) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "#\tNAME\tSTAGE\tROLE\tKINDS\tON FAILURE\tDEADLINE")
	stats := slices.ContainsFunc(d.Links, func(l LinkDescription) bool { return l.Stats != nil })
	if stats {
		fmt.Fprint(t, "\tCONTINUE\tDENY\tDROP\tANSWER\tFAILED\tMEAN\tP99")
	}
	fmt.Fprintln(t)
	for i, l := range d.Links {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t", i, l.Name, l.Stage, strings.Join(append([]string{l.Role}, l.Also...), ", "))
		l.writePolicy(t)
		switch {
		case stats && l.Stats != nil:
			l.Stats.write(t)
		case stats:
			fmt.Fprint(t, strings.Repeat("\t", statColumns)) // keeps the columns of the rows around it
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return d.writePaths(w)
}

func (l LinkDescription) writePolicy(w io.Writer) {
	if !l.Enabled {
		fmt.Fprint(w, "off\t\t")
		return
	}
	kinds, deadline := "all", "none"
	if len(l.Kinds) > 0 {
		kinds = join(l.Kinds)
	}
	if l.Filter != "" {
		kinds += " (" + l.Filter + ")"
	}
	if l.Deadline > 0 {
		deadline = l.Deadline.String()
	}
	fmt.Fprintf(w, "%s\t%s\t%s", kinds, l.OnFailure, deadline)
}

// statColumns is the number of columns that LinkStats.write fills.
const statColumns = 7

func (s *LinkStats) write(w io.Writer) {
	for v := sdk.Continue; v <= sdk.Answer; v++ {
		fmt.Fprint(w, "\t", strconv.FormatUint(s.Total(v), 10))
	}
	fmt.Fprintf(w, "\t%d", s.Failed())
	if s.Timing.Count == 0 {
		fmt.Fprint(w, "\t\t")
		return
	}
	fmt.Fprintf(w, "\t%v\t<%v", s.Timing.Mean(), s.Timing.Quantile(0.99))
}

func (d Description) writePaths(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nKIND\tVISITS")
	for _, p := range d.Paths {
		kind := string(p.Kind)
		if kind == "*" {
			kind = "any other"
		}
		fmt.Fprintf(t, "%s\t%s\n", kind, strings.Join(p.Links, " > "))
	}
	if d.Insecure {
		fmt.Fprintln(t, "\ninsecure: true\tthis chain may lack auth or route")
	}
	return t.Flush()
}

func join(kinds []sdk.Kind) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	return strings.Join(words, ", ")
}
