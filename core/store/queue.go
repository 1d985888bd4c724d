package store

import (
	"context"
	"strings"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// Message is an accepted envelope with its sealed body. It is stored once,
// whatever the number of recipients.
type Message struct {
	// Seq orders messages, and is the row's key; see [SeqAt].
	Seq int64

	ID              string // on the wire; 32 characters of [A-Za-z0-9]
	MeshID          string
	SenderMemberID  string
	SenderMember    sdk.Key
	SenderSession   sdk.Key // zero when the sender's session has no key
	SenderName      string
	TargetSpec      string
	Priority        sdk.Priority
	Nonce           string // opaque
	Ciphertext      string // opaque
	ClientMessageID string // the sender's own id; "" when it gave none
	Fingerprint     string // opaque; compared when ClientMessageID repeats
	ReplyTo         string
	Trace           string // W3C traceparent
	Traced          bool   // brokers make spans of what becomes of it

	// Extra is nil for most. It is shared, and never changed.
	Extra *Extra

	// AcceptedAt is when the chain let a traced message through; zero for others,
	// and not stored.
	AcceptedAt time.Time

	CreatedAt time.Time
	ExpiresAt time.Time

	// NotBefore is until when the message's deliveries are held back, in whole
	// milliseconds; zero for most. It is kept with them, see [Batch], and does
	// not come back with a message that is read.
	NotBefore time.Time
}

// tracedMark stands behind the stored traceparent of a message that is traced:
// what a sender asks for, and brokers decided against, has the same flags.
const tracedMark = " traced"

// StoredTrace returns what the column of a message's trace holds.
func (m *Message) StoredTrace() string {
	if m.Traced {
		return m.Trace + tracedMark
	}
	return m.Trace
}

// SetStoredTrace sets the message's trace from the column.
func (m *Message) SetStoredTrace(column string) {
	m.Trace, m.Traced = strings.CutSuffix(column, tracedMark)
}

// SeqAt returns the lowest Seq of a message that is accepted at t: microseconds
// of the broker's clock, times [MaxNodes]. The node's slot is added to it, so that
// no two nodes make the same.
func SeqAt(t time.Time) int64 { return t.UnixMicro() * MaxNodes }

// Delivery is one recipient's claim on a message: one small row.
type Delivery struct {
	Seq       int64
	Recipient sdk.Key // session key or member key that the message is addressed to
	MemberID  string  // the member behind Recipient
}

// Settlement marks a delivery as finished.
type Settlement struct {
	Seq       int64
	Recipient sdk.Key
	At        time.Time
}

// Sent answers "was this client_message_id accepted before?".
type Sent struct {
	MessageID   string
	Fingerprint string
}

// Status is what message_status reports.
type Status struct {
	Message    *Message // without nonce and ciphertext
	Deliveries []DeliveryStatus
}

// DeliveryStatus is one recipient of a Status.
type DeliveryStatus struct {
	Recipient   sdk.Key
	MemberID    string
	DeliveredAt time.Time // zero while it waits
	Expired     bool
}

// Queue reads what has to arrive. It is written through a Batch.
//
// A row leaves the pending set in two ways only: by the Settlement of its
// delivery or by expiry. A row that is held back enters the set when it is
// released.
type Queue interface {
	Holds

	// Pending returns what a drain asks for.
	Pending(ctx context.Context, d Drain) ([]Waiting, error)

	// FindSent returns what an earlier send of the same member with the same
	// client_message_id became. ErrNotFound.
	FindSent(ctx context.Context, mesh, memberID, clientMessageID string) (*Sent, error)

	// MessageStatus finds messages of a mesh by id or by a prefix of it, at
	// most two: the second means that the prefix is ambiguous.
	MessageStatus(ctx context.Context, mesh, idPrefix string) ([]*Status, error)

	// LastSeq returns the highest Seq ever stored, 0 for none.
	LastSeq(ctx context.Context) (int64, error)

	// QueueDepth counts deliveries that wait, those that are held back too, and
	// returns the acceptance time of the oldest, zero when none waits.
	QueueDepth(ctx context.Context) (n int64, oldest time.Time, err error)

	// Expire ends at most limit deliveries whose message does not last beyond
	// now, and returns how many.
	Expire(ctx context.Context, now time.Time, limit int) (int64, error)

	// PruneQueue deletes at most limit messages that have nothing waiting and
	// were accepted before t, and at most limit memories of client_message_ids
	// as old. It returns the sum: less than limit means that nothing is left.
	PruneQueue(ctx context.Context, t time.Time, limit int) (int64, error)
}

// Drain asks for messages that wait for any of the keys in a mesh, with the key
// each one is addressed to, most urgent first, then oldest first.
type Drain struct {
	Mesh  string
	Keys  []sdk.Key
	Max   sdk.Priority // the least urgent priority that is wanted
	After Cursor       // the last row of the batch before; zero for the first batch
	Now   time.Time    // what expired by then is left out
	Limit int
}

// Cursor is a place in the order of a drain: by priority, then age, then key.
// The zero Cursor is before everything.
type Cursor struct {
	Priority  sdk.Priority
	Seq       int64
	Recipient sdk.Key
}

// Waiting is one pending delivery with its message.
type Waiting struct {
	Message   *Message
	Recipient sdk.Key
}
