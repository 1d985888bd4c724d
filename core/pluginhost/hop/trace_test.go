package hop_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/core/pluginhost/hop"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// traced are options with a recorder of all spans, and a tracer that makes those
// of stages.
func traced() (hop.Options, *tracetest.SpanRecorder, trace.Tracer) {
	recorder := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("test")
	o := options()
	o.Tracer, o.Spans = tracer, recorder
	return o, recorder, tracer
}

func traces(s *hop.Session) { s.Traces, s.Program, s.Version = true, "liar", "1.0.0" }

// upTraced makes a hop to a fake that makes spans.
func upTraced(t *testing.T, o hop.Options, f *fake) *hop.Hop {
	t.Helper()
	h := newHop(t, o)
	conn, _ := process(t, f)
	connect(t, h, conn, traces)
	return h
}

// ended returns the spans of a name that have ended.
func ended(r *tracetest.SpanRecorder, name string) (list []sdktrace.ReadOnlySpan) {
	for _, s := range r.Ended() {
		if s.Name() == name {
			list = append(list, s)
		}
	}
	return list
}

func attributeOf(s sdktrace.ReadOnlySpan, key string) attribute.Value {
	for _, a := range s.Attributes() {
		if string(a.Key) == key {
			return a.Value
		}
	}
	return attribute.Value{}
}

// The plugin is told the span that its stage is called within when that is
// sampled, and nothing otherwise, whatever the frame said.
func TestWhatThePluginIsToldOfATrace(t *testing.T) {
	const came = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	o, _, tracer := traced()
	asked, outcomes := make(chan *pluginpb.Batch, 1), make(chan *pluginpb.Outcomes, 1)
	h := upTraced(t, o, &fake{
		judge:   func(b *pluginpb.Batch) *pluginpb.Verdicts { asked <- b; return allow(b) },
		observe: func(o *pluginpb.Outcomes) { outcomes <- o },
	})
	sampled, span := tracer.Start(t.Context(), "stage/guard")
	defer span.End()
	c := span.SpanContext()
	unsampled := trace.ContextWithSpanContext(t.Context(), c.WithTraceFlags(0))
	for _, test := range []struct {
		name string
		ctx  context.Context
		want string
	}{
		{"no span", t.Context(), ""},
		{"one that is not sampled", unsampled, ""},
		{"one that is sampled", sampled, "00-" + c.TraceID().String() + "-" + c.SpanID().String() + "-01"},
	} {
		env := message(1)
		env.Trace = came
		if _, err := h.Ask(test.ctx, env); err != nil {
			t.Fatal(err)
		}
		if got := (<-asked).GetEnvelopes()[0].GetTrace(); got != test.want {
			t.Errorf("%s: the plugin is told %q, want %q", test.name, got, test.want)
		}
	}
	done := make(chan error, 1)
	if !h.Submit(sampled, message(1), func(_ sdk.Decision, err error) { done <- err }) {
		t.Fatal("not taken")
	}
	if got := (<-asked).GetEnvelopes()[0].GetTrace(); got != "" {
		t.Errorf("in shadow it is told %q", got)
	}
	if err := receive(t, "the verdict", done); err != nil {
		t.Error(err)
	}
	env := message(1)
	env.Trace = came
	h.Observe(env, sdk.Outcome{})
	if got := receive(t, "the outcome", outcomes).GetOutcomes()[0].GetEnvelope().GetTrace(); got != came {
		t.Errorf("an outcome tells %q, want that of the envelope, %q", got, came)
	}
}

