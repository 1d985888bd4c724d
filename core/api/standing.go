package api

import (
	"errors"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// named returns the mesh that a request names. Strangers get it too: what they
// may do with it is another question.
func named(c *feature.Call) (*store.Mesh, error) {
	if c.HTTP.Mesh == nil {
		return nil, core.Refuse(sdk.ReasonUnknownMesh, "Mesh not found")
	}
	return c.HTTP.Mesh, nil
}

// owns reports whether the caller owns the mesh that it names. An owner need
// not have a member in it.
func owns(c *feature.Call) bool {
	m, a := c.HTTP.Mesh, c.HTTP.Account
	return a != nil && m.OwnerAccount != "" && m.OwnerAccount == a.ID || c.Member != nil && m.OwnedBy(c.Member)
}

// manager returns who manages the mesh that a request names: the caller's member,
// or, for an owner that has no member in it, what stands for one.
func manager(c *feature.Call) *store.Member {
	if c.Member == nil && c.HTTP.Mesh != nil && owns(c) {
		return ownerOf(c.HTTP.Mesh)
	}
	return c.Member
}

// may reports whether the caller may do something in the mesh that it names.
func may(c *feature.Call, p store.Permission) bool {
	return owns(c) || c.Member != nil && c.HTTP.Mesh.May(c.Member, p)
}

// ownerHint says how a person becomes the owner of a mesh over HTTP.
const ownerHint = "If the mesh is yours, ask the operator of the broker, who makes an account its owner with " +
	"broker account own MESH USER, or tie a member with the owner's key to your account"

// record leaves an event for the audit log of the mesh that the call is about,
// with the account that caused it, if it was one.
func record(c *feature.Call, event string, fields ...audit.Field) {
	if a := c.HTTP.Account; a != nil {
		fields = append(fields, audit.String("account", a.ID))
	}
	c.Env.Records = append(c.Env.Records, sdk.Record{Event: event, Payload: audit.Object(fields...)})
}

// issued makes of an Issuer's error what the caller may know: what the operator
// has to mend names the config, and is for the log. Conflict is the text for a
// mesh or an invite that found no free name.
func issued(err error, conflict string) error {
	refused, ok := errors.AsType[*core.Error](err)
	switch {
	case ok && (refused.Code == sdk.ReasonInvalidArguments || refused.Code == sdk.ReasonUnavailable):
		return refused
	case ok && refused.Code == ReasonConflict:
		return core.Refuse(ReasonConflict, conflict)
	default:
		return &core.Error{
			Code: sdk.ReasonUnavailable, Err: err,
			Message: "this broker cannot use the secrets of its meshes: tell its operator",
		}
	}
}
