// Package bus carries small messages between broker processes that serve the
// same meshes.
//
// A bus is a hint, never the truth: what has to arrive is in the store, and
// the bus only makes it arrive sooner. So a bus may lose messages, it never
// holds up who publishes, and it tells when something may have been lost, so
// that the listener can ask the store.
//
// There are three: local (a single process), postgres (LISTEN and NOTIFY) and
// nats. The package bustest holds what each of them must do.
package bus

import "context"

// MaxPayload is the size in bytes of the largest payload that every bus
// carries. Larger ones are dropped and counted.
const MaxPayload = 256 << 10

// Bus carries messages between nodes, each at most once. A node is one Bus: it
// never gets what it published itself, not on any of its subscriptions.
//
// The messages of one node arrive in the order in which it published them,
// whatever their subjects; some may be missing. Nothing is said about the order
// of messages of different nodes. All methods may be called concurrently, and
// after Close.
type Bus interface {
	// Publish sends data to every subscription of the subject on other nodes.
	// It never waits: when the bus is away, or behind, or the message is larger
	// than MaxPayload or the subject not valid, the message is dropped and
	// counted. data may be changed as soon as Publish has returned.
	Publish(subject string, data []byte)

	// Subscribe calls f for each message with exactly this subject. When it
	// returns, what other nodes publish from now on is delivered, or the bus is
	// away. It may wait for one round trip to the server.
	//
	// f runs on the bus's own goroutine, one call at a time per Bus. It must not
	// wait, and neither subscribe nor close there; it may publish and cancel. It
	// may keep data, and must not change it. A call that has begun goes on while
	// cancel returns. A subject that is not valid never has a message.
	Subscribe(subject string, f func(data []byte)) (cancel func())

	// OnLost sets what is called each time that messages to this node may have
	// been lost: after a reconnect, when a buffer was full, when another node
	// could not send. It runs where the calls of Subscribe run, under the same
	// rules, and may be called more often than something is lost. The
	// subscriptions work again when it is called, so that who asks the store in
	// it, or after it, misses nothing. Set it before the first Subscribe.
	OnLost(f func())

	// Up reports whether the bus is connected now.
	Up() bool

	// Stats returns what the bus has done so far.
	Stats() Stats

	// Close sends what was published before, as long as ctx lasts, and ends the
	// bus. Nothing is called any more when it has returned. It returns ctx's
	// error when not everything could be sent.
	Close(ctx context.Context) error
}

// Stats counts since the bus was made.
type Stats struct {
	Published uint64 // messages that Publish took; some may be dropped after
	Dropped   uint64 // messages of this node that were not sent
	Received  uint64 // messages handed to at least one subscription
	Lost      uint64 // times that messages to this node may have been lost
}
