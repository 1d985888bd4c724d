package vector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
)

// stages runs a test on a stage of each kind of keeper.
func stages(t *testing.T, test func(t *testing.T, s *Stage)) {
	t.Run("disk", func(t *testing.T) { test(t, started(t, func(o *Options) { o.Dir = t.TempDir() })) })
	t.Run("qdrant", func(t *testing.T) {
		server := httptest.NewServer(newFakeQdrant())
		t.Cleanup(server.Close)
		test(t, started(t, func(o *Options) { o.Qdrant.URL = server.URL }))
	})
}

func started(t testing.TB, change func(*Options)) *Stage {
	t.Helper()
	o := Default()
	change(&o)
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := New(o)
	if err == nil {
		err = s.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func by(mesh, member string) plugin.Asker {
	return plugin.Asker{Mesh: mesh, Sender: sdk.Sender{MemberID: member}, Arrived: time.Unix(1785754800, 0)}
}

func store(t testing.TB, s *Stage, a plugin.Asker, collection, text, metadata string) string {
	t.Helper()
	r, err := s.Store(t.Context(), a, &Store{collection, text, json.RawMessage(metadata)})
	if err != nil {
		t.Fatal(err)
	}
	return r.ID
}

func search(t testing.TB, s *Stage, a plugin.Asker, collection, query string) (texts []string) {
	t.Helper()
	r, err := s.Search(t.Context(), a, &Search{Collection: collection, Query: query})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Results {
		texts = append(texts, f.Text)
	}
	return texts
}

func TestSearchFindsWhatIsAlike(t *testing.T) {
	stages(t, func(t *testing.T, s *Stage) {
		ada := by("m1", "ada")
		for _, text := range []string{
			"The deploy failed because the disk was full", "Meeting notes of Monday: budget and hiring", "How to restart the database after a crash",
		} {
			store(t, s, ada, "notes", text, "")
		}
		if got := search(t, s, ada, "notes", "disk full during deployment"); got[0] != "The deploy failed because the disk was full" {
			t.Errorf("got %q", got)
		}
		if got := search(t, s, ada, "notes", "databases crashed, restarting"); got[0] != "How to restart the database after a crash" {
			t.Errorf("got %q", got)
		}
	})
}

// What one mesh keeps, another neither finds nor lists nor deletes.
func TestMeshesAreApart(t *testing.T) {
	stages(t, func(t *testing.T, s *Stage) {
		ada, eve := by("m1", "ada"), by("m2", "ada")
		id := store(t, s, ada, "notes", "a secret of the first mesh", "")
		if got := search(t, s, eve, "notes", "a secret of the first mesh"); len(got) > 0 {
			t.Errorf("another mesh finds %q", got)
		}
		if list, err := s.List(t.Context(), eve, nil); err != nil || len(list.Collections) > 0 {
			t.Errorf("another mesh lists %v, %v", list, err)
		}
		if _, err := s.Delete(t.Context(), eve, &Delete{"notes", id}); err != nil {
			t.Error(err)
		}
		if got := search(t, s, ada, "notes", "secret"); len(got) != 1 {
			t.Error("another mesh has deleted it")
		}
		if other := store(t, s, eve, "notes", "a secret of the first mesh", ""); other == id {
			t.Error("two meshes share an id")
		}
	})
}

// Metadata is kept beside what the broker knows, and overwrites none of it.
func TestFlawExt32MetadataOverwritesNothing(t *testing.T) {
	stages(t, func(t *testing.T, s *Stage) {
		ada := by("m1", "ada")
		store(t, s, ada, "notes", "mine", `{"mesh":"m2","mesh_id":"m2","stored_by":"eve","text":"hers","collection":"x","tag":1}`)
		r, err := s.Search(t.Context(), ada, &Search{Collection: "notes", Query: "mine"})
		if err != nil || len(r.Results) != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
		if f := r.Results[0]; f.Text != "mine" || f.StoredBy != "ada" || !strings.Contains(string(f.Metadata), `"stored_by":"eve"`) {
			t.Errorf("got %+v", f)
		}
		if got := search(t, s, by("m2", "eve"), "notes", "mine"); len(got) > 0 {
			t.Errorf("it is in another mesh: %q", got)
		}
	})
}

// Ids are UUIDs, every document of a collection is looked at, and scores say how
// like a document is.
func TestFlawExt47EveryDocumentIsFound(t *testing.T) {
	stages(t, func(t *testing.T, s *Stage) {
		ada := by("m1", "ada")
		for i := range 130 {
			store(t, s, ada, "notes", fmt.Sprintf("entry number%d about weather", i), "")
		}
		id := store(t, s, ada, "notes", "zebra crossing", "")
		if !uuid.MatchString(id) {
			t.Errorf("%s is no UUID", id)
		}
		limit := 2.0
		r, err := s.Search(t.Context(), ada, &Search{"notes", "zebra crossing", &limit})
		if err != nil || len(r.Results) != 2 {
			t.Fatalf("%+v, %v", r, err)
		}
		if r.Results[0].ID != id || r.Results[0].Score < 0.99 || r.Results[1].Score > 0.5 {
			t.Errorf("scores %v of %q, %v of %q", r.Results[0].Score, r.Results[0].Text, r.Results[1].Score, r.Results[1].Text)
		}
	})
}

func TestARepeatedRequestMakesOneDocument(t *testing.T) {
	stages(t, func(t *testing.T, s *Stage) {
		ada := by("m1", "ada")
		first, again := store(t, s, ada, "notes", "milk", `{"a":1}`), store(t, s, ada, "notes", "milk", `{"a":1}`)
		if first != again || len(search(t, s, ada, "notes", "milk")) != 1 {
			t.Error("it is there twice")
		}
		for range 2 {
			if ack, err := s.Delete(t.Context(), ada, &Delete{"notes", first}); err != nil || ack.MessageID != first {
				t.Errorf("%+v, %v", ack, err)
			}
		}
		if list, err := s.List(t.Context(), ada, nil); err != nil || len(list.Collections) != 0 {
			t.Errorf("%v, %v", list, err)
		}
	})
}

func TestOnlyTheAuthorDeletes(t *testing.T) {
	stages(t, func(t *testing.T, s *Stage) {
		id := store(t, s, by("m1", "ada"), "notes", "milk", "")
		_, err := s.Delete(t.Context(), by("m1", "bo"), &Delete{"notes", id})
		if err == nil || !strings.HasPrefix(err.Error(), "forbidden: ") {
			t.Errorf("bo: %v", err)
		}
		s.o.Delete = byAnybody
		if _, err := s.Delete(t.Context(), by("m1", "bo"), &Delete{"notes", id}); err != nil {
			t.Errorf("bo, who may: %v", err)
		}
	})
}

func TestLimits(t *testing.T) {
	stages(t, func(t *testing.T, s *Stage) {
		s.o.Documents = 2
		ada := by("m1", "ada")
		store(t, s, ada, "a", "one", "")
		store(t, s, ada, "b", "two", "")
		refusals := map[string]*Store{
			"capacity: ":            {"a", "three", nil},
			"invalid: collection: ": {"", "x", nil},
			"invalid: text: ":       {"a", strings.Repeat("x", mostText+1), nil},
			"invalid: metadata: ":   {"a", "x", json.RawMessage(`[1]`)},
		}
		for want, m := range refusals {
			if _, err := s.Store(t.Context(), ada, m); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		}
		store(t, s, ada, "a", "one", "") // is there already
		store(t, s, by("m2", "ada"), "a", "three", "")
	})
}

// An answer goes to a peer, however its texts are written in JSON: what does not
// fit is left out, and said so.
func TestAnswersFitIntoAFrame(t *testing.T) {
	stages(t, func(t *testing.T, s *Stage) {
		ada := by("m1", "ada")
		for i := range mostResults {
			store(t, s, ada, "notes", fmt.Sprint("milk ", i, " ", strings.Repeat("\x01", 10_000)), "")
		}
		most := float64(mostResults)
		r, err := s.Search(t.Context(), ada, &Search{"notes", "milk", &most})
		b, encoding := json.Marshal(r)
		if err != nil || encoding != nil || len(r.Results) == 0 || !r.More || len(b) > 1<<20 {
			t.Errorf("%d results of %d bytes, more %v, %v", len(r.Results), len(b), r.More, errors.Join(err, encoding))
		}
	})
}

// Others on the machine read nothing of what members keep.
func TestTheFileIsNobodyElses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "documents")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := started(t, func(o *Options) { o.Dir = dir })
	store(t, s, by("m1", "ada"), "notes", "milk", "")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

// Replicas that start together find the collection made by one of them, and one of
// vectors of another length is refused before any document is.
func TestTheCollectionOfOthers(t *testing.T) {
	fake := newFakeQdrant()
	late := sync.OnceFunc(func() { fake.size = hashedDimensions })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			late() // somebody else was quicker
		}
		fake.ServeHTTP(w, r)
	}))
	defer server.Close()
	s := started(t, func(o *Options) { o.Qdrant.URL = server.URL })
	store(t, s, by("m1", "ada"), "notes", "milk", "")
	fake.size = 3
	other, err := New(s.o)
	if err == nil {
		err = other.Start(t.Context())
	}
	if err == nil || !strings.Contains(err.Error(), "vectors of 3 numbers, and those made here have 512") {
		t.Errorf("got %v", err)
	}
}

