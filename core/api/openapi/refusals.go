package openapi

import (
	"reflect"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/sdk"
)

// refusals returns the codes that a route refuses with, by status.
func refusals(r *api.Route) map[int][]string {
	byStatus := map[int][]string{}
	for _, reason := range reasons(r) {
		status := r.StatusFor(reason)
		byStatus[status] = append(byStatus[status], string(reason))
	}
	return byStatus
}

// reasons returns what a route can be refused with: by its handler, and by what a
// request passes before it.
func reasons(r *api.Route) []sdk.Reason {
	list := append([]sdk.Reason{
		sdk.ReasonRateLimit,                           // of the address, of the token, or of the member
		sdk.ReasonUnavailable, sdk.ReasonShuttingDown, // try again
		sdk.ReasonInternal, sdk.ReasonStageFailed, sdk.ReasonUnanswered, // the broker's fault
	}, r.Refusals...)
	if hasBody(r) {
		list = append(list, sdk.ReasonMalformed, sdk.ReasonInvalid, sdk.ReasonTooLarge)
	}
	if takesValues(r) {
		list = append(list, sdk.ReasonInvalid)
	}
	return append(list, unproved(r)...)
}

// takesValues reports whether a route reads its path or its query.
func takesValues(r *api.Route) bool {
	for f := range fieldsOf(r.Request) {
		if f.Tag.Get("path") != "" || f.Tag.Get("query") != "" || f.Tag.Get("header") != "" {
			return true
		}
	}
	return false
}

// unproved returns what a caller is refused with who does not prove itself. A
// member's signature can be wrong in more ways than a token.
func unproved(r *api.Route) []sdk.Reason {
	if r.Access == feature.Anyone {
		return nil
	}
	list := []sdk.Reason{
		feature.ReasonBadBearer, sdk.ReasonMalformed, sdk.ReasonBadSignature, sdk.ReasonSkew,
		sdk.ReasonUnauthorized, sdk.ReasonReplayed,
	}
	if reflect.PointerTo(r.Request).Implements(reflect.TypeFor[feature.MeshNamer]()) {
		list = append(list, sdk.ReasonForbidden) // a member's of another mesh
	}
	if r.Key != "" {
		list = append(list, feature.ReasonKeyCapability)
	}
	if r.Access != feature.AnyoneKnown {
		list = append(list, feature.ReasonNoBearer)
	}
	return list
}
