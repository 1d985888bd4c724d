package app_test

import (
	"bytes"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/logging"
	"github.com/claudemesh/broker/core/refusals"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/tracing/otlptest"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

const (
	givenTrace    = "4bf92f3577b34da6a3ce929d0e0e4736"
	givenSpan     = "00f067aa0ba902b7"
	givenSampled  = "00-" + givenTrace + "-" + givenSpan + "-01"
	givenNoSample = "00-" + givenTrace + "-" + givenSpan + "-00"
)

// traced is a rig whose spans go to a receiver.
type traced struct {
	*rig
	spans    *otlptest.Receiver
	refusals *refusals.Ring
	log      *syncBuffer
}

// newTraced starts a broker that follows its senders' decisions on what to trace.
func newTraced(t *testing.T, path string, receiver *otlptest.Receiver) traced {
	t.Helper()
	return newTracedWith(t, path, receiver, func(*config.Telemetry) {})
}

func newTracedWith(t *testing.T, path string, receiver *otlptest.Receiver, change func(*config.Telemetry)) traced {
	t.Helper()
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	p := tracesTo(t, receiver.HTTP, change)
	x := traced{spans: receiver, refusals: refusals.New(refusals.DefaultSize), log: new(syncBuffer)}
	log, _ := logging.New(x.log, config.Log{Level: "debug", Format: config.JSON})
	x.rig = startWith(t, path, nil, func(o *app.Options) { o.Traces, o.Refusals, o.Log = p, x.refusals, log })
	return x
}

// syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// spansOf waits until a trace has a span of each name, and returns them by name:
// the first of those that have the same.
func (x traced) spansOf(t *testing.T, trace string, names ...string) map[string]otlptest.Span {
	t.Helper()
	var got map[string]otlptest.Span
	x.spans.Wait(t, strings.Join(names, ", "), func(spans []otlptest.Span) bool {
		got = map[string]otlptest.Span{}
		for _, s := range spans {
			if _, had := got[s.Name]; s.TraceID == trace && !had {
				got[s.Name] = s
			}
		}
		for _, name := range names {
			if _, ok := got[name]; !ok {
				return false
			}
		}
		return true
	})
	return got
}

// TestTraceOfAMessage has a sender that traces.
func TestTraceOfAMessage(t *testing.T) {
	x := newTraced(t, filepath.Join(t.TempDir(), "broker.db"), otlptest.New(t))
	x.newMesh()
	p := x.pair()
	ack, err := p.ada.Send(t.Context(), p.bo.Key().String(), sdk.PriorityNow, "", "hello", dial.SendOptions{Traceparent: givenSampled})
	if err != nil || !ack.Queued {
		t.Fatalf("%+v, %v", ack, err)
	}
	push := x.wantText(p.bo, "hello")
	spans := x.spansOf(t, givenTrace, "envelope/send", "stage/auth", "stage/grants", "stage/rate-limit", "stage/route", "commit", "push", "confirm")
	whole := spans["envelope/send"]
	if whole.ParentID != givenSpan {
		t.Errorf("the envelope's span is below %q, not below its sender's", whole.ParentID)
	}
	if want := "00-" + givenTrace + "-" + whole.SpanID + "-01"; push.Traceparent != want {
		t.Errorf("the push carries %q, want %q", push.Traceparent, want)
	}
	for name, s := range spans {
		switch {
		case name == "confirm" && s.ParentID != spans["push"].SpanID:
			t.Error("the confirmation is not below its push")
		case name != "confirm" && name != "envelope/send" && s.ParentID != whole.SpanID:
			t.Errorf("%s is below %s, not below the envelope", name, s.ParentID)
		case s.Start.Before(whole.Start.Truncate(time.Millisecond)) || // as the queue keeps times
			s.End.Before(s.Start):
			t.Errorf("%s lasts from %v to %v, and the envelope came at %v", name, s.Start, s.End, whole.Start)
		}
	}
	for key, want := range map[string]any{
		"messaging.system": "claudemesh", "messaging.operation.name": "send", "messaging.message.id": ack.MessageID,
		"claudemesh.verdict": "answer", "claudemesh.stage": "route", "claudemesh.recipients": int64(1),
	} {
		if whole.Attributes[key] != want {
			t.Errorf("%s is %v, want %v", key, whole.Attributes[key], want)
		}
	}
	if n := len(x.refusals.List(0)); n != 0 {
		t.Errorf("%d refusals are remembered", n)
	}
}

// TestTraceAcrossTheQueue has a recipient that comes when the broker has
// restarted.
func TestTraceAcrossTheQueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broker.db")
	receiver := otlptest.New(t)
	x := newTraced(t, path, receiver)
	x.newMesh()
	ada, bo := x.member("ada", store.RoleMember), x.member("bo", store.RoleMember)
	from := x.dial(session(ada), dial.Options{})
	ack, err := from.Send(t.Context(), identity.PublicKey(bo.Key).String(), sdk.PriorityNow, "", "later", dial.SendOptions{Traceparent: givenSampled})
	if err != nil || !ack.Queued {
		t.Fatalf("%+v, %v", ack, err)
	}
	whole := x.spansOf(t, givenTrace, "envelope/send", "commit")["envelope/send"]
	x.stop()

	again := newTraced(t, path, receiver)
	again.mesh, again.owner = x.mesh, x.owner
	to := again.dial(session(bo), dial.Options{ConfirmPushes: true})
	if push := again.wantText(to, "later"); !strings.Contains(push.Traceparent, whole.SpanID) {
		t.Errorf("the push carries %q, and the envelope's span was %s", push.Traceparent, whole.SpanID)
	}
	push := again.spansOf(t, givenTrace, "push", "confirm")["push"]
	if push.Attributes["claudemesh.from_queue"] != true || push.ParentID != whole.SpanID {
		t.Errorf("got %+v", push)
	}
	if !push.Start.Before(whole.End) {
		t.Errorf("the push began at %v: its time in the queue is missing", push.Start)
	}
}

