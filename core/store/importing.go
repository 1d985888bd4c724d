package store

import (
	"context"
	"iter"
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/sdk"
)

// Importer takes over meshes of another database.
type Importer interface {
	// ImportMesh writes what is not here yet of one mesh, in one transaction:
	// an error means that nothing of it was written. Rows that are here stay as
	// they are, so that the same copy may be imported again and again.
	//
	// No broker may run on the store meanwhile: it would not hear of the rows.
	ImportMesh(ctx context.Context, c *MeshCopy) (*ImportResult, error)
}

// MeshCopy is one mesh as another database has it. Its rows were checked by
// whoever made it, keys occur once, and secrets are sealed.
type MeshCopy struct {
	Accounts    []*Account // that the rows below name
	Mesh        *Mesh
	Members     []*Member
	Invites     []*Invite
	States      []*State
	Values      []*Value
	Memories    []*Memory
	Contexts    []*Context
	Tasks       []*Task // whose members are known by their names only
	Schedules   []*Schedule
	SessionKeys []*SessionKey

	Topics    []*Topic
	Seats     []*Seat // of those topics
	TopicKeys []*TopicKey

	Streams  []*Stream
	Skills   []*Skill
	Vault    []*VaultEntry
	APIKeys  []*APIKey  // good ones
	Webhooks []*Webhook // without an earlier secret

	// Audit are the entries by rising id, with their hashes, which are kept as
	// they are, right or wrong. They may be asked for twice.
	Audit iter.Seq2[*audit.Entry, error]

	// Messages are what waits, oldest first, and asked for once, after Audit.
	Messages iter.Seq2[*MessageCopy, error]

	// History are the messages of the topics, without a Seq, oldest first, and
	// Notifications what they had to say. Each is asked for once, in this order
	// and before Messages; nil for none.
	History       iter.Seq2[*TopicMessage, error]
	Notifications iter.Seq2[*Notification, error]

	Now time.Time // messages that are too old by then need not be remembered

	// Rehearse rolls everything back, and reports what would have happened.
	Rehearse bool
}

// MessageCopy is a message that waits for its recipients. The import gives it
// its Seq.
type MessageCopy struct {
	Message    *Message
	Recipients []Delivery // without a Seq
}

// ImportResult is what became of a MeshCopy.
type ImportResult struct {
	New  bool   // the mesh was not here
	Slug string // that the mesh has here; not the copy's when that one was taken

	Accounts, Members, Invites, States, Values, Memories, Contexts, Tasks, Schedules, SessionKeys, Messages Imported

	Topics, Seats, TopicKeys, History, Notifications, Streams, Skills, Vault, APIKeys, Webhooks Imported

	// Audit counts entries. Missing ones were not appended, because the chain
	// here has grown by itself since it was imported.
	Audit   Imported
	Missing int64

	Conflicts []ImportConflict
}

// Imported counts the rows of one table.
type Imported struct {
	Added   int64
	Present int64 // here already, and left alone
}

// count adds a row.
func (n *Imported) count(added bool) {
	if added {
		n.Added++
	} else {
		n.Present++
	}
}

// ImportConflict is a row of the copy that differs from what is here.
type ImportConflict struct {
	Kind string // member, invite, topic, API key or webhook
	ID   string
	Why  string
	Here bool // the row is here; otherwise another one has its place
}

// ImportTx is one transaction of an engine, for [Import]. The Put methods write
// a row unless one with the same key is here, and report whether they did.
type ImportTx interface {
	ImportTopicsTx

	PutAccount(ctx context.Context, a *Account) (bool, error)

	// MeshSlug returns the slug of a mesh. ErrNotFound.
	MeshSlug(ctx context.Context, id string) (string, error)
	PutMesh(ctx context.Context, m *Mesh) (bool, error)

	// MemberByKey returns a member's id and when it was revoked. ErrNotFound.
	MemberByKey(ctx context.Context, mesh string, k sdk.Key) (id string, revoked time.Time, err error)
	PutMember(ctx context.Context, m *Member) (bool, error)

	// HasInvite reports whether an invite is here under its id.
	HasInvite(ctx context.Context, mesh, id string) (bool, error)
	PutInvite(ctx context.Context, inv *Invite) (bool, error)

	PutState(ctx context.Context, st *State) (bool, error)
	PutValue(ctx context.Context, v *Value) (bool, error)

	// PutMemory writes nothing for a memory that was forgotten here, either.
	PutMemory(ctx context.Context, m *Memory) (bool, error)
	PutContext(ctx context.Context, c *Context) (bool, error)
	PutTask(ctx context.Context, t *Task) (bool, error)
	PutSchedule(ctx context.Context, s *Schedule) (bool, error)
	PutSessionKey(ctx context.Context, k *SessionKey) (bool, error)

	PutStream(ctx context.Context, st *Stream) (bool, error)
	PutSkill(ctx context.Context, sk *Skill) (bool, error)
	PutVaultEntry(ctx context.Context, e *VaultEntry) (bool, error)
	PutAPIKey(ctx context.Context, k *APIKey) (bool, error)
	PutWebhook(ctx context.Context, w *Webhook) (bool, error)

	// LiveMember reports whether a mesh has a member that is not revoked.
	LiveMember(ctx context.Context, mesh, id string) (bool, error)

	// Adopted reports whether a row was imported, which may have been deleted here
	// since. SetAdopted remembers it for good.
	Adopted(ctx context.Context, mesh, kind, id string) (bool, error)
	SetAdopted(ctx context.Context, mesh, kind, id string) error

	// AuditHead locks the mesh's chain and returns its end, a zero Head with
	// the MeshID when nothing was appended yet.
	AuditHead(ctx context.Context, mesh string) (*audit.Head, error)
	SetAuditHead(ctx context.Context, h *audit.Head) error
	PutAudit(ctx context.Context, entries []*audit.Entry) error

	// AuditHash returns the hash of one entry, empty when it is not here.
	AuditHash(ctx context.Context, mesh string, id int64) (string, error)

	// Adopt remembers a message's id until the given time, and reports whether
	// it was not remembered yet. Messages are deleted when they have arrived;
	// this outlives them.
	Adopt(ctx context.Context, mesh, id string, until time.Time) (fresh bool, err error)

	// SeqTaken reports whether a message, the memory of one, or a message in the
	// history of a topic has this Seq.
	SeqTaken(ctx context.Context, seq int64) (bool, error)
	PutMessage(ctx context.Context, m *Message, recipients []Delivery) (bool, error)
}

// ImportTopicsTx is the part of an [ImportTx] that is about topics.
type ImportTopicsTx interface {
	// Topic returns the topic of a mesh with this id, else the one with this name,
	// archived ones too. ErrNotFound.
	Topic(ctx context.Context, mesh, id, name string) (*Topic, error)
	PutTopic(ctx context.Context, t *Topic) (bool, error)
	PutSeat(ctx context.Context, s *Seat) (bool, error)

	// PutTopicKey writes nothing for a member that is not seated.
	PutTopicKey(ctx context.Context, k *TopicKey) (bool, error)

	HasTopicMessage(ctx context.Context, topicID, id string) (bool, error)
	PutTopicMessage(ctx context.Context, h *TopicMessage) error

	// PutNotification writes nothing where the message is not in the history.
	PutNotification(ctx context.Context, n *Notification) (bool, error)
}
