package vector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

var collectionName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

// qdrant keeps documents on a Qdrant server, those of all meshes in one of its
// collections, as its makers advise for many tenants. Every request that reads or
// deletes has the filter of [qdrant.of], which names the mesh.
type qdrant struct {
	at   string // URL of the collection
	call *call
}

// payload is what is kept beside a vector. What a member sends is within metadata
// and text, and can overwrite nothing else.
type payload struct {
	Mesh       string          `json:"mesh"`
	Collection string          `json:"collection"`
	Model      string          `json:"model"`
	Text       string          `json:"text"`
	Metadata   json.RawMessage `json:"metadata"`
	StoredBy   string          `json:"stored_by"`
	StoredAt   time.Time       `json:"stored_at"`
}

// openQdrant makes the collection, with an index for what is filtered by, unless it
// is there.
func openQdrant(ctx context.Context, o QdrantOptions, key string, dimensions int) (*qdrant, error) {
	q := &qdrant{strings.TrimRight(o.URL, "/") + "/collections/" + url.PathEscape(o.Collection), newCall("api-key", key)}
	size, err := q.size(ctx)
	if hasStatus(err, http.StatusNotFound) {
		err = q.call.do(ctx, http.MethodPut, q.at, map[string]any{"vectors": map[string]any{"size": dimensions, "distance": "Cosine"}}, nil)
		if err == nil || hasStatus(err, http.StatusConflict) { // another replica may have been quicker
			size, err = q.size(ctx)
		}
	}
	if err == nil && size != dimensions {
		return nil, fmt.Errorf("qdrant: the collection %s has vectors of %d numbers, and those made here have %d: name another with qdrant.collection", o.Collection, size, dimensions)
	}
	for _, field := range []string{"mesh", "collection", "model"} {
		if err == nil {
			err = q.call.do(ctx, http.MethodPut, q.at+"/index?wait=true", map[string]any{"field_name": field, "field_schema": "keyword"}, nil)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("qdrant: %w", err)
	}
	return q, nil
}

// size returns the length of the collection's vectors.
func (q *qdrant) size(ctx context.Context) (int, error) {
	var said struct {
		Result struct {
			Config struct {
				Params struct{ Vectors struct{ Size int } }
			}
		}
	}
	err := q.call.do(ctx, http.MethodGet, q.at, nil, &said)
	return said.Result.Config.Params.Vectors.Size, err
}

func hasStatus(err error, code int) bool {
	status, ok := errors.AsType[*statusError](err)
	return ok && status.code == code
}

func (*qdrant) close() error { return nil }

// match is one condition of a filter.
func match(key, value string) map[string]any {
	return map[string]any{"key": key, "match": map[string]any{"value": value}}
}

// of is the filter of a mesh, with further conditions.
func (*qdrant) of(mesh string, more ...map[string]any) map[string]any {
	return map[string]any{"must": append([]map[string]any{match("mesh", mesh)}, more...)}
}

// withID is the condition of one document. The server holds those of all meshes; ids
// are made of the mesh too, so no two meshes share one.
func withID(id string) map[string]any { return map[string]any{"has_id": []string{id}} }

func (q *qdrant) put(ctx context.Context, d *document, most int) error {
	if err := q.room(ctx, d, most); err != nil {
		return err
	}
	point := map[string]any{"id": d.ID, "vector": d.Vector, "payload": payload{
		Mesh: d.Mesh, Collection: d.Collection, Model: d.Model, Text: d.Text, Metadata: d.Metadata, StoredBy: d.StoredBy, StoredAt: d.StoredAt,
	}}
	return q.call.do(ctx, http.MethodPut, q.at+"/points?wait=true", map[string]any{"points": []any{point}}, nil)
}

// room counts before, and not together with the put: many at once may exceed it by
// as many.
func (q *qdrant) room(ctx context.Context, d *document, most int) error {
	if _, err := q.author(ctx, d.Mesh, d.Collection, d.ID); err == nil {
		return nil // it is there
	} else if !errors.Is(err, errNotFound) {
		return err
	}
	var said struct{ Result struct{ Count int } }
	if err := q.call.do(ctx, http.MethodPost, q.at+"/points/count", map[string]any{"filter": q.of(d.Mesh), "exact": true}, &said); err != nil {
		return err
	}
	names, err := q.collections(ctx, d.Mesh)
	switch {
	case err != nil:
		return err
	case said.Result.Count >= most, len(names) >= mostCollections && !slices.Contains(names, d.Collection):
		return errFull
	}
	return nil
}

func (q *qdrant) search(ctx context.Context, mesh, collection, model string, v []float32, limit int) ([]found, error) {
	var said struct {
		Result struct {
			Points []struct {
				ID      string
				Score   float64
				Payload payload
			}
		}
	}
	err := q.call.do(ctx, http.MethodPost, q.at+"/points/query", map[string]any{
		"query": v, "limit": limit, "with_payload": true,
		"filter": q.of(mesh, match("collection", collection), match("model", model)),
	}, &said)
	if err != nil {
		return nil, err
	}
	list := make([]found, 0, len(said.Result.Points))
	for _, p := range said.Result.Points {
		if p.Payload.Mesh != mesh {
			return nil, fmt.Errorf("qdrant: it brought a document of another mesh")
		}
		list = append(list, found{document{
			ID: p.ID, Mesh: mesh, Collection: collection, Text: p.Payload.Text, Metadata: p.Payload.Metadata,
			StoredBy: p.Payload.StoredBy, StoredAt: p.Payload.StoredAt,
		}, p.Score})
	}
	return list, nil
}

// author returns who stored a document.
func (q *qdrant) author(ctx context.Context, mesh, collection, id string) (string, error) {
	var said struct {
		Result struct{ Points []struct{ Payload payload } }
	}
	err := q.call.do(ctx, http.MethodPost, q.at+"/points/scroll", map[string]any{
		"filter": q.of(mesh, match("collection", collection), withID(id)), "limit": 1, "with_payload": true,
	}, &said)
	switch {
	case err != nil:
		return "", err
	case len(said.Result.Points) == 0:
		return "", errNotFound
	}
	return said.Result.Points[0].Payload.StoredBy, nil
}

func (q *qdrant) remove(ctx context.Context, mesh, collection, id, author string) error {
	by, err := q.author(ctx, mesh, collection, id)
	switch {
	case err != nil:
		return err
	case author != "" && author != by:
		return errNotYours
	}
	return q.call.do(ctx, http.MethodPost, q.at+"/points/delete?wait=true",
		map[string]any{"filter": q.of(mesh, match("collection", collection), withID(id))}, nil)
}

func (q *qdrant) collections(ctx context.Context, mesh string) ([]string, error) {
	var said struct {
		Result struct{ Hits []struct{ Value string } }
	}
	err := q.call.do(ctx, http.MethodPost, q.at+"/facet", map[string]any{
		"key": "collection", "limit": mostCollections, "exact": true, "filter": q.of(mesh),
	}, &said)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, h := range said.Result.Hits {
		names = append(names, h.Value)
	}
	slices.Sort(names)
	return names, nil
}
