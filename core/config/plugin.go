package config

import "time"

// pluginDeadline is how long a plugin may take unless its link says otherwise.
// A call crosses to another process, so a wedged one must not hold a peer.
const pluginDeadline = 100 * time.Millisecond

// ownerDeadline is how long a plugin may take to answer a request, and ownerHand
// how many it has in hand, unless its link says otherwise. Clients wait 5 s for
// most answers: one that fails is to reach them before they give up.
const (
	ownerDeadline = 4 * time.Second
	ownerHand     = 64
)

// Plugin says how to start and treat a stage that runs in its own process.
type Plugin struct {
	Path   string     `koanf:"path" doc:"the plugin's program. A relative path counts from the file's directory"`
	SHA256 string     `koanf:"sha256" doc:"SHA-256 of the program, 64 hex digits; another program is not started. Needed in production. broker plugin pin writes it"`
	Stage  string     `koanf:"stage" doc:"which of the program's stages to run. Empty: the link's stage"`
	Role   PluginRole `koanf:"role" one:"gate|observer|owner" doc:"what the stage is for. gate: it judges. observer: it only watches. owner: it answers the requests that kinds lists"`
	Kinds  []string   `koanf:"kinds" doc:"with role: owner, the types of request that the plugin answers in the place of the broker: all that its stage owns, and no others. broker plugin validate lists them"`
	Args   []string   `koanf:"args" doc:"arguments. Others on the machine can read them: no secrets"`
	Env    []string   `koanf:"env" doc:"names of environment variables to pass on; the plugin gets no others"`
	Grants []string   `koanf:"grants" one:"identity.read|audience.read|attributes.read|payload.hash|payload.bytes|credential.read|priority.write|verdict.drop|delivery.hold" doc:"what the stage may see and do beyond the envelope's bare facts"`

	MTLS         bool          `koanf:"mtls" doc:"encrypt what goes over the plugin's socket, and let nobody but this broker speak to it. Off is for plugins in languages that cannot do it; the socket is in a private directory either way"`
	InFlight     int           `koanf:"in_flight" limit:"1..65536" doc:"most envelopes that the plugin is asked about at a time"`
	Overload     Overload      `koanf:"overload" one:"backpressure|shed" doc:"what happens to an envelope beyond in_flight. backpressure: it waits, and its connection is read only until limits.window messages wait. shed: the stage counts as failed for it"`
	HangAfter    time.Duration `koanf:"hang_after" limit:"100ms..1m" doc:"a plugin that gives no sign of life for so long is killed and started again"`
	StartTimeout time.Duration `koanf:"start_timeout" limit:"100ms..5m" doc:"how long the program may take until it serves"`
	DrainTimeout time.Duration `koanf:"drain_timeout" limit:"0s..5m" doc:"how long a plugin that is stopped may take to finish what it was asked"`
	HoldMax      time.Duration `koanf:"hold_max" limit:"0s..30s" doc:"with on_failure: hold, how long an envelope waits for the plugin to be back"`
	HoldQueue    int           `koanf:"hold_queue" limit:"1..65536" doc:"most envelopes that wait so; one more is treated as if its wait were over"`

	Restart Restart `koanf:"restart" doc:"how a plugin that ended is started again"`
	Breaker Breaker `koanf:"breaker" doc:"when a plugin that fails is left alone for a while"`
}

// Restart says how often a plugin is started again.
type Restart struct {
	First   time.Duration `koanf:"first" limit:"1ms..1m" doc:"wait before the first restart; each further one waits twice as long"`
	Most    time.Duration `koanf:"most" limit:"1ms..1h" doc:"longest wait before a restart"`
	Crashes int           `koanf:"crashes" limit:"1..1000" doc:"after so many crashes within the time below it is not started again until the operator says so"`
	Within  time.Duration `koanf:"within" limit:"1s..1h" doc:"the time in which crashes are counted, and after which a plugin that runs counts as well again"`
}

// Breaker says when a plugin is left alone.
type Breaker struct {
	Failures int           `koanf:"failures" limit:"1..100" doc:"percentage of batches that fail, at which the plugin is left alone"`
	Batches  int           `koanf:"batches" limit:"1..10000" doc:"fewest batches to judge by"`
	Misses   int           `koanf:"misses" limit:"1..1000" doc:"deadlines missed in a row, at which it is left alone whatever the percentage"`
	Open     time.Duration `koanf:"open" limit:"10ms..5m" doc:"how long it is left alone before one batch tries it again"`
}

// PluginRole says what a plugin's stage is for.
type PluginRole string

// What a plugin's stage is for.
const (
	Gate     PluginRole = "gate"
	Observer PluginRole = "observer"
	Owner    PluginRole = "owner"
)

// Overload says what happens to an envelope for which a plugin has no room.
type Overload string

// What happens to an envelope for which a plugin has no room.
const (
	Backpressure Overload = "backpressure"
	Shed         Overload = "shed"
)

// newPlugin returns a plugin with the defaults of one.
func newPlugin() Plugin {
	return Plugin{
		Role: Gate, Args: []string{}, Env: []string{}, Grants: []string{}, Kinds: []string{},
		MTLS: true, InFlight: 1024, Overload: Backpressure, HangAfter: time.Second,
		StartTimeout: 10 * time.Second, DrainTimeout: 10 * time.Second,
		HoldMax: time.Second, HoldQueue: 4096,
		Restart: Restart{First: 50 * time.Millisecond, Most: 30 * time.Second, Crashes: 5, Within: time.Minute},
		Breaker: Breaker{Failures: 50, Batches: 20, Misses: 3, Open: time.Second},
	}
}

// newPluginLink returns a link that runs a plugin, with the defaults of one. A
// gate that is away a moment holds its envelopes; what an observer misses is
// missed.
func newPluginLink(stage string, role PluginRole) Link {
	link := newLink(stage)
	link.Deadline = pluginDeadline
	link.OnFailure, link.Then = Hold, FailClosed
	switch role {
	case Observer:
		link.OnFailure, link.Then = FailOpen, ""
	case Owner:
		link.OnFailure, link.Then, link.Deadline, link.Required = FailClosed, "", ownerDeadline, false
	case Gate:
	}
	return link
}

// completePlugin puts the defaults of a plugin under what the file says of it,
// and returns those of its link.
func completePlugin(stage string, plugin map[string]any) Link {
	role, _ := plugin["role"].(PluginRole)
	defaults := newPlugin()
	if role == Owner {
		defaults.InFlight = ownerHand
	}
	fill(plugin, layer(defaults))
	role, _ = plugin["role"].(PluginRole)
	return newPluginLink(stage, role)
}

// fill puts defaults under the values of a section and of those in it.
func fill(values, defaults map[string]any) {
	for key, value := range defaults {
		below, section := values[key].(map[string]any)
		usual, both := value.(map[string]any)
		switch _, there := values[key]; {
		case section && both:
			fill(below, usual)
		case !there:
			values[key] = value
		}
	}
}
