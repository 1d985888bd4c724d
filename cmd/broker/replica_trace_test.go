package main

import (
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/store/pgtest"
	"github.com/claudemesh/broker/core/tracing/otlptest"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// TestReplicaTrace follows one message from its sender on one replica, through
// the stages and a plugin's process, to its recipient on another.
func TestReplicaTrace(t *testing.T) {
	t.Parallel()
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	receiver := otlptest.New(t)
	f := newFleet(t, fleetOptions{
		size: 2, database: pgtest.URL(t), members: 2,
		plugin: drillLink{name: "drill", path: newDrill(t)}.String(),
		environ: []string{
			"OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver.HTTP, "OTEL_TRACES_SAMPLER=parentbased_always_off", "OTEL_BSP_SCHEDULE_DELAY=50",
		},
	})
	pushes := make(chan *wire.Push, 1)
	bo := f.dialAt(1, dial.Options{ConfirmPushes: true, OnPush: func(_ *dial.Peer, p *wire.Push) {
		if p.Event == "" {
			pushes <- p
		}
	}})
	ada := f.dialAt(0, dial.Options{OnPush: func(*dial.Peer, *wire.Push) {}})
	ack, err := ada.Send(t.Context(), bo.Key().String(), sdk.PriorityNow, "", "hello", dial.SendOptions{
		Traceparent: "00-" + trace + "-00f067aa0ba902b7-01",
	})
	if err != nil || !ack.Queued {
		t.Fatalf("%+v, %v", ack, err)
	}
	push := <-pushes
	spans := tracedSpans(t, receiver, trace, "envelope/send", "stage/auth", "stage/grants", "stage/rate-limit", "stage/drill", "plugin/drill",
		"stage/route", "commit", "push", "confirm")
	whole := spans["envelope/send"]
	if !strings.HasPrefix(push.Traceparent, "00-"+trace+"-"+whole.SpanID) {
		t.Errorf("the push carries %q", push.Traceparent)
	}
	below := map[string]string{
		"plugin/drill": "stage/drill", "stage/drill": "envelope/send", "stage/route": "envelope/send", "commit": "envelope/send",
		"push": "envelope/send", "confirm": "push",
	}
	for name, parent := range below {
		if spans[name].ParentID != spans[parent].SpanID {
			t.Errorf("%s is below %s, want %s (%s)", name, spans[name].ParentID, parent, spans[parent].SpanID)
		}
	}
	if whole.ParentID != "00f067aa0ba902b7" {
		t.Errorf("the envelope's span is below %s", whole.ParentID)
	}
	here, there := whole.ResourceAttributes["service.instance.id"], spans["push"].ResourceAttributes["service.instance.id"]
	if here == there || here == nil || there == nil || spans["confirm"].ResourceAttributes["service.instance.id"] != there {
		t.Errorf("the envelope was accepted by %v and pushed by %v", here, there)
	}
	if service := spans["plugin/drill"].Service; service == whole.Service || service == "" {
		t.Errorf("the plugin's span is of the service %q", service)
	}
	receiver.Wait(t, "the batch", func(all []otlptest.Span) bool {
		for _, s := range all {
			if s.Name == "batch/drill" && len(s.Links) == 1 && s.Links[0] == spans["stage/drill"].SpanID {
				return true
			}
		}
		return false
	})
	f.stop()
}

// dialAt connects a new session to one replica.
func (f *fleet) dialAt(replica int, o dial.Options) *dial.Peer {
	f.t.Helper()
	p, err := dial.Dial(f.t.Context(), f.replicas[replica].place.Load().url, f.session(), o)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(p.Abort)
	return p
}

// tracedSpans waits until a trace has a span of each name, and returns them.
func tracedSpans(t *testing.T, r *otlptest.Receiver, trace string, names ...string) map[string]otlptest.Span {
	t.Helper()
	var got map[string]otlptest.Span
	r.Wait(t, strings.Join(names, ", "), func(spans []otlptest.Span) bool {
		got = map[string]otlptest.Span{}
		for _, s := range spans {
			if s.TraceID == trace {
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
