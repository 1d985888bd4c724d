// Package feature answers what peers ask for: one file per group of messages,
// each with the handlers of its types.
//
// A handler returns its answer or an error and never touches a socket. What
// goes to others goes through the directory and the delivery engine; what has
// to be on disk before the answer is left in the [Call].
package feature

import (
	"context"
	"errors"
	"reflect"
	"slices"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Registry says who answers each type of message.
type Registry struct {
	owners  map[string]*Owner
	absent  map[string]*Owner // of types that only plugins answer
	roster  Roster            // of use to owners that need a permission
	callers Callers           // of use to calls over HTTP that are about a mesh

	pretend func(context.Context, *Call, *wire.Send) error // what becomes of messages that are dropped

	hello *hellos // of use to those that come over HTTP to stay

	informers []func(context.Context, *Call, *wire.MeshInfoResult) error
	turns     turns
}

// Owner is what the registry knows about a type.
type Owner struct {
	Type    string
	Request reflect.Type
	Reply   reflect.Type // nil for types that get no answer
	HTTP    bool         // comes over HTTP, and never as a frame

	open   bool             // a plugin may answer it, and the broker does not
	needs  store.Permission // "" for what everybody may ask for
	decode func(frame []byte) (any, error)
	handle func(context.Context, *Call) (any, error)
	refuse func(*Call, sdk.Reason, string) wire.Frame
}

// NewRegistry returns a registry that knows no types but those that only plugins
// answer.
func NewRegistry() *Registry {
	return &Registry{owners: map[string]*Owner{}, absent: absentOwners()}
}

// Silent is the reply of types that get no answer: clients wait for none, and
// would take one for the answer to something else.
type Silent struct{}

// FrameType implements [wire.Frame]; it is never written.
func (Silent) FrameType() string { return "" }

// On makes h the owner of a wire type. It panics if the type already has an
// owner: that is a mistake in the code, seen by the first test that runs.
func On[Req, Resp wire.Frame](r *Registry, h func(context.Context, *Call, *Req) (Resp, error)) *Owner {
	var req Req
	typ := req.FrameType()
	if r.owners[typ] != nil {
		panic("two owners of " + typ)
	}
	o := &Owner{Type: typ, Request: reflect.TypeFor[Req]()}
	if reply := reflect.TypeFor[Resp](); reply != reflect.TypeFor[Silent]() {
		o.Reply = reply
	}
	o.decode = func(frame []byte) (any, error) { return wire.Decode[Req](frame) }
	o.handle = func(ctx context.Context, c *Call) (any, error) {
		resp, err := h(ctx, c, c.Request.(*Req))
		if err != nil || o.Reply == nil {
			return nil, err
		}
		return resp, nil
	}
	r.owners[typ] = o
	return o
}

// OnKind makes h the owner of a kind that comes over HTTP. It panics if the kind
// already has an owner.
func OnKind[Req, Resp any](r *Registry, kind sdk.Kind, h func(context.Context, *Call, *Req) (Resp, error)) {
	if r.owners[string(kind)] != nil {
		panic("two owners of " + string(kind))
	}
	r.owners[string(kind)] = &Owner{
		Type: string(kind), Request: reflect.TypeFor[Req](), Reply: reflect.TypeFor[Resp](), HTTP: true,
		handle: func(ctx context.Context, c *Call) (any, error) { return h(ctx, c, c.Request.(*Req)) },
	}
}

// RefuseWith makes f the shape of a refusal of this type. Without it a refusal
// is an error frame, on which the oldest clients end whatever request waits
// first: a type that they do send is better refused in its own shape. Of a frame
// that cannot be read the call has nothing but its ids.
func (o *Owner) RefuseWith(f func(*Call, sdk.Reason, string) wire.Frame) {
	o.refuse = f
}

// Owner returns the owner of a type of frame, nil when nobody owns it.
func (r *Registry) Owner(typ string) *Owner {
	if o := r.owners[typ]; o != nil && !o.HTTP {
		return o
	}
	return r.absent[typ]
}

// Owners returns all owners by the name of their type.
func (r *Registry) Owners() []*Owner {
	list := make([]*Owner, 0, len(r.owners))
	for _, o := range r.owners {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b *Owner) int {
		if a.Type < b.Type {
			return -1
		}
		return 1
	})
	return list
}

// Decode reads a frame of the owner's type. The error is a [*wire.DecodeError].
func (o *Owner) Decode(frame []byte) (any, error) { return o.decode(frame) }

// Refusal returns the frame that refuses a call. With a nil owner, and for
// types without a shape of their own, that is an error frame.
func (o *Owner) Refusal(c *Call, r sdk.Reason, text string) wire.Frame {
	if o != nil && o.refuse != nil {
		if f := o.refuse(c, r, text); f != nil {
			return f
		}
	}
	if f := foreignRefusal(c, r, text); f != nil {
		return f
	}
	return wire.Error{Code: r, Message: text, ID: c.ID}
}

// Dispatch lets the owner of an envelope's kind answer it. It returns
// [chain.ErrUnknownKind] for kinds that nobody owns.
func (r *Registry) Dispatch(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	c := Of(env)
	if c == nil {
		return sdk.Decision{}, chain.ErrUnknownKind
	}
	o := r.owners[string(env.Kind)]
	if o == nil && c.HTTP == nil {
		o = r.absent[string(env.Kind)]
	}
	switch {
	case o.Open() && c.Outside != nil:
		return r.outside(ctx, c, o)
	case o == nil || o.HTTP != (c.HTTP != nil):
		return sdk.Decision{}, chain.ErrUnknownKind
	}
	if refused := c.admits(); refused != nil {
		return refused.Decision(), nil
	}
	if refused := r.current(ctx, c); refused != nil {
		c.Err = refused.Err
		return refused.Decision(), nil
	}
	if o.needs != "" {
		if refused := r.permitted(ctx, c, o.needs); refused != nil {
			c.Err = refused.Err
			return refused.Decision(), nil
		}
	}
	if o.open {
		return nobody(env.Kind), nil
	}
	reply, err := o.handle(ctx, c)
	if err == nil {
		return sdk.Decision{Verdict: sdk.Answer, Reply: reply}, nil
	}
	if refused, ok := errors.AsType[*core.Error](err); ok {
		c.Err, c.Detail = refused.Err, refused.Detail
		return refused.Decision(), nil
	}
	return sdk.Decision{}, err
}