// A batch with a sampled envelope has a span of its own, linked to that of the
// stage, and says how it ended.
func TestSpanOfABatch(t *testing.T) {
	for name, test := range map[string]struct {
		judge func(*pluginpb.Batch) *pluginpb.Verdicts
		fails string
	}{
		"answered": {func(b *pluginpb.Batch) *pluginpb.Verdicts {
			v := allow(b)
			v.JudgedNanos = 1000
			return v
		}, ""},
		"late":   {func(*pluginpb.Batch) *pluginpb.Verdicts { return nil }, "deadline"},
		"breach": {func(b *pluginpb.Batch) *pluginpb.Verdicts { v := allow(b); v.Count++; return v }, "protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			o, recorder, tracer := traced()
			o.Deadline = 200 * time.Millisecond
			h := upTraced(t, o, &fake{judge: test.judge})
			_, _ = h.Ask(t.Context(), message(1)) // not sampled
			ctx, stage := tracer.Start(t.Context(), "stage/guard")
			_, err := h.Ask(ctx, message(1))
			stage.End()
			if (err != nil) != (test.fails != "") {
				t.Fatal(err)
			}
			until(t, "the span of the batch", func() bool { return len(ended(recorder, "batch/guard")) > 0 })
			list := ended(recorder, "batch/guard")
			if len(list) != 1 {
				t.Fatalf("%d spans of batches, want one: the other had nothing sampled", len(list))
			}
			s := list[0]
			if s.Parent().IsValid() || len(s.Links()) != 1 || !s.Links()[0].SpanContext.Equal(stage.SpanContext()) {
				t.Errorf("parent %v, links %v; want a root with a link to %v", s.Parent(), s.Links(), stage.SpanContext())
			}
			if n := attributeOf(s, "messaging.batch.message_count").AsInt64(); n != 1 {
				t.Errorf("%d messages", n)
			}
			if got := attributeOf(s, "error.type").AsString(); got != test.fails || (s.Status().Code == codes.Error) != (test.fails != "") {
				t.Errorf("it failed with %q (%v), want %q", got, s.Status(), test.fails)
			}
			judged, wire := attributeOf(s, "claudemesh.batch.plugin_seconds").AsFloat64(), attributeOf(s, "claudemesh.batch.wire_seconds").AsFloat64()
			took := s.EndTime().Sub(s.StartTime()).Seconds()
			if test.fails == "" && (judged != 1e-6 || wire <= 0 || judged+wire > took+1e-9) {
				t.Errorf("judged in %v s, %v s on the wire, of %v s", judged, wire, took)
			}
		})
	}
}

// A process that ends leaves the span of its batch as failed.
func TestSpanOfALostBatch(t *testing.T) {
	o, recorder, tracer := traced()
	o.HoldMax = 0
	h := newHop(t, o)
	asked := make(chan struct{}, 1)
	conn, stop := process(t, &fake{judge: func(*pluginpb.Batch) *pluginpb.Verdicts { asked <- struct{}{}; return nil }})
	connect(t, h, conn, traces)
	ctx, stage := tracer.Start(t.Context(), "stage/guard")
	defer stage.End()
	ticket, err := h.Send(ctx, message(1))
	if err != nil {
		t.Fatal(err)
	}
	receive(t, "the batch", asked)
	stop()
	if _, err := ticket.Wait(t.Context(), message(1)); err == nil {
		t.Error("it got a verdict")
	}
	until(t, "the span of the batch", func() bool { return len(ended(recorder, "batch/guard")) == 1 })
	if got := attributeOf(ended(recorder, "batch/guard")[0], "error.type").AsString(); got != "crash" {
		t.Errorf("it failed with %q", got)
	}
}

// work is a span of a plugin, below that of a stage.
func work(under trace.SpanContext) *pluginpb.Span {
	id, parent := under.TraceID(), under.SpanID()
	now := time.Now().UnixNano()
	return &pluginpb.Span{
		TraceId: id[:], SpanId: []byte("12345678"), ParentSpanId: parent[:], Name: "plugin/guard", Kind: 2,
		StartNanos: now - 1000, EndNanos: now,
	}
}

