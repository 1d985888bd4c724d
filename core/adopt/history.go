package adopt

import (
	"context"
	"iter"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// history returns what was said in topics, oldest first. It is asked after
// everything else was read.
func (w *work) history(ctx context.Context) iter.Seq2[*store.TopicMessage, error] {
	return made(w, "topic message", w.ofTopics(ctx, "topic_message", "t.created_at, t.id"), w.topicMessage)
}

// topicMessage makes our row, or says why there is none. A time to come is now, so
// that the messages that are sent here come behind it.
func (w *work) topicMessage(row record) (h *store.TopicMessage, why string) {
	sender := w.byID[row.text("sender_member_id")]
	at, err := row.time("created_at")
	version, wrong := row.whole("body_version", 1)
	switch {
	case w.topics[row.text("topic_id")] == nil:
		return nil, "its topic is not imported"
	case sender == nil:
		return nil, "its sender is not imported"
	case err != nil || at.IsZero():
		return nil, "the time at which it was accepted is none"
	case wrong != nil || version != 1 && version != 2:
		return nil, "its body version is neither 1 nor 2"
	case at.After(w.o.Now):
		at = w.o.Now
	}
	m := &store.Message{
		ID: row.text("id"), MeshID: w.id, SenderMemberID: sender.ID, SenderMember: sender.Key, SenderName: sender.DisplayName,
		Nonce: row.text("nonce"), Ciphertext: row.text("ciphertext"), CreatedAt: at,
	}
	if key, err := sdk.ParseKey(row.text("sender_session_pubkey")); err == nil {
		m.SenderSession = key
	}
	return &store.TopicMessage{
		Message: m, TopicID: row.text("topic_id"), BodyVersion: int(version), ReplyTo: row.text("reply_to_id"), ShownAt: at,
	}, ""
}

// notifications returns whom messages of topics mention. It is asked after the
// history.
func (w *work) notifications(ctx context.Context) iter.Seq2[*store.Notification, error] {
	rows := w.src.read(ctx, "notification", "WHERE t.mesh_id = $1 ORDER BY t.created_at, t.id", w.id)
	return made(w, "notification", rows, w.notification)
}

// notification makes our row, or says why there is none.
func (w *work) notification(row record) (n *store.Notification, why string) {
	to, by := w.byID[row.text("recipient_member_id")], w.byID[row.text("sender_member_id")]
	switch kind, ok := row.get("kind"); {
	case ok && kind != store.NotificationMention:
		return nil, "it is of another kind than mention"
	case w.topics[row.text("topic_id")] == nil || to == nil || by == nil:
		return nil, "its topic, its sender or whom it tells is not imported"
	}
	return &store.Notification{
		MeshID: w.id, TopicID: row.text("topic_id"), MessageID: row.text("message_id"), MemberID: to.ID, SenderID: by.ID,
		Sender: by.DisplayName, Kind: store.NotificationMention, CreatedAt: row.timeOr("created_at", w.o.Now),
		ReadAt: row.since("read_at", w.o.Now),
	}, ""
}
