package config

import (
	"reflect"
	"time"
)

// legacyAuth is the stage that BROKER_LEGACY_AUTH turns on.
const legacyAuth = "legacy-auth"

// pluginDeadline is how long a plugin may take unless its link says otherwise.
// A call crosses to another process, so a wedged one must not hold a peer.
const pluginDeadline = 100 * time.Millisecond

// Link is one entry of the pipeline: a stage, built in or a plugin, and how
// the chain treats it.
type Link struct {
	Stage     string         `koanf:"stage" doc:"name of the stage: a built-in one, or, with plugin, the name that the plugin goes by"`
	Name      string         `koanf:"name" doc:"name of the link in logs, metrics and refusals. Empty: the stage's. Needed when a stage is listed twice"`
	Enabled   bool           `koanf:"enabled" doc:"whether the chain asks the stage at all"`
	With      map[string]any `koanf:"with" doc:"the stage's own options"`
	OnFailure OnFailure      `koanf:"on_failure" one:"fail_closed|fail_open|fallback|hold" doc:"what happens to an envelope when the stage fails. fail_closed: refused. fail_open: it goes on as if the stage had not been there. fallback: the built-in stage named by fallback decides. hold: it waits a moment for the stage to come back, then it is refused"`
	Fallback  string         `koanf:"fallback" doc:"the built-in stage that steps in, with on_failure: fallback"`
	Deadline  time.Duration  `koanf:"deadline" limit:"0s..1m" doc:"how long the stage may take before it counts as failed. 0: as long as it needs. A plugin gets 100ms unless this is set"`
	Plugin    *Plugin        `koanf:"plugin,omitempty" doc:"runs the stage in a process of its own"`
	Required  bool           `koanf:"required" doc:"whether the broker is ready only while the stage is up. false: it is ready without, and reports that it is degraded"`
	Shadow    bool           `koanf:"shadow" doc:"the stage is asked, its decisions are counted, and they have no effect"`

	// Where the link stands, for the errors of DecodeWith. Empty in a link that
	// was not loaded.
	key    string
	places map[string]place
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

// Plugin says how to start a stage that runs in its own process.
type Plugin struct {
	Path   string   `koanf:"path" doc:"the plugin's program. A relative path counts from the file's directory"`
	SHA256 string   `koanf:"sha256" doc:"SHA-256 of the program, 64 hex digits; another program is not started. Needed in production. broker plugin pin writes it"`
	Args   []string `koanf:"args" doc:"arguments. Others on the machine can read them: no secrets"`
	Env    []string `koanf:"env" doc:"names of environment variables to pass on; the plugin gets no others"`
}

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
	if _, ok := link["plugin"]; ok {
		defaults.Deadline = pluginDeadline
	}
	for key, value := range layer(defaults) {
		if _, ok := link[key]; !ok {
			link[key] = value
		}
	}
	if link["name"] == "" {
		link["name"] = stage
	}
	if with, ok := link["with"].(map[string]any); ok && len(with) == 0 {
		delete(link, "with")
	}
}

func defaultPipeline() []Link {
	legacy := newLink(legacyAuth)
	legacy.Enabled = false
	limit := newLink("rate-limit")
	limit.With = map[string]any{"send": "60/min", "burst": 10}
	return []Link{newLink("auth"), legacy, newLink("grants"), limit, newLink("route"), newLink("audit")}
}
