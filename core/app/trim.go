package app

import (
	"context"
	"runtime/debug"
	"time"
)

const (
	// trimEvery is how often the broker looks whether a storm of connections is
	// over.
	trimEvery = 5 * time.Second

	// trimAfter is how many connections make a storm.
	trimAfter = 500
)

// trim gives memory back when a storm of connections is over, until ctx ends.
// Each hello leaves garbage, and the runtime keeps as much again as is in use:
// with thousands of peers that come together and then idle, that is most of
// what the process holds, and without load no collection would come for minutes.
func (a *App) trim(ctx context.Context) {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	var trimmed, last int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := a.hub.Counters.Accepted.Load()
		if quiet := now == last; quiet && now-trimmed >= trimAfter {
			debug.FreeOSMemory()
			trimmed = now
		}
		last = now
	}
}
