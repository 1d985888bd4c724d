package feature

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// Reasons of requests about topics.
const (
	ReasonTopicNotFound    sdk.Reason = "topic_not_found"
	ReasonTopicNameTaken   sdk.Reason = "topic_name_taken"
	ReasonTopicUnencrypted sdk.Reason = "topic_unencrypted"
	ReasonKeyNotSealed     sdk.Reason = "key_not_sealed_for_member"
	ReasonAlreadyEncrypted sdk.Reason = "already_encrypted"
	ReasonNotInTopic       sdk.Reason = "recipient_not_in_topic"
)

// Limits of topics.
const (
	topicsPerMesh   = 1000
	topicsPerMember = 100 // that it created
	topicNameBytes  = 64
)

// The topic that each mesh has.
const (
	generalTopic       = "general"
	generalDescription = "Everybody in the mesh is here."
)

// TopicStore keeps topics.
type TopicStore interface {
	store.Topics
	Member(ctx context.Context, mesh string, key sdk.Key) (*store.Member, error)
}

// TopicBook says what becomes of topics, for requests over a socket and over HTTP.
// A call needs its envelope's mesh and sender. Methods may be called concurrently.
//
// Who may what: everybody sees public topics and reads them; of others, those who
// are in it or invited know, and those who are in it read. Who is in a topic sends,
// but for observers. Leads are those with that role, and the owner of the mesh and
// its admins where they are in it.
type TopicBook struct {
	store  TopicStore
	roster Roster
}

// NewTopicBook returns the book of the topics in a store.
func NewTopicBook(st TopicStore, who Roster) *TopicBook { return &TopicBook{st, who} }

var errNoTopic = core.Refuse(ReasonTopicNotFound,
	"invalid topic: the mesh has none of this id or name that you may see: topic_list has those that you may")

// topicAt is a topic as the member sees it that asks.
type topicAt struct {
	*store.Topic
	seat *store.Seat
}

// in reports whether the member is in the topic.
func (t *topicAt) in() bool { return t.seat.Standing == store.Seated }

// find returns a topic that the member may see, given by its id or name, with or
// without a # in front.
func (b *TopicBook) find(ctx context.Context, c *Call, idOrName string) (*topicAt, error) {
	topic, err := b.look(ctx, c.Env.Mesh, strings.TrimPrefix(idOrName, "#"))
	if err != nil {
		return nil, err
	}
	seat, err := b.store.Seat(ctx, topic, c.Env.Sender.MemberID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, errNoTopic
	case err != nil:
		return nil, core.Unavailable(err)
	case !mayKnow(topic, seat):
		return nil, errNoTopic
	}
	return &topicAt{topic, seat}, nil
}

// mayKnow reports whether a member may know that there is a topic.
func mayKnow(t *store.Topic, seat *store.Seat) bool {
	return t.Visibility == store.TopicPublic || seat.Standing == store.Seated || seat.Standing == store.Invited
}

// look returns a topic, whoever may see it, and makes the one that each mesh has.
func (b *TopicBook) look(ctx context.Context, mesh, idOrName string) (*store.Topic, error) {
	topic, err := b.store.FindTopic(ctx, mesh, idOrName)
	if errors.Is(err, store.ErrNotFound) && idOrName == generalTopic {
		topic, err = b.general(ctx, mesh)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, errNoTopic
	case err != nil:
		return nil, core.Unavailable(err)
	}
	return topic, nil
}

// general makes the topic that each mesh has. ErrNotFound: it is archived.
func (b *TopicBook) general(ctx context.Context, mesh string) (*store.Topic, error) {
	topic, _, err := b.store.CreateTopic(ctx, &store.Topic{
		ID: identity.NewID(), MeshID: mesh, Name: generalTopic, Description: generalDescription, Visibility: store.TopicPublic,
		Everybody: true, CreatedAt: time.Now(),
	}, nil, nil, store.Room{Mesh: 2 * topicsPerMesh, Member: 2 * topicsPerMesh})
	if err == nil && !topic.ArchivedAt.IsZero() {
		err = store.ErrNotFound
	}
	return topic, err
}

// List returns the topics that the member may see, by name. Where the mesh has no
// topic general yet, it makes it.
func (b *TopicBook) List(ctx context.Context, c *Call) ([]*store.TopicRow, error) {
	list, err := b.seen(ctx, c)
	if err != nil || slices.ContainsFunc(list, func(row *store.TopicRow) bool { return row.Topic.Name == generalTopic }) {
		return list, err
	}
	if _, err := b.general(ctx, c.Env.Mesh); errors.Is(err, store.ErrNotFound) {
		return list, nil
	} else if err != nil {
		return nil, core.Unavailable(err)
	}
	return b.seen(ctx, c)
}

