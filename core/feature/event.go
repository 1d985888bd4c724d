package feature

import (
	"time"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/wire"
)

// EventFrame encodes news from the broker itself, the same for everybody who
// gets it. It panics on data that cannot be encoded: those are structs of ours.
func EventFrame(mesh, name string, data any, now time.Time) []byte {
	frame, err := wire.AppendEvent(nil, &wire.Event{
		MessageID: identity.NewUUID(), MeshID: mesh, Name: name, Data: data, CreatedAt: now,
	})
	if err != nil {
		panic(err)
	}
	return frame
}
