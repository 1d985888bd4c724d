// Package presence knows the sessions of every mesh: who is here, in what
// state, in which groups, and who was here a moment ago.
//
// A session is one launch of an agent. It outlives its connection by a grace
// time: while that runs the session stays in lists and keeps its place, and a
// connection that proves the same identity takes it up again without anybody
// noticing. Everything here is in memory; what has to survive a restart is
// handed to a [Journal].
package presence
