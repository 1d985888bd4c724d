package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Genesis stands in the first entry of a chain where later ones have the hash
// of the entry before.
const Genesis = "genesis"

// noActor is hashed where an entry has no actor. Ids of members are longer, so
// none of them is mistaken for it.
const noActor = "null"

// timeLayout is ISO 8601 with exactly three decimals, in UTC.
const timeLayout = "2006-01-02T15:04:05.000Z"

// Entry is one row of a mesh's audit log. ID and ActorName are not hashed.
type Entry struct {
	ID            int64 // given by the database, rising within a mesh; 0 before
	MeshID        string
	EventType     string
	ActorMemberID string // empty for the broker itself
	ActorName     string // as shown when it happened
	Payload       []byte // canonical JSON, stored and hashed as it is
	CreatedAt     time.Time
	PrevHash      string // [Genesis] or the Hash of the entry before
	Hash          string // 64 lower-case hex digits
}

// ComputeHash returns the hash that e should have, from its PrevHash and its
// content. It reads e only. The time counts in whole milliseconds, cut and not
// rounded. Fields are joined with "|" and not escaped.
func (e *Entry) ComputeHash() string {
	hash := e.digest()
	return string(hash[:])
}

// digest is ComputeHash without a string.
func (e *Entry) digest() [2 * sha256.Size]byte {
	var buf [512]byte // longer texts, from large payloads, move to the heap
	text := append(buf[:0], e.PrevHash...)
	text = append(append(text, '|'), e.MeshID...)
	text = append(append(text, '|'), e.EventType...)
	text = append(text, '|')
	if e.ActorMemberID == "" {
		text = append(text, noActor...)
	} else {
		text = append(text, e.ActorMemberID...)
	}
	text = append(append(text, '|'), e.Payload...)
	text = e.CreatedAt.UTC().AppendFormat(append(text, '|'), timeLayout)

	sum := sha256.Sum256(text)
	var hash [2 * sha256.Size]byte
	hex.Encode(hash[:], sum[:])
	return hash
}
