package adopt

import (
	"context"
	"iter"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// messages returns what waits, oldest first. It is asked after everything else
// was read.
func (w *work) messages(ctx context.Context) iter.Seq2[*store.MessageCopy, error] {
	return func(yield func(*store.MessageCopy, error) bool) {
		sent := make(map[[3]string]bool) // sender, its own id of the message, target
		rest := "WHERE t.mesh_id = $1 AND t.delivered_at IS NULL ORDER BY t.created_at, t.id"
		made(w, "message", w.src.read(ctx, "message_queue", rest, w.id), func(row record) (*store.MessageCopy, string) {
			c, why := w.message(row)
			if why != "" || c.Message.ClientMessageID == "" {
				return c, why
			}
			id := [3]string{c.Message.SenderMemberID, c.Message.ClientMessageID, c.Message.TargetSpec}
			if sent[id] {
				why = "it repeats the client_message_id of an older one from the same sender"
			}
			sent[id] = true
			return c, why
		})(yield)
	}
}

// made returns what ours makes of rows, one at a time, and takes a note of each for
// which it says why there is nothing.
func made[T any](w *work, what string, rows iter.Seq2[record, error], ours func(record) (*T, string)) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for row, err := range rows {
			if err != nil {
				yield(nil, err)
				return
			}
			one, why := ours(row)
			if why != "" {
				w.notes.skipped(what, row.text("id"), why)
				continue
			}
			if !yield(one, nil) {
				return
			}
		}
	}
}

// message makes our rows, or says why there are none.
func (w *work) message(row record) (c *store.MessageCopy, why string) {
	m := &store.Message{
		ID: row.text("id"), MeshID: w.id, TargetSpec: row.text("target_spec"), Nonce: row.text("nonce"),
		Ciphertext: row.text("ciphertext"), ClientMessageID: row.text("client_message_id"),
		Fingerprint: row.text("request_fingerprint"),
	}
	var err error
	if m.CreatedAt, err = row.time("created_at"); err != nil || m.CreatedAt.IsZero() {
		return nil, "the time at which it was accepted is none"
	}
	m.ExpiresAt = m.CreatedAt.Add(w.o.ExpireAfter).Truncate(time.Millisecond)
	if !m.ExpiresAt.After(w.o.Now) {
		return nil, "expired: it has waited longer than queue.expire_after"
	}
	sender := w.byID[row.text("sender_member_id")]
	if sender == nil {
		return nil, "its sender is not imported"
	}
	m.SenderMemberID, m.SenderMember, m.SenderName = sender.ID, sender.Key, sender.DisplayName
	if key, err := sdk.ParseKey(row.text("sender_session_pubkey")); err == nil {
		m.SenderSession = key
	}
	priority, ok := sdk.ParsePriority(row.text("priority"))
	if !ok {
		return nil, "its priority is none"
	}
	m.Priority = priority
	recipients, why := w.recipients(m)
	return &store.MessageCopy{Message: m, Recipients: recipients}, why
}

// recipients returns who gets a message, or says why nobody does.
func (w *work) recipients(m *store.Message) (list []store.Delivery, why string) {
	target, err := sdk.ParseTarget(m.TargetSpec)
	if err != nil {
		return nil, "its target is neither a key, nor a group, nor everybody"
	}
	var meant []store.Delivery
	want := store.CapBroadcast
	switch target.Kind {
	case sdk.TargetKey:
		want = store.CapDM
		meant = w.behind(target.Key)
	case sdk.TargetBroadcast:
		meant = w.others(m, func(*store.Member) bool { return true })
	case sdk.TargetGroup:
		meant = w.others(m, func(x *store.Member) bool { return inGroup(w.groups[x.ID], target.Name) })
	default:
		return nil, "it is for a topic: who is in it finds it in the history"
	}
	if len(meant) == 0 {
		return nil, "nobody is known who is meant by its target"
	}
	for _, d := range meant {
		if allows(w.byID[d.MemberID].Grants, m, want) {
			list = append(list, d)
		}
	}
	if len(list) == 0 {
		return nil, "its recipients have blocked the sender"
	}
	return list, ""
}

// behind returns the member or session that a key belongs to.
func (w *work) behind(key sdk.Key) []store.Delivery {
	if m := w.byKey[key]; m != nil {
		return []store.Delivery{{Recipient: key, MemberID: m.ID}}
	}
	if s := w.sessions[key]; s != nil {
		return []store.Delivery{{Recipient: key, MemberID: s.MemberID}}
	}
	return nil
}

// others returns the members that are live, and not the sender.
func (w *work) others(m *store.Message, meant func(*store.Member) bool) (list []store.Delivery) {
	for _, x := range w.members {
		if x.Live() && x.ID != m.SenderMemberID && meant(x) {
			list = append(list, store.Delivery{Recipient: x.Key, MemberID: x.ID})
		}
	}
	return list
}
