package plugin

import (
	"log/slog"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Plugin is a program with the stages that it can be.
type Plugin struct {
	Name    string // letters, digits and hyphens, as in "office-hours"
	Version string // semantic version, without a "v"
	Stages  []Stage

	// LogLevel is the least level that log/slog sends to the broker; nil is
	// info.
	LogLevel slog.Leveler
}

// Stage is one kind of stage that a program can be; [Define] and
// [DefineObserver] make it.
type Stage struct {
	name        string
	summary     string
	needs       []Capability
	wants       []Capability
	environment []string
	idempotent  bool
	parallel    int
	judges      bool
	observes    bool
	schema      []byte // empty: takes no options
	example     []byte
	kinds       []kind // that it answers
	exampleFrom any    // what Example was given

	build func(options []byte) (parts, []*pluginpb.Diagnostic)
}

// Capability is a right to see or do more than metadata. A stage says what it
// needs or wants, and the operator grants it in the config. What a stage does
// not ask for, the broker refuses to grant.
type Capability string

// Capabilities, with what each one gives away.
const (
	IdentityRead   Capability = "identity.read"   // real keys, names and addresses instead of pseudonyms
	AudienceRead   Capability = "audience.read"   // the recipients, and leaving some out
	AttributesRead Capability = "attributes.read" // what all stages noted
	PayloadHash    Capability = "payload.hash"    // SHA-256 of the ciphertext
	PayloadBytes   Capability = "payload.bytes"   // the ciphertext
	CredentialRead Capability = "credential.read" // the hello frame, with the proof of who calls
	PriorityWrite  Capability = "priority.write"  // changing an envelope's priority
	VerdictDrop    Capability = "verdict.drop"    // dropping in silence
	DeliveryHold   Capability = "delivery.hold"   // holding a message back until a time
)

// Option says one more thing about a stage.
type Option func(*Stage)

// Summary is one line about the stage, for lists and for who runs the program
// by hand.
func Summary(text string) Option { return func(s *Stage) { s.summary = text } }

// Needs says what the stage cannot do without. It does not start unless the
// operator grants all of it.
func Needs(capabilities ...Capability) Option {
	return func(s *Stage) { s.needs = append(s.needs, capabilities...) }
}

// Wants says what the stage works without, and does more with. The operator may
// grant it; a stage that has to know what was granted is a [Grantee].
func Wants(capabilities ...Capability) Option {
	return func(s *Stage) { s.wants = append(s.wants, capabilities...) }
}

// Env names environment variables that the stage cannot do without. The program
// sees no variable that the link's plugin.env does not list; the broker says at
// its start, and at a check of its config, which of these are not listed there,
// or not set.
func Env(names ...string) Option {
	return func(s *Stage) { s.environment = append(s.environment, names...) }
}

// Idempotent says that judging an envelope twice does no harm. What a crashed
// process had in hand is then asked again, where the config says so.
func Idempotent() Option { return func(s *Stage) { s.idempotent = true } }

// Parallel lets n envelopes be judged at once, those of one connection still
// in order. Handle is then called by n goroutines. The default is 1.
func Parallel(n int) Option { return func(s *Stage) { s.parallel = max(n, 1) } }

// Observes says that the stage implements sdk.Observer. It is only needed
// where the type does not tell: when the function that makes the stage returns
// an interface.
func Observes() Option { return func(s *Stage) { s.observes = true } }

// Example is a set of options to show to operators, of the type that the stage
// takes. Without one the defaults are shown.
func Example[O any](options O) Option { return func(s *Stage) { s.exampleFrom = options } }
