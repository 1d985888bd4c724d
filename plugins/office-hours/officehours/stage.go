package officehours

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
)

// Reason is the machine word of a refusal outside the hours.
const Reason sdk.Reason = "office_hours"

// opening is how the time of the next opening is written for the sender.
const opening = "Mon 2006-01-02 15:04 MST"

// errNoName fails a message to a group whose name the broker does not show. To
// take the hours of everybody in its place would be wrong in silence.
var errNoName = errors.New("the name of the group is hidden; the link has to grant identity.read")

// Stage holds back or refuses messages outside the hours. It keeps nothing
// between messages, and is safe for concurrent use.
type Stage struct {
	all     *Timetable
	groups  map[string]*Timetable
	outside Outside
	text    string
}

// New makes a stage. With other hours for some groups, it needs the Target.Name of
// messages to groups.
func New(o Options) (*Stage, error) {
	all, groups, err := o.timetables()
	if err != nil {
		return nil, err
	}
	return &Stage{all: all, groups: groups, outside: o.Outside, text: o.Text}, nil
}

// Granted implements [plugin.Grantee].
func (s *Stage) Granted(granted plugin.Grants) error {
	if len(s.groups) > 0 && !granted.Has(plugin.IdentityRead) {
		return &plugin.OptionError{Path: "groups", Message: "hours of groups need identity.read, since a group's name is identity; grant it to the link"}
	}
	return nil
}

// Match says that only messages that can wait are of interest.
func (s *Stage) Match() sdk.Match {
	return sdk.Match{
		Kinds:      []sdk.Kind{sdk.KindSend},
		Priorities: []sdk.Priority{sdk.PriorityNext, sdk.PriorityLow},
	}
}

// Handle judges one message. Its arrival is the clock, so that asking twice
// gives one answer.
func (s *Stage) Handle(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	if env.Kind != sdk.KindSend || env.Priority == sdk.PriorityNow {
		return sdk.Next(), nil
	}
	t, err := s.timetable(&env.Target)
	if err != nil {
		return sdk.Decision{}, err
	}
	if s.outside == Hold {
		hold(env, t)
		return sdk.Next(), nil
	}
	if t.Open(env.Arrived) {
		return sdk.Next(), nil
	}
	return s.refuse(env.Arrived, t), nil
}

// timetable returns the hours that count for a target: those of the group, or
// of the nearest one above it, else those of everybody.
func (s *Stage) timetable(target *sdk.Target) (*Timetable, error) {
	if target.Kind != sdk.TargetGroup || len(s.groups) == 0 {
		return s.all, nil
	}
	if target.Name == "" {
		return nil, errNoName
	}
	for name := target.Name; ; {
		if t := s.groups[name]; t != nil {
			return t, nil
		}
		above := strings.LastIndexByte(name, '/')
		if above < 0 {
			return s.all, nil
		}
		name = name[:above]
	}
}

// hold holds a message until its recipients are there. One that is held already
// is held until the first opening after that.
func hold(env *sdk.Envelope, t *Timetable) {
	at := env.Arrived
	if env.HoldUntil.After(at) {
		at = env.HoldUntil
	}
	next, ok := t.Next(at)
	if !ok {
		next = at.Add(lookAhead)
	}
	if next.After(at) {
		env.Hold(next)
	}
}

// refuse tells the sender when to try again.
func (s *Stage) refuse(at time.Time, t *Timetable) sdk.Decision {
	next, ok := t.Next(at)
	if !ok {
		return sdk.Refuse(Reason, strings.ReplaceAll(s.text, opens, "in more than a year"))
	}
	d := sdk.Refuse(Reason, strings.ReplaceAll(s.text, opens, next.Format(opening)))
	d.RetryAfter = next.Sub(at)
	return d
}
