package meshsql

import (
	"context"
	"errors"
	"time"

	"github.com/claudemesh/broker/core/telemetry"
)

// Counted is an engine whose statements are counted and timed. Make it with Count.
type Counted struct {
	Engine

	Queries, Executes Statements
}

// Statements count statements of a kind, by how they ended.
type Statements struct {
	Ended *telemetry.Tally
	Took  telemetry.Histogram // with the wait for their turn
}

// How statements end.
const (
	ended       = "done"
	endedFailed = "failed" // the database refuses the statement
	endedFull   = "full"   // the mesh has no room
	endedBusy   = "busy"   // too many at a time
	endedOff    = "off"    // the operator has to do something first
	endedAway   = "away"   // the database does not answer
	endedGone   = "gone"   // whoever asked did not wait
)

func newStatements() Statements {
	return Statements{Ended: telemetry.NewTally(ended, endedFailed, endedFull, endedBusy, endedOff, endedGone, endedAway)}
}

// Count returns an engine that counts what another one does.
func Count(e Engine) *Counted {
	return &Counted{Engine: e, Queries: newStatements(), Executes: newStatements()}
}

// Run implements [Engine].
func (c *Counted) Run(ctx context.Context, a Ask) (*Result, error) {
	of := &c.Queries
	if a.Writes {
		of = &c.Executes
	}
	begun := time.Now()
	r, err := c.Engine.Run(ctx, a)
	of.Took.Observe(time.Since(begun))
	of.Ended.Add(endOf(ctx, err))
	return r, err
}

func endOf(ctx context.Context, err error) string {
	e := Refused(err)
	switch {
	case err == nil:
		return ended
	case e == nil && (ctx.Err() != nil || errors.Is(err, context.Canceled)):
		return endedGone
	case e == nil:
		return endedAway
	}
	switch e.Kind {
	case Full:
		return endedFull
	case Busy:
		return endedBusy
	case Off:
		return endedOff
	default:
		return endedFailed
	}
}
