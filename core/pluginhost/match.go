package pluginhost

import (
	"fmt"

	"github.com/claudemesh/broker/sdk"
)

// Limits of what a plugin may say it wants: the chain has a path for each kind.
const (
	maxKinds     = 256
	maxKindBytes = 64
)

// checkMatch returns what is wrong with the envelopes that a plugin asks for.
func checkMatch(m sdk.Match) error {
	if len(m.Kinds) > maxKinds || len(m.Priorities) > maxKinds || len(m.Targets) > maxKinds {
		return fmt.Errorf("the plugin's match lists more than %d kinds, priorities or targets", maxKinds)
	}
	for _, k := range m.Kinds {
		if k == "" || len(k) > maxKindBytes {
			return fmt.Errorf("the plugin's match has a kind of %d bytes; 1 to %d are possible", len(k), maxKindBytes)
		}
	}
	for _, p := range m.Priorities {
		if p > sdk.PriorityLow {
			return fmt.Errorf("the plugin's match has the priority %d, which there is not", p)
		}
	}
	for _, t := range m.Targets {
		if t > sdk.TargetTopic {
			return fmt.Errorf("the plugin's match has the target kind %d, which there is not", t)
		}
	}
	if m.MinSize < 0 || m.MaxSize < 0 {
		return fmt.Errorf("the plugin's match has a size below 0")
	}
	return nil
}
