package relay

import "sync/atomic"

// Counters count questions of sessions of this node since the start.
type Counters struct {
	Asked    atomic.Int64 // sent on their way
	Answered atomic.Int64 // of these, answered
	Failed   atomic.Int64 // of these, ended without an answer while somebody waited
}
