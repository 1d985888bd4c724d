package files

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/claudemesh/broker/core/telemetry"
	"github.com/claudemesh/broker/sdk"
)

// Counters count what became of files since the start.
type Counters struct {
	Begun    atomic.Int64 // uploads
	Finished atomic.Int64 // of these, those whose last byte has arrived
	Received atomic.Int64 // bytes that are where files are
	Sent     atomic.Int64 // bytes that were read for somebody
	Expired  atomic.Int64 // files whose time was over
	Erased   atomic.Int64 // files of which nothing is left

	Refused *telemetry.Tally // requests to upload, by why they ended before their end
	Sweeps  *telemetry.Tally // by their result
}

// Results of sweeps.
const (
	sweepDone   = "done"
	sweepFailed = "failed"
)

// unavailable is what everything counts as that is the broker's own failure.
const unavailable = string(sdk.ReasonUnavailable)

func newCounters() Counters {
	return Counters{
		Refused: telemetry.NewTally(string(sdk.ReasonInvalid), string(sdk.ReasonTooLarge), string(sdk.ReasonCapacity),
			"broken_off", "digest", "conflict", "locked", unavailable),
		Sweeps: telemetry.NewTally(sweepDone, sweepFailed),
	}
}

// Begun counts an upload, and Refused one that may not begin.
func (f *Files) Begun() { f.Counters.Begun.Add(1) }

// Refused is like Begun.
func (f *Files) Refused(why sdk.Reason) { f.Counters.Refused.Add(string(why)) }

// ended counts how a request to add bytes ended. One that broke off may go on; whoever
// leaves while its bytes are written has broken off.
func (c *Counters) ended(ctx context.Context, err error) {
	switch {
	case err == nil:
	case errors.Is(err, ErrBrokenOff), ctx.Err() != nil:
		c.Refused.Add("broken_off")
	case errors.Is(err, ErrDigest):
		c.Refused.Add("digest")
	case errors.Is(err, ErrMoved):
		c.Refused.Add("conflict")
	case errors.Is(err, ErrHeld):
		c.Refused.Add("locked")
	default:
		c.Refused.Add(unavailable)
	}
}
