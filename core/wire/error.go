package wire

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/sdk"
)

// Error refuses a frame that has no answer of its own to be refused with.
//
// Old peers end their first waiting request, whatever it is, at an error
// without the id of a send that they know. It is therefore sent only with an
// id, before a close, or for frames that no known peer sends. Like any answer it
// carries the _reqId of its request.
type Error struct {
	Code    sdk.Reason     `json:"code" doc:"machine word; docs/errors.md lists them"`
	Message string         `json:"message" doc:"prose: what is wrong and what to do"`
	ID      jsontext.Value `json:"id,omitzero" max:"256" doc:"id of the request as it came"`
}

// FrameType returns error.
func (Error) FrameType() string { return "error" }
