package sdk

import (
	"slices"
	"strings"
)

// Match says which envelopes a stage wants. An envelope has to pass every
// field; an empty field lets all through, so the zero Match wants everything.
type Match struct {
	// Kinds are the kinds wanted, with "*" at the end for a whole family, as in
	// [Matcher].
	Kinds []Kind

	// Priorities and Targets say which messages are wanted. They do not
	// constrain kinds of envelope that have no target.
	Priorities []Priority
	Targets    []TargetKind

	// MinSize and MaxSize bound Envelope.Size, both included; 0 or less is no
	// bound.
	MinSize int
	MaxSize int
}

// Selector is a stage that wants only some envelopes, and can tell which by
// more than their kind. The chain does not ask the stage about the others, nor
// call its Done with them: they go on as if the stage were not in the list.
// Each time the envelope is judged as it then is, so one that a later stage
// makes more urgent may be wanted by Done alone. Record is called for every
// envelope of the kinds.
//
// The chain asks when it is built and again when it has started, before the
// first envelope, and keeps the lists: the stage must not change them. A stage
// that is a [Matcher] too wants what both say.
type Selector interface {
	Match() Match
}

// Accepts reports whether an envelope is wanted. It does not allocate, and may
// be called concurrently.
func (m *Match) Accepts(env *Envelope) bool {
	if m.MinSize > 0 && env.Size < m.MinSize || m.MaxSize > 0 && env.Size > m.MaxSize {
		return false
	}
	return m.acceptsTarget(env) && m.acceptsKind(env.Kind)
}

func (m *Match) acceptsTarget(env *Envelope) bool {
	if env.Target.Kind == TargetNone {
		return true
	}
	return (len(m.Priorities) == 0 || slices.Contains(m.Priorities, env.Priority)) &&
		(len(m.Targets) == 0 || slices.Contains(m.Targets, env.Target.Kind))
}

func (m *Match) acceptsKind(kind Kind) bool {
	for _, k := range m.Kinds {
		prefix, family := strings.CutSuffix(string(k), "*")
		if k == kind || family && strings.HasPrefix(string(kind), prefix) {
			return true
		}
	}
	return len(m.Kinds) == 0
}
