package delivery

import (
	"sync/atomic"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// state is how far a delivery has come; see the package comment.
type state = int32

const (
	accepted state = iota
	stored
	confirmed
)

// delivery is one recipient's claim on a message while it is in memory. A
// delivery that was drained from the store starts as stored.
type delivery struct {
	msg      *store.Message
	frame    []byte // the encoded push, shared by all recipients
	to       sdk.Key
	memberID string

	state atomic.Int32
	mark  atomic.Int64 // number of its row's mark, once it is confirmed

	// ackers counts the mailboxes that have the push unconfirmed and will send
	// a client_ack. While there is one, a pong from a sibling session does not
	// end the delivery: a one-shot command must not take a daemon's mail.
	ackers atomic.Int32

	// traced says that pushes of it become spans.
	traced bool

	// drained says that the message was read from the store for this delivery.
	drained bool

	// daemon says that the recipient's control connection is on another node:
	// that alone confirms the delivery. Set before the first push.
	daemon bool

	// missed is set when some mailbox could not take the push, or gave it back:
	// after the transaction the recipient's mailboxes are told to look.
	missed atomic.Bool

	// kept are the mailboxes that could not take the push when it was accepted.
	// Nothing is pushed past it until they can find it in the store. Set by
	// Accept, read when the transaction is over.
	kept []*Mailbox
}

// confirm ends the delivery and reports whether its row has to be marked.
func (d *delivery) confirm() (mark bool) {
	if d.state.CompareAndSwap(accepted, confirmed) {
		return false
	}
	return d.state.CompareAndSwap(stored, confirmed)
}

// store claims the delivery for a transaction that starts now, and reports
// whether a row is needed.
func (d *delivery) store() bool { return d.state.CompareAndSwap(accepted, stored) }