// TestDeclinedStaysDeclined has a sender that traces more than it may. What was
// decided when a message was accepted holds when it is read from the queue.
func TestDeclinedStaysDeclined(t *testing.T) {
	x := newTracedWith(t, filepath.Join(t.TempDir(), "broker.db"), otlptest.New(t), func(c *config.Telemetry) {
		c.Traces.Peers = config.Limit{Rate: config.Rate{Count: 1, Per: time.Hour}}
	})
	x.newMesh()
	ada, bo := x.member("ada", store.RoleMember), x.member("bo", store.RoleMember)
	from := x.dial(session(ada), dial.Options{})
	given := []string{givenSampled, strings.Replace(givenSampled, givenTrace, strings.Repeat("a", 32), 1)}
	for _, text := range given {
		ack, err := from.Send(t.Context(), identity.PublicKey(bo.Key).String(), sdk.PriorityNow, "", text, dial.SendOptions{Traceparent: text})
		if err != nil || !ack.Queued {
			t.Fatalf("%+v, %v", ack, err)
		}
	}
	to := x.dial(session(bo), dial.Options{ConfirmPushes: true})
	if push := x.wantText(to, given[0]); push.Traceparent == given[0] || !strings.Contains(push.Traceparent, givenTrace) {
		t.Errorf("the push of the traced message carries %q", push.Traceparent)
	}
	if push := x.wantText(to, given[1]); push.Traceparent != given[1] {
		t.Errorf("the push of the declined message carries %q, want %q", push.Traceparent, given[1])
	}
	x.spansOf(t, givenTrace, "push", "confirm")
	for _, s := range x.spans.Spans() {
		if s.TraceID != givenTrace {
			t.Errorf("a span %s in the declined trace", s.Name)
		}
	}
}

