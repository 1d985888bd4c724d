// Package sse pushes to programs over HTTP, as server-sent events.
//
// A [Stream] is the connection of a session that has no socket. It outlives the
// answers that it is written to: a caller whose answer ends comes back with the id
// of the last event that it has, which confirms that event and all before it, and
// the stream goes on behind it. What is not confirmed is the mailbox's, and so in
// the store: a stream that ends, or is on a node that dies, loses nothing.
package sse
