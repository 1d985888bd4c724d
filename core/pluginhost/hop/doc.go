// Package hop carries envelopes to one instance of a plugin's stage and brings
// the verdicts back.
//
// A caller's envelope is encoded once, by the caller, with what the plugin may
// see of it, and waits in a queue. One goroutine, the pump, makes a batch of
// what waits whenever it is free: there is no timer, so a lone envelope leaves
// at once and batches grow only as large as the load. The batch crosses on a
// lane: a stream to plugins that have one, single calls to others.
//
// A [Hop] outlives the plugin's process. While the process is away, callers
// wait for the next one as long as the failure policy says; what a crashed
// process had in hand is asked again where judging twice does no harm.
//
// Whatever is not a clear answer is an error, never "continue": an answer that
// does not fit its batch, that comes late, or that uses a right which was not
// granted.
package hop
