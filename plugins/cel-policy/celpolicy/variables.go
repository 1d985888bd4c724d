package celpolicy

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
)

// Capabilities returns what rules can use, each for some of what they look at or
// do. Rules that use one which is not granted are refused when they are read, and
// not when they would apply.
func Capabilities() plugin.Grants {
	return plugin.Grants{
		plugin.IdentityRead, plugin.AttributesRead, plugin.PriorityWrite, plugin.VerdictDrop, plugin.DeliveryHold,
	}
}

// variable is a name that rules may use.
type variable struct {
	name  string
	kind  *cel.Type
	needs plugin.Capability // empty: none
	value func(*sdk.Envelope) any
}

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
		{"message.target.name", cel.StringType, plugin.IdentityRead, text(func(e *sdk.Envelope) string { return e.Target.Name })},
		{"message.target.key", cel.StringType, plugin.IdentityRead, key(func(e *sdk.Envelope) sdk.Key { return e.Target.Key })},
		{"message.sender.member", cel.StringType, plugin.IdentityRead, key(func(e *sdk.Envelope) sdk.Key { return e.Sender.Member })},
		{"message.sender.session", cel.StringType, plugin.IdentityRead, key(func(e *sdk.Envelope) sdk.Key { return e.Sender.Session })},
		{"message.sender.member_id", cel.StringType, plugin.IdentityRead, text(func(e *sdk.Envelope) string { return e.Sender.MemberID })},
		{"message.sender.name", cel.StringType, plugin.IdentityRead, text(func(e *sdk.Envelope) string { return e.Sender.Name })},
		{"message.sender.remote", cel.StringType, plugin.IdentityRead, text(func(e *sdk.Envelope) string { return e.Sender.Remote })},
		{"attributes", cel.MapType(cel.StringType, cel.StringType), plugin.AttributesRead, attributesOf},
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

// shown reports whether rules may use a variable.
func (v *variable) shown(granted plugin.Grants) bool {
	return v.needs == "" || granted.Has(v.needs)
}

// activation shows one envelope to expressions. One goroutine owns it at a
// time.
type activation struct {
	env    *sdk.Envelope
	long   bool                               // a text was too long to be shown
	values map[string]func(*sdk.Envelope) any // shared, never changed
}

// valuesOf returns the variables that rules may use.
func valuesOf(granted plugin.Grants) map[string]func(*sdk.Envelope) any {
	values := make(map[string]func(*sdk.Envelope) any)
	for _, v := range variables() {
		if v.shown(granted) {
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
func explain(granted plugin.Grants, message, expression string) string {
	if !strings.HasPrefix(message, "undeclared reference to") {
		return message
	}
	var known, hidden []string
	for _, v := range variables() {
		switch {
		case v.shown(granted):
			known = append(known, v.name)
		case strings.Contains(expression, v.name):
			hidden = append(hidden, v.name+" needs "+string(v.needs))
		}
	}
	switch {
	case len(hidden) > 0:
		return message + "; " + strings.Join(hidden, ", ") + "; the link has to grant it"
	case strings.Contains(message, "did you mean"):
		return message
	}
	slices.Sort(known)
	return message + "; known are " + strings.Join(known, ", ")
}
