package audit

import (
	"errors"
	"fmt"
	"time"
)

// ErrMesh is returned by [Append] for an entry of another mesh.
var ErrMesh = errors.New("entry of another mesh")

// Head is the end of a mesh's chain. It is stored apart from the rows and
// written in the same transaction, so that rows cut from the end are missed.
// The zero Head with a MeshID is the head of an empty chain.
type Head struct {
	MeshID string
	Hash   string // of the newest entry; empty or [Genesis] when there is none
	Count  int64  // entries ever appended
	LastID int64  // id of the newest entry; 0 where ids are not known
}

// Append links entries to the chain in the order given, hashes them, and moves
// head behind them. It sets MeshID, PrevHash and Hash of each entry, cuts
// CreatedAt to whole milliseconds in UTC, and turns an empty Payload into an
// empty object.
//
// LastID follows only entries that have an id; when the database gives the ids,
// the caller sets LastID after inserting. The caller holds the mesh's lock, see
// [LockKey], from reading the head until both are written. An entry of another
// mesh gives [ErrMesh], and then nothing was changed.
func Append(head *Head, entries []*Entry) error {
	for _, e := range entries {
		if e.MeshID != "" && e.MeshID != head.MeshID {
			return fmt.Errorf("audit append to %q: %w", head.MeshID, ErrMesh)
		}
	}
	if head.Hash == "" {
		head.Hash = Genesis
	}
	for _, e := range entries {
		e.MeshID = head.MeshID
		e.CreatedAt = e.CreatedAt.UTC().Truncate(time.Millisecond)
		if len(e.Payload) == 0 {
			e.Payload = []byte("{}")
		}
		e.PrevHash = head.Hash
		e.Hash = e.ComputeHash()
		head.Hash = e.Hash
		head.Count++
		if e.ID != 0 {
			head.LastID = e.ID
		}
	}
	return nil
}
