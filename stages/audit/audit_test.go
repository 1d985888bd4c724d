package audit_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/sdktest"
	"github.com/claudemesh/broker/stages/audit"
)

func TestRecord(t *testing.T) {
	const sent = `message_sent {"messageId":"m1","priority":"low","targetSpec":"@ops \u0001\"é"}`
	answer := sdk.Decision{Verdict: sdk.Answer}
	send := sdk.Envelope{
		Kind: sdk.KindSend, Sender: sdk.Sender{MemberID: "ada"}, MessageID: "m1", Priority: sdk.PriorityLow,
		Target: sdk.Target{Kind: sdk.TargetGroup, Spec: "@ops \x01\"é"},
	}
	change := func(f func(*sdk.Envelope)) sdk.Envelope {
		env := send
		f(&env)
		return env
	}
	kind := func(k sdk.Kind) sdk.Envelope { return change(func(e *sdk.Envelope) { e.Kind = k }) }
	byHandlers := change(func(e *sdk.Envelope) {
		e.Kind = "set_state"
		e.Records = []sdk.Record{{Event: "state_set", Payload: []byte(`{"key":"a"}`)}, {Event: "other", Payload: []byte(`{}`)}}
	})
	tests := []struct {
		name   string
		events []string
		env    sdk.Envelope
		d      sdk.Decision
		want   []string
	}{
		{"it records a message that was answered", nil, send, answer, []string{sent}},
		{"it records no repeated message", nil, change(func(e *sdk.Envelope) { e.MessageID = "" }), answer, nil},
		{
			"it records a refused message with its reason", nil, send, sdk.Refuse(sdk.ReasonBlocked, "blocked by …"),
			[]string{`message_refused {"reason":"blocked","targetSpec":"@ops \u0001\"é"}`},
		},
		{
			"it records a message that the sender believes delivered as refused", nil, send,
			sdk.Decision{Verdict: sdk.Drop, Reason: sdk.ReasonBlocked},
			[]string{`message_refused {"reason":"blocked","targetSpec":"@ops \u0001\"é"}`},
		},
		{"it records no refusal for the rate", nil, send, sdk.Refuse(sdk.ReasonRateLimit, ""), nil},
		{
			"it records nothing of a stranger", []string{"all"}, change(func(e *sdk.Envelope) { e.Sender.MemberID = "" }),
			sdk.Refuse(sdk.ReasonNoHello, ""), nil,
		},
		{"it records no answered hello: its handler does", nil, kind(sdk.KindHello), answer, nil},
		{"it records no refused hello unless asked to", nil, kind(sdk.KindHello), sdk.Refuse(sdk.ReasonRevoked, ""), nil},
		{
			"it records a refused hello with all", []string{"all"}, kind(sdk.KindSessionHello), sdk.Refuse(sdk.ReasonRevoked, ""),
			[]string{`hello_refused {"reason":"revoked"}`},
		},
		{"it records a peer that left", nil, kind(sdk.KindPeerLeft), answer, []string{"peer_left {}"}},
		{"it records no other kind", nil, kind("list_peers"), answer, nil},
		{"it passes the records of handlers on", nil, byHandlers, answer, []string{`state_set {"key":"a"}`, "other {}"}},
		{"it leaves out what is not listed", []string{"other", "peer_left"}, byHandlers, answer, []string{"other {}"}},
		{"it leaves out its own too", []string{"other", "peer_left"}, send, answer, nil},
		{"it records only what is listed", []string{"message_sent"}, send, answer, []string{sent}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env := tt.env
			env.Records = append([]sdk.Record(nil), env.Records...)
			audit.New(audit.Options{Events: tt.events}).Record(&env, tt.d)
			var got []string
			for _, r := range env.Records {
				got = append(got, r.Event+" "+string(r.Payload))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStage(t *testing.T) {
	sdktest.Run(t, func() sdk.Stage { return audit.New(audit.Options{Events: []string{audit.All}}) })
}

func BenchmarkRecord(b *testing.B) {
	s := audit.New(audit.Options{})
	env := &sdk.Envelope{
		Kind: sdk.KindSend, Sender: sdk.Sender{MemberID: "ada"}, MessageID: "0123456789abcdefghijABCDEFGHIJ01",
		Target: sdk.Target{Spec: sdk.Key{1}.String()},
	}
	b.ReportAllocs()
	for b.Loop() {
		env.Records = env.Records[:0]
		s.Record(env, sdk.Decision{Verdict: sdk.Answer})
	}
}
