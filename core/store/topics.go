package store

import (
	"context"
	"time"

	"github.com/claudemesh/broker/sdk"
)

// TopicVisibility says who knows of a topic. The words are the wire's.
type TopicVisibility string

// Visibilities. Of a private topic and of a dm only its members know, and those
// who are invited.
const (
	TopicPublic  TopicVisibility = "public"
	TopicPrivate TopicVisibility = "private"
	TopicDM      TopicVisibility = "dm"
)

// TopicRole is what a member may do in a topic. The words are the wire's.
type TopicRole string

// Roles. A lead invites, removes and changes roles; an observer sends nothing.
const (
	TopicLead     TopicRole = "lead"
	TopicMember   TopicRole = "member"
	TopicObserver TopicRole = "observer"
)

// Topic is a conversation in a mesh.
type Topic struct {
	ID          string
	MeshID      string
	Name        string // unique in its mesh, those of archived topics too
	Description string
	Visibility  TopicVisibility
	CreatorID   string // member; "" when the broker made it, or nobody knows
	KeyPubkey   string // x25519 key, in hex, that copies of the topic's key are sealed with; "" for a topic without a key
	Everybody   bool   // each live member of the mesh has a seat, unless it left
	CreatedAt   time.Time
	ArchivedAt  time.Time // zero while the topic is in use
}

// Standing is how a member stands to a topic.
type Standing string

// Standings.
const (
	NoSeat  Standing = ""        // the topic is nothing to the member
	Seated  Standing = "joined"  // it is a member of the topic
	Invited Standing = "invited" // it may become one
	LeftIt  Standing = "left"    // it left a topic that everybody has a seat in
)

// Seat is a member's place in a topic.
type Seat struct {
	TopicID    string
	MemberID   string
	Key        sdk.Key // of the member
	Name       string  // display name of the member
	Role       TopicRole
	Standing   Standing
	JoinedAt   time.Time
	LastReadAt time.Time // zero when it has read nothing
}

// TopicRow is a topic as one member sees it.
type TopicRow struct {
	Topic   *Topic
	Seat    *Seat // of that member; nil when it has none
	Members int   // that are seated
	Unread  int   // messages of others since it read last, at most [MostUnread]; 0 without a seat
}

// MostUnread is how far unread messages of a topic are counted.
const MostUnread = 1000

// TopicMessage is a message in the history of a topic.
type TopicMessage struct {
	// Message is the accepted envelope. Of one that is read, these are set: Seq,
	// ID, MeshID, the sender's four, Nonce, Ciphertext and CreatedAt.
	Message *Message

	TopicID     string
	BodyVersion int    // 1 plain, 2 sealed with the topic's key
	ReplyTo     string // id of a message of the same topic; "" for none

	// ShownAt is when others get to see it: when its hold is over, or at once.
	ShownAt time.Time

	// Mentions are the ids of members that get a [Notification]. They do not come
	// back with a message that is read.
	Mentions []string
}

// TopicKey is a topic's key, sealed for one member.
type TopicKey struct {
	TopicID   string
	MemberID  string
	Encrypted string // as clients read it: base64 of the sender's x25519 key and the sealed key
	Nonce     string // base64
	CreatedAt time.Time
}

// NotificationMention is the kind of notifications of members that a message
// mentions.
const NotificationMention = "mention"

// Notification tells a member that a message of a topic concerns it.
type Notification struct {
	ID        string // of the message and the member together
	MeshID    string
	TopicID   string
	Topic     string // the topic's name
	MessageID string
	MemberID  string // whom it tells
	SenderID  string // member
	Sender    string // its name at that time
	Kind      string
	CreatedAt time.Time
	ReadAt    time.Time // zero while it is not read
}

// TopicQuery asks for messages of a topic.
type TopicQuery struct {
	TopicID string
	Before  string    // id of a message: older ones, the newest first
	After   string    // id of a message: newer ones, the oldest first; Before is not looked at
	Except  []string  // members whose messages are left out
	Now     time.Time // what is shown later is left out
	Limit   int
}

// TopicRoom is how much of the history of topics is kept. The newest messages
// stay.
type TopicRoom struct {
	Topic int       // messages of a topic
	Mesh  int       // messages of a mesh
	Bytes int64     // of the texts of a mesh's messages
	Since time.Time // older messages go in any case
}

// PruneAtOnce bounds one transaction that deletes history: commits wait for it.
const PruneAtOnce = 1000