// What a put counts is in an index, and not among the texts.
func TestPutsReadNoTexts(t *testing.T) {
	k := started(t, func(o *Options) { o.Dir = t.TempDir() }).keep.(*disk)
	rows, err := k.db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+diskCount, "m1", "notes", "x")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, step)
	}
	if !strings.Contains(strings.Join(plan, "\n"), "USING COVERING INDEX document_place (mesh=?)") || rows.Err() != nil {
		t.Errorf("%q, %v", plan, rows.Err())
	}
}

func TestDocumentsOutliveTheStage(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		s := started(t, func(o *Options) { o.Dir = dir })
		store(t, s, by("m1", "ada"), "notes", "milk", "")
		if got := search(t, s, by("m1", "ada"), "notes", "milk"); len(got) != 1 {
			t.Errorf("got %q", got)
		}
	}
}

// An endpoint makes the vectors, and gets its key.
func TestEndpoint(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ Model, Input string }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.Model != "small" || r.Header.Get("Authorization") != "Bearer k1" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		v := []float32{1, 0, 0}
		if strings.Contains(asked.Input, "car") || strings.Contains(asked.Input, "automobile") {
			v = []float32{0, 3, 4}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": []any{map[string]any{"embedding": v}}})
	}))
	defer server.Close()
	t.Setenv("VECTOR_KEY", "k1")
	s := started(t, func(o *Options) {
		o.Dir = t.TempDir()
		o.Embeddings.URL, o.Embeddings.Model, o.Embeddings.Dimensions, o.Embeddings.KeyEnv = server.URL, "small", 3, "VECTOR_KEY"
	})
	ada := by("m1", "ada")
	store(t, s, ada, "notes", "buy milk", "")
	store(t, s, ada, "notes", "my car", "")
	if got := search(t, s, ada, "notes", "automobile"); got[0] != "my car" {
		t.Errorf("got %q", got)
	}
	t.Setenv("VECTOR_KEY", "wrong")
	s.embed = newEndpoint(s.o.Embeddings, "wrong")
	if _, err := s.Search(t.Context(), ada, &Search{Collection: "notes", Query: "x"}); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("a wrong key: %v", err)
	}
}

