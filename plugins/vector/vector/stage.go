package vector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/claudemesh/broker/sdk/plugin"
)

// Limits of requests.
const (
	mostCollections = 100 // of a mesh
	mostText        = 16 << 10
	mostMetadata    = 8 << 10
	mostQuery       = 4 << 10
	mostResults     = 50
	fewResults      = 10 // unless the request says otherwise
	mostAnswer      = 512 << 10
	mostName        = 64
)

// Stage keeps texts and finds them. Handlers may be called concurrently.
type Stage struct {
	o     Options
	embed embedder
	keep  keeper // nil before Start
}

// New returns a stage that is not started.
func New(o Options) (*Stage, error) {
	s := &Stage{o: o, embed: hashed{}}
	if o.Embeddings.URL != "" {
		s.embed = newEndpoint(o.Embeddings, os.Getenv(o.Embeddings.KeyEnv))
	}
	return s, nil
}

// Start opens what keeps the documents.
func (s *Stage) Start(ctx context.Context) (err error) {
	if q := s.o.Qdrant; q.URL != "" {
		s.keep, err = openQdrant(ctx, q, os.Getenv(q.KeyEnv), s.embed.dimensions())
		return err
	}
	if err := os.MkdirAll(s.o.Dir, 0o700); err != nil {
		return err
	}
	s.keep, err = openDisk(ctx, s.o.Dir)
	return err
}

// Stop closes it.
func (s *Stage) Stop(context.Context) error {
	if s.keep == nil {
		return nil
	}
	return s.keep.close()
}

// Store is vector_store.
type Store struct {
	Collection string          `json:"collection"`
	Text       string          `json:"text"`
	Metadata   json.RawMessage `json:"metadata"`
}

// Stored is vector_stored.
type Stored struct {
	ID string `json:"id"`
}

// FrameType returns vector_stored.
func (Stored) FrameType() string { return "vector_stored" }

// Store keeps a text.
func (s *Stage) Store(ctx context.Context, a plugin.Asker, m *Store) (Stored, error) {
	if err := named(m.Collection); err != nil {
		return Stored{}, err
	}
	if err := fits("text", m.Text, mostText); err != nil {
		return Stored{}, err
	}
	if len(m.Metadata) == 0 || string(m.Metadata) == "null" {
		m.Metadata = json.RawMessage("{}")
	}
	if m.Metadata[0] != '{' || len(m.Metadata) > mostMetadata {
		return Stored{}, plugin.Refuse("invalid", fmt.Sprintf("metadata: want an object of at most %d bytes", mostMetadata))
	}
	v, err := s.embed.embed(ctx, m.Text)
	if err != nil {
		return Stored{}, err
	}
	d := &document{
		ID: idOf(a.Mesh, m.Collection, a.Sender.MemberID, m.Text, m.Metadata), Mesh: a.Mesh, Collection: m.Collection,
		Text: m.Text, Metadata: m.Metadata, StoredBy: a.Sender.MemberID, StoredAt: a.Arrived.UTC(), Model: s.embed.model(), Vector: v,
	}
	err = s.keep.put(ctx, d, s.o.Documents)
	if errors.Is(err, errFull) {
		return Stored{}, plugin.Refuse("capacity", fmt.Sprintf("the mesh may have %d documents in %d collections: delete some", s.o.Documents, mostCollections))
	}
	return Stored{d.ID}, err
}

// Search is vector_search.
type Search struct {
	Collection string   `json:"collection"`
	Query      string   `json:"query"`
	Limit      *float64 `json:"limit"`
}

// Results is vector_results.
type Results struct {
	Results []Result `json:"results"`
	More    bool     `json:"more,omitempty"` // the answer would have been too long with all
}

// Result is one document, best first.
type Result struct {
	ID       string          `json:"id"`
	Text     string          `json:"text"`
	Score    float64         `json:"score"`
	Metadata json.RawMessage `json:"metadata"`
	StoredBy string          `json:"storedBy"`
	StoredAt time.Time       `json:"storedAt"`
}

// FrameType returns vector_results.
func (Results) FrameType() string { return "vector_results" }

// Search finds the documents that are most like a text.
func (s *Stage) Search(ctx context.Context, a plugin.Asker, m *Search) (Results, error) {
	none := Results{Results: []Result{}}
	if err := named(m.Collection); err != nil {
		return none, err
	}
	if err := fits("query", m.Query, mostQuery); err != nil {
		return none, err
	}
	limit := fewResults
	if m.Limit != nil {
		limit = int(min(max(*m.Limit, 1), mostResults))
	}
	v, err := s.embed.embed(ctx, m.Query)
	if err != nil {
		return none, err
	}
	list, err := s.keep.search(ctx, a.Mesh, m.Collection, s.embed.model(), v, limit)
	if errors.Is(err, errBusy) {
		return none, plugin.Refuse("capacity", "other searches of this mesh come first: try again in a moment")
	}
	if err != nil {
		return none, err
	}
	size := 0
	for _, f := range list {
		r := Result{f.ID, f.Text, f.Score, f.Metadata, f.StoredBy, f.StoredAt.UTC()}
		b, err := json.Marshal(r) // some characters take six bytes in JSON
		if err != nil {
			return none, err
		}
		if size += len(b); size > mostAnswer {
			none.More = true
			break
		}
		none.Results = append(none.Results, r)
	}
	return none, nil
}

// Delete is vector_delete.
type Delete struct {
	Collection string `json:"collection"`
	ID         string `json:"id"`
}

// Ack is the answer to vector_delete.
type Ack struct {
	ID        string `json:"id"`
	MessageID string `json:"messageId"`
	Queued    bool   `json:"queued"`
}

// FrameType returns ack.
func (Ack) FrameType() string { return "ack" }

// Delete deletes a document.
func (s *Stage) Delete(ctx context.Context, a plugin.Asker, m *Delete) (Ack, error) {
	done := Ack{ID: m.ID, MessageID: m.ID}
	if err := named(m.Collection); err != nil {
		return done, err
	}
	if !uuid.MatchString(m.ID) {
		return done, plugin.Refuse("not_found", "there is no such document: an id is that of a vector_stored")
	}
	author := a.Sender.MemberID
	if s.o.Delete == byAnybody {
		author = ""
	}
	err := s.keep.remove(ctx, a.Mesh, m.Collection, m.ID, author)
	switch {
	case errors.Is(err, errNotFound):
		return done, nil // it is gone, which is what was asked for
	case errors.Is(err, errNotYours):
		return done, plugin.Refuse("forbidden", "somebody else stored the document, and has to delete it")
	}
	return done, err
}

// List is list_collections.
type List struct{}

// Collections is collection_list.
type Collections struct {
	Collections []string `json:"collections"`
}

// FrameType returns collection_list.
func (Collections) FrameType() string { return "collection_list" }

// List returns the names of the mesh's collections.
func (s *Stage) List(ctx context.Context, a plugin.Asker, _ *List) (Collections, error) {
	names, err := s.keep.collections(ctx, a.Mesh)
	if names == nil {
		names = []string{}
	}
	return Collections{names}, err
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// named refuses what is no name of a collection.
func named(collection string) error {
	if collection == "" || len(collection) > mostName {
		return plugin.Refuse("invalid", fmt.Sprintf("collection: want a name of 1 to %d bytes", mostName))
	}
	return nil
}

func fits(field, text string, most int) error {
	if text == "" || len(text) > most {
		return plugin.Refuse("invalid", fmt.Sprintf("%s: want a text of 1 to %d bytes", field, most))
	}
	return nil
}