// Topics keeps topics, with their members, keys, history and notifications. The
// history is written through a [Batch].
type Topics interface {
	// CreateTopic writes a topic with the seat and the key of its creator, either
	// nil for none. Where the mesh has a topic with this name, an archived one too,
	// that is returned, nothing is written and fresh is false. A [*FullError] when
	// there is no room: a member's is for topics that it created.
	CreateTopic(ctx context.Context, t *Topic, seat *Seat, key *TopicKey, room Room) (found *Topic, fresh bool, err error)

	// FindTopic returns the topic of a mesh with this id, else the one with this
	// name. ErrNotFound, also when it is archived.
	FindTopic(ctx context.Context, mesh, idOrName string) (*Topic, error)

	// ListTopics returns at most limit topics that a member may know of, by name.
	ListTopics(ctx context.Context, mesh, memberID string, limit int) ([]*TopicRow, error)

	// Seat returns how a live member of the mesh stands to a topic: [NoSeat] when
	// the topic is nothing to it. ErrNotFound: there is no such member.
	Seat(ctx context.Context, t *Topic, memberID string) (*Seat, error)

	// Seats returns the live members that are seated in a topic, by name.
	Seats(ctx context.Context, t *Topic) ([]*Seat, error)

	// ChangeSeat lets change edit role, standing and the time of joining of a seat,
	// in one transaction with reading it: nobody changes a seat of the topic
	// meanwhile, on any node. Who is not seated any more loses its copy of the
	// key. Where no lead is left, who is seated longest, and no observer if there
	// is another one, becomes one. When the last one leaves, the topic is deleted,
	// unless everybody has a seat in it; its history goes with [Topics].PruneTopics.
	// An error of change is returned as it is, and
	// nothing is written. change may run more than once, and must not call the
	// store. ErrNotFound: there is no such live member, or the topic is gone.
	ChangeSeat(ctx context.Context, t *Topic, memberID string, change func(*Seat) error) (*Seat, error)

	// EndTopics deletes at most limit topics in which nobody is seated but members
	// that were revoked before a time, and returns how many. Those in which everybody
	// has a seat stay. The history goes with [Topics].PruneTopics.
	EndTopics(ctx context.Context, revoked time.Time, limit int) (int64, error)

	// ReadTopic notes that a member that is seated has read a topic up to now. A
	// later time stays. ErrNotFound: it is not seated.
	ReadTopic(ctx context.Context, t *Topic, memberID string, at time.Time) error

	// TopicHistory returns messages. An id that the topic does not have finds none.
	TopicHistory(ctx context.Context, q TopicQuery) ([]*TopicMessage, error)

	// HasTopicMessage reports whether the history of a topic has a message.
	HasTopicMessage(ctx context.Context, topicID, id string) (bool, error)

	// TopicKey returns a member's copy of a topic's key. ErrNotFound.
	TopicKey(ctx context.Context, topicID, memberID string) (*TopicKey, error)

	// UnsealedSeats returns at most limit members that are seated in a topic and
	// have no copy of its key, those first that joined first.
	UnsealedSeats(ctx context.Context, t *Topic, limit int) ([]*Seat, error)

	// SealTopicKey writes a member's copy of a topic's key. ErrNotFound: the member
	// is not seated. ErrConflict: it has one.
	SealTopicKey(ctx context.Context, t *Topic, k *TopicKey) error

	// ClaimTopicKey gives a key to a topic that has none, with the copy of the
	// member that made it. Where no live member has a copy of its key any more, the
	// new one takes its place. ErrConflict: it has one.
	ClaimTopicKey(ctx context.Context, t *Topic, pubkey string, k *TopicKey) error

	// Notifications returns at most limit notifications of a member, or only those
	// that it has not read, the newest first.
	Notifications(ctx context.Context, mesh, memberID string, unread bool, now time.Time, limit int) ([]*Notification, error)

	// ReadNotifications notes that a member has read notifications: those with the
	// ids, or all where none is given. It returns how many were not read before.
	ReadNotifications(ctx context.Context, mesh, memberID string, ids []string, at time.Time) (int64, error)

	// PruneTopics deletes at most limit messages that there is no room for, or whose
	// topic is gone, with their notifications, and returns how many. Less than limit
	// means that nothing is left to delete. It looks at all of the history once, and
	// deletes in transactions of [PruneAtOnce].
	PruneTopics(ctx context.Context, room TopicRoom, limit int) (int64, error)
}

// At completes a seat that an engine has read: of who has no row, whose role and
// standing are empty, the topic says what it is.
func (s *Seat) At(t *Topic) *Seat {
	s.TopicID = t.ID
	switch {
	case s.Standing != NoSeat:
	case t.Everybody:
		s.Role, s.Standing = TopicMember, Seated
	default:
		s.JoinedAt = time.Time{}
	}
	return s
}
