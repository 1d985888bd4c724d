package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// whole is a stage with every method that a stage may have.
type whole struct {
	mu    sync.Mutex
	calls []string
	done  chan struct{} // closed by Stop
	judge handle
}

func newWhole(h handle) *whole { return &whole{done: make(chan struct{}), judge: h} }

func (w *whole) call(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, fmt.Sprintf(format, args...))
}

func (w *whole) Handle(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
	w.call("handle %s", env.MessageID)
	return w.judge(ctx, env)
}

func (w *whole) Done(env *sdk.Envelope, out sdk.Outcome) {
	w.call("done %s %v %s", env.MessageID, out.Decision.Verdict, out.Took)
}

func (w *whole) Match() sdk.Match {
	return sdk.Match{Kinds: []sdk.Kind{"send", "http.*"}, MaxSize: 100, Targets: []sdk.TargetKind{sdk.TargetTopic}}
}

func (w *whole) Kinds() []sdk.Kind { return []sdk.Kind{"send", "hello", "http.join"} }

func (w *whole) Start(context.Context) error { w.call("start"); return nil }

func (w *whole) Stop(context.Context) error {
	w.call("stop")
	close(w.done)
	return nil
}

func (w *whole) define() plugin.Stage {
	return plugin.Define("whole", none{}, func(none) (*whole, error) { return w, nil })
}

func next(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Next(), nil }

