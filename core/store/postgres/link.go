package postgres

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/claudemesh/broker/core/audit"
)

// writeAudit continues the chain of each mesh in the batch. It reads all
// answers up to the ends of the chains, whose rows it then holds locked: other
// processes wait with the same chains until this transaction ends.
func (t *transaction) writeAudit() error {
	t.chain = append(t.chain[:0], t.batch.Audit...)
	slices.SortStableFunc(t.chain, func(a, b *audit.Entry) int { return cmp.Compare(a.MeshID, b.MeshID) })

	t.heads = t.heads[:0]
	t.meshes(nil)
	t.send(&lockHeads, t.noteHead)
	if err := t.rest(); err != nil {
		return err
	}
	if err := t.beginChains(); err != nil {
		return err
	}
	if err := t.link(); err != nil {
		return err
	}
	t.sendEntries()
	t.sendHeads()
	return nil
}

// meshes gathers the batch's meshes, each once, that are not among the heads
// given.
func (t *transaction) meshes(but []audit.Head) {
	t.rows.begin(lockHeads.columns)
	for i, e := range t.chain {
		if i > 0 && e.MeshID == t.chain[i-1].MeshID {
			continue
		}
		if !slices.ContainsFunc(but, func(h audit.Head) bool { return h.MeshID == e.MeshID }) {
			t.rows.text(e.MeshID)
		}
	}
}

// noteHead takes a row of the answer to lockHeads.
func (t *transaction) noteHead(row [][]byte) error {
	t.heads = append(t.heads, audit.Head{
		MeshID: string(row[0]), Hash: string(row[1]),
		Count:  int64(binary.BigEndian.Uint64(row[2])),
		LastID: int64(binary.BigEndian.Uint64(row[3])),
	})
	return nil
}

// beginChains makes the heads that are not there, and locks those too. Of
// several processes that begin a chain one does, and the others wait for it.
func (t *transaction) beginChains() error {
	n := 0
	for i, e := range t.chain {
		if i == 0 || e.MeshID != t.chain[i-1].MeshID {
			n++
		}
	}
	if n == len(t.heads) {
		return nil
	}
	t.meshes(t.heads)
	t.send(&beginHeads, nil)
	t.send(&lockHeads, t.noteHead)
	if err := t.rest(); err != nil {
		return err
	}
	slices.SortFunc(t.heads, func(a, b audit.Head) int { return cmp.Compare(a.MeshID, b.MeshID) })
	if n != len(t.heads) {
		return fmt.Errorf("audit: %d of %d chains have no head", n-len(t.heads), n)
	}
	return nil
}

// link hashes the entries and moves the heads behind them. Both are sorted.
func (t *transaction) link() error {
	rest := t.chain
	for i := range t.heads {
		head := &t.heads[i]
		n := 0
		for n < len(rest) && rest[n].MeshID == head.MeshID {
			rest[n].ID = head.LastID + 1 + int64(n)
			n++
		}
		if err := audit.Append(head, rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func (t *transaction) sendEntries() {
	r := &t.rows
	r.begin(insertAudit.columns)
	for _, e := range t.chain {
		r.text(e.MeshID)
		r.int8(e.ID)
		r.text(e.EventType)
		r.optional(e.ActorMemberID)
		r.optional(e.ActorName)
		r.bytes(e.Payload)
		r.time(e.CreatedAt)
		r.text(e.PrevHash)
		r.text(e.Hash)
	}
	t.send(&insertAudit, nil)
}

func (t *transaction) sendHeads() {
	t.rows.begin(moveHeads.columns)
	for i := range t.heads {
		h := &t.heads[i]
		t.rows.text(h.MeshID)
		t.rows.text(h.Hash)
		t.rows.int8(h.Count)
		t.rows.int8(h.LastID)
	}
	t.send(&moveHeads, nil)
}
