package store

import (
	"context"
	"errors"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// ErrUnavailable is wrapped by the error of a call that the database could not
// answer now: it is away, restarting, or out of time. Nothing is known to be
// wrong with what was asked, and the same call may succeed later.
var ErrUnavailable = errors.New("the database does not answer")

// ErrOutcome is wrapped, beside ErrUnavailable, by the error of a Commit of which
// nobody knows whether it was written: it must not be tried again as it is.
var ErrOutcome = errors.New("whether it was written is not known")

// ErrLeaseLost is returned by RenewNode for a node that is not registered any
// more: others have taken over what it held.
var ErrLeaseLost = errors.New("the node's lease is over")

// Shared is what a store offers to brokers that share it. Only the engines
// that several processes can open at once implement it.
//
// All methods may be called concurrently, by any number of processes.
type Shared interface {
	Nodes
	Roll
	Signals

	// ClaimSessionKey gives an unclaimed session key to a member, durably, and
	// returns the member that owns it: the key's own, unless another was first.
	ClaimSessionKey(ctx context.Context, k *SessionKey) (owner string, err error)

	// UseOnce is [SignIns.UseOnce].
	UseOnce(ctx context.Context, token [32]byte, until time.Time) (fresh bool, err error)

	// TryLock takes the lock with a name, for the one process at a time that
	// does what everybody's work is, such as a sweep. ok is false while another
	// process holds it. The lock ends with release, or with the connection to
	// the database that holds it.
	TryLock(ctx context.Context, name string) (release func(), ok bool, err error)

	// Waiting returns those of the keys that have a delivery waiting.
	Waiting(ctx context.Context, mesh string, keys []sdk.Key) ([]sdk.Key, error)
}

// MaxNodes is how many nodes can share a store at the same time: the number of
// slots, see [Node].
const MaxNodes = 1024

// Node is one broker process among those that share a store. It holds its
// registration as a lease: a node that does not renew it in time is taken for
// dead, and has to stop doing what only the holder may do.
type Node struct {
	ID        string // fresh with each start of a process
	Slot      int    // 0 to MaxNodes-1, unique among registered nodes
	Host      string // for operators to read
	Version   string // of the program
	StartedAt time.Time
	Expires   time.Duration // until the lease ends, by the database's clock; negative when it is over
}

// Nodes keeps the registrations of nodes. The database's clock alone decides
// whether a lease holds.
type Nodes interface {
	// RegisterNode takes a lease for ttl and gives the node a slot that no
	// registered node has: it sets n.Slot and n.Expires. It deletes
	// registrations that ended more than an hour ago. ErrConflict: the id is
	// registered. ErrExhausted: every slot is taken.
	RegisterNode(ctx context.Context, n *Node, ttl time.Duration) error

	// RenewNode prolongs a lease to ttl from now, also when it had ended and
	// nobody has deleted it. ErrLeaseLost.
	RenewNode(ctx context.Context, id string, ttl time.Duration) error

	// RemoveNode ends a registration. A node that is not there is no error.
	RemoveNode(ctx context.Context, id string) error

	// ListNodes returns every registration, also those whose lease has ended.
	ListNodes(ctx context.Context) ([]*Node, error)
}

// Roll reads the open presences of all nodes: the truth behind every node's
// directory. It is written through a Batch, where of two versions of a presence
// the higher one stays, so that a node that was away cannot overwrite what
// others did meanwhile.
type Roll interface {
	// OpenPresences returns id and version of every presence that is open.
	OpenPresences(ctx context.Context) (map[string]int64, error)

	// PresencesByID returns the rows with these ids, also ended ones. Ids
	// without a row are left out.
	PresencesByID(ctx context.Context, ids []string) ([]*Presence, error)
}

// Signal is something that every node, or one, has to do or to know and that
// must not be lost: end a session, forget a cached row.
type Signal struct {
	ID      int64  // in the order in which signals become visible
	Node    string // the node that it is for; empty for all
	Kind    string
	Payload []byte // JSON; the sender and the receiver agree on it
	At      time.Time
}

// Kinds of signals that the store itself appends, in the transaction of the
// change. Their payload is the id of the member or the mesh, as JSON.
const (
	SignalMember  = "member"  // the member's row has changed
	SignalRevoked = "revoked" // and it was revoked: its sessions have to end
	SignalMesh    = "mesh"    // the mesh's row has changed; when it was archived, its sessions have to end
)

// SignalNotice is the kind of signals that carry a frame for the sessions of a
// mesh. They are large, and of no use to anybody soon after, so that they are not
// kept as long as the others.
const SignalNotice = "notice"

// Signals is an ordered log that every node follows.
type Signals interface {
	// Signal appends. It sets ID and At. A signal never becomes visible before
	// one with a lower ID.
	Signal(ctx context.Context, s *Signal) error

	// SignalsAfter returns at most limit signals with a higher ID, in order,
	// whoever they are for.
	SignalsAfter(ctx context.Context, id int64, limit int) ([]*Signal, error)

	// LastSignal returns the highest ID, 0 when there is none.
	LastSignal(ctx context.Context) (int64, error)

	// PruneSignals deletes signals from before t: those of the kinds, or all
	// where none is named.
	PruneSignals(ctx context.Context, t time.Time, kinds ...string) (int64, error)
}