func TestLife(t *testing.T) {
	w := newWhole(next)
	r := serve(t, w.define())
	hello := r.hello()
	if hello.Name != "tested" || hello.Version != "1.2.3" || !strings.Contains(strings.Join(hello.Features, " "), "observe/1") {
		t.Errorf("hello: %v", hello)
	}
	resp := r.configure("whole", "one", "")
	want := &pluginpb.Match{Kinds: []string{"send", "http.join"}, MaxSize: 100, Targets: []uint32{4}}
	if diff := cmp.Diff(want, resp.Match, protocmp.Transform()); diff != "" || !resp.HasMatch {
		t.Errorf("match (-want +got):\n%s", diff)
	}
	s := r.open("one")
	s.batch(1, envelope(1, "a"))
	s.verdicts()
	s.send(&pluginpb.HostFrame{Outcomes: &pluginpb.Outcomes{Seq: 9, Outcomes: []*pluginpb.Outcome{
		{Envelope: envelope(1, "a"), Verdict: 4, TookNanos: 5}, {Envelope: envelope(1, "b"), Verdict: 2},
	}}})
	if seen := s.frame().Observed; seen.GetSeq() != 9 {
		t.Errorf("observed: %v", seen)
	}
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	wait(t, w.done)
	calls := []string{"start", "handle a", "done a answer 5ns", "done b deny 0s", "stop"}
	if diff := cmp.Diff(calls, w.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestDrain(t *testing.T) {
	t.Run("it finishes what is in hand", func(t *testing.T) {
		begun, release := make(chan struct{}, 1), make(chan struct{})
		w := newWhole(func(context.Context, *sdk.Envelope) (sdk.Decision, error) {
			begun <- struct{}{}
			<-release
			return sdk.Next(), nil
		})
		r, s := configured(t, w.define())
		s.batch(1, envelope(1, "a"))
		<-begun
		drained := make(chan *pluginpb.DrainResponse, 1)
		go func() {
			resp, _ := r.Drain(r.context(), &pluginpb.DrainRequest{Instance: "one", DeadlineNanos: int64(patience)})
			drained <- resp
		}()
		close(release)
		if resp := <-drained; resp == nil || resp.Unfinished != 0 {
			t.Errorf("drained: %v", resp)
		}
		if v := s.verdicts(); v.DefaultVerdict != 1 {
			t.Errorf("verdicts: %v", v)
		}
		s.batch(2, envelope(1, "late"))
		if v := s.verdicts(); v.Seq != 2 || len(v.Exceptions) != 1 || v.Exceptions[0].Error != "the instance has ended" {
			t.Errorf("verdicts after the drain: %v", v)
		}
		if got := w.calls[len(w.calls)-1]; got != "stop" {
			t.Errorf("last call: %s", got)
		}
	})
	t.Run("it gives up at the deadline", func(t *testing.T) {
		begun := make(chan struct{}, 1)
		w := newWhole(func(ctx context.Context, _ *sdk.Envelope) (sdk.Decision, error) {
			begun <- struct{}{}
			<-ctx.Done()
			return sdk.Decision{}, ctx.Err()
		})
		r, s := configured(t, w.define())
		s.batch(1, envelope(1, "a"), envelope(1, "b"))
		s.batch(2, envelope(1, "c"))
		<-begun
		resp, err := r.Drain(r.context(), &pluginpb.DrainRequest{DeadlineNanos: int64(20 * time.Millisecond)})
		if err != nil || resp.Unfinished != 3 {
			t.Errorf("drained: %v, %v", resp, err)
		}
		wait(t, w.done)
		if _, err := r.Configure(r.context(), &pluginpb.ConfigureRequest{Instance: "two", Stage: "whole"}); status.Code(err) != codes.Unavailable {
			t.Errorf("configured after a drain of all: %v", err)
		}
	})
	t.Run("it refuses an unknown instance", func(t *testing.T) {
		r := serve(t, newWhole(next).define())
		if _, err := r.Drain(r.context(), &pluginpb.DrainRequest{Instance: "none"}); status.Code(err) != codes.NotFound {
			t.Errorf("got %v", err)
		}
	})
}

// A broken stream ends the context of what is in hand, and the stage stops.
func TestBrokenStream(t *testing.T) {
	begun := make(chan struct{}, 1)
	w := newWhole(func(ctx context.Context, _ *sdk.Envelope) (sdk.Decision, error) {
		begun <- struct{}{}
		<-ctx.Done()
		return sdk.Decision{}, ctx.Err()
	})
	_, s := configured(t, w.define())
	s.send(&pluginpb.HostFrame{Batch: &pluginpb.Batch{Seq: 1, Envelopes: []*pluginpb.Envelope{envelope(1, "a")}}})
	<-begun
	s.cancel()
	wait(t, w.done)
}

func TestPanics(t *testing.T) {
	r, s := configured(t, judge(func(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
		if env.MessageID == "bad" {
			panic("no luck")
		}
		return sdk.Next(), nil
	}))
	s.batch(1, envelope(1, ""), envelope(1, "bad"), envelope(1, ""))
	var logged *pluginpb.LogRecord
	for {
		frame := s.frame()
		if len(frame.Logs) > 0 {
			logged = frame.Logs[0]
		}
		if frame.Verdicts == nil {
			continue
		}
		want := &pluginpb.Verdicts{Seq: 1, Count: 3, DefaultVerdict: 1, Exceptions: []*pluginpb.Verdict{{Index: 1, Error: "panic: no luck"}}}
		if diff := cmp.Diff(want, frame.Verdicts, protocmp.Transform()); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
		break
	}
	for logged == nil {
		if frame := s.frame(); len(frame.Logs) > 0 {
			logged = frame.Logs[0]
		}
	}
	if logged.Message != "panic in Handle" || !strings.Contains(fmt.Sprint(logged.Attributes), "life_test.go") {
		t.Errorf("logged %v", logged)
	}
	s.batch(2, envelope(1, "bad"), envelope(1, "bad"))
	select {
	case err := <-r.ended:
		r.ended <- err
		if err == nil || !strings.Contains(err.Error(), "3 panics within 1m0s") {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("it did not end")
	}
}

func TestSimpleLevel(t *testing.T) {
	w := newWhole(next)
	r := serve(t, w.define())
	r.configure("whole", "one", "")
	v, err := r.ProcessBatch(r.context(), &pluginpb.Batch{Seq: 5, Instance: "one", Envelopes: []*pluginpb.Envelope{envelope(1, "a")}})
	if diff := cmp.Diff(&pluginpb.Verdicts{Seq: 5, Count: 1, DefaultVerdict: 1}, v, protocmp.Transform()); diff != "" || err != nil {
		t.Errorf("verdicts: %v, (-want +got):\n%s", err, diff)
	}
	o, err := r.ObserveBatch(r.context(), &pluginpb.Outcomes{Seq: 6, Instance: "one", Outcomes: []*pluginpb.Outcome{{Envelope: envelope(1, "a")}}})
	if err != nil || o.Seq != 6 || w.calls[len(w.calls)-1] != "done a undecided 0s" {
		t.Errorf("observed: %v, %v, %v", o, err, w.calls)
	}
	if _, err := r.ProcessBatch(r.context(), &pluginpb.Batch{Instance: "two"}); status.Code(err) != codes.NotFound {
		t.Errorf("an unknown instance: %v", err)
	}
}

func TestTwoInstances(t *testing.T) {
	r := serve(t, plugin.Define("word", words{}, func(w words) (handle, error) {
		return func(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Refuse("word", w.Word), nil }, nil
	}))
	for _, word := range []string{"ada", "bo"} {
		r.configure("word", word, `{"word": "`+word+`"}`)
		s := r.open(word)
		defer func() {
			s.batch(1, envelope(1, ""))
			if v := s.verdicts(); v.Exceptions[0].Text != word {
				t.Errorf("instance %s answered %v", word, v)
			}
		}()
	}
	_, err := r.Configure(r.context(), &pluginpb.ConfigureRequest{Stage: "word", Instance: "bo"})
	if status.Code(err) != codes.AlreadyExists {
		t.Errorf("a third with a name that is taken: %v", err)
	}
}

type words struct {
	Word string `json:"word"`
}

func TestConfigureRefuses(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name  string
		stage plugin.Stage
		want  string
	}{
		{"a stage without what it needs", judge(next, plugin.Needs(plugin.AudienceRead)), "the stage needs the capability audience.read, which is not granted"},
		{"a stage that cannot be made", plugin.Define("s", none{}, func(none) (handle, error) { return nil, broken }), "broken"},
		{"a stage that panics", plugin.Define("s", none{}, func(none) (handle, error) { panic("here") }), "panic: here"},
		{"a stage that does not start", plugin.Define("s", none{}, func(none) (unstarted, error) { return unstarted{}, nil }), "start: broken"},
	}
	for _, tt := range tests {
		t.Run("it refuses "+tt.name, func(t *testing.T) {
			r := serve(t, tt.stage)
			list, err := r.Describe(r.context(), &pluginpb.DescribeRequest{})
			if err != nil {
				t.Fatal(err)
			}
			resp, err := r.Configure(r.context(), &pluginpb.ConfigureRequest{Stage: list.Stages[0].Name, Instance: "one"})
			if err != nil || len(resp.Diagnostics) != 1 || resp.Diagnostics[0].Message != tt.want {
				t.Errorf("got %v, %v, want %s", resp, err, tt.want)
			}
		})
	}
}

type unstarted struct{ handle }

func (unstarted) Start(context.Context) error { return errors.New("broken") }

func TestLogBudget(t *testing.T) {
	r, s := configured(t, judge(func(ctx context.Context, _ *sdk.Envelope) (sdk.Decision, error) {
		for range 300 {
			plugin.LoggerForTest(ctx).InfoContext(ctx, "flood", slog.Int("n", 1))
		}
		return sdk.Next(), nil
	}))
	_ = r
	s.batch(1, envelope(1, ""))
	records, missing := 0, ""
	for missing == "" {
		for _, l := range s.frame().Logs {
			if l.Message == "flood" {
				records++
			} else {
				missing = l.Attributes[0].Value
			}
		}
	}
	if records < 200 || fmt.Sprint(300-records) != missing {
		t.Errorf("%d records, and %s left out, of 300", records, missing)
	}
}

// Whatever the author writes, it fits into a message.
func TestLongTexts(t *testing.T) {
	long := strings.Repeat("é", 1<<20)
	_, s := configured(t, judge(func(ctx context.Context, _ *sdk.Envelope) (sdk.Decision, error) {
		for range 10 {
			plugin.LoggerForTest(ctx).InfoContext(ctx, long, "long", long)
		}
		return sdk.Refuse("no", long), nil
	}))
	s.batch(1, envelope(1, ""), envelope(1, ""))
	if v := s.verdicts(); len(v.Exceptions) != 2 || len(v.Exceptions[1].Text) > 5<<10 || !strings.HasSuffix(v.Exceptions[1].Text, "…") {
		t.Errorf("%d exceptions, a text of %d bytes", len(v.Exceptions), len(v.Exceptions[0].Text))
	}
}
