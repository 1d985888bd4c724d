package graph

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
)

func none(asked) ([]any, [][]any, map[string]any) { return []any{}, nil, nil }

func by(mesh string) plugin.Asker {
	return plugin.Asker{Mesh: mesh, Sender: sdk.Sender{MemberID: "ada"}}
}

// started returns a stage that has the graph of m1 on one server, and that of m2
// on another.
func started(t *testing.T, one, two *fakeBolt, change func(*Options)) *Stage {
	t.Helper()
	t.Setenv("GRAPH_PASSWORD", "secret")
	o := Default()
	o.Meshes["m1"] = Server{URL: one.url, Database: "team-one", User: "one", PasswordEnv: "GRAPH_PASSWORD"}
	if two != nil {
		o.Meshes["m2"] = Server{URL: two.url, User: "two", PasswordEnv: "GRAPH_PASSWORD"}
	}
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
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return s
}

func TestQuery(t *testing.T) {
	server := newFakeBolt(t, func(asked) ([]any, [][]any, map[string]any) {
		node := structure{tagNode, []any{7, []any{"Person"}, map[string]any{"name": "ada", "age": 36}}}
		return []any{"n", "count", "list"}, [][]any{{node, 9007199254740993, []any{1.5, nil, true}}}, nil
	})
	s := started(t, server, nil, func(*Options) {})
	r, err := s.Query(t.Context(), by("m1"), &Cypher{Cypher: "MATCH (n {name: $name}) RETURN n", Params: map[string]json.RawMessage{
		"name": json.RawMessage(`"ada"`), "limit": json.RawMessage(`3`), "ratio": json.RawMessage(`0.5`), "in": json.RawMessage(`[1,{"a":null}]`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(r)
	want := `{"records":[{"count":9007199254740993,"list":[1.5,null,true],"n":{"elementId":"7","labels":["Person"],"properties":{"age":36,"name":"ada"}}}]}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
	wantAsked := asked{
		User: "one", Cypher: "MATCH (n {name: $name}) RETURN n", Mode: "r", Database: "team-one", Timeout: 3000,
		Params: map[string]any{"name": "ada", "limit": 3, "ratio": 0.5, "in": []any{1, map[string]any{"a": nil}}},
	}
	if diff := cmp.Diff(wantAsked, server.last()); diff != "" {
		t.Errorf("the server was asked (-want +got): %s", diff)
	}
}

// A query runs with access to read alone, which the server holds it to; each runs
// in a time, with parameters, and as the account of its mesh.
func TestFlawExt33QueriesOnlyRead(t *testing.T) {
	server := newFakeBolt(t, func(q asked) ([]any, [][]any, map[string]any) {
		if q.Mode == "r" && strings.HasPrefix(q.Cypher, "CREATE") { // as Neo4j does
			return nil, nil, map[string]any{"code": "Neo.ClientError.Statement.AccessMode", "message": "Writing in read access mode not allowed."}
		}
		return []any{}, nil, nil
	})
	s := started(t, server, nil, func(*Options) {})
	_, err := s.Query(t.Context(), by("m1"), &Cypher{Cypher: "CREATE (:X)"})
	if err == nil || err.Error() != "invalid: Writing in read access mode not allowed." {
		t.Errorf("a query that writes: %v", err)
	}
	if _, err := s.Execute(t.Context(), by("m1"), &Cypher{Cypher: "CREATE (:X)"}); err != nil || server.last().Mode != "w" {
		t.Errorf("an execute that writes: %v, %+v", err, server.last())
	}
}

// Each mesh has a server or an account of its own, and one that the operator named
// none for has no graph. Names of databases are the operator's, and none is made.
func TestFlawExt48MeshesHaveGraphsOfTheirOwn(t *testing.T) {
	one, two := newFakeBolt(t, none), newFakeBolt(t, none)
	s := started(t, one, two, func(*Options) {})
	for mesh, user := range map[string]string{"m1": "one", "m2": "two"} {
		if _, err := s.Execute(t.Context(), by(mesh), &Cypher{Cypher: "RETURN 1"}); err != nil {
			t.Fatal(err)
		}
		server := map[string]*fakeBolt{"m1": one, "m2": two}[mesh]
		if server.count() != 1 || server.last().User != user {
			t.Errorf("%s: %d queries, the last as %s", mesh, server.count(), server.last().User)
		}
	}
	_, err := s.Query(t.Context(), by("m3"), &Cypher{Cypher: "RETURN 1"})
	if err == nil || !strings.HasPrefix(err.Error(), "not_available: this mesh has no graph") {
		t.Errorf("a mesh without a graph: %v", err)
	}
	if one.count()+two.count() != 2 {
		t.Error("it reached a server")
	}
	o := s.o
	o.Meshes["m2"] = o.Meshes["m1"]
	if err := o.Validate(); err == nil || !strings.Contains(err.Error(), "two meshes in one graph") {
		t.Errorf("two meshes in one graph: %v", err)
	}
}

func TestAnswersEnd(t *testing.T) {
	server := newFakeBolt(t, func(q asked) ([]any, [][]any, map[string]any) {
		rows := make([][]any, 5000)
		for i := range rows {
			rows[i] = []any{strings.Repeat("x", 1+len(q.Cypher))}
		}
		return []any{"a"}, rows, nil
	})
	s := started(t, server, nil, func(o *Options) { o.Rows = 30 })
	r, err := s.Query(t.Context(), by("m1"), &Cypher{Cypher: "short"})
	if err != nil || len(r.Records) != 30 || !r.Truncated {
		t.Errorf("%d records, truncated %v, %v", len(r.Records), r.Truncated, err)
	}
	s.o.Rows = 5000
	r, err = s.Query(t.Context(), by("m1"), &Cypher{Cypher: strings.Repeat("l", 8000)})
	if b, _ := json.Marshal(r); err != nil || !r.Truncated || len(b) > mostAnswer+1000 {
		t.Errorf("%d records, %v", len(r.Records), err)
	}
}

// A record that is too long is refused and never in memory, however long the server
// goes on, and the plugin answers as before.
func TestARecordThatNeverEnds(t *testing.T) {
	server := newFakeBolt(t, func(q asked) ([]any, [][]any, map[string]any) {
		var value any = 1
		switch q.Cypher {
		case "long":
			value = strings.Repeat("x", mostMessage)
		case "wide":
			value = strings.Repeat("x", mostAnswer)
		case "endless":
			value = endless{}
		}
		return []any{"a"}, [][]any{{value}}, nil
	})
	s := started(t, server, nil, func(*Options) {})
	for cypher, want := range map[string]string{
		"long": "invalid: a record of the answer has more than 1048576 bytes: return less of it", "endless": "invalid: a record of the answer has more than 1048576 bytes: return less of it",
		"wide": "invalid: a record of the answer has more than 524288 bytes of JSON: return less of it",
	} {
		if _, err := s.Query(t.Context(), by("m1"), &Cypher{Cypher: cypher}); err == nil || err.Error() != want {
			t.Errorf("%s: got %v", cypher, err)
		}
		if r, err := s.Query(t.Context(), by("m1"), &Cypher{Cypher: "short"}); err != nil || len(r.Records) != 1 {
			t.Errorf("after %s: got %+v, %v", cypher, r, err)
		}
	}
	if r, err := s.Execute(t.Context(), by("m1"), &Cypher{Cypher: "wide"}); err != nil || !r.Truncated {
		t.Errorf("what was done is not refused: %+v, %v", r, err)
	}
}

// A server that is away is named in what the log gets.
func TestAServerThatIsAway(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := started(t, &fakeBolt{url: "bolt://" + l.Addr().String()}, nil, func(*Options) {})
	_ = l.Close()
	if _, err := s.Query(t.Context(), by("m1"), &Cypher{Cypher: "RETURN 1"}); err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("got %v", err)
	}
}

// A server behind TLS has to prove that it is the one of the URL.
func TestAServerThatIsNobody(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	s := started(t, &fakeBolt{url: "bolt+s://" + server.Listener.Addr().String()}, nil, func(*Options) {})
	if _, err := s.Query(t.Context(), by("m1"), &Cypher{Cypher: "RETURN 1"}); err == nil || !strings.Contains(err.Error(), "failed to verify certificate") {
		t.Errorf("got %v", err)
	}
}

// What the member wrote wrong it is told; what is the operator's business it is not.
func TestFailures(t *testing.T) {
	code := "Neo.ClientError.Statement.SyntaxError"
	server := newFakeBolt(t, func(asked) ([]any, [][]any, map[string]any) {
		return nil, nil, map[string]any{"code": code, "message": "line 1"}
	})
	s := started(t, server, nil, func(*Options) {})
	ask := func() error {
		_, err := s.Query(t.Context(), by("m1"), &Cypher{Cypher: "RETURN"})
		return err
	}
	if err := ask(); err == nil || err.Error() != "invalid: line 1" {
		t.Errorf("a syntax error: %v", err)
	}
	for _, code = range []string{"Neo.ClientError.Security.Unauthorized", "Neo.DatabaseError.General.UnknownError"} {
		if _, refused := errors.AsType[*plugin.Refusal](ask()); refused {
			t.Errorf("%s is told to the member", code)
		}
	}
}

// A server that does not answer costs the time of a query, and no more.
func TestAServerThatIsSilent(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	s := started(t, &fakeBolt{url: "bolt://" + l.Addr().String()}, nil, func(o *Options) { o.Timeout = plugin.Duration(50 * time.Millisecond) })
	if _, err := s.Query(t.Context(), by("m1"), &Cypher{Cypher: "RETURN 1"}); err == nil {
		t.Error("there is an answer")
	}
}

// A server that goes silent in the middle of a query costs the time of it, and
// nothing of the plugin stays behind.
func TestAServerThatFallsSilent(t *testing.T) {
	silent := make(chan struct{})
	server := newFakeBolt(t, func(asked) ([]any, [][]any, map[string]any) {
		<-silent
		return []any{}, nil, nil
	})
	t.Cleanup(func() { close(silent) }) // before the server's own, which waits for it
	s := started(t, server, nil, func(o *Options) { o.Timeout = plugin.Duration(100 * time.Millisecond) })
	for _, ask := range []func(context.Context, plugin.Asker, *Cypher) (Result, error){s.Query, s.Execute} {
		done := make(chan error, 1)
		go func() {
			_, err := ask(context.Background(), by("m1"), &Cypher{Cypher: "RETURN 1"})
			done <- err
		}()
		select {
		case err := <-done:
			if err == nil || !strings.HasPrefix(err.Error(), "timeout: ") {
				t.Errorf("got %v", err)
			}
		case <-time.After(15 * time.Second):
			t.Fatal("the query does not end")
		}
	}
}

// Whatever a member sends, the broker gets an answer or a refusal.
func TestRequestsOfAnyForm(t *testing.T) {
	s := started(t, newFakeBolt(t, none), nil, func(*Options) {})
	rapid.Check(t, func(t *rapid.T) {
		m := &Cypher{Cypher: rapid.String().Draw(t, "cypher"), Params: map[string]json.RawMessage{}}
		if name := rapid.StringN(0, 5, -1).Draw(t, "name"); rapid.Bool().Draw(t, "params") {
			m.Params[name] = json.RawMessage(rapid.SampledFrom([]string{`1`, `1e400`, `"x"`, `[[]]`, `{"a":{}}`, `null`}).Draw(t, "value"))
		}
		mesh := rapid.SampledFrom([]string{"m1", "m9", ""}).Draw(t, "mesh")
		_, err := s.Execute(context.Background(), by(mesh), m)
		if _, refused := errors.AsType[*plugin.Refusal](err); err != nil && !refused {
			t.Fatal(err)
		}
	})
}
