package chain

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/claudemesh/broker/sdk"
)

// columns are the parts of the table that are printed only where they say
// something.
type columns struct{ plugin, condition, stats bool }

func (d Description) columns() (c columns) {
	for _, l := range d.Links {
		c.plugin = c.plugin || l.Plugin != ""
		c.condition = c.condition || l.Plugin != "" || strings.HasPrefix(l.Condition, "down")
		c.stats = c.stats || l.Stats != nil
	}
	return c
}

// WriteText prints the description as a table, and below it what was said in
// shadow and which links an envelope of each kind visits.
func (d Description) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	cols := d.columns()
	fmt.Fprint(t, "#\tNAME\tSTAGE")
	if cols.plugin {
		fmt.Fprint(t, "\tPLUGIN")
	}
	fmt.Fprint(t, "\tROLE\tKINDS\tON FAILURE\tDEADLINE")
	if cols.condition {
		fmt.Fprint(t, "\tCONDITION")
	}
	if cols.stats {
		fmt.Fprint(t, "\tCONTINUE\tDENY\tDROP\tANSWER\tFAILED\tMEAN\tP99")
	}
	fmt.Fprintln(t)
	for i, l := range d.Links {
		l.write(t, i, cols)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := d.writeShadows(w); err != nil {
		return err
	}
	return d.writePaths(w)
}

func (l LinkDescription) write(w io.Writer, i int, cols columns) {
	fmt.Fprintf(w, "%d\t%s\t%s", i, l.Name, l.Stage)
	if cols.plugin {
		fmt.Fprint(w, "\t"+l.Plugin)
	}
	role := append([]string{l.Role}, l.Also...)
	if l.Shadow {
		role = append(role, "in shadow")
	}
	fmt.Fprint(w, "\t"+strings.Join(role, ", ")+"\t")
	l.writePolicy(w)
	if cols.condition {
		fmt.Fprint(w, "\t"+l.conditionText())
	}
	switch {
	case cols.stats && l.Stats != nil:
		l.Stats.write(w)
	case cols.stats:
		fmt.Fprint(w, strings.Repeat("\t", statColumns)) // keeps the columns of the rows around it
	}
	fmt.Fprintln(w)
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
	fmt.Fprintf(w, "%s\t%s\t%s", kinds, l.policyText(), deadline)
}

// policyText says what becomes of an envelope that the stage fails on.
func (l LinkDescription) policyText() string {
	if l.Shadow {
		return "no effect"
	}
	text := string(l.OnFailure)
	if l.OnFailure == Hold {
		text += ", then " + string(l.Then)
	}
	if l.Fallback != "" {
		text += " " + l.Fallback
	}
	return text
}

// conditionText says how the stage is. Whether it is required matters where it
// can be down.
func (l LinkDescription) conditionText() string {
	parts := []string{}
	if l.Condition != "" {
		parts = append(parts, l.Condition)
	}
	if l.Required && l.Plugin != "" {
		parts = append(parts, "required")
	}
	return strings.Join(parts, ", ")
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

// writeShadows compares what links in shadow said with what the chain did.
func (d Description) writeShadows(w io.Writer) error {
	if !slices.ContainsFunc(d.Links, func(l LinkDescription) bool { return l.Stats != nil && l.Stats.Shadow != nil }) {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nSHADOW\tSAID\tCHAIN\tCOUNT")
	for _, l := range d.Links {
		if l.Stats == nil || l.Stats.Shadow == nil {
			continue
		}
		for _, c := range l.Stats.Shadow.Verdicts {
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\n", l.Name, c.Shadow, c.Chain, c.Count)
		}
		fmt.Fprintf(t, "%s\tdisagreements\t\t%d\n", l.Name, l.Stats.Shadow.Disagreements)
		fmt.Fprintf(t, "%s\tnot judged\t\t%d\n", l.Name, l.Stats.Shadow.Dropped)
	}
	return t.Flush()
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