func (b *TopicBook) seen(ctx context.Context, c *Call) ([]*store.TopicRow, error) {
	list, err := b.store.ListTopics(ctx, c.Env.Mesh, c.Env.Sender.MemberID, 2*topicsPerMesh)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	return list, nil
}

// Create makes a topic, with the member as its lead. One of that name that the
// member may see is returned as it is, and fresh is false; a public one it joins.
func (b *TopicBook) Create(ctx context.Context, c *Call, name, description string, visibility store.TopicVisibility) (*store.Topic, bool, error) {
	if err := CheckTopicName(name); err != nil {
		return nil, false, err
	}
	topic, err := b.look(ctx, c.Env.Mesh, name)
	if errors.Is(err, errNoTopic) {
		return b.create(ctx, c, &store.Topic{Name: name, Description: description, Visibility: visibility})
	}
	if err != nil {
		return nil, false, err
	}
	topic, err = b.recreate(ctx, c, topic, name)
	return topic, false, err
}

func (b *TopicBook) create(ctx context.Context, c *Call, t *store.Topic) (*store.Topic, bool, error) {
	if t.Visibility == "" {
		t.Visibility = store.TopicPublic
	}
	by := c.Env.Sender
	sealed, err := identity.NewTopicKey(by.Member)
	if err != nil {
		return nil, false, err
	}
	t.ID, t.MeshID, t.CreatorID, t.CreatedAt, t.KeyPubkey = identity.NewID(), c.Env.Mesh, by.MemberID, time.Now(), sealed.Pubkey
	lead := &store.Seat{TopicID: t.ID, MemberID: by.MemberID, Role: store.TopicLead, Standing: store.Seated, JoinedAt: t.CreatedAt}
	key := &store.TopicKey{
		TopicID: t.ID, MemberID: by.MemberID, Encrypted: sealed.Encrypted, Nonce: sealed.Nonce, CreatedAt: t.CreatedAt,
	}
	found, fresh, err := b.store.CreateTopic(ctx, t, lead, key, store.Room{Mesh: topicsPerMesh, Member: topicsPerMember})
	if err != nil {
		return nil, false, noRoom(err, "topics", "use those that are there")
	}
	if fresh {
		c.Env.Records = append(c.Env.Records, sdk.Record{Event: "topic_created", Payload: audit.Object(
			audit.String("topicId", found.ID), audit.String("visibility", string(found.Visibility)))})
		return found, true, nil
	}
	found, err = b.recreate(ctx, c, found, t.Name)
	return found, false, err
}

// recreate answers the creation of a topic that is there already.
func (b *TopicBook) recreate(ctx context.Context, c *Call, t *store.Topic, name string) (*store.Topic, error) {
	taken := core.Refuse(ReasonTopicNameTaken, "name: another topic has it: choose another name")
	if t.Name != name || !t.ArchivedAt.IsZero() {
		return nil, taken // it was found by its id, or is out of use
	}
	seen, err := b.find(ctx, c, t.ID)
	if errors.Is(err, errNoTopic) {
		return nil, taken
	}
	if err != nil {
		return nil, err
	}
	if !seen.in() && t.Visibility == store.TopicPublic {
		err = b.Join(ctx, c, t.ID, "")
	}
	return t, err
}

// invisible is what counts as printed and leaves nothing on a screen: a name with it
// looks like the one without.
var invisible = []*unicode.RangeTable{
	unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector,
	{R16: []unicode.Range16{{Lo: 0x2800, Hi: 0x2800, Stride: 1}}}, // a braille pattern without dots
}

// CheckTopicName refuses names that cannot be told from others, or be written
// behind a #.
func CheckTopicName(name string) error {
	ok := name != "" && len(name) <= topicNameBytes && utf8.ValidString(name) && strings.TrimSpace(name) == name &&
		!strings.HasPrefix(name, "#") && !strings.HasPrefix(name, "@")
	for _, r := range name {
		ok = ok && unicode.IsPrint(r) && !unicode.In(r, invisible...)
	}
	if !ok {
		return core.Refuse(sdk.ReasonInvalid, "name: want 1 to 64 bytes that can be printed, without spaces around them, and without # or @ in front")
	}
	return nil
}
