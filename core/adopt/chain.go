package adopt

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/audit"
)

// audit returns the mesh's entries with their ids and hashes, and checks them
// on the way: w.log is the check of the last complete walk.
func (w *work) audit(ctx context.Context) iter.Seq2[*audit.Entry, error] {
	w.log = newCheck(w.id)
	return func(yield func(*audit.Entry, error) bool) {
		log := newCheck(w.id)
		for row, err := range w.src.read(ctx, "audit_log", "WHERE t.mesh_id = $1 ORDER BY t.id", w.id) {
			if err != nil {
				yield(nil, err)
				return
			}
			e, err := w.entry(row)
			if err != nil {
				yield(nil, err)
				return
			}
			log.add(e)
			if !yield(e, nil) {
				return
			}
		}
		w.log = log
	}
}

// entry makes our row. The database keeps payloads as values; the text that was
// hashed is their canonical one.
func (w *work) entry(row record) (*audit.Entry, error) {
	id, err := row.whole("id", 0)
	if err != nil {
		return nil, err
	}
	payload, err := audit.Canonicalize([]byte(row.text("payload")))
	if err != nil {
		payload = []byte(row.text("payload")) // no entry is left out; the chain says what is wrong
	}
	return &audit.Entry{
		ID: id, MeshID: w.id, EventType: row.text("event_type"), ActorMemberID: row.text("actor_member_id"),
		ActorName: row.text("actor_display_name"), Payload: payload, CreatedAt: row.timeOr("created_at", time.UnixMilli(1).UTC()),
		PrevHash: row.text("prev_hash"), Hash: row.text("hash"),
	}, nil
}

// check is a walk along a chain that tells the one mistake that the original
// makes by itself from everything else.
type check struct {
	*audit.Verifier
	prev  string // hash of the entry before
	known int64  // entries with that mistake
	other int64  // entries that are wrong otherwise
}

func newCheck(mesh string) *check {
	return &check{Verifier: audit.NewVerifier(mesh), prev: audit.Genesis}
}

func (c *check) add(e *audit.Entry) {
	c.Add(e)
	switch {
	case e.PrevHash != c.prev:
		c.other++
	case e.ComputeHash() == e.Hash:
	case withoutPriority(e):
		c.known++
	default:
		c.other++
	}
	c.prev = e.Hash
}

// withoutPriority reports whether an entry was hashed as the original hashes a
// send that names no priority: with the word undefined in the payload, which
// no database keeps.
func withoutPriority(e *audit.Entry) bool {
	rest, ok := strings.CutPrefix(string(e.Payload), "{")
	if !ok || e.EventType != "message_sent" {
		return false
	}
	said := *e
	said.Payload = []byte(`{"priority":undefined,` + rest)
	return said.ComputeHash() == e.Hash
}
