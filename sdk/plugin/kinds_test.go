package plugin

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// notes is a stage that owns kinds.
type notes struct{ entered chan struct{} }

type notePut struct {
	Text  string `json:"text"`
	Limit *int   `json:"limit"`
	Meta  *struct {
		Tags []string `json:"tags"`
	} `json:"meta"`
}

type noteKept struct {
	ID string `json:"id"`
	By string `json:"by,omitempty"`
}

func (noteKept) FrameType() string { return "note_kept" }

func (n *notes) Put(ctx context.Context, a Asker, m *notePut) (noteKept, error) {
	switch m.Text {
	case "":
		return noteKept{}, Refuse("empty", "a note has a text")
	case "fail":
		return noteKept{}, errors.New("its disk is away")
	case "panic":
		panic("as told")
	case "wait":
		close(n.entered)
		<-ctx.Done()
		return noteKept{}, ctx.Err()
	}
	return noteKept{ID: a.Mesh + "/" + m.Text, By: a.Sender.Name}, nil
}

func notesStage(n *notes) Stage {
	return DefineOwner("notes", struct{}{}, func(struct{}) (*notes, error) { return n, nil }, Summary("keeps notes"),
		Answers("note_put", (*notes).Put, About("keeps a note"), Permission("canWriteState"), RefusedAs(noteKept{})))
}

// owning serves notes and returns what asks it.
func owning(t *testing.T, n *notes) (*service, func(kind, fields string) (*pluginpb.AnswerResponse, error)) {
	t.Helper()
	s := newService(Plugin{Name: "notes", Version: "1.0.0", Stages: []Stage{notesStage(n)}}, t.Output(), func(err error) { t.Error(err) })
	if _, err := s.Configure(t.Context(), &pluginpb.ConfigureRequest{Instance: "one", Stage: "notes", Link: "notes"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.close(context.Background()) })
	return s, func(kind, fields string) (*pluginpb.AnswerResponse, error) {
		return s.Answer(t.Context(), &pluginpb.AnswerRequest{
			Instance: "one", DeadlineNanos: int64(time.Minute), Fields: []byte(fields),
			Envelope: &pluginpb.Envelope{Kind: kind, Mesh: "m1", Name: "ada", Conn: 1},
		})
	}
}

func TestKindsAreDescribed(t *testing.T) {
	s, _ := owning(t, &notes{})
	d, err := s.Describe(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	k := d.Stages[0].Kinds[0]
	got := []string{k.Name, k.Summary, k.Permission, strings.Join(k.Replies, " "), k.Refusal, string(k.RefusalFields)}
	if diff := cmp.Diff([]string{"note_put", "keeps a note", "canWriteState", "note_kept", "note_kept", `{"id":""}`}, got); diff != "" {
		t.Error(diff)
	}
	hello, err := s.Hello(t.Context(), &pluginpb.HelloRequest{})
	if err != nil || !strings.Contains(strings.Join(hello.Features, " "), featureKinds) {
		t.Errorf("hello: %v, %v", hello, err)
	}
}

func TestAnswer(t *testing.T) {
	_, ask := owning(t, &notes{})
	tests := []struct {
		name, kind, fields string
		want               string // the response, or the code of the error
	}{
		{"it answers", "note_put", `{"text":"milk","unknown":1}`, `note_kept {"id":"m1/milk","by":"ada"}`},
		{"it refuses in the handler's words", "note_put", `{"text":""}`, "empty: a note has a text"},
		{"it refuses a text that is none", "note_put", `{"text":7}`, "invalid: text: want a text"},
		{"it refuses a list that is none", "note_put", `{"text":"a","meta":{"tags":{}}}`, "invalid: meta.tags: want a list"},
		{"it refuses a number that is none", "note_put", `{"text":"a","limit":"7"}`, "invalid: limit: want a whole number"},
		{"it says that the handler failed", "note_put", `{"text":"fail"}`, "Aborted"},
		{"it contains a panic", "note_put", `{"text":"panic"}`, "Aborted"},
		{"it does not answer what it does not own", "other", `{}`, "InvalidArgument"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := ask(tt.kind, tt.fields)
			got := r.GetType() + " " + string(r.GetFields())
			switch {
			case err != nil:
				got = status.Code(err).String()
			case r.Reason != "":
				got = r.Reason + ": " + r.Text
			}
			if got != tt.want {
				t.Errorf("got %q, want %q (%v)", got, tt.want, err)
			}
		})
	}
}

// A handler that its deadline has ended did not fail, it was late: the broker takes
// the one for an answer in time, and counts the other.
func TestAnswerBehindItsDeadline(t *testing.T) {
	s, _ := owning(t, &notes{entered: make(chan struct{})})
	_, err := s.Answer(t.Context(), &pluginpb.AnswerRequest{
		Instance: "one", DeadlineNanos: int64(time.Millisecond), Fields: []byte(`{"text":"wait"}`),
		Envelope: &pluginpb.Envelope{Kind: "note_put", Mesh: "m1", Name: "ada", Conn: 1},
	})
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
}

// A drain waits for requests in hand, and gives them up when its time is over.
func TestADrainWaitsForAnswers(t *testing.T) {
	n := &notes{entered: make(chan struct{})}
	s, ask := owning(t, n)
	done := make(chan error, 1)
	go func() {
		_, err := ask("note_put", `{"text":"wait"}`)
		done <- err
	}()
	<-n.entered
	r, err := s.Drain(t.Context(), &pluginpb.DrainRequest{Instance: "one", DeadlineNanos: int64(20 * time.Millisecond)})
	if err != nil || r.Unfinished != 1 {
		t.Errorf("drain: %v, %v; want one request given up", r, err)
	}
	if err := <-done; status.Code(err) != codes.Aborted {
		t.Errorf("the request in hand: %v", err)
	}
	if _, err := ask("note_put", `{"text":"late"}`); err == nil {
		t.Error("an instance that is gone answers")
	}
}

// Whatever the fields are, there is an answer, a refusal or a failure, and the
// program lives on.
func TestFieldsOfAnyForm(t *testing.T) {
	_, ask := owning(t, &notes{})
	rapid.Check(t, func(t *rapid.T) {
		fields := rapid.OneOf(rapid.String(), rapid.StringMatching(`\{("(text|limit|meta)":(1|"a"|null|\{\}|\[\]|true),?){0,3}\}`)).Draw(t, "fields")
		r, err := ask("note_put", fields)
		if err == nil && (r.Type == "") == (r.Reason == "") {
			t.Fatalf("%q: %v", fields, r)
		}
		if err != nil && status.Code(err) != codes.Aborted {
			t.Fatalf("%q: %v", fields, err)
		}
	})
}

func TestMistakesInKindsPanic(t *testing.T) {
	for name, do := range map[string]func(){
		"a name with a hyphen": func() { Answers("note-put", (*notes).Put) },
		"no kinds": func() {
			DefineOwner("notes", struct{}{}, func(struct{}) (*notes, error) { return nil, nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it does not panic")
				}
			}()
			do()
		})
	}
}
