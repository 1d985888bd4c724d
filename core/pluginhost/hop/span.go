package hop

import (
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// spanOf reads a span. It is not ok when it cannot be one of the plugin's own
// work for an envelope that it was asked about. What it returns shares no
// memory with the message.
func (h *Hop) spanOf(pb *pluginpb.Span, now time.Time) (stub tracetest.SpanStub, ok bool) {
	start, end := time.Unix(0, pb.GetStartNanos()), time.Unix(0, pb.GetEndNanos())
	if end.Before(start) || now.Sub(start) > maxSpanAge || end.Sub(now) > maxSpanAhead || pb.SizeVT() > maxSpanBytes {
		return stub, false
	}
	stub = tracetest.SpanStub{
		Name: spanText(pb.GetName(), maxSpanName), SpanKind: kindOf(pb), StartTime: start, EndTime: end, Status: statusOf(pb),
		DroppedAttributes: int(pb.GetDroppedAttributes()), DroppedEvents: int(pb.GetDroppedEvents()),
		InstrumentationScope: instrumentation.Scope{Name: spanText(pb.GetScope(), maxSpanName)},
	}
	stub.SpanContext, stub.Parent, ok = h.placeOf(pb, now)
	if !ok || stub.Name == "" {
		return stub, false
	}
	var without int
	stub.Attributes, without = attributesOf(pb.GetAttributes(), maxSpanAttrs)
	stub.DroppedAttributes += without
	events := pb.GetEvents()
	stub.DroppedEvents += max(len(events)-maxSpanEvents, 0)
	for _, e := range events[:min(len(events), maxSpanEvents)] {
		stub.Events = append(stub.Events, eventOf(e))
	}
	return stub, true
}

// placeOf reads where a span belongs. It is not ok outside the traces that the
// plugin was asked about, without a parent, and in the place of one of the
// broker's own spans.
func (h *Hop) placeOf(pb *pluginpb.Span, now time.Time) (span, parent trace.SpanContext, ok bool) {
	own := trace.SpanContextConfig{TraceFlags: trace.FlagsSampled}
	if len(pb.GetTraceId()) != len(own.TraceID) || len(pb.GetSpanId()) != len(own.SpanID) || len(pb.GetParentSpanId()) != len(own.SpanID) {
		return span, parent, false
	}
	copy(own.TraceID[:], pb.GetTraceId())
	if !h.recent.knows(own.TraceID, now) {
		return span, parent, false
	}
	above := own
	copy(own.SpanID[:], pb.GetSpanId())
	copy(above.SpanID[:], pb.GetParentSpanId())
	if own.SpanID == above.SpanID || h.recent.told(own.TraceID, own.SpanID, now) {
		return span, parent, false
	}
	above.Remote = h.recent.told(own.TraceID, above.SpanID, now)
	span, parent = trace.NewSpanContext(own), trace.NewSpanContext(above)
	return span, parent, span.IsValid() && parent.IsValid()
}

// kindOf reads a kind, which OTLP numbers as the library does.
func kindOf(pb *pluginpb.Span) trace.SpanKind {
	return trace.ValidateSpanKind(trace.SpanKind(min(pb.GetKind(), 6))) //nolint:gosec // at most 6
}

func eventOf(pb *pluginpb.SpanEvent) sdktrace.Event {
	list, without := attributesOf(pb.GetAttributes(), maxEventAttrs)
	return sdktrace.Event{
		Name: spanText(pb.GetName(), maxSpanName), Time: time.Unix(0, pb.GetTimeNanos()),
		Attributes: list, DroppedAttributeCount: without,
	}
}

// statusOf reads a status, which OTLP numbers otherwise than the library.
func statusOf(pb *pluginpb.Span) sdktrace.Status {
	switch pb.GetStatus() {
	case 1:
		return sdktrace.Status{Code: codes.Ok}
	case 2:
		return sdktrace.Status{Code: codes.Error, Description: spanText(pb.GetStatusText(), maxErrorText)}
	default:
		return sdktrace.Status{}
	}
}

// attributesOf reads at most that many attributes, and counts the others.
func attributesOf(pbs []*pluginpb.SpanAttribute, most int) (list []attribute.KeyValue, without int) {
	for _, pb := range pbs {
		key := attribute.Key(spanText(pb.GetKey(), maxSpanName))
		if key == "" || len(list) == most {
			without++
			continue
		}
		switch v := pb.GetValue().(type) {
		case *pluginpb.SpanAttribute_Truth:
			list = append(list, key.Bool(v.Truth))
		case *pluginpb.SpanAttribute_Whole:
			list = append(list, key.Int64(v.Whole))
		case *pluginpb.SpanAttribute_Number:
			list = append(list, key.Float64(v.Number))
		default:
			list = append(list, key.String(spanText(pb.GetText(), maxErrorText)))
		}
	}
	return list, without
}

// spanText is a text of at most n bytes that the exporters can send: one that is
// no UTF-8 would fail everything that is sent with it. It is a copy, since the
// text of a message holds the whole message in memory.
func spanText(s string, n int) string {
	return strings.Clone(clip(strings.ToValidUTF8(s, "\uFFFD"), n))
}
