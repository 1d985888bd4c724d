package store

import "time"

// Usage is how a pool of connections to a database is used.
type Usage struct {
	InUse, Idle, Most int64         // connections
	Waited            int64         // times that a request found all of them in use, since the start
	WaitTime          time.Duration // what these waited, in all
}

// Pooled is a store that has a pool of connections. Usage may be called
// concurrently.
type Pooled interface{ Usage() Usage }
