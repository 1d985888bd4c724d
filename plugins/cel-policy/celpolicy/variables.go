package celpolicy

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/claudemesh/broker/sdk"
)

// Rights are what the rules of a stage may look at and do. They are those of
// the capabilities that the stage needs, so that rules which want more are
// refused when they are read, and not when they would apply.
type Rights struct {
	Identity   bool // identity.read
	Attributes bool // attributes.read
	Priority   bool // priority.write
	Drop       bool // verdict.drop
	Hold       bool // delivery.hold
}

// variable is a name that rules may use.
type variable struct {
	name  string
	kind  *cel.Type
	needs string // capability; empty: none
	value func(*sdk.Envelope) any
}

const (
	needsIdentity   = "identity.read"
	needsAttributes = "attributes.read"
)

// variables lists all of them, in the order of the README.
func variables() []variable {
	text := func(of func(*sdk.Envelope) string) func(*sdk.Envelope) any {
		return func(env *sdk.Envelope) any { return types.String(of(env)) }
	}
	key := func(of func(*sdk.Envelope) sdk.Key) func(*sdk.Envelope) any {
		return text(func(env *sdk.Envelope) string {
			if k := of(env); !k.IsZero() {
				return k.String()
			}
			return ""
		})
	}
	return []variable{
		{"message.kind", cel.StringType, "", kindOf()},
		{"message.id", cel.StringType, "", text(func(e *sdk.Envelope) string { return e.MessageID })},
		{"message.mesh", cel.StringType, "", text(func(e *sdk.Envelope) string { return e.Mesh })},
		{"message.priority", cel.StringType, "", constants(func(e *sdk.Envelope) int { return int(e.Priority) },
			sdk.PriorityNow.String(), sdk.PriorityNext.String(), sdk.PriorityLow.String())},
		{"message.size", cel.IntType, "", func(e *sdk.Envelope) any { return types.Int(e.Size) }},
		{"message.arrived", cel.TimestampType, "", func(e *sdk.Envelope) any { return types.Timestamp{Time: e.Arrived} }},
		{"message.target.kind", cel.StringType, "", constants(func(e *sdk.Envelope) int { return int(e.Target.Kind) },
			sdk.TargetNone.String(), sdk.TargetKey.String(), sdk.TargetGroup.String(),
			sdk.TargetBroadcast.String(), sdk.TargetTopic.String())},
		{"message.target.name", cel.StringType, needsIdentity, text(func(e *sdk.Envelope) string { return e.Target.Name })},
		{"message.target.key", cel.StringType, needsIdentity, key(func(e *sdk.Envelope) sdk.Key { return e.Target.Key })},
		{"message.sender.member", cel.StringType, needsIdentity, key(func(e *sdk.Envelope) sdk.Key { return e.Sender.Member })},
		{"message.sender.session", cel.StringType, needsIdentity, key(func(e *sdk.Envelope) sdk.Key { return e.Sender.Session })},
		{"message.sender.member_id", cel.StringType, needsIdentity, text(func(e *sdk.Envelope) string { return e.Sender.MemberID })},
		{"message.sender.name", cel.StringType, needsIdentity, text(func(e *sdk.Envelope) string { return e.Sender.Name })},
		{"message.sender.remote", cel.StringType, needsIdentity, text(func(e *sdk.Envelope) string { return e.Sender.Remote })},
		{"attributes", cel.MapType(cel.StringType, cel.StringType), needsAttributes, attributesOf},
	}
}

// kindOf gives kinds without an allocation for the one that matters most.
func kindOf() func(*sdk.Envelope) any {
	var send any = types.String(sdk.KindSend)
	return func(e *sdk.Envelope) any {
		if e.Kind == sdk.KindSend {
			return send
		}
		return types.String(e.Kind)
	}
}

// constants gives one of a few texts without an allocation.
func constants(index func(*sdk.Envelope) int, texts ...string) func(*sdk.Envelope) any {
	values := make([]any, len(texts))
	for i, t := range texts {
		values[i] = types.String(t)
	}
	var unknown any = types.String("")
	return func(e *sdk.Envelope) any {
		if i := index(e); i < len(values) {
			return values[i]
		}
		return unknown
	}
}

// attributesOf gives what stages noted; the last note of a key counts.
func attributesOf(env *sdk.Envelope) any {
	notes := make(map[string]string, len(env.Attributes))
	for _, a := range env.Attributes {
		notes[a.Key] = a.Value
	}
	return types.NewStringStringMap(types.DefaultTypeAdapter, notes)
}

// allows reports whether rules may use a variable.
func (r Rights) allows(v *variable) bool {
	switch v.needs {
	case needsIdentity:
		return r.Identity
	case needsAttributes:
		return r.Attributes
	}
	return true
}

// activation shows one envelope to expressions. One goroutine owns it at a
// time.
type activation struct {
	env    *sdk.Envelope
	long   bool                               // a text was too long to be shown
	values map[string]func(*sdk.Envelope) any // shared, never changed
}

// valuesOf returns the variables that rules with some rights may use.
func valuesOf(rights Rights) map[string]func(*sdk.Envelope) any {
	values := make(map[string]func(*sdk.Envelope) any)
	for _, v := range variables() {
		if rights.allows(&v) {
			values[v.name] = v.value
		}
	}
	return values
}

// ResolveName gives the value of a variable.
func (a *activation) ResolveName(name string) (any, bool) {
	value, ok := a.values[name]
	if !ok {
		return nil, false
	}
	v := value(a.env)
	if text, ok := v.(types.String); ok && len(text) > longestText {
		a.long = true
		return nil, false
	}
	return v, true
}

// Parent says that there are no other variables.
func (a *activation) Parent() cel.Activation { return nil }

// explain says more about what the compiler says of an expression with a name
// that is not declared.
func (r Rights) explain(message, expression string) string {
	if !strings.HasPrefix(message, "undeclared reference to") {
		return message
	}
	var known, hidden []string
	for _, v := range variables() {
		switch {
		case r.allows(&v):
			known = append(known, v.name)
		case strings.Contains(expression, v.name):
			hidden = append(hidden, v.name+" needs "+v.needs)
		}
	}
	switch {
	case len(hidden) > 0:
		return message + "; " + strings.Join(hidden, ", ") + ": take a stage of this program that has it"
	case strings.Contains(message, "did you mean"):
		return message
	}
	slices.Sort(known)
	return message + "; known are " + strings.Join(known, ", ")
}
