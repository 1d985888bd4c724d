package app

import "github.com/claudemesh/broker/core/telemetry"

// Labels that several families have. What their values may be is for
// docs/metrics.md; a stranger chooses none of them.

func byStage() telemetry.Label {
	return telemetry.Label{Name: "stage", Values: "name of a link in the config"}
}

func byLink() telemetry.Label {
	return telemetry.Label{Name: "link", Values: "name of a link with a plugin in the config"}
}

func byReason() telemetry.Label {
	return telemetry.Label{Name: "reason", Values: "a code of [errors.md](errors.md), or one that a stage of yours gives: at most 64 different ones of a plugin"}
}

// by is a label whose values are listed here.
func by(name, values string) telemetry.Label { return telemetry.Label{Name: name, Values: values} }

func labels(l ...telemetry.Label) []telemetry.Label { return l }
