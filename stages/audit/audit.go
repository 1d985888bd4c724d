// Package audit chooses what goes into the audit log.
//
// It decides nothing about envelopes. When the decision on one has been taken,
// by whichever stage, it adds the events that follow from the envelope alone;
// events that need more come from the handlers, in env.Records, and pass
// through its filter. The log is written elsewhere, in the transaction of the
// envelope's own effects.
package audit

import (
	"context"
	"slices"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/sdk"
)

// Events that the stage adds by itself.
const (
	MessageSent    = "message_sent"    // messageId, priority, targetSpec
	MessageRefused = "message_refused" // reason, targetSpec
	HelloRefused   = "hello_refused"   // reason
	PeerLeft       = "peer_left"       // nothing
)

// All stands for every event in [Options].
const All = "all"

// Options are the stage's options.
type Options struct {
	Events []string `koanf:"events" doc:"names of the events to record, or only: all. Empty: all but hello_refused, of which a stranger who knows a member's key can make many"`
}

// Stage is the audit stage. It may be used by many goroutines at once.
type Stage struct {
	only   map[string]bool // nil: every event but those in except
	except string
}

// New returns an audit stage.
func New(o Options) *Stage {
	switch {
	case len(o.Events) == 0:
		return &Stage{except: HelloRefused}
	case slices.Contains(o.Events, All):
		return new(Stage)
	}
	s := &Stage{only: make(map[string]bool)}
	for _, e := range o.Events {
		s.only[e] = true
	}
	return s
}

// Handle passes everything on: usually the route has answered before it is
// asked.
func (*Stage) Handle(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Next(), nil }

// Record adds the events that follow from the envelope and the decision.
//
// Only envelopes of a proved member are recorded: an entry belongs to the chain
// of a mesh, and a stranger could name any.
func (s *Stage) Record(env *sdk.Envelope, d sdk.Decision) {
	if s.only != nil || s.except != "" {
		env.Records = slices.DeleteFunc(env.Records, func(r sdk.Record) bool { return !s.wants(r.Event) })
	}
	if env.Sender.MemberID == "" {
		return
	}
	refused := d.Verdict == sdk.Deny || d.Verdict == sdk.Drop
	switch env.Kind {
	case sdk.KindSend:
		s.recordSend(env, d, refused)
	case sdk.KindHello, sdk.KindSessionHello:
		if refused && s.wants(HelloRefused) {
			add(env, HelloRefused, audit.String("reason", string(d.Reason)))
		}
	case sdk.KindPeerLeft:
		if s.wants(PeerLeft) {
			add(env, PeerLeft)
		}
	default: // handlers bring what there is to record of other kinds
	}
}

// recordSend records a message that was taken, unless it has no id: a send that
// repeats an earlier one makes no second message. Refusals for the rate are
// left out, since the limit would otherwise not limit the log.
func (s *Stage) recordSend(env *sdk.Envelope, d sdk.Decision, refused bool) {
	switch {
	case refused && d.Reason != sdk.ReasonRateLimit && s.wants(MessageRefused):
		add(env, MessageRefused,
			audit.String("reason", string(d.Reason)), audit.String("targetSpec", env.Target.Spec))
	case d.Verdict == sdk.Answer && env.MessageID != "" && s.wants(MessageSent):
		add(env, MessageSent,
			audit.String("messageId", env.MessageID), audit.String("priority", env.Priority.String()),
			audit.String("targetSpec", env.Target.Spec))
	}
}

func (s *Stage) wants(event string) bool {
	if s.only != nil {
		return s.only[event]
	}
	return event != s.except
}

func add(env *sdk.Envelope, event string, fields ...audit.Field) {
	env.Records = append(env.Records, sdk.Record{Event: event, Payload: audit.Object(fields...)})
}
