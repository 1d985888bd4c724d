package vector

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// fakeQdrant does what the plugin asks of a Qdrant server, and refuses what the
// real one refuses: ids that are no UUID, vectors of another length.
type fakeQdrant struct {
	mu     sync.Mutex
	size   int // of vectors; 0: there is no collection
	points []fakePoint
}

type fakePoint struct {
	ID      string
	Vector  []float32
	Payload payload
}

type fakeFilter struct {
	Must []struct {
		Key   string
		Match struct{ Value string }
		HasID []string `json:"has_id"`
	}
}

func newFakeQdrant() *fakeQdrant { return &fakeQdrant{} }

func (f *fakeFilter) accepts(p fakePoint) bool {
	for _, m := range f.Must {
		value := map[string]string{"mesh": p.Payload.Mesh, "collection": p.Payload.Collection, "model": p.Payload.Model}[m.Key]
		if m.HasID != nil && !slices.Contains(m.HasID, p.ID) || m.HasID == nil && value != m.Match.Value {
			return false
		}
	}
	return true
}

// ServeHTTP answers one request. The lock makes it one at a time.
func (q *fakeQdrant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var asked struct {
		Vectors struct{ Size int }
		Points  []fakePoint
		Query   []float32
		Limit   int
		Filter  fakeFilter
	}
	_ = json.NewDecoder(r.Body).Decode(&asked) // a GET has null
	var chosen []fakePoint
	for _, p := range q.points {
		if asked.Filter.accepts(p) {
			chosen = append(chosen, p)
		}
	}
	_, path, _ := strings.Cut(r.URL.Path, "/collections/claudemesh")
	switch {
	case r.Method == http.MethodPut && path == "" && q.size > 0:
		http.Error(w, "Wrong input: Collection `claudemesh` already exists!", http.StatusConflict)
		return
	case r.Method == http.MethodPut && path == "":
		q.size = asked.Vectors.Size
	case q.size == 0:
		http.Error(w, "Not found: Collection `claudemesh` doesn't exist!", http.StatusNotFound)
		return
	case r.Method == http.MethodGet && path == "":
		reply(w, map[string]any{"config": map[string]any{"params": map[string]any{"vectors": map[string]any{"size": q.size, "distance": "Cosine"}}}})
		return
	case path == "/points" && r.Method == http.MethodPut:
		for _, p := range asked.Points {
			if !uuid.MatchString(p.ID) || len(p.Vector) != q.size {
				http.Error(w, "Format error", http.StatusBadRequest)
				return
			}
			q.points = slices.DeleteFunc(q.points, func(o fakePoint) bool { return o.ID == p.ID })
			q.points = append(q.points, p)
		}
	case path == "/points/query":
		reply(w, map[string]any{"points": q.best(chosen, asked.Query, asked.Limit)})
		return
	case path == "/points/scroll":
		reply(w, map[string]any{"points": chosen[:min(len(chosen), asked.Limit)]})
		return
	case path == "/points/count":
		reply(w, map[string]any{"count": len(chosen)})
		return
	case path == "/points/delete":
		q.points = slices.DeleteFunc(q.points, asked.Filter.accepts)
	case path == "/facet":
		hits, seen := []map[string]any{}, map[string]bool{}
		for _, p := range chosen {
			if c := p.Payload.Collection; !seen[c] {
				seen[c] = true
				hits = append(hits, map[string]any{"value": c, "count": 1})
			}
		}
		reply(w, map[string]any{"hits": hits})
		return
	}
	reply(w, true)
}

func (q *fakeQdrant) best(points []fakePoint, v []float32, limit int) []map[string]any {
	list := []map[string]any{}
	slices.SortStableFunc(points, func(a, b fakePoint) int {
		if similarity(v, a.Vector) > similarity(v, b.Vector) {
			return -1
		}
		return 1
	})
	for _, p := range points[:min(len(points), limit)] {
		list = append(list, map[string]any{"id": p.ID, "score": similarity(v, p.Vector), "payload": p.Payload})
	}
	return list
}

func reply(w http.ResponseWriter, result any) {
	_ = json.NewEncoder(w).Encode(map[string]any{"result": result, "status": "ok"})
}
