package plugin

import (
	"errors"
	"strings"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

var errWantsNothing = errors.New("the stage wants no kind of envelope: its Kinds and its Match exclude each other")

// matchOf returns which envelopes a stage wants, or nil when it does not say.
func matchOf(stage any) (*pluginpb.Match, error) {
	matcher, byKind := stage.(sdk.Matcher)
	selector, bySelector := stage.(sdk.Selector)
	if !byKind && !bySelector {
		return nil, nil
	}
	m := &pluginpb.Match{}
	var kinds []sdk.Kind
	if bySelector {
		match := selector.Match()
		kinds = match.Kinds
		m.MinSize, m.MaxSize = int64(match.MinSize), int64(match.MaxSize)
		for _, p := range match.Priorities {
			m.Priorities = append(m.Priorities, uint32(p))
		}
		for _, t := range match.Targets {
			m.Targets = append(m.Targets, uint32(t))
		}
	}
	if byKind {
		var err error
		if kinds, err = bothKinds(kinds, matcher.Kinds()); err != nil {
			return nil, err
		}
	}
	for _, k := range kinds {
		m.Kinds = append(m.Kinds, string(k))
	}
	return m, nil
}

// bothKinds returns the kinds that are in both lists. An empty list has all.
func bothKinds(a, b []sdk.Kind) (both []sdk.Kind, err error) {
	switch {
	case len(a) == 0:
		return b, nil
	case len(b) == 0:
		return a, nil
	}
	for _, x := range a {
		for _, y := range b {
			switch {
			case covers(x, y):
				both = append(both, y)
			case covers(y, x):
				both = append(both, x)
			}
		}
	}
	if len(both) == 0 {
		return nil, errWantsNothing
	}
	return both, nil
}

// covers reports whether every kind that y means is one that x means.
func covers(x, y sdk.Kind) bool {
	prefix, family := strings.CutSuffix(string(x), "*")
	return x == y || family && strings.HasPrefix(string(y), prefix)
}
