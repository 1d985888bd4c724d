package config

import (
	"reflect"
	"time"
)

// legacyAuth is the stage that BROKER_LEGACY_AUTH turns on.
const legacyAuth = "legacy-auth"

// Link is one entry of the pipeline: a stage, built in or a plugin, and how
// the chain treats it.
type Link struct {
	Stage        string         `koanf:"stage" doc:"name of the stage: a built-in one, or, with plugin, the name that the plugin goes by"`
	Name         string         `koanf:"name" doc:"name of the link in logs, metrics and refusals. Empty: the stage's. Needed when a stage is listed twice"`
	Enabled      bool           `koanf:"enabled" doc:"whether the chain asks the stage at all"`
	With         map[string]any `koanf:"with" doc:"the stage's own options"`
	OnFailure    OnFailure      `koanf:"on_failure" one:"fail_closed|fail_open|fallback|hold" doc:"what happens to an envelope when the stage fails. fail_closed: refused. fail_open: it goes on as if the stage had not been there. fallback: the built-in stage named by fallback decides. hold: it waits a moment for the plugin to come back, then what then says happens. A plugin that judges has hold unless this is set, one that observes fail_open"`
	Then         OnFailure      `koanf:"then" one:"fail_closed|fail_open|fallback" doc:"what happens to an envelope that hold has held in vain. Empty, with hold: fail_closed"`
	Fallback     string         `koanf:"fallback" doc:"the built-in stage that steps in, with on_failure: fallback or then: fallback"`
	FallbackWith map[string]any `koanf:"fallback_with" doc:"the options of the stage that steps in"`
	Deadline     time.Duration  `koanf:"deadline" limit:"0s..1m" doc:"how long the stage may take before it counts as failed. 0: as long as it needs. A plugin gets 100ms unless this is set"`
	Plugin       *Plugin        `koanf:"plugin,omitempty" doc:"runs the stage in a process of its own"`
	Required     bool           `koanf:"required" doc:"whether the broker is ready only while the stage is up. false: it is ready without, and reports that it is degraded. A stage in shadow is not required"`
	Shadow       bool           `koanf:"shadow" doc:"the stage is asked, its decisions are counted, and they have no effect. Only for stages that judge"`

	// Where the link stands, for the errors of DecodeWith. Empty in a link that
	// was not loaded.
	key     string
	withKey string // of With; empty for "with"
	places  map[string]place
}

// StandIn returns the link of the stage that steps in when this one fails. It
// has a stage, the name of that and its options, and nothing else; see
// [DecodeWith].
func (l Link) StandIn() Link {
	return Link{
		Stage: l.Fallback, Name: l.Fallback, Enabled: true, With: l.FallbackWith,
		key: l.key, withKey: "fallback_with", places: l.places,
	}
}

// Equal reports whether two links say the same, wherever they stand in their
// files. A reload carries over what is equal.
func (l Link) Equal(o Link) bool {
	l.key, l.places, o.key, o.places = "", nil, "", nil
	return reflect.DeepEqual(l, o)
}

// OnFailure says what happens to an envelope when a stage fails.
type OnFailure string

// What happens to an envelope when a stage fails.
const (
	FailClosed OnFailure = "fail_closed"
	FailOpen   OnFailure = "fail_open"
	Fallback   OnFailure = "fallback"
	Hold       OnFailure = "hold"
)

// Builtin is a stage that the caller of [Load] knows.
type Builtin struct {
	Name string

	// Needed stages must be in the pipeline and enabled, unless the config says
	// insecure.
	Needed bool

	// Guards marks stages that keep somebody out. One that fails open is
	// refused, unless the config says insecure.
	Guards bool

	// Options returns a pointer to the stage's option struct with its defaults,
	// so that its "with" is checked with the rest of the file and documented in
	// the reference. Nil: not checked here.
	Options func() any
}

// newLink returns a link with the defaults of one.
func newLink(stage string) Link {
	return Link{Stage: stage, Name: stage, Enabled: true, OnFailure: FailClosed, Required: true}
}

// complete puts the defaults of a link under what the file says of it.
func complete(link map[string]any) {
	stage, _ := link["stage"].(string)
	defaults := newLink(stage)
	if plugin, ok := link["plugin"].(map[string]any); ok {
		defaults = completePlugin(stage, plugin)
	}
	if policy, ok := link["on_failure"]; ok && policy != Hold {
		defaults.Then = ""
	}
	for key, value := range layer(defaults) {
		if _, ok := link[key]; !ok {
			link[key] = value
		}
	}
	if link["on_failure"] == Hold && link["then"] == OnFailure("") {
		link["then"] = FailClosed
	}
	if link["name"] == "" {
		link["name"] = stage
	}
	for _, key := range []string{"with", "fallback_with"} {
		if with, ok := link[key].(map[string]any); ok && len(with) == 0 {
			delete(link, key)
		}
	}
}

func defaultPipeline() []Link {
	legacy := newLink(legacyAuth)
	legacy.Enabled = false
	limit := newLink("rate-limit")
	limit.With = map[string]any{"send": "60/min", "burst": 10}
	return []Link{newLink("auth"), legacy, newLink("grants"), limit, newLink("route"), newLink("audit")}
}
