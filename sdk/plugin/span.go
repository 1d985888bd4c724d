package plugin

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// Limits of spans, as the protocol sets them, and of those that wait.
const (
	mostSpans       = 1024 // that wait for a stream that is not read
	mostSpansAtOnce = 64   // in one message
	mostSpanAttrs   = 32
	mostSpanEvents  = 8
	mostEventAttrs  = 8
	longestValue    = 512      // characters of an attribute
	longestSpan     = 16 << 10 // bytes on the wire
)

func spanLimits() sdktrace.SpanLimits {
	return sdktrace.SpanLimits{
		AttributeCountLimit: mostSpanAttrs, AttributeValueLengthLimit: longestValue,
		EventCountLimit: mostSpanEvents, AttributePerEventCountLimit: mostEventAttrs,
	}
}

// spanOf is a span that has ended, as it crosses. Of a span that was started
// without a context of Handle there is none: it is not recorded.
func spanOf(s sdktrace.ReadOnlySpan) *pluginpb.Span {
	context, status := s.SpanContext(), s.Status()
	id, span, parent := context.TraceID(), context.SpanID(), s.Parent().SpanID()
	pb := &pluginpb.Span{
		TraceId: id[:], SpanId: span[:], ParentSpanId: parent[:], Name: cut(s.Name()), Kind: uint32(s.SpanKind()),
		StartNanos: s.StartTime().UnixNano(), EndNanos: s.EndTime().UnixNano(), Attributes: spanAttributes(s.Attributes()),
		Status: statusOf(status), StatusText: cut(status.Description), Scope: cut(s.InstrumentationScope().Name),
		DroppedAttributes: uint32(s.DroppedAttributes()), DroppedEvents: uint32(s.DroppedEvents()),
	}
	for _, e := range s.Events() {
		pb.Events = append(pb.Events, &pluginpb.SpanEvent{
			TimeNanos: e.Time.UnixNano(), Name: cut(e.Name), Attributes: spanAttributes(e.Attributes),
		})
	}
	return pb
}

func spanAttributes(list []attribute.KeyValue) []*pluginpb.SpanAttribute {
	if len(list) == 0 {
		return nil
	}
	pbs := make([]*pluginpb.SpanAttribute, len(list))
	for i, a := range list {
		pbs[i] = &pluginpb.SpanAttribute{Key: cut(string(a.Key))}
		switch a.Value.Type() {
		case attribute.BOOL:
			pbs[i].Value = &pluginpb.SpanAttribute_Truth{Truth: a.Value.AsBool()}
		case attribute.INT64:
			pbs[i].Value = &pluginpb.SpanAttribute_Whole{Whole: a.Value.AsInt64()}
		case attribute.FLOAT64:
			pbs[i].Value = &pluginpb.SpanAttribute_Number{Number: a.Value.AsFloat64()}
		default: // lists are texts
			pbs[i].Value = &pluginpb.SpanAttribute_Text{Text: cut(a.Value.String())}
		}
	}
	return pbs
}

// statusOf is the number of a status in OTLP, which numbers them otherwise than
// the library.
func statusOf(s sdktrace.Status) uint32 {
	switch s.Code {
	case codes.Ok:
		return 1
	case codes.Error:
		return 2
	default:
		return 0
	}
}