// Vectors of words are the same each time, of length 1, and alike for no order of
// the words.
func TestHashedVectors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[a-zä]{1,9}`), 1, 8).Draw(t, "words")
		a, _ := hashed{}.embed(context.Background(), strings.Join(words, " "))
		slices.Reverse(words)
		b, _ := hashed{}.embed(context.Background(), strings.ToUpper(strings.Join(words, ", ")))
		if score := similarity(a, b); score < 0.999 || score > 1.001 {
			t.Fatalf("%q: %v", words, score)
		}
	})
	if v, _ := (hashed{}).embed(t.Context(), "?!"); similarity(v, v) != 0 {
		t.Error("a text without words has a direction")
	}
}

// Whatever a member sends, there is an answer, or a refusal with a word.
func TestRequestsOfAnyForm(t *testing.T) {
	s := started(t, func(o *Options) { o.Dir = t.TempDir(); o.Documents = 5 })
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "a", "notes", `{"x":1}`, "null", "[]", "00000000-0000-8000-8000-000000000000"}))
		a := by(rapid.SampledFrom([]string{"m1", "m2"}).Draw(t, "mesh"), text.Draw(t, "member"))
		limit := rapid.Float64().Draw(t, "limit")
		metadata := rapid.SampledFrom([]string{"", "null", "{}", "[]", `"x"`, `{"a":{"b":[]}}`}).Draw(t, "metadata")
		ctx := context.Background()
		_, stored := s.Store(ctx, a, &Store{text.Draw(t, "collection"), text.Draw(t, "text"), json.RawMessage(metadata)})
		_, sought := s.Search(ctx, a, &Search{text.Draw(t, "in"), text.Draw(t, "query"), &limit})
		_, deleted := s.Delete(ctx, a, &Delete{text.Draw(t, "from"), text.Draw(t, "id")})
		_, listed := s.List(ctx, a, nil)
		for _, err := range []error{stored, sought, deleted, listed} {
			if _, refused := errors.AsType[*plugin.Refusal](err); err != nil && !refused {
				t.Fatal(err)
			}
		}
	})
}

func TestOptionsThatAreWrong(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"dir: ":               func(*Options) {},
		"qdrant.url: ":        func(o *Options) { o.Qdrant.URL = "qdrant:6334" },
		"qdrant.collection: ": func(o *Options) { o.Qdrant.URL, o.Qdrant.Collection = "http://q", "../x" },
		"embeddings: ":        func(o *Options) { o.Dir, o.Embeddings.URL = "d", "http://e" },
		"delete: ":            func(o *Options) { o.Dir, o.Delete = "d", "all" },
	} {
		o := Default()
		change(&o)
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
