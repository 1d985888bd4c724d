package chain

import (
	"log/slog"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Role says what a stage is for. The rules about order speak of roles, so they
// hold for plugins too.
type Role uint8

// Roles. The zero Role is a gate.
const (
	RoleGate     Role = iota // judges: comes after the first auth and before the route
	RoleAuth                 // proves who asks: comes first
	RoleRoute                // does the work and answers: nothing that judges comes after it
	RoleObserver             // only watches: may stand anywhere
	RoleOwner                // answers kinds that the broker has no handler for, when the route asks: may stand anywhere
)

// String returns the role as `broker chain` prints it.
func (r Role) String() string {
	switch r {
	case RoleAuth:
		return "auth"
	case RoleRoute:
		return "route"
	case RoleObserver:
		return "observer"
	case RoleOwner:
		return "owner"
	default:
		return "gate"
	}
}

// Decode fills into, a pointer to the stage's options with their defaults set,
// from the link's `with`. It refuses keys that the options do not have.
type Decode func(into any) error

// Factory makes the stages of one name.
type Factory struct {
	Role Role

	// Plugin names the program that runs the stages, for people; empty for
	// stages that are built in.
	Plugin string

	// Timed says that the stage keeps the link's deadline itself. The chain then
	// gives it none, which saves a timer for each envelope.
	Timed bool

	// Policies are the failure policies that a link may choose, its default
	// first. Empty means fail_closed, fail_open and fallback. A factory lists
	// Hold only when its stages wait by themselves.
	Policies []Policy

	// Owns are the kinds that a stage of the role owner answers; it has to be an
	// [Answerer].
	Owns []sdk.Kind

	// New makes one stage. It checks the options and opens nothing: a chain is
	// also built to be checked, printed and thrown away. What has to be opened
	// is opened in Start.
	New func(LinkSpec) (sdk.Stage, error)
}

// Factories are the stages that a config can name.
type Factories map[string]Factory

// Keyed is a stage that a reload can carry over. Key names all that the stage
// was made from. Where the running chain has a link of the same stage and name
// and with an equal key, the new chain takes that instance, with what it
// knows, and the one just made is stopped without a start.
type Keyed interface {
	Key() string
}

// LinkSpec is one entry of the config's list of stages.
type LinkSpec struct {
	Stage     string // the name of a factory
	Name      string // unique; empty for the stage's name
	Enabled   bool
	OnFailure Policy        // empty for the factory's default
	Then      Policy        // what Hold ends with; empty for fail_closed
	Deadline  time.Duration // for one call of the stage; 0 for none
	With      Decode        // nil when the config says nothing
	Where     string        // file and line, for messages; may be empty

	// Fallback is the stage that decides when this one fails, with the policy
	// Fallback: a gate of [Factories], made for this link alone. It is started
	// before the link's own stage and stopped after it, and only ever judges: it
	// neither records nor observes. Only Stage, Name, Deadline and With count.
	Fallback *LinkSpec

	// Shadow has the stage asked and its verdict counted, and nothing else: it
	// sees a copy, does not record, and no answer waits for it where it is a
	// [Submitter]. Only gates can be in shadow.
	Shadow bool

	// Required says that the broker is not ready while the stage is down. It has
	// no effect in shadow, nor for a stage without [Health].
	Required bool

	// Use is the factory to take instead of the one that Stage names. Plugins
	// come this way: the factory knows the program to start.
	Use *Factory
}

// Options fills into from the link's `with`; without one it leaves the
// defaults alone.
func (s LinkSpec) Options(into any) error {
	if s.With == nil {
		return nil
	}
	return s.With(into)
}

func (s LinkSpec) name() string {
	if s.Name != "" {
		return s.Name
	}
	return s.Stage
}

// Spec is what [Build] makes a chain from.
type Spec struct {
	Links []LinkSpec

	// Insecure allows a chain without auth or without route, and auth that
	// fails open. It allows no wrong order.
	Insecure bool

	// Reserved are the kinds that the broker answers itself: no link owns them.
	Reserved []sdk.Kind

	// Previous is the chain that runs now, nil at the start of the process.
	// Stages that did not change are carried over from it, and counters go on.
	Previous *Chain

	Timing int          // one walk in this many is timed; 0 for DefaultTiming, negative for none
	Probes Probes       // nil when nobody watches
	Log    *slog.Logger // for failures of stages; nil for slog.Default
}
