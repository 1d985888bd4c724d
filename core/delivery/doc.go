// Package delivery keeps the promise behind an ack: what is acknowledged
// arrives, in order, and is repeated until its recipient has confirmed it.
//
// A message is one envelope that was accepted. It has one delivery for each
// key that it is addressed to. A delivery walks through these states; each
// arrow has one owner, and nobody else moves a delivery along it:
//
//	            Accept
//	              │
//	              ▼           (a) recipient confirmed before the transaction started
//	          ┌────────┐ ───────────────────────────────────────────┐
//	          │accepted│                                            │
//	          └────────┘                                            ▼
//	           │      │ (b) its transaction starts: the row is     ┌─────────┐
//	       (e) │      ▼     written                                │confirmed│
//	           │  ┌────────┐ ── (c) recipient confirmed: mark the ▶└─────────┘
//	           │  │ stored │        row
//	           │  └────────┘ ── (d) its time is over ──▶ expired
//	           │      ▲
//	           ▼      │ (f) its hold is over
//	      ┌──────────┐│
//	      │held until│┘
//	      └──────────┘
//
//	(a), (c) Mailbox.confirm    (b), (e) Acceptance.Fill
//	(d) Engine.Prune, in the store    (f) Engine.releaseDue, in the store
//
// A message that a stage holds back until a time is pushed to nobody when it is
// accepted. Its rows are written with that time, out of what drains read, and
// its time to live counts from then. When they are due they are stored like all
// others: whoever may have them is told, and everything below holds. Held
// messages of one time are released in the order in which they were accepted,
// and one that was not held goes by. A timer waits for the earliest hold that
// this node knows; a poll, and the start, find those of nodes that are gone.
//
// Whether a delivery is on its way is not a state of the row but of the
// connection: a [Mailbox] remembers what it has pushed and what of it is not
// confirmed. When the connection ends, that memory goes ("returned"), and the
// row is drained again at the next chance: when the session returns, when
// another session of the member is here, when a busy recipient becomes idle,
// when a confirmation takes too long. A push that is repeated carries the same
// message id.
//
// What can be pushed at once is pushed at once, before the transaction, because
// the sender's ack waits for the disk and the recipient need not. A message
// that has to wait, because its recipient is away, busy, or still taking older
// messages, is drained from the store after its transaction, most urgent first,
// then oldest first. A mailbox that is behind takes nothing around the drain,
// so order is kept.
//
// How a push is confirmed depends on the client. Those that send client_ack
// confirm by message id. For all others the pong counts that answers a ping
// written behind the push: frames arrive in order and pongs are automatic, so
// unmodified clients get at-least-once delivery too.
package delivery
