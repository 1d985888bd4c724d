package tracing

import (
	"context"
	"encoding/hex"

	"go.opentelemetry.io/otel/trace"
)

// lenTraceparent is the length of a traceparent of version 00; later versions
// begin alike (https://www.w3.org/TR/trace-context/#traceparent-header).
const lenTraceparent = 55

// parse reads a traceparent that [wire.Trace] has let through. The result is not
// valid when an id is zero or the version is ff.
func parse(text string) trace.SpanContext {
	if len(text) < lenTraceparent || text[:2] == "ff" {
		return trace.SpanContext{}
	}
	var c trace.SpanContextConfig
	var flags [1]byte
	decode := func(dst []byte, src string) bool {
		_, err := hex.Decode(dst, []byte(src))
		return err == nil
	}
	if !decode(c.TraceID[:], text[3:35]) || !decode(c.SpanID[:], text[36:52]) || !decode(flags[:], text[53:55]) {
		return trace.SpanContext{}
	}
	c.TraceFlags = trace.TraceFlags(flags[0]) & trace.FlagsSampled
	c.Remote = true
	return trace.NewSpanContext(c)
}

// Traceparent returns the text form of a span's context, empty for one that is
// not valid.
func Traceparent(c trace.SpanContext) string {
	if !c.IsValid() {
		return ""
	}
	id, span := c.TraceID(), c.SpanID()
	b := make([]byte, 0, lenTraceparent)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, id[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, span[:])
	if c.IsSampled() {
		return string(append(b, "-01"...))
	}
	return string(append(b, "-00"...))
}

// isSampled reports whether a traceparent says that its sender traces. It looks
// at one digit: the flag is the last bit of the flags.
func isSampled(text string) bool {
	if len(text) < lenTraceparent {
		return false
	}
	c := text[lenTraceparent-1]
	if c >= 'a' {
		c -= 'a' - 10
	}
	return c&1 == 1
}

// Join returns a context whose log lines are part of the trace of a traceparent,
// if that says that its sender traces.
func Join(ctx context.Context, traceparent string) context.Context {
	if c := parse(traceparent); c.IsSampled() && c.IsValid() {
		return trace.ContextWithRemoteSpanContext(ctx, c)
	}
	return ctx
}

// TraceID returns the trace id in a traceparent, empty for a text that is none.
func TraceID(traceparent string) string {
	if c := parse(traceparent); c.IsValid() {
		return c.TraceID().String()
	}
	return ""
}
