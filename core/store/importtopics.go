package store

import (
	"context"
	"errors"
)

// topics writes topics that are not here, each as one that may end here.
func (i *importing) topics(ctx context.Context, c *MeshCopy) error {
	for _, t := range c.Topics {
		here, err := i.tx.Topic(ctx, i.mesh, t.ID, t.Name)
		switch {
		case errors.Is(err, ErrNotFound):
			err = i.newTopic(ctx, t)
		case err == nil:
			i.topicHere(t, here)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// newTopic writes a topic, unless it was imported before and is over.
func (i *importing) newTopic(ctx context.Context, t *Topic) error {
	row := *t
	row.CreatorID = i.owner(t.CreatorID)
	added, known, err := i.once(ctx, "topic", t.ID, func() (bool, error) { return i.tx.PutTopic(ctx, &row) })
	switch {
	case err != nil:
		return err
	case !added && !known:
		i.conflict("topic", t.ID, "its id is here already, in another mesh")
		return nil
	case added:
		i.topicsHere[t.ID] = &row
	}
	i.result.Topics.count(added)
	return nil
}

// topicHere looks at the topic that is in a topic's place. The one in which
// everybody is may have been made here before.
func (i *importing) topicHere(t, here *Topic) {
	if here.ID != t.ID && (!here.Everybody || !t.Everybody) {
		i.conflict("topic", t.ID, "its name is another topic's here: it is left out with all that is in it")
		return
	}
	i.topicsHere[t.ID] = here
	i.result.Topics.Present++
	if t.KeyPubkey != "" && here.KeyPubkey != t.KeyPubkey {
		i.result.Conflicts = append(i.result.Conflicts, ImportConflict{Kind: "topic", ID: t.ID, Here: true,
			Why: "it has another key here, or none: what was sealed over there can be read by those who know that key"})
	}
}

// seats writes who is in a topic. Who left it here, or was removed, does not come
// back.
func (i *importing) seats(ctx context.Context, c *MeshCopy) error {
	for _, s := range c.Seats {
		t := i.topicsHere[s.TopicID]
		if t == nil || i.lost[s.MemberID] {
			continue
		}
		row := *s
		row.TopicID, row.MemberID = t.ID, i.member(s.MemberID)
		added, _, err := i.once(ctx, "seat", s.TopicID+" "+s.MemberID, func() (bool, error) { return i.tx.PutSeat(ctx, &row) })
		if err != nil {
			return err
		}
		i.result.Seats.count(added)
	}
	return nil
}

// topicKeys writes copies of keys that the topics have here, too.
func (i *importing) topicKeys(ctx context.Context, c *MeshCopy) error {
	of := make(map[string]string)
	for _, t := range c.Topics {
		of[t.ID] = t.KeyPubkey
	}
	for _, k := range c.TopicKeys {
		t := i.topicsHere[k.TopicID]
		if t == nil || i.lost[k.MemberID] || t.KeyPubkey == "" || t.KeyPubkey != of[k.TopicID] {
			continue
		}
		row := *k
		row.TopicID, row.MemberID = t.ID, i.member(k.MemberID)
		added, err := i.tx.PutTopicKey(ctx, &row)
		if err != nil {
			return err
		}
		i.result.TopicKeys.count(added)
	}
	return nil
}

// history gives each message the Seq of the time at which it was accepted, or the
// next one that is free.
func (i *importing) history(ctx context.Context, c *MeshCopy) error {
	if c.History == nil {
		return nil
	}
	var last int64
	for h, err := range c.History {
		if err != nil {
			return err
		}
		t := i.topicsHere[h.TopicID]
		if t == nil {
			continue
		}
		here, err := i.tx.HasTopicMessage(ctx, t.ID, h.Message.ID)
		if err != nil {
			return err
		}
		i.result.History.count(!here)
		if here {
			continue
		}
		row, m := *h, *h.Message
		row.TopicID, row.Message = t.ID, &m
		m.SenderMemberID = i.owner(m.SenderMemberID)
		if m.Seq, err = i.freeSeq(ctx, max(SeqAt(m.CreatedAt), last+1)); err != nil {
			return err
		}
		last = m.Seq
		if err := i.tx.PutTopicMessage(ctx, &row); err != nil {
			return err
		}
	}
	return nil
}

func (i *importing) notifications(ctx context.Context, c *MeshCopy) error {
	if c.Notifications == nil {
		return nil
	}
	for n, err := range c.Notifications {
		if err != nil {
			return err
		}
		t := i.topicsHere[n.TopicID]
		if t == nil || i.lost[n.MemberID] {
			continue
		}
		row := *n
		row.TopicID, row.MemberID, row.SenderID = t.ID, i.member(n.MemberID), i.owner(n.SenderID)
		added, err := i.tx.PutNotification(ctx, &row)
		if err != nil {
			return err
		}
		i.result.Notifications.count(added)
	}
	return nil
}

// owner is [importing.member] of one that may be unknown: "" for a lost one.
func (i *importing) owner(id string) string {
	if i.lost[id] {
		return ""
	}
	return i.member(id)
}
