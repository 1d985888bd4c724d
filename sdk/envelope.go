package sdk

import (
	"context"
	"time"
)

// Kind is the type of an envelope: the frame's "type" for what a peer asks,
// "http.…" for what an HTTP caller asks, and "event.…" for what the broker
// itself announces to observers.
type Kind string

// Kinds that stages of this module name. The whole list is docs/messages.md.
const (
	KindHello        Kind = "hello"
	KindSessionHello Kind = "session_hello"
	KindSend         Kind = "send"
	KindClientAck    Kind = "client_ack"
	KindJoin         Kind = "http.join"
	KindPeerLeft     Kind = "event.peer_left" // announced when a session's grace ends
)

// Priority says how urgent a message is. It orders a drain, and it decides
// whether a busy recipient is disturbed.
type Priority uint8

// Priorities, most urgent first. Values are stored and cross the plugin
// boundary: append only, never reorder.
const (
	PriorityNow  Priority = iota // delivered whatever the recipient does
	PriorityNext                 // delivered when the recipient is idle; the default
	PriorityLow                  // like next, after every next
)

// ParsePriority reads "now", "next" or "low"; an empty text is next.
func ParsePriority(s string) (Priority, bool) {
	switch s {
	case "now":
		return PriorityNow, true
	case "next", "":
		return PriorityNext, true
	case "low":
		return PriorityLow, true
	}
	return 0, false
}

// String returns the priority's form on the wire.
func (p Priority) String() string {
	switch p {
	case PriorityNow:
		return "now"
	case PriorityLow:
		return "low"
	default:
		return "next"
	}
}

// Sender is who an envelope comes from. It is empty until the auth stage has
// proved it, except for the connection.
type Sender struct {
	MemberID string // the member's row; empty before auth
	Member   Key    // the member's lasting key
	Session  Key    // the session's key; zero when the session has none
	Name     string // display name
	Conn     uint64 // the connection, unique in this process; 0 for HTTP and events
	Remote   string // network address, without a port
}

// Routing returns the key that others reach this sender by: the session key
// where there is one, else the member key.
func (s *Sender) Routing() Key {
	if s.Session.IsZero() {
		return s.Member
	}
	return s.Session
}

// Recipient is one that an envelope is for: a session, or, when Session is
// zero, every session of a member.
type Recipient struct {
	MemberID string
	Member   Key
	Session  Key
}

// Resolver finds out whom a target means at this moment.
//
// It appends to dst and returns it, so that a caller can lend its buffer. An
// error is a failure of the directory; nobody meant is no error.
type Resolver interface {
	Resolve(ctx context.Context, env *Envelope, dst []Recipient) ([]Recipient, error)
}

// Attribute is a note that a stage leaves on an envelope for later stages and
// for observers.
type Attribute struct{ Key, Value string }

// Record is one line for the audit log: an event and its payload, a JSON
// object in the log's canonical form. It is written in the same transaction as
// the envelope's own effects.
type Record struct {
	Event   string
	Payload []byte
}

// Envelope is one request on its way through the chain. The body stays sealed:
// stages see who, to whom, when and how large.
//
// One goroutine owns an envelope at a time, and a stage must keep neither the
// envelope nor anything it points to after Handle or Done returned: the broker
// uses it again.
type Envelope struct {
	Kind      Kind
	Mesh      string // mesh id; before auth, the one that the caller claims
	Sender    Sender
	Target    Target // zero for kinds without one
	Priority  Priority
	Size      int       // bytes of the frame or the HTTP body
	Arrived   time.Time // broker's clock
	MessageID string    // the broker's id of a message; empty for other kinds
	Trace     string    // W3C traceparent: the sender's as it came, or, where the envelope is traced, that of its own span; may be empty

	// HoldUntil holds a message back: it is accepted, acknowledged and queued as
	// any other, and delivered no sooner. Zero, or a time that is over: deliver
	// now. Stages set it with [Envelope.Hold]. It has no effect on kinds other
	// than send, and a hold of more than a year counts as a year.
	HoldUntil time.Time

	// Attributes are what earlier stages noted.
	Attributes []Attribute

	// Records is what recorders want in the audit log.
	Records []Record

	// Body is the decoded request in the broker's own types. Only stages that
	// are built into the broker may look; plugins never see it.
	Body any

	// Directory resolves the target; set by the broker before the chain runs.
	Directory Resolver

	audience  []Recipient
	resolved  bool
	narrowed  int
	recipient [1]Recipient // holds the usual audience without an allocation
}

// Audience returns the recipients that the target means and no stage has left
// out so far. The first call resolves the target; later calls return the same
// list, so what one stage saw is what the next one narrows and what route
// delivers to. Nil for kinds without a target.
func (e *Envelope) Audience(ctx context.Context) ([]Recipient, error) {
	if e.resolved || e.Target.Kind == TargetNone || e.Directory == nil {
		return e.audience, nil
	}
	list, err := e.Directory.Resolve(ctx, e, e.recipient[:0])
	if err != nil {
		return nil, err
	}
	e.audience, e.resolved = list, true
	return list, nil
}

// SetAudience gives the envelope a ready audience, so that Audience resolves
// nothing. It is for whoever runs stages outside the broker: the host of a
// plugin, a test. The envelope keeps list, and Narrow writes to it.
func (e *Envelope) SetAudience(list []Recipient) {
	e.audience, e.resolved = list, true
}

// Narrow leaves out of the resolved audience whoever keep returns false for,
// and returns how many it left out. An audience can only shrink: no stage can
// add a recipient.
func (e *Envelope) Narrow(keep func(*Recipient) bool) int {
	kept := e.audience[:0]
	for i := range e.audience {
		if keep(&e.audience[i]) {
			kept = append(kept, e.audience[i])
		}
	}
	out := len(e.audience) - len(kept)
	e.audience = kept
	e.narrowed += out
	return out
}

// Narrowed returns how many recipients stages have left out so far.
func (e *Envelope) Narrowed() int { return e.narrowed }

// Hold holds a message back until a time, or longer where an earlier stage asked
// for that: no stage can shorten what another one wants.
func (e *Envelope) Hold(until time.Time) {
	if until.After(e.HoldUntil) {
		e.HoldUntil = until
	}
}

// Note adds an attribute.
func (e *Envelope) Note(key, value string) {
	e.Attributes = append(e.Attributes, Attribute{key, value})
}

// Reset makes the envelope ready for the next request and keeps its buffers.
func (e *Envelope) Reset() {
	attributes, records := e.Attributes[:0], e.Records[:0]
	clear(e.Records)
	*e = Envelope{Attributes: attributes, Records: records}
}
