package tracing

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// spanOf is the first part of the name of every envelope's span.
const spanOf = "envelope/"

// nameOf is how spans call a kind. Kinds that nobody knows come from strangers,
// and have one name together.
func nameOf(env *sdk.Envelope, known bool) string {
	if !known {
		return "unknown"
	}
	return string(env.Kind)
}

// about says what was asked: the messaging conventions of OpenTelemetry where
// they have a word (https://opentelemetry.io/docs/specs/semconv/messaging/).
func (t *Tracer) about(env *sdk.Envelope, name string) []attribute.KeyValue {
	list := make([]attribute.KeyValue, 0, 16)
	list = append(list,
		attribute.String("messaging.system", "claudemesh"),
		attribute.String("messaging.operation.name", name),
		attribute.Int("messaging.message.envelope.size", env.Size),
	)
	if env.Kind == sdk.KindSend && env.Target.Kind != sdk.TargetNone {
		list = append(list, attribute.String("messaging.operation.type", "send"),
			attribute.String("claudemesh.target", targetKind(env.Target.Kind)),
			attribute.String("claudemesh.priority", env.Priority.String()))
	}
	if env.MessageID != "" {
		list = append(list, attribute.String("messaging.message.id", env.MessageID))
	}
	if env.Sender.Conn != 0 {
		list = append(list, attribute.Int64("claudemesh.connection", int64(env.Sender.Conn))) //nolint:gosec // a number from 1
	}
	if n := env.Narrowed(); n > 0 {
		list = append(list, attribute.Int("claudemesh.left_out", n))
	}
	if t.names && env.Mesh != "" {
		list = append(list, attribute.String("claudemesh.mesh.id", env.Mesh))
	}
	if t.names && env.Sender.MemberID != "" {
		list = append(list, attribute.String("claudemesh.member.id", env.Sender.MemberID),
			attribute.String("claudemesh.member.name", env.Sender.Name))
	}
	return list
}

func targetKind(k sdk.TargetKind) string {
	switch k {
	case sdk.TargetKey:
		return "key"
	case sdk.TargetGroup:
		return "group"
	case sdk.TargetBroadcast:
		return "broadcast"
	case sdk.TargetTopic:
		return "topic"
	default:
		return "none"
	}
}

// decided says what a stage decided. The text for the sender stays out: it may
// name somebody.
func decided(d sdk.Decision) []attribute.KeyValue {
	list := []attribute.KeyValue{attribute.String("claudemesh.verdict", d.Verdict.String())}
	if d.Reason != "" {
		list = append(list, attribute.String("claudemesh.reason", string(d.Reason)))
	}
	return list
}

// ended says what became of an envelope.
func ended(out sdk.Outcome) []attribute.KeyValue {
	list := decided(out.Decision)
	if out.Stage != "" {
		list = append(list, attribute.String("claudemesh.stage", out.Stage))
	}
	if out.Decision.Reason != "" {
		list = append(list, attribute.String("error.type", string(out.Decision.Reason)))
	}
	if out.Recipients > 0 || out.Pushed > 0 || out.Queued > 0 {
		list = append(list, attribute.Int("claudemesh.recipients", out.Recipients),
			attribute.Int("claudemesh.pushed", out.Pushed), attribute.Int("claudemesh.queued", out.Queued))
	}
	return list
}

// errorType is the word for a failure.
func errorType(err error) string {
	var named interface{ ErrorType() string }
	switch {
	case errors.As(err, &named):
		return named.ErrorType()
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, store.ErrUnavailable):
		return "store_unavailable"
	case errors.Is(err, store.ErrClosed):
		return "store_closed"
	default:
		return "error"
	}
}
