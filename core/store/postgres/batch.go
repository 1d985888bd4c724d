package postgres

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/claudemesh/broker/core/store"
)

// writeRows queues everything but the audit. Kinds come in one order in all
// processes, and the rows of a kind too, so that transactions which meet wait
// for one another and not in a circle.
func (t *transaction) writeRows() error {
	b := t.batch
	t.writeSent(b.Sent)
	t.writeMessages(b.Messages)
	if err := t.writeDeliveries(b.Deliveries); err != nil {
		return fmt.Errorf("deliveries: %w", err)
	}
	if err := t.writeHeld(b.Held); err != nil {
		return fmt.Errorf("held deliveries: %w", err)
	}
	t.writeHistory(b.History)
	t.writeSettled(b.Settled)
	t.writePresences(b.Presences)
	if err := t.writeStates(b.States); err != nil {
		return fmt.Errorf("states: %w", err)
	}
	t.writeSessionKeys(b.SessionKeys)
	return nil
}

func compareSent(a, b *store.Message) int {
	return cmp.Or(cmp.Compare(a.MeshID, b.MeshID), cmp.Compare(a.SenderMemberID, b.SenderMemberID),
		cmp.Compare(a.ClientMessageID, b.ClientMessageID))
}

// writeSent remembers sends, and asks which of them came second.
func (t *transaction) writeSent(list []*store.Message) {
	if len(list) == 0 {
		return
	}
	t.sent = append(t.sent[:0], list...)
	slices.SortStableFunc(t.sent, compareSent)
	t.rows.begin(insertSent.columns)
	for _, m := range t.sent {
		t.inSent[m.Seq] = true
		t.rows.text(m.MeshID)
		t.rows.text(m.SenderMemberID)
		t.rows.text(m.ClientMessageID)
		t.rows.text(m.ID)
		t.rows.optional(m.Fingerprint)
		t.rows.int8(m.Seq)
	}
	t.send(&insertSent, nil)

	t.rows.begin(repeated.columns)
	for i, m := range t.sent {
		t.rows.text(m.MeshID)
		t.rows.text(m.SenderMemberID)
		t.rows.text(m.ClientMessageID)
		t.rows.int8(m.Seq)
		t.rows.int8(int64(i))
	}
	t.send(&repeated, t.noteRepeat)
}

// noteRepeat takes a row of the answer to repeated.
func (t *transaction) noteRepeat(row [][]byte) error {
	place := binary.BigEndian.Uint64(row[0])
	if t.batch.Repeats == nil {
		t.batch.Repeats = make(map[*store.Message]store.Sent)
	}
	t.batch.Repeats[t.sent[place]] = store.Sent{MessageID: string(row[1]), Fingerprint: string(row[2])}
	return nil
}

func (t *transaction) writeMessages(list []*store.Message) {
	if len(list) == 0 {
		return
	}
	r := &t.rows
	r.begin(insertMessages.columns)
	for _, m := range list {
		t.bySeq[m.Seq] = m
		r.int8(m.Seq)
		r.text(m.ID)
		r.text(m.MeshID)
		r.text(m.SenderMemberID)
		r.key(&m.SenderMember)
		r.optionalKey(&m.SenderSession)
		r.text(m.SenderName)
		r.text(m.TargetSpec)
		r.int2(int16(m.Priority))
		r.text(m.Nonce)
		r.text(m.Ciphertext)
		r.optional(m.ClientMessageID)
		r.optional(m.Fingerprint)
		r.optional(m.ReplyTo)
		r.optional(m.StoredTrace())
		r.time(m.CreatedAt)
		r.time(m.ExpiresAt)
		r.optional(m.StoredExtra())
		r.bool(t.inSent[m.Seq])
	}
	t.send(&insertMessages, nil)
}

// writeDeliveries completes each row from its message.
func (t *transaction) writeDeliveries(list []store.Delivery) error {
	if len(list) == 0 {
		return nil
	}
	t.rows.begin(insertDeliveries.columns)
	for i := range list {
		if _, err := t.writeDelivery(&list[i]); err != nil {
			return err
		}
	}
	t.send(&insertDeliveries, nil)
	return nil
}

// writeHeld does the same for rows that are held back.
func (t *transaction) writeHeld(list []store.Delivery) error {
	if len(list) == 0 {
		return nil
	}
	t.rows.begin(insertHeld.columns)
	for i := range list {
		m, err := t.writeDelivery(&list[i])
		if err != nil {
			return err
		}
		t.rows.time(m.NotBefore)
	}
	t.send(&insertHeld, nil)
	return nil
}

