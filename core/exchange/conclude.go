package exchange

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/refusals"
	"github.com/claudemesh/broker/core/tracing"
	"github.com/claudemesh/broker/core/wire"
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
	f := refusalOf(env, out)
	f.TraceID = id
	x.options.Refusals.Add(&f)
	x.tell(env, &f)
}

// refusalOf is what is remembered of a refused envelope.
func refusalOf(env *sdk.Envelope, out sdk.Outcome) refusals.Refusal {
	d := out.Decision
	f := refusals.Refusal{
		At: env.Arrived, Kind: env.Kind, Mesh: env.Mesh, MemberID: env.Sender.MemberID, Name: env.Sender.Name,
		Conn: env.Sender.Conn, Stage: out.Stage, Reason: d.Reason, Text: d.Text, Status: status(env, out),
		Dropped: d.Verdict == sdk.Drop,
	}
	if f.Dropped {
		f.Text = textDropped
	}
	call := feature.Of(env)
	if call == nil {
		return f
	}
	if call.HTTP != nil {
		f.Request = call.HTTP.Request
	}
	if call.Detail != "" {
		f.Text = call.Detail
	}
	if f.Mesh == "" {
		f.Mesh = claimed(call.Request)
	}
	if m := call.TurnedAway; m != nil {
		f.MemberID, f.Name = m.ID, m.DisplayName
	}
	return f
}

// textDropped is for the operator: the sender was told nothing of the kind.
const textDropped = "dropped: the sender was told that it was delivered"

// claimed is the mesh that a hello is for.
func claimed(request any) string {
	switch hello := request.(type) {
	case *wire.Hello:
		return hello.MeshID
	case *wire.SessionHello:
		return hello.MeshID
	default:
		return ""
	}
}

// tell writes a line for whoever looks closely: strangers can cause as many as
// they like. Requests over HTTP have a line of their own.
func (x *Exchange) tell(env *sdk.Envelope, f *refusals.Refusal) {
	ctx := tracing.Join(context.Background(), env.Trace)
	if f.Status != 0 || !x.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	x.log.LogAttrs(ctx, slog.LevelDebug, "frame refused", slog.String("kind", string(f.Kind)), slog.Uint64("conn", f.Conn),
		slog.String("mesh", f.Mesh), slog.String("member", f.MemberID), slog.String("stage", f.Stage), slog.String("reason", string(f.Reason)))
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

// ended remembers that a connection was ended for what its peer did, or failed
// to do. The session is nil before the hello.
func (c *Connection) ended(s *presence.Session, reason sdk.Reason, text string) {
	env := &sdk.Envelope{Kind: kindConnection, Arrived: time.Now()}
	env.Sender.Conn, env.Sender.Remote = c.peer.ID(), c.peer.Remote()
	if s != nil {
		env.Mesh, env.Sender.MemberID = s.Mesh, s.MemberID
		env.Sender.Name, _ = c.x.dir.Live(s)
	}
	c.x.conclude(env, true, nil, sdk.Outcome{Decision: sdk.Refuse(reason, text)})
}

// kindConnection stands in lists for what is refused beside any frame.
const kindConnection sdk.Kind = "connection"
