package store

import (
	"context"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Holds keeps deliveries that are held back until a time. They are out of the
// pending set: no drain, no count by key and no expiry meets them, however many
// there are. Releasing makes them ordinary rows of it.
type Holds interface {
	// NextRelease returns when the next delivery is due, zero when none is held.
	NextRelease(ctx context.Context) (time.Time, error)

	// Release makes at most limit deliveries that are due by now pending, those
	// that are due first and, of one time, were accepted first, and returns
	// them: less than limit means that none is left. Of several processes each
	// releases others. An error may come after the release was written.
	Release(ctx context.Context, now time.Time, limit int) ([]Released, error)
}

// Released is a delivery that is held back no more.
type Released struct {
	Mesh      string
	Recipient sdk.Key
	Priority  sdk.Priority
}
