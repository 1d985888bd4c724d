package officehours

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
)

// Outside says what happens to a message outside the hours.
type Outside string

// What happens to a message outside the hours.
const (
	Hold   Outside = "hold"   // accepted now, delivered at the next opening
	Refuse Outside = "refuse" // the sender is told when the next opening is
)

// opens stands for the time of the next opening in Options.Text.
const opens = "{opens}"

// Options are the options of the stage.
type Options struct {
	Timezone string           `json:"timezone" doc:"IANA name of the zone whose clocks count, such as Europe/Madrid"`
	Open     []string         `json:"open" doc:"when messages are let through, such as \"Mon-Fri 09:00-17:00\" or \"Sat,Sun 10:00-12:00,15:00-16:00\". A span that ends before it begins goes on after midnight. daily is every day"`
	Closed   []string         `json:"closed,omitempty" doc:"dates that are closed all day, such as \"2026-12-25\""`
	Groups   map[string]Group `json:"groups,omitempty" doc:"other hours for messages to @name, and to groups below it that are not listed themselves. They need identity.read"`
	Outside  Outside          `json:"outside" jsonschema:"enum=hold,enum=refuse" doc:"what happens outside the hours. hold: the message is accepted now and delivered at the next opening. refuse: the sender is told when that is"`
	Text     string           `json:"text" doc:"what a refused sender reads; {opens} becomes the time of the next opening"`
}

// Group is the hours of one group. What is left out is as for everybody.
type Group struct {
	Timezone string   `json:"timezone,omitempty" doc:"zone of the group"`
	Open     []string `json:"open,omitempty" doc:"hours of the group, in place of the stage's"`
	Closed   []string `json:"closed,omitempty" doc:"dates on which the group is closed, in place of the stage's; [] is none"`
}

// Default returns the options of a stage about which the config says nothing.
func Default() Options {
	return Options{
		Timezone: "UTC",
		Open:     []string{"Mon-Fri 09:00-17:00"},
		Outside:  Hold,
		Text:     "outside office hours; open again " + opens + ". What cannot wait goes with priority now",
	}
}

// timetables reads the options: everybody's hours, and those of groups by name.
// All that is wrong is told at once.
func (o *Options) timetables() (all *Timetable, groups map[string]*Timetable, err error) {
	var wrong []error
	note := func(err error) {
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	if o.Outside != Hold && o.Outside != Refuse {
		note(&plugin.OptionError{Path: "outside", Message: fmt.Sprintf("%q is neither hold nor refuse", string(o.Outside))})
	}
	all, err = timetable("", o.Timezone, o.Open, o.Closed)
	note(err)
	groups = make(map[string]*Timetable, len(o.Groups))
	for name, g := range o.Groups {
		path := "groups." + name + "."
		if err := sdk.CheckGroup(name); err != nil {
			note(&plugin.OptionError{Path: "groups." + name, Message: err.Error() + ` (write it without the "@")`})
		}
		if g.Timezone == "" {
			g.Timezone = o.Timezone
		}
		if g.Open == nil {
			g.Open = o.Open
		}
		if g.Closed == nil {
			g.Closed = o.Closed
		}
		groups[name], err = timetable(path, g.Timezone, g.Open, g.Closed)
		note(err)
	}
	return all, groups, errors.Join(wrong...)
}

// timetable makes a timetable of options that stand at a path.
func timetable(path, zone string, open, closed []string) (*Timetable, error) {
	if len(open) == 0 {
		return nil, &plugin.OptionError{Path: path + "open", Message: `is empty; list at least one span, such as "Mon-Fri 09:00-17:00"`}
	}
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "" || strings.EqualFold(zone, "local") {
		return nil, &plugin.OptionError{Path: path + "timezone", Message: fmt.Sprintf("%q is no zone; write its IANA name, such as Europe/Madrid", zone)}
	}
	t, err := NewTimetable(location, open, closed)
	if notation, ok := errors.AsType[*notationError](err); ok {
		return nil, &plugin.OptionError{
			Path: fmt.Sprintf("%s%s.%d", path, notation.list, notation.index), Message: notation.err.Error(),
		}
	}
	return t, err
}