// TestFanOutKeepsItsTrace sends to more sessions than become spans.
func TestFanOutKeepsItsTrace(t *testing.T) {
	const recipients = 80
	x := newTraced(t, filepath.Join(t.TempDir(), "broker.db"), otlptest.New(t))
	x.newMesh()
	ada := x.dial(session(x.member("ada", store.RoleMember)), dial.Options{})
	bo := x.member("bo", store.RoleMember)
	var came atomic.Int64
	for range recipients {
		x.dial(session(bo), dial.Options{ConfirmPushes: true, OnPush: func(_ *dial.Peer, p *wire.Push) {
			if p.Event == "" {
				came.Add(1)
			}
		}})
	}
	if _, err := ada.Send(t.Context(), "*", sdk.PriorityNow, "", "all", dial.SendOptions{Traceparent: givenSampled}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "everybody to have it", func() bool { return came.Load() == recipients })
	x.spansOf(t, givenTrace, "envelope/send", "push")
	x.stop()
	pushes := 0
	for _, s := range x.spans.Spans() {
		if s.TraceID == givenTrace && s.Name == "push" && s.Attributes["claudemesh.from_queue"] != true {
			pushes++
		}
	}
	if pushes > 64 {
		t.Errorf("%d pushes on acceptance are spans", pushes)
	}
}

// TestContextIsHandedOn has a sender that has decided against a trace.
func TestContextIsHandedOn(t *testing.T) {
	x := newTraced(t, filepath.Join(t.TempDir(), "broker.db"), otlptest.New(t))
	x.newMesh()
	p := x.pair()
	for _, text := range []string{givenNoSample, ""} {
		ack, err := p.ada.Send(t.Context(), p.bo.Key().String(), sdk.PriorityNow, "", "hello", dial.SendOptions{Traceparent: text})
		if err != nil || !ack.Queued {
			t.Fatalf("%+v, %v", ack, err)
		}
		if push := x.wantText(p.bo, "hello"); push.Traceparent != text {
			t.Errorf("the push carries %q, want %q", push.Traceparent, text)
		}
	}
	// What comes behind them shows that nothing of them came.
	if _, err := p.ada.Send(t.Context(), p.bo.Key().String(), sdk.PriorityNow, "", "traced",
		dial.SendOptions{Traceparent: strings.Replace(givenSampled, givenTrace, strings.Repeat("a", 32), 1)}); err != nil {
		t.Fatal(err)
	}
	x.spansOf(t, strings.Repeat("a", 32), "push")
	for _, s := range x.spans.Spans() {
		if s.TraceID != strings.Repeat("a", 32) {
			t.Errorf("a span %s in the trace %s", s.Name, s.TraceID)
		}
	}
}

// TestRefusalsAreRemembered over both roads, with a span that tells as much.
func TestRefusalsAreRemembered(t *testing.T) {
	x := newTraced(t, filepath.Join(t.TempDir(), "broker.db"), otlptest.New(t))
	x.newMesh()
	ada := x.dial(session(x.member("ada", store.RoleMember)), dial.Options{})
	tests := []struct {
		name   string
		refuse func()
		kind   sdk.Kind
		reason sdk.Reason
		stage  string
		status int
	}{
		{"a frame", func() {
			if ack := x.send(ada, strings.Repeat("ab", 32), sdk.PriorityNow, "to nobody"); ack.Queued {
				t.Error("it was taken")
			}
		}, sdk.KindSend, sdk.ReasonNoRecipient, "route", 0},
		{"a request", func() { x.request(http.MethodGet, "/cli/meshes", "") }, "http.mesh.list", "missing_bearer_token", "auth", http.StatusUnauthorized},
		{"a request that is none", func() { x.request(http.MethodPost, "/join", "{") }, sdk.KindJoin, sdk.ReasonMalformed, "", http.StatusBadRequest},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.refuse()
			eventually(t, "the refusal", func() bool { return len(x.refusals.List(0)) == i+1 })
			got := x.refusals.List(1)[0]
			if got.Kind != test.kind || got.Reason != test.reason || got.Stage != test.stage || got.Status != test.status {
				t.Errorf("remembered is %+v", got)
			}
			if got.Text == "" || got.At.IsZero() || time.Since(got.At) > time.Hour {
				t.Errorf("remembered is %+v", got)
			}
			s := x.spansOf(t, got.TraceID, "envelope/"+string(test.kind))["envelope/"+string(test.kind)]
			if s.Attributes["claudemesh.reason"] != string(test.reason) || s.Attributes["error.type"] != string(test.reason) {
				t.Errorf("the span says %v", s.Attributes)
			}
			if status := s.Attributes["http.response.status_code"]; test.status != 0 && status != int64(test.status) {
				t.Errorf("the span says the status %v", status)
			}
			if test.status == http.StatusUnauthorized && !strings.Contains(x.log.String(), got.TraceID) {
				t.Errorf("no line of the log has the trace %s:\n%s", got.TraceID, x.log)
			}
		})
	}
}