// Only what a plugin did for an envelope that it was asked about becomes a span,
// and all else is counted and does no harm.
func TestSpansOfAPlugin(t *testing.T) {
	text := func(n int) *pluginpb.SpanAttribute_Text {
		return &pluginpb.SpanAttribute_Text{Text: strings.Repeat("x", n)}
	}
	for name, test := range map[string]struct {
		change  func(s *pluginpb.Span)
		dropped bool
	}{
		"good":                {func(*pluginpb.Span) {}, false},
		"a trace of others":   {func(s *pluginpb.Span) { s.TraceId = []byte("0123456789abcdef") }, true},
		"no trace":            {func(s *pluginpb.Span) { s.TraceId = nil }, true},
		"a short id":          {func(s *pluginpb.Span) { s.SpanId = s.SpanId[:7] }, true},
		"a zero id":           {func(s *pluginpb.Span) { s.SpanId = make([]byte, 8) }, true},
		"no parent":           {func(s *pluginpb.Span) { s.ParentSpanId = make([]byte, 8) }, true},
		"its own parent":      {func(s *pluginpb.Span) { s.ParentSpanId = s.SpanId }, true},
		"the broker's span":   {func(s *pluginpb.Span) { s.SpanId, s.ParentSpanId = s.ParentSpanId, s.SpanId }, true},
		"no name":             {func(s *pluginpb.Span) { s.Name = "" }, true},
		"an end before it":    {func(s *pluginpb.Span) { s.EndNanos = s.StartNanos - 1 }, true},
		"long ago":            {func(s *pluginpb.Span) { s.StartNanos = 1 }, true},
		"in the future":       {func(s *pluginpb.Span) { s.EndNanos += int64(time.Hour) }, true},
		"too large":           {func(s *pluginpb.Span) { s.Attributes = []*pluginpb.SpanAttribute{{Key: "k", Value: text(17 << 10)}} }, true},
		"a long name":         {func(s *pluginpb.Span) { s.Name = strings.Repeat("é", 100) }, false},
		"a long value":        {func(s *pluginpb.Span) { s.Attributes = []*pluginpb.SpanAttribute{{Key: "k", Value: text(9000)}} }, false},
		"too many attributes": {func(s *pluginpb.Span) { s.Attributes = many(40) }, false},
		"too many events":     {func(s *pluginpb.Span) { s.Events = make([]*pluginpb.SpanEvent, 12); eventful(s.Events) }, false},
		"a kind there is not": {func(s *pluginpb.Span) { s.Kind = 4_000_000_000 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			o, recorder, tracer := traced()
			o.Tracer = nil // no span but that
			ctx, stage := tracer.Start(t.Context(), "stage/guard")
			f := &fake{judge: func(b *pluginpb.Batch) *pluginpb.Verdicts {
				s := work(stage.SpanContext())
				test.change(s)
				v := allow(b)
				v.Spans = &pluginpb.Spans{Spans: []*pluginpb.Span{s}}
				return v
			}}
			h := upTraced(t, o, f)
			if _, err := h.Ask(ctx, message(1)); err != nil {
				t.Fatal(err)
			}
			var st hop.Stats
			until(t, "the span", func() bool { st = h.Stats(); return st.Spans+st.SpansDropped > 0 })
			if st.Breaches != 0 || (st.SpansDropped == 1) != test.dropped || (st.Spans == 1) == test.dropped {
				t.Fatalf("%d taken, %d dropped, %d breaches", st.Spans, st.SpansDropped, st.Breaches)
			}
			if !test.dropped {
				wantBounded(t, recorder.Ended()[0], stage.SpanContext())
			}
		})
	}
}

func many(n int) (list []*pluginpb.SpanAttribute) {
	for range n {
		list = append(list, &pluginpb.SpanAttribute{Key: "k", Value: &pluginpb.SpanAttribute_Whole{Whole: 1}})
	}
	return list
}

func eventful(events []*pluginpb.SpanEvent) {
	for i := range events {
		events[i] = &pluginpb.SpanEvent{Name: "tried", TimeNanos: time.Now().UnixNano(), Attributes: many(10)}
	}
}

// wantBounded wants a span to be a plugin's, below a stage's, of a size that
// exporters can send.
func wantBounded(t *testing.T, s sdktrace.ReadOnlySpan, stage trace.SpanContext) {
	t.Helper()
	if s.SpanContext().TraceID() != stage.TraceID() || s.Parent().SpanID() != stage.SpanID() || !s.Parent().IsRemote() || !s.SpanContext().IsSampled() {
		t.Errorf("%v below %v, want it below %v", s.SpanContext(), s.Parent(), stage)
	}
	if name := s.Name(); name == "" || len(name) > 128 || !utf8.ValidString(name) {
		t.Errorf("the name %q", name)
	}
	if len(s.Attributes())+s.DroppedAttributes() > 40 || len(s.Attributes()) > 32 || len(s.Events()) > 8 {
		t.Errorf("%d attributes, %d events", len(s.Attributes()), len(s.Events()))
	}
	for _, a := range s.Attributes() {
		if len(a.Value.String()) > 512 {
			t.Errorf("an attribute of %d bytes", len(a.Value.String()))
		}
	}
	who := s.Resource().Set()
	name, _ := who.Value("service.name")
	link, _ := who.Value("claudemesh.link")
	if name.AsString() != "liar" || link.AsString() != "guard" {
		t.Errorf("it is of %v", s.Resource())
	}
}

// A plugin that brings spans without end takes nothing from anybody else.
func TestFloodOfSpans(t *testing.T) {
	o, _, tracer := traced()
	f := &fake{}
	h := upTraced(t, o, f)
	ctx, stage := tracer.Start(t.Context(), "stage/guard")
	if _, err := h.Ask(ctx, message(1)); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	send := f.sent
	f.mu.Unlock()
	const frames, each = 100, 100
	began := time.Now()
	for range frames {
		var spans []*pluginpb.Span
		for range each {
			spans = append(spans, work(stage.SpanContext()))
		}
		send(&pluginpb.PluginFrame{Spans: &pluginpb.Spans{Spans: spans, Missed: 1}})
	}
	var st hop.Stats
	until(t, "all of them to be read", func() bool {
		st = h.Stats()
		return st.Spans+st.SpansDropped == frames*(each+1)
	})
	if st.Spans < 1000 || st.SpansDropped < frames {
		t.Errorf("%d were taken and %d dropped", st.Spans, st.SpansDropped)
	}
	// A second that had begun, those that went by, and the one that goes on.
	if most := uint64(1000 * (2 + time.Since(began)/time.Second)); st.Spans > most {
		t.Errorf("%d were taken, more than %d, which a rate of 1,000 a second allows", st.Spans, most)
	}
	if _, err := h.Ask(ctx, message(1)); err != nil {
		t.Error(err)
	}
}

