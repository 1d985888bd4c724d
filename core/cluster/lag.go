package cluster

import "time"

// stamp is when a message is published, in microseconds since 1970. Nodes of
// releases that do not know it leave it out, and ignore it.
func stamp() int64 { return time.Now().UnixMicro() }

// late counts how late another node's message is worked on, by the clocks of
// both; 0 is one without a stamp. A message from the future counts as in time.
func (n *Node) late(sent int64) {
	if sent > 0 {
		n.Counters.Lag.Observe(time.Since(time.UnixMicro(sent)))
	}
}
