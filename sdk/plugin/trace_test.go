package plugin_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

const (
	traceOf   = "0af7651916cd43dd8448eb211c80319c"
	stageSpan = "b7ad6b7169203331"
)

// sampled is an envelope whose trace is sampled.
func sampled(id string) *pluginpb.Envelope {
	e := envelope(1, id)
	e.Trace = "00-" + traceOf + "-" + stageSpan + "-01"
	return e
}

// tracing says that the broker takes what it names, makes an instance and opens
// its stream.
func tracing(t testing.TB, h handle, features ...string) *stream {
	t.Helper()
	r := serve(t, judge(h))
	resp, err := r.Hello(r.context(), &pluginpb.HelloRequest{Features: features})
	if err != nil || !slices.Contains(resp.Features, "trace/1") {
		t.Fatal(resp, err)
	}
	r.configure("judge", "one", "")
	return r.open("one")
}

// spans reads until n spans and m verdicts have come, in whatever order.
func (s *stream) spans(n, m int) (spans map[string]*pluginpb.Span, verdicts []*pluginpb.Verdicts) {
	s.t.Helper()
	spans = make(map[string]*pluginpb.Span)
	for len(spans) < n || len(verdicts) < m {
		f := s.frame()
		for _, span := range f.GetSpans().GetSpans() {
			spans[span.Name] = span
		}
		if f.Verdicts != nil {
			verdicts = append(verdicts, f.Verdicts)
		}
	}
	return spans, verdicts
}

// A sampled envelope leads to a span of the stage, and to those that the author
// makes with the context of Handle; no other does.
func TestSpans(t *testing.T) {
	s := tracing(t, func(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
		_, span := plugin.Tracer(ctx).Start(ctx, "look up "+env.MessageID)
		span.SetAttributes(attribute.Int("rows", 3), attribute.Bool("cached", true), attribute.Float64("share", 0.5),
			attribute.StringSlice("lists", []string{"a", "b"}))
		span.AddEvent("tried again")
		span.End()
		_, root := plugin.Tracer(ctx).Start(context.Background(), "of nobody") // leads to nothing
		root.End()
		return sdk.Refuse("no", "not now"), nil
	}, "stream/1", "log/1", "trace/1")
	s.batch(1, envelope(1, "a"), sampled("b"))
	spans, verdicts := s.spans(2, 1)
	mine, authors := spans["plugin/judge"], spans["look up b"]
	if mine == nil || authors == nil {
		t.Fatal(spans)
	}
	if hex.EncodeToString(mine.TraceId) != traceOf || hex.EncodeToString(mine.ParentSpanId) != stageSpan || mine.Kind != 2 || mine.EndNanos < mine.StartNanos {
		t.Errorf("the stage's span is %v", mine)
	}
	if !slices.Equal(authors.ParentSpanId, mine.SpanId) || authors.Scope != "tested" || len(authors.Events) != 1 {
		t.Errorf("the author's span is %v", authors)
	}
	if got := fmt.Sprint(attributesOf(authors)); got != `map[cached:true lists:["a","b"] rows:3 share:0.5]` {
		t.Errorf("its attributes are %s", got)
	}
	if got := attributesOf(mine); got["claudemesh.verdict"] != "deny" || got["claudemesh.reason"] != "no" {
		t.Errorf("the stage's span says %v", got)
	}
	if len(verdicts) != 1 || verdicts[0].JudgedNanos <= 0 {
		t.Errorf("the verdicts are %v", verdicts)
	}
	s.batch(2, envelope(1, "c"))
	if v := s.verdicts(); v.JudgedNanos != 0 {
		t.Errorf("judging took %d ns, which nobody asked", v.JudgedNanos)
	}
}

func attributesOf(s *pluginpb.Span) map[string]any {
	m := make(map[string]any)
	for _, a := range s.Attributes {
		switch v := a.Value.(type) {
		case *pluginpb.SpanAttribute_Truth:
			m[a.Key] = v.Truth
		case *pluginpb.SpanAttribute_Whole:
			m[a.Key] = v.Whole
		case *pluginpb.SpanAttribute_Number:
			m[a.Key] = v.Number
		default:
			m[a.Key] = a.GetText()
		}
	}
	return m
}

// What fails is a failed span, without the words of the error.
func TestSpansOfFailures(t *testing.T) {
	s := tracing(t, func(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
		if env.MessageID == "panic" {
			panic("ada's key")
		}
		return sdk.Decision{}, errors.New("ada's key")
	}, "trace/1")
	for i, id := range []string{"stage", "panic"} {
		s.batch(uint64(i+1), sampled(id))
		spans, _ := s.spans(1, 1)
		mine := spans["plugin/judge"]
		if mine.Status != 2 || mine.StatusText != id || strings.Contains(mine.String(), "ada") {
			t.Errorf("the span of a failure is %v, want the status %s", mine, id)
		}
	}
}

