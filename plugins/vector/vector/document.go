package vector

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// document is one text with what belongs to it.
type document struct {
	ID         string // a UUID
	Mesh       string
	Collection string
	Text       string
	Metadata   json.RawMessage // a JSON object
	StoredBy   string          // the member's id
	StoredAt   time.Time
	Model      string // of the vector
	Vector     []float32
}

// found is a document that a search brings, with how like it is.
type found struct {
	document
	Score float64
}

// keeper keeps documents. Every call is about one mesh and sees no other. All
// methods may be called concurrently.
type keeper interface {
	// put keeps a document, or overwrites the one of its id. It is on disk when put
	// returns. The error may be errFull.
	put(ctx context.Context, d *document, most int) error

	// search returns the documents of a collection that are most like a vector of
	// the model, best first. The error may be errBusy.
	search(ctx context.Context, mesh, collection, model string, v []float32, limit int) ([]found, error)

	// remove deletes a document; author, unless it is empty, has to have stored it.
	// The error may be errNotFound or errNotYours.
	remove(ctx context.Context, mesh, collection, id, author string) error

	// collections returns the names, in their order.
	collections(ctx context.Context, mesh string) ([]string, error)

	close() error
}

var (
	errFull     = errors.New("no room")
	errBusy     = errors.New("other searches come first")
	errNotFound = errors.New("not found")
	errNotYours = errors.New("of somebody else")
)

// idOf names a document by what it is, so that a request that comes twice makes
// one document. Two members that store the same have one each.
func idOf(mesh, collection, member, text string, metadata []byte) string {
	h := sha256.New()
	for _, part := range []string{mesh, collection, member, text, string(metadata)} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	sum := h.Sum(nil)[:16]
	sum[6] = sum[6]&0x0f | 0x80 // version 8: of the sender's own making
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:])
}
