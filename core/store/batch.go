package store

import (
	"context"

	"github.com/claudemesh/broker/core/audit"
)

// Batch is what one transaction writes: the work of everybody who waited for
// the disk at the same moment.
type Batch struct {
	// Messages and their Deliveries. A delivery's message is in the same batch.
	// Held are the deliveries of messages that have a NotBefore.
	Messages   []*Message
	Deliveries []Delivery
	Held       []Delivery

	// Sent remembers client_message_ids, of messages with and without a row.
	//
	// In a store that several processes share, another process may have
	// accepted the same id a moment before. Commit then leaves out the message
	// with its deliveries, and notes in Repeats what was first.
	Sent    []*Message
	Repeats map[*Message]Sent

	// History are messages for the history of topics, with or without a row in
	// Messages. Those of Repeats are left out.
	History []*TopicMessage

	// Settled deliveries of this and of earlier batches.
	Settled []Settlement

	// Audit entries in the order of their chains. Commit links them: it sets
	// ID, PrevHash and Hash.
	Audit []*audit.Entry

	// Presences to insert, or to replace by id; States to replace by key.
	Presences []*Presence
	States    []*State

	// SessionKeys to claim. A key that has its owner keeps it.
	SessionKeys []*SessionKey
}

// Empty reports whether there is nothing to write.
func (b *Batch) Empty() bool {
	return len(b.Messages)+len(b.Deliveries)+len(b.Held)+len(b.Sent)+len(b.History)+len(b.Settled)+
		len(b.Audit)+len(b.Presences)+len(b.States)+len(b.SessionKeys) == 0
}

// Reset empties the batch and keeps its buffers.
func (b *Batch) Reset() {
	clear(b.Messages)
	clear(b.Sent)
	clear(b.History)
	clear(b.Audit)
	clear(b.Presences)
	clear(b.States)
	clear(b.SessionKeys)
	*b = Batch{
		Messages: b.Messages[:0], Deliveries: b.Deliveries[:0], Held: b.Held[:0], Sent: b.Sent[:0],
		History: b.History[:0],
		Settled: b.Settled[:0], Audit: b.Audit[:0], Presences: b.Presences[:0], States: b.States[:0],
		SessionKeys: b.SessionKeys[:0], // Repeats starts empty
	}
}

// Committer writes batches.
type Committer interface {
	// Commit writes the batch in one transaction and returns when it is as
	// durable as the config asks: after an fsync by default. An error means
	// that nothing of it was written.
	//
	// One goroutine of a process calls Commit at a time. Other processes may
	// commit to the same store meanwhile, where the engine lets several open
	// it: each chain is continued by one of them at a time.
	//
	// ErrUnavailable: the database does not answer. Should the connection break
	// at the very end, Commit finds out whether the batch was written; only
	// where the database stays away for longer than Commit asks is that not
	// known, and the error says so.
	Commit(ctx context.Context, b *Batch) error
}
