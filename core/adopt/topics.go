package adopt

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"iter"
	"slices"

	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
)

// generalTopic is the topic that each mesh has, with everybody in it.
const generalTopic = "general"

// maxTopics is how many topics a mesh may have. Lists count on it.
const maxTopics = 1000

// Bytes of a topic's key, as copies of it are sealed.
const (
	topicPubkeyBytes = 32
	topicNonceBytes  = 24
	topicKeyBytes    = 32 + 32 + 16 // the sender's key, the topic's key and a tag
)

// readTopics reads topics, who is in them, and the keys.
func (w *work) readTopics(ctx context.Context, c *store.MeshCopy) (err error) {
	if c.Topics, err = w.topicRows(ctx); err != nil {
		return err
	}
	if c.Seats, err = w.seats(ctx); err != nil {
		return err
	}
	c.Topics = slices.DeleteFunc(c.Topics, w.unseen)
	c.TopicKeys, err = w.topicKeys(ctx)
	return err
}

// topicRows returns the topics, archived ones too, general and the oldest ones
// where there are too many.
func (w *work) topicRows(ctx context.Context) (list []*store.Topic, err error) {
	w.topics = make(map[string]*store.Topic)
	for row, err := range w.src.read(ctx, "topic", "WHERE t.mesh_id = $1 ORDER BY t.name <> $2, t.created_at, t.id", w.id, generalTopic) {
		if err != nil {
			return nil, err
		}
		if len(list) == maxTopics {
			w.notes.skipped("topic", row.text("id"), "a mesh has 1000 topics, and there are older ones")
			continue
		}
		if t := w.topic(row); t != nil {
			w.topics[t.ID] = t
			list = append(list, t)
		}
	}
	return list, nil
}

// unseen reports whether nobody could see a topic, which would be in the way of
// its name for ever.
func (w *work) unseen(t *store.Topic) bool {
	if t.Visibility == store.TopicPublic {
		return false
	}
	for at := range w.seated {
		if at.topic == t.ID {
			return false
		}
	}
	w.notes.skipped("topic", t.ID, "only its members see it, and none of them is imported")
	delete(w.topics, t.ID)
	return true
}

// topic makes our row, nil for one that has no name here.
func (w *work) topic(row record) *store.Topic {
	t := &store.Topic{
		ID: row.text("id"), MeshID: w.id, Name: row.text("name"), Description: row.text("description"),
		Visibility: store.TopicVisibility(row.text("visibility")), CreatorID: w.writer(row.text("created_by_member_id")),
		CreatedAt: row.timeOr("created_at", w.o.Now), ArchivedAt: row.since("archived_at", w.o.Now),
	}
	if t.Visibility != store.TopicPublic && t.Visibility != store.TopicDM {
		t.Visibility = store.TopicPrivate
	}
	t.Everybody = t.Name == generalTopic && t.Visibility == store.TopicPublic && t.ArchivedAt.IsZero()
	if feature.CheckTopicName(t.Name) != nil || t.Name == generalTopic && !t.Everybody {
		t.Name = "topic-" + t.ID
		if feature.CheckTopicName(t.Name) != nil {
			w.notes.skipped("topic", t.ID, "its name is none that a topic can have here")
			return nil
		}
		w.notes.changed("topic", t.ID, "it has its id in its name now, since that was none that it can have here")
	}
	if key := row.text("encrypted_key_pubkey"); key != "" {
		if b, err := hex.DecodeString(key); err != nil || len(b) != topicPubkeyBytes {
			w.notes.changed("topic", t.ID, "its key is none, and it has none now")
		} else {
			t.KeyPubkey = hex.EncodeToString(b)
		}
	}
	return t
}

// place is a member in a topic.
type place struct{ topic, member string }

// seats returns who is in topics.
func (w *work) seats(ctx context.Context) (list []*store.Seat, err error) {
	w.seated = make(map[place]bool)
	for row, err := range w.ofTopics(ctx, "topic_member", "t.joined_at, t.id") {
		if err != nil {
			return nil, err
		}
		t, at := w.topics[row.text("topic_id")], place{row.text("topic_id"), w.writer(row.text("member_id"))}
		switch {
		case t == nil || at.member == "":
			w.notes.skipped("seat", row.text("id"), "its topic or its member is not imported")
			continue
		case w.seated[at]:
			w.notes.skipped("seat", row.text("id"), "its member has an older one in the topic")
			continue
		}
		w.seated[at] = true
		list = append(list, &store.Seat{
			TopicID: t.ID, MemberID: at.member, Role: roleIn(t, row.text("role")), Standing: store.Seated,
			JoinedAt: row.timeOr("joined_at", w.o.Now), LastReadAt: row.since("last_read_at", w.o.Now),
		})
	}
	return list, nil
}

// roleIn returns what a member is in a topic. The owner of the mesh and its admins
// lead the topic that everybody is in; there anybody could.
func roleIn(t *store.Topic, role string) store.TopicRole {
	switch r := store.TopicRole(role); {
	case r == store.TopicObserver, r == store.TopicLead && !t.Everybody:
		return r
	default:
		return store.TopicMember
	}
}

// topicKeys returns the copies of keys that can be opened by whom they are for.
func (w *work) topicKeys(ctx context.Context) (list []*store.TopicKey, err error) {
	copied := make(map[place]bool)
	for row, err := range w.ofTopics(ctx, "topic_member_key", "t.created_at, t.id") {
		if err != nil {
			return nil, err
		}
		k := &store.TopicKey{
			TopicID: row.text("topic_id"), MemberID: w.writer(row.text("member_id")), Encrypted: row.text("encrypted_key"),
			Nonce: row.text("nonce"), CreatedAt: row.timeOr("created_at", w.o.Now),
		}
		at := place{k.TopicID, k.MemberID}
		switch t := w.topics[k.TopicID]; {
		case t == nil || t.KeyPubkey == "" || !w.seated[at]:
			w.notes.skipped("topic key", row.text("id"), "its topic is not imported or has no key, or its member is not in it")
		case !holds(k.Encrypted, topicKeyBytes) || !holds(k.Nonce, topicNonceBytes):
			w.notes.skipped("topic key", row.text("id"), "it has not the form of a sealed key")
		case copied[at]:
			w.notes.skipped("topic key", row.text("id"), "its member has an older one")
		default:
			copied[at] = true
			list = append(list, k)
		}
	}
	return list, nil
}

// ofTopics returns the rows of a table that belong to topics of the mesh, none where
// the topics cannot be read.
func (w *work) ofTopics(ctx context.Context, table, order string) iter.Seq2[record, error] {
	if !w.src.has("topic") {
		return func(func(record, error) bool) {}
	}
	return w.src.read(ctx, table, "WHERE t.topic_id IN (SELECT x.id FROM mesh.topic x WHERE x.mesh_id = $1) ORDER BY "+order, w.id)
}

// holds reports whether a text is base64 of so many bytes.
func holds(text string, size int) bool {
	b, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(b) == size
}