// writeDelivery gathers what both kinds of rows have, and returns the message.
func (t *transaction) writeDelivery(d *store.Delivery) (*store.Message, error) {
	m := t.bySeq[d.Seq]
	if m == nil {
		return nil, fmt.Errorf("message %d is not in the batch", d.Seq)
	}
	r := &t.rows
	r.int8(d.Seq)
	r.key(&d.Recipient)
	r.text(m.MeshID)
	r.text(d.MemberID)
	r.int2(int16(m.Priority))
	r.time(m.ExpiresAt)
	r.bool(t.inSent[m.Seq])
	return m, nil
}

// writeSettled ends deliveries. The first settlement of a delivery counts.
func (t *transaction) writeSettled(list []store.Settlement) {
	if len(list) == 0 {
		return
	}
	t.settled = append(t.settled[:0], list...)
	slices.SortStableFunc(t.settled, func(a, b store.Settlement) int {
		return cmp.Or(cmp.Compare(a.Seq, b.Seq), bytes.Compare(a.Recipient[:], b.Recipient[:]))
	})
	t.rows.begin(settle.columns)
	for i := range t.settled {
		s := &t.settled[i]
		if i > 0 && s.Seq == t.settled[i-1].Seq && s.Recipient == t.settled[i-1].Recipient {
			continue
		}
		t.rows.int8(s.Seq)
		t.rows.key(&s.Recipient)
		t.rows.time(s.At)
	}
	t.send(&settle, nil)
}

// writePresences keeps, of two rows with one id, the one with the higher
// version, or else the later one.
func (t *transaction) writePresences(list []*store.Presence) {
	if len(list) == 0 {
		return
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b *store.Presence) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Version, b.Version))
	})
	r := &t.rows
	r.begin(putPresences.columns)
	for i, p := range list {
		if i+1 < len(list) && list[i+1].ID == p.ID {
			continue
		}
		r.text(p.ID)
		r.text(p.MeshID)
		r.text(p.MemberID)
		r.optionalKey(&p.SessionKey)
		r.text(p.SessionID)
		r.text(p.DisplayName)
		r.text(p.Role)
		r.int8(p.Pid)
		r.text(p.Cwd)
		r.time(p.ConnectedAt)
		r.optionalTime(p.DisconnectedAt)
		r.text(p.Node)
		r.int8(p.Version)
		r.optional(string(p.Details))
	}
	t.send(&putPresences, nil)
}

func compareStates(a, b *store.State) int {
	return cmp.Or(cmp.Compare(a.MeshID, b.MeshID), cmp.Compare(a.MemberID, b.MemberID),
		bytes.Compare(a.SessionKey[:], b.SessionKey[:]))
}

// writeStates keeps, of two rows with one key, the later one.
func (t *transaction) writeStates(list []*store.State) error {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, compareStates)
	r := &t.rows
	r.begin(putStates.columns)
	for i, st := range list {
		if i+1 < len(list) && compareStates(list[i+1], st) == 0 {
			continue
		}
		r.text(st.MeshID)
		r.text(st.MemberID)
		r.bytes(stateKey(st.SessionKey))
		if err := t.json(&st.Groups); err != nil {
			return err
		}
		if err := t.json(&st.Profile); err != nil {
			return err
		}
		r.bool(st.Visible)
		r.text(st.Summary)
		r.text(st.Status)
		r.text(st.StatusSource)
		r.optionalTime(st.StatusUpdatedAt)
		if err := t.json(&st.Stats); err != nil {
			return err
		}
		r.optionalTime(st.LastSeenAt)
		if err := t.json(&st.Kept); err != nil {
			return err
		}
	}
	t.send(&putStates, nil)
	return nil
}

func (t *transaction) json(v any) error {
	b, err := json.Marshal(v)
	t.rows.bytes(b)
	return err
}

// writeSessionKeys claims keys. The first claim of a key wins.
func (t *transaction) writeSessionKeys(list []*store.SessionKey) {
	if len(list) == 0 {
		return
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b *store.SessionKey) int {
		return cmp.Or(cmp.Compare(a.MeshID, b.MeshID), bytes.Compare(a.Key[:], b.Key[:]))
	})
	t.rows.begin(insertSessionKeys.columns)
	for _, k := range list {
		t.rows.text(k.MeshID)
		t.rows.key(&k.Key)
		t.rows.text(k.MemberID)
		t.rows.time(k.ClaimedAt)
	}
	t.send(&insertSessionKeys, nil)
}
