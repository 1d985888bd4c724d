// Package tracing makes the spans of envelopes.
//
// Whether an envelope is traced is decided once, from its trace context and a
// random number, before anything of OpenTelemetry is called: an envelope that is
// not traced costs a few comparisons, and no allocation. A nil [Tracer] and a
// nil [Trail] are ready for use and trace nothing.
//
// A traced envelope has one span of its own, envelope/KIND, and below it one for
// each stage, for its transaction, for each push and for each confirmation. The
// push carries the trace context of the envelope's span, so that what the
// recipient does, and what another node does for the message, is part of the
// same trace.
//
// A refused envelope that is not traced gets its span afterwards, up to a rate.
//
// Spans never hold a key, a token or a body, and names and ids of members only
// where the config allows it.
package tracing
