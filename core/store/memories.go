package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"time"
)

// Memory is a note that a member left for the others of its mesh.
type Memory struct {
	ID        string
	MeshID    string
	Content   string
	Tags      []string
	MemberID  string // who wrote it; "" when that is not known
	Author    string // its name at that time
	CreatedAt time.Time
}

// Digest tells what is written from anything else that could be.
func (m *Memory) Digest() [32]byte {
	text, _ := json.Marshal(append([]string{m.Content}, m.Tags...)) // texts are always JSON
	return sha256.Sum256(text)
}

// Memories keeps memories, and finds them by their words.
//
// [Words] says what a word is. Words match when they have the same English stem,
// and the most common English words are ignored. Engines may differ in the stem of
// a rare word, and in whether accents matter.
type Memories interface {
	// Remember writes a memory, and returns its id. Where its author has left the
	// same content with the same tags already, that one's id is returned, nothing
	// is written and fresh is false. A [*FullError] when there is no room.
	Remember(ctx context.Context, m *Memory, room Room) (id string, fresh bool, err error)

	// Recall returns at most limit memories of a mesh that have all words of the
	// query, those that fit best first, without those of the members except. A
	// query without a word finds nothing.
	Recall(ctx context.Context, mesh, query string, except []string, limit int) ([]*Memory, error)

	// CountMemories returns how many memories a mesh has.
	CountMemories(ctx context.Context, mesh string) (int64, error)

	// Memory returns one memory of a mesh. ErrNotFound, also when it was
	// forgotten.
	Memory(ctx context.Context, mesh, id string) (*Memory, error)

	// ForgetMemory deletes a memory of a mesh. Its id is kept, so that an import does not
	// bring it back. ErrNotFound, also when it was forgotten before.
	ForgetMemory(ctx context.Context, mesh, id string, at time.Time) error
}
