package feature

import (
	"context"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Ask lets the owner of a frame's type answer it for who asks over HTTP, whose
// member in a mesh is known: the same rules hold as over a socket. It is for
// handlers of calls over HTTP, and for types that need no session.
func Ask[Resp wire.Frame](ctx context.Context, r *Registry, c *Call, request wire.Frame) (resp Resp, err error) {
	o := r.Owner(request.FrameType())
	if o == nil {
		return resp, core.Refuse(sdk.ReasonUnknownType, "this broker has no "+request.FrameType())
	}
	if o.needs != "" {
		if refused := r.permitted(ctx, c, o.needs); refused != nil {
			return resp, refused
		}
	}
	asked := *c
	asked.Request = request
	reply, err := o.handle(ctx, &asked)
	if err != nil {
		return resp, err
	}
	resp, _ = reply.(Resp)
	return resp, nil
}