// Of a message with too many spans some are kept, and one with more than any
// plugin has reason for is not decoded.
func TestSpansOfOneMessage(t *testing.T) {
	for n, want := range map[int]hop.Stats{200: {Spans: 128, SpansDropped: 72}, 300: {}} {
		o, _, tracer := traced()
		f := &fake{}
		h := newHop(t, o)
		conn, _ := process(t, f)
		broken := connect(t, h, conn, traces)
		ctx, stage := tracer.Start(t.Context(), "stage/guard")
		if _, err := h.Ask(ctx, message(1)); err != nil {
			t.Fatal(err)
		}
		spans := &pluginpb.Spans{}
		for range n {
			spans.Spans = append(spans.Spans, work(stage.SpanContext()))
		}
		f.mu.Lock()
		send := f.sent
		f.mu.Unlock()
		send(&pluginpb.PluginFrame{Spans: spans})
		if want.Spans == 0 {
			if reason := receive(t, "the report", broken); reason != "protocol" {
				t.Errorf("%d spans: it is replaced for %s", n, reason)
			}
			continue
		}
		var st hop.Stats
		until(t, "the spans", func() bool { st = h.Stats(); return st.Spans+st.SpansDropped == uint64(n) })
		if st.Spans != want.Spans || st.SpansDropped != want.SpansDropped {
			t.Errorf("%d spans: %d taken, %d dropped", n, st.Spans, st.SpansDropped)
		}
	}
}

// Spans of a plugin that did not say that it makes any are dropped, and a broker
// that traces nothing looks at none.
func TestSpansThatNobodyAskedFor(t *testing.T) {
	o, recorder, tracer := traced()
	ctx, stage := tracer.Start(t.Context(), "stage/guard")
	f := &fake{judge: func(b *pluginpb.Batch) *pluginpb.Verdicts {
		v := allow(b)
		v.Spans = &pluginpb.Spans{Spans: []*pluginpb.Span{work(stage.SpanContext())}}
		return v
	}}
	h := up(t, o, f)
	if _, err := h.Ask(ctx, message(1)); err != nil {
		t.Fatal(err)
	}
	until(t, "the span", func() bool { return h.Stats().SpansDropped > 0 })
	if st := h.Stats(); st.SpansDropped != 1 || len(ended(recorder, "plugin/guard")) != 0 {
		t.Errorf("%d dropped", st.SpansDropped)
	}
	h = upTraced(t, options(), f)
	if _, err := h.Ask(ctx, message(1)); err != nil {
		t.Fatal(err)
	}
	if st := h.Stats(); st.Spans != 0 || st.SpansDropped != 0 {
		t.Errorf("%d taken, %d dropped", st.Spans, st.SpansDropped)
	}
}

// Records join the trace that they say they are of, when the plugin was asked
// about an envelope of it.
func TestLogsJoinTraces(t *testing.T) {
	o, _, tracer := traced()
	var text bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&text, nil))
	f := &fake{}
	h := upTraced(t, o, f)
	ctx, stage := tracer.Start(t.Context(), "stage/guard")
	if _, err := h.Ask(ctx, message(1)); err != nil {
		t.Fatal(err)
	}
	id, span := stage.SpanContext().TraceID(), stage.SpanContext().SpanID()
	f.mu.Lock()
	send := f.sent
	f.mu.Unlock()
	send(&pluginpb.PluginFrame{Logs: []*pluginpb.LogRecord{
		{Message: "mine", TraceId: id[:], SpanId: span[:]},
		{Message: "forged", TraceId: []byte("0123456789abcdef"), SpanId: span[:]},
	}})
	if _, err := h.Ask(ctx, message(1)); err != nil { // its answer comes behind the records
		t.Fatal(err)
	}
	h.Close()
	lines := strings.Split(text.String(), "\n")
	if want := "msg=mine trace_id=" + id.String() + " span_id=" + span.String(); !strings.HasSuffix(lines[0], want) {
		t.Errorf("got %s, want %s", lines[0], want)
	}
	if strings.Contains(lines[1], "trace_id") || !strings.HasSuffix(lines[1], "msg=forged") {
		t.Errorf("got %s", lines[1])
	}
}
