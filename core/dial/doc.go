// Package dial is the other side of the socket: it connects to a broker as a
// peer does, says hello, and sends, asks and receives.
//
// The command line, the demo, the load generator and end-to-end tests use it.
// It reconnects to nothing and keeps nothing: when a connection ends, [Peer.Err]
// says why, and what to do about it is the caller's decision.
//
// One goroutine per peer reads the socket; whoever sends writes it.
package dial
