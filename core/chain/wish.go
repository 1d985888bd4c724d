package chain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/claudemesh/broker/sdk"
)

// wish is the kinds that a stage wants: those that are in both lists.
type wish struct {
	matched  []sdk.Kind // what it says as a Matcher; empty: all
	selected []sdk.Kind // what it says as a Selector; empty: all
}

// wishOf asks a stage what it wants: the kinds, and a filter for what goes
// beyond kinds, nil when nothing does.
func wishOf(stage sdk.Stage) (w wish, filter *sdk.Match) {
	if m, ok := stage.(sdk.Matcher); ok {
		w.matched = m.Kinds()
	}
	if s, ok := stage.(sdk.Selector); ok {
		m := s.Match()
		w.selected, m.Kinds = m.Kinds, nil // the paths see to the kinds
		if len(m.Priorities) > 0 || len(m.Targets) > 0 || m.MinSize > 0 || m.MaxSize > 0 {
			filter = &m
		}
	}
	return w, filter
}

// has reports whether the stage wants a kind, which may itself be a family.
func (w wish) has(kind sdk.Kind) bool { return wanted(w.matched, kind) && wanted(w.selected, kind) }

// kinds returns the kinds and families wanted, for people; empty means all.
func (w wish) kinds() []sdk.Kind {
	var list []sdk.Kind
	for _, k := range slices.Concat(w.matched, w.selected) {
		if w.has(k) && !slices.Contains(list, k) {
			list = append(list, k)
		}
	}
	return list
}

// wanted reports whether a list of kinds includes kind, which may itself be a
// family. An empty list includes every kind.
func wanted(list []sdk.Kind, kind sdk.Kind) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(k sdk.Kind) bool {
		prefix, isFamily := strings.CutSuffix(string(k), "*")
		return k == kind || isFamily && strings.HasPrefix(string(kind), prefix)
	})
}

// describeFilter says a filter in words; empty for none.
func describeFilter(m *sdk.Match) string {
	if m == nil {
		return ""
	}
	var parts []string
	if len(m.Priorities) > 0 {
		parts = append(parts, "priority "+either(m.Priorities))
	}
	if len(m.Targets) > 0 {
		parts = append(parts, "target "+either(m.Targets))
	}
	if m.MinSize > 0 {
		parts = append(parts, fmt.Sprintf("at least %d bytes", m.MinSize))
	}
	if m.MaxSize > 0 {
		parts = append(parts, fmt.Sprintf("at most %d bytes", m.MaxSize))
	}
	return strings.Join(parts, ", ")
}

// either lists words as "a or b".
func either[T fmt.Stringer](list []T) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = v.String()
	}
	return strings.Join(words, " or ")
}
