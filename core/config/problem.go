package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of what is reported, whatever a file holds.
const (
	maxProblems = 100 // further ones are only counted
	maxShown    = 60  // bytes of a value or a name in an error
)

// Source says which layer a value came from.
type Source uint8

// Layers, from the weakest to the strongest.
const (
	FromDefault Source = iota
	FromFile
	FromEnvironment
	FromFlag
)

// Origin is where a value was set.
type Origin struct {
	Source       Source
	Name         string // of the file, the variable or the flag
	Line, Column int    // in the file, from 1; 0 when the whole file is meant
}

// String returns "default", "broker.yaml:3:5", "environment NAME" or
// "flag --name".
func (o Origin) String() string {
	switch o.Source {
	case FromFile:
		if o.Line == 0 {
			return o.Name
		}
		return o.Name + ":" + strconv.Itoa(o.Line) + ":" + strconv.Itoa(o.Column)
	case FromEnvironment:
		return "environment " + o.Name
	case FromFlag:
		return "flag --" + o.Name
	default:
		return "default"
	}
}

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	At   Origin
	Key  string // such as limits.window or pipeline[2].deadline; empty when it is about the file
	Text string // what is wrong and what is allowed; never holds a secret
}

// Error returns place, key and text in one line.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.At.String())
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key)
		b.WriteString(": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems is everything that is wrong with a configuration, in the order of
// the file, then the environment, then the flags.
type Problems []Problem

// Error returns one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// report collects problems, and remembers where every value was set.
type report struct {
	problems Problems
	dropped  int              // problems beyond maxProblems
	bad      map[string]bool  // keys that have a problem
	places   map[string]place // key -> where it was set
}

// place is where a key stands in a file, and where its value does. Outside of
// a file both are the same.
type place struct{ key, value Origin }

func newReport() *report {
	return &report{bad: map[string]bool{}, places: map[string]place{}}
}

func (r *report) add(at Origin, key, format string, args ...any) {
	if key != "" {
		r.bad[key] = true
	}
	if len(r.problems) == maxProblems {
		r.dropped++
		return
	}
	r.problems = append(r.problems, Problem{At: at, Key: key, Text: fmt.Sprintf(format, args...)})
}

// invalid is a problem of values that can be read but do not fit. The first
// key is the one at fault; the others take part in the rule.
//
// It says nothing when one of the keys has a problem already: the value that
// it judges may then be the default's, and not what the operator wrote. Where
// the first key is at its default, the place is that of one that is not.
func (r *report) invalid(keys []string, format string, args ...any) {
	at := Origin{}
	for _, k := range keys {
		if r.bad[k] {
			return
		}
		if at.Source == FromDefault {
			at = r.places[k].value
		}
	}
	r.add(at, keys[0], format, args...)
}

// err returns the problems in order, or nil.
func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(order(a.At), order(b.At)),
			cmp.Compare(a.At.Line, b.At.Line),
			cmp.Compare(a.At.Column, b.At.Column),
			cmp.Compare(a.At.Name, b.At.Name),
		)
	})
	if r.dropped > 0 {
		r.problems = append(r.problems, Problem{
			At: r.problems[0].At, Text: fmt.Sprintf("and %d more problems", r.dropped),
		})
		r.dropped = 0
	}
	return r.problems
}

// order puts what is wrong with a default, which has no place, last.
func order(o Origin) int {
	if o.Source == FromDefault {
		return int(FromFlag) + 1
	}
	return int(o.Source)
}

// show quotes text of the operator for an error: in one line, cut when long.
func show(text string) string {
	if len(text) <= maxShown {
		return strconv.Quote(text)
	}
	cut := text[:maxShown]
	for !utf8.ValidString(cut) && len(cut) > maxShown-utf8.UTFMax {
		cut = cut[:len(cut)-1]
	}
	return strconv.Quote(cut) + "…"
}

// either lists what is allowed, as "a, b or c".
func either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