// Spans that end after the verdict leave by themselves.
func TestSpansThatEndLater(t *testing.T) {
	later := make(chan func(), 1)
	s := tracing(t, func(ctx context.Context, _ *sdk.Envelope) (sdk.Decision, error) {
		_, span := plugin.Tracer(ctx).Start(ctx, "write down")
		later <- func() { span.End() }
		return sdk.Next(), nil
	}, "trace/1")
	s.batch(1, sampled("a"))
	s.spans(1, 1)
	(<-later)()
	if spans, _ := s.spans(1, 0); spans["write down"] == nil {
		t.Errorf("got %v", spans)
	}
}

// A stage that makes spans without end keeps its verdicts, and says how many
// found no room.
func TestTooManySpans(t *testing.T) {
	const made = 5000
	s := tracing(t, func(ctx context.Context, _ *sdk.Envelope) (sdk.Decision, error) {
		for range made {
			_, span := plugin.Tracer(ctx).Start(ctx, "again")
			span.SetAttributes(attribute.String("long", strings.Repeat("x", 400)))
			span.End()
		}
		_, large := plugin.Tracer(ctx).Start(ctx, "large")
		for i := range 32 {
			large.SetAttributes(attribute.String(fmt.Sprint("a", i), strings.Repeat("x", 600)))
		}
		large.End()
		return sdk.Next(), nil
	}, "trace/1")
	s.batch(1, sampled("a"))
	came, missed, answered := 0, uint64(0), false
	for came+int(missed) < made+2 || !answered {
		f := s.frame()
		came, missed, answered = came+len(f.GetSpans().GetSpans()), missed+f.GetSpans().GetMissed(), answered || f.Verdicts != nil
		if f.SizeVT() > pluginpb.MaxMessage/4 {
			t.Fatalf("a frame has %d bytes", f.SizeVT())
		}
	}
	if missed == 0 {
		t.Error("none was missed")
	}
}

// At the simple level spans come with the verdicts.
func TestSpansAtTheSimpleLevel(t *testing.T) {
	r := serve(t, judge(next))
	if _, err := r.Hello(r.context(), &pluginpb.HelloRequest{Features: []string{"trace/1"}}); err != nil {
		t.Fatal(err)
	}
	r.configure("judge", "one", "")
	v, err := r.ProcessBatch(r.context(), &pluginpb.Batch{Seq: 1, Instance: "one", Envelopes: []*pluginpb.Envelope{sampled("a"), sampled("b")}})
	if err != nil || len(v.GetSpans().GetSpans()) != 2 || v.JudgedNanos <= 0 {
		t.Errorf("%v, %v; want two spans", v, err)
	}
}

// Records within a sampled envelope say which span they belong to.
func TestLogsWithinSpans(t *testing.T) {
	s := tracing(t, func(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
		plugin.LoggerForTest(ctx).InfoContext(ctx, env.MessageID)
		return sdk.Next(), nil
	}, "log/1", "trace/1")
	s.batch(1, envelope(1, "plain"), sampled("traced"))
	records, span := make(map[string]*pluginpb.LogRecord), []byte(nil)
	for span == nil || len(records) < 2 {
		f := s.frame()
		for _, r := range f.Logs {
			records[r.Message] = r
		}
		for _, p := range f.GetSpans().GetSpans() {
			span = p.SpanId
		}
	}
	if r := records["traced"]; hex.EncodeToString(r.TraceId) != traceOf || !slices.Equal(r.SpanId, span) {
		t.Errorf("got %v, want the span %x", r, span)
	}
	if r := records["plain"]; r.TraceId != nil || r.SpanId != nil {
		t.Errorf("got %v", r)
	}
}

// A broker that takes no spans, and an envelope that says nothing of use, have a
// tracer that records nothing.
func TestWithoutTraces(t *testing.T) {
	for name, test := range map[string]struct {
		trace    string
		features []string
	}{
		"no feature":  {"00-" + traceOf + "-" + stageSpan + "-01", []string{"stream/1"}},
		"not sampled": {"00-" + traceOf + "-" + stageSpan + "-00", []string{"trace/1"}},
		"no trace":    {"", []string{"trace/1"}},
		"no such":     {"01", []string{"trace/1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := tracing(t, func(ctx context.Context, _ *sdk.Envelope) (sdk.Decision, error) {
				ctx, span := plugin.Tracer(ctx).Start(ctx, "look up")
				defer span.End()
				if trace.SpanContextFromContext(ctx).IsSampled() || span.IsRecording() {
					return sdk.Refuse("recorded", ""), nil
				}
				return sdk.Next(), nil
			}, test.features...)
			e := envelope(1, "a")
			e.Trace = test.trace
			s.batch(1, e)
			if v := s.verdicts(); len(v.Exceptions) > 0 || v.Spans != nil {
				t.Errorf("got %v", v)
			}
		})
	}
	_, span := plugin.Tracer(context.Background()).Start(context.Background(), "alone")
	span.End(trace.WithTimestamp(time.Now()))
}