// TestConnectionsThatEndAreRemembered has peers whose connection ends for what
// they did.
func TestConnectionsThatEndAreRemembered(t *testing.T) {
	x := newTraced(t, filepath.Join(t.TempDir(), "broker.db"), otlptest.New(t))
	x.newMesh()
	bo := x.member("bo", store.RoleMember)

	large := x.greet(x.hello(bo, time.Now()), socketOptions{})
	large.write(`{"type":"send","x":"` + strings.Repeat("a", 3<<20) + `"}`)
	wantRefusal(t, x, "a frame that is too large", func(f refusals.Refusal) bool {
		return f.Reason == sdk.ReasonTooLarge && f.Kind == "connection" && f.MemberID == bo.MemberID && f.Mesh == x.mesh.ID && f.Text != ""
	})
	gone := x.member("cy", store.RoleMember)
	x.revoke(gone)
	if _, err := dial.Dial(t.Context(), x.url, gone, dial.Options{}); err == nil {
		t.Fatal("a revoked member came in")
	}
	wantRefusal(t, x, "the hello of a revoked member", func(f refusals.Refusal) bool {
		return f.Reason == sdk.ReasonRevoked && f.MemberID == gone.MemberID && f.Mesh == x.mesh.ID && f.Name == "cy" && f.Stage == "auth"
	})
	for _, word := range []string{string(sdk.ReasonTooLarge), string(sdk.ReasonRevoked)} {
		eventually(t, "a line of the log", func() bool {
			return strings.Contains(x.log.String(), `"msg":"frame refused"`) && strings.Contains(x.log.String(), `"reason":"`+word+`"`)
		})
	}
}

func wantRefusal(t *testing.T, x traced, what string, is func(refusals.Refusal) bool) {
	t.Helper()
	eventually(t, what, func() bool { return slices.ContainsFunc(x.refusals.List(0), is) })
}

// TestTraceOfARequest has an HTTP request whose sender traces.
func TestTraceOfARequest(t *testing.T) {
	x := newTraced(t, filepath.Join(t.TempDir(), "broker.db"), otlptest.New(t))
	x.newMesh()
	h := http.Header{"Authorization": {"Bearer " + x.account("ada")}, "Traceparent": {givenSampled}}
	if status, text, _ := x.fetch("/cli/meshes", h); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	spans := x.spansOf(t, givenTrace, "envelope/http.mesh.list", "stage/auth", "stage/route")
	whole := spans["envelope/http.mesh.list"]
	for key, want := range map[string]any{
		"http.request.method": "GET", "http.route": "/cli/meshes", "http.response.status_code": int64(200), "claudemesh.verdict": "answer",
	} {
		if whole.Attributes[key] != want {
			t.Errorf("%s is %v, want %v", key, whole.Attributes[key], want)
		}
	}
	if whole.ParentID != givenSpan || spans["stage/route"].ParentID != whole.SpanID {
		t.Errorf("the request's span is below %s, the stage's below %s", whole.ParentID, spans["stage/route"].ParentID)
	}
}
