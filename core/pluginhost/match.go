package pluginhost

import (
	"errors"
	"fmt"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Limits of what a plugin may say it wants: the chain has a path for each kind.
const (
	maxKinds     = 256
	maxKindBytes = 64
)

// matchOf returns the envelopes that a plugin asks for, or what is wrong with
// what it says. Without a match it asks for all.
func matchOf(m *pluginpb.Match) (sdk.Match, error) {
	if err := checkMatch(m); err != nil {
		return sdk.Match{}, err
	}
	match := sdk.Match{MinSize: int(m.GetMinSize()), MaxSize: int(m.GetMaxSize())}
	for _, k := range m.GetKinds() {
		match.Kinds = append(match.Kinds, sdk.Kind(k))
	}
	for _, p := range m.GetPriorities() {
		match.Priorities = append(match.Priorities, sdk.Priority(p))
	}
	for _, t := range m.GetTargets() {
		match.Targets = append(match.Targets, sdk.TargetKind(t))
	}
	return match, nil
}

// checkMatch returns what is wrong with a match, in the plugin's own numbers:
// the broker's are smaller.
func checkMatch(m *pluginpb.Match) error {
	if len(m.GetKinds()) > maxKinds || len(m.GetPriorities()) > maxKinds || len(m.GetTargets()) > maxKinds {
		return fmt.Errorf("the plugin's match lists more than %d kinds, priorities or targets", maxKinds)
	}
	for _, k := range m.GetKinds() {
		if k == "" || len(k) > maxKindBytes {
			return fmt.Errorf("the plugin's match has a kind of %d bytes; 1 to %d are possible", len(k), maxKindBytes)
		}
	}
	for _, p := range m.GetPriorities() {
		if p > uint32(sdk.PriorityLow) {
			return fmt.Errorf("the plugin's match has the priority %d, which there is not", p)
		}
	}
	for _, t := range m.GetTargets() {
		if t > uint32(sdk.TargetTopic) {
			return fmt.Errorf("the plugin's match has the target kind %d, which there is not", t)
		}
	}
	if m.GetMinSize() < 0 || m.GetMaxSize() < 0 {
		return errors.New("the plugin's match has a size below 0")
	}
	return nil
}
