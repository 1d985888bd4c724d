package feature

import (
	"context"
	"reflect"
	"slices"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// eventAnswered is the audit log's word for a request that a plugin answered and
// that not everybody may make.
const eventAnswered = "plugin_answered"

// Open reports whether a plugin may answer the type. The nil Owner is of a type
// that the broker does not know, and open.
func (o *Owner) Open() bool { return o == nil || o.open }

// outside has the plugin that owns the kind answer it. o is what the broker knows
// of the type, which may be nothing.
func (r *Registry) outside(ctx context.Context, c *Call, o *Owner) (sdk.Decision, error) {
	needs := []store.Permission{store.Permission(c.Outside.Terms().Permission)}
	if o != nil {
		needs = append(needs, o.needs)
	}
	asked := ""
	for _, p := range needs {
		if p == "" {
			continue
		}
		asked = string(p)
		if refused := r.permitted(ctx, c, p); refused != nil {
			c.Err = refused.Err
			return refused.Decision(), nil
		}
	}
	fields, err := wire.Fields(c.Body)
	if err != nil {
		return undecoded(err), nil
	}
	d := c.Outside.Answer(ctx, c.Env, fields)
	f, ok := d.Reply.(chain.Foreign)
	if d.Verdict != sdk.Answer || !ok {
		return d, nil
	}
	d.Reply = wire.Foreign{Type: f.Type, Fields: f.Fields}
	if asked != "" {
		c.Env.Records = append(c.Env.Records, sdk.Record{
			Event: eventAnswered, Payload: audit.Object(audit.String("kind", string(c.Env.Kind)), audit.String("link", c.Outside.Link())),
		})
	}
	return d, nil
}

// nobody refuses a kind that a plugin may own and none does.
func nobody(kind sdk.Kind) sdk.Decision {
	return core.Refuse(ReasonNotAvailable, install(string(kind))).Decision()
}

// undecoded refuses a frame whose fields cannot be read.
func undecoded(err error) sdk.Decision {
	if d, ok := err.(*wire.DecodeError); ok { //nolint:errorlint // the only error of wire.Fields, and never wrapped
		return sdk.Refuse(d.Code, d.Message)
	}
	return sdk.Refuse(sdk.ReasonMalformed, "not a frame")
}

// foreignRefusal refuses a request in the shape that its plugin has for it, nil
// when it has none.
func foreignRefusal(c *Call, why sdk.Reason, text string) wire.Frame {
	if c.Outside == nil {
		return nil
	}
	shape := c.Outside.Terms().Refusal
	if shape.Type == "" {
		return nil
	}
	return wire.Foreign{Type: shape.Type, Fields: shape.Fields}.With("error", worded(why, text))
}

// Own returns the kinds that the broker answers itself, which no plugin can own.
func (r *Registry) Own() (kinds []sdk.Kind) {
	for _, o := range r.Owners() {
		kinds = append(kinds, sdk.Kind(o.Type))
	}
	return kinds
}

// Taken reports whether an answer of a type to a kind would pass for one of the
// broker's own. An ack to vector_delete, say, does not: known clients wait for it.
func (r *Registry) Taken(kind, typ string) bool {
	if slices.ContainsFunc(absents(), func(a absent) bool { return a.typ == kind && a.reply == typ }) {
		return false
	}
	return slices.ContainsFunc(r.Owners(), func(o *Owner) bool { return o.Type == typ || slices.Contains(o.answers(), typ) })
}

// answers returns the types of the frames that answer a type.
func (o *Owner) answers() (types []string) {
	if o.HTTP || o.Reply == nil {
		return nil
	}
	reply := reflect.Zero(o.Reply).Interface().(wire.Frame) // On takes nothing else
	if twofold, ok := reply.(wire.Twofold); ok {
		types = append(types, twofold.Twin().FrameType())
	}
	return append(types, reply.FrameType())
}
