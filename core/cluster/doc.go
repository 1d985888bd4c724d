// Package cluster makes brokers that share a store act as one.
//
// Each process is a node. It holds its registration in the store as a lease,
// and the rule that keeps nodes apart is: a session belongs to one node, and
// only a node whose lease holds may push to its sessions. A node that was
// frozen or cut off finds its lease over, asks the store which of its sessions
// live elsewhere by now, closes those, and only then goes on.
//
// What is true is in the store. What one node does is told to the others over
// a bus, so that they act at once; and because a bus may lose messages, each
// node also asks the store from time to time:
//
//	what                        told by               made good by
//	a message waits for a key   wake                  Node.poll, every few seconds
//	a session came, changed     presence              Node.reconcile, every five seconds
//	an event of the mesh        event                 nothing: lists tell the truth
//	a stream, a question to a   post, cast            nothing: who waits, waits for so long
//	session of another node
//	end a session, forget a     a row of the signal   Node.follow reads the rows, in order;
//	cached row, tell a mesh     log, and a hint       the hint only makes it read at once
//
// The work that is everybody's, such as ending the sessions of a dead node, is
// done by whoever holds the lock for it.
package cluster
