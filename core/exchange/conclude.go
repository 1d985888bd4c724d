package exchange

import (
	"net/http"

	"go.opentelemetry.io/otel/attribute"

	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/refusals"
	"github.com/claudemesh/broker/core/tracing"
	"github.com/claudemesh/broker/sdk"
)

// conclude ends an envelope's span, and remembers an envelope that was refused,
// dropped or failed. known says that its kind is one that somebody answers.
func (x *Exchange) conclude(env *sdk.Envelope, known bool, trail *tracing.Trail, out sdk.Outcome) {
	if out.Decision.Verdict == sdk.Answer && out.Err == nil {
		if trail != nil {
			trail.End(env, out, httpAttributes(env, out)...)
		}
		return
	}
	id := trail.TraceID()
	if trail != nil {
		trail.End(env, out, httpAttributes(env, out)...)
	} else {
		id = x.options.Traces.Refused(env, known, out, httpAttributes(env, out)...)
	}
	x.options.Refusals.Add(&refusals.Refusal{
		At: env.Arrived, Kind: env.Kind, Mesh: env.Mesh, MemberID: env.Sender.MemberID, Name: env.Sender.Name,
		Conn: env.Sender.Conn, Stage: out.Stage, Reason: out.Decision.Reason, Text: out.Decision.Text,
		TraceID: id, Status: status(env, out),
	})
}

// status is the status of the answer over HTTP, 0 for a frame.
func status(env *sdk.Envelope, out sdk.Outcome) int {
	call := feature.Of(env)
	switch {
	case call == nil || call.HTTP == nil:
		return 0
	case out.Decision.Verdict == sdk.Deny && call.HTTP.Status != nil:
		return call.HTTP.Status(out.Decision.Reason)
	default:
		return http.StatusOK
	}
}

// httpAttributes says how a request came and what it was answered, none for a
// frame.
func httpAttributes(env *sdk.Envelope, out sdk.Outcome) []attribute.KeyValue {
	call := feature.Of(env)
	if call == nil || call.HTTP == nil {
		return nil
	}
	return []attribute.KeyValue{
		attribute.String("http.request.method", call.HTTP.Method),
		attribute.String("claudemesh.request", call.HTTP.Request),
		attribute.String("http.route", call.HTTP.Route),
		attribute.Int("http.response.status_code", status(env, out)),
	}
}

// Refused remembers a request over HTTP that was refused before it came to the
// chain.
func (x *Exchange) Refused(env *sdk.Envelope, d sdk.Decision) {
	x.conclude(env, true, nil, sdk.Outcome{Decision: d})
}
