package hop

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// What is written by hand reads like what the generated code writes.
func TestEncodedByHand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := header{
			seq: rapid.Uint64().Draw(t, "seq"), deadline: 5, missed: rapid.Uint64().Draw(t, "missed"),
			instance: rapid.SampledFrom([]string{"", "i-1"}).Draw(t, "instance"),
		}
		batch := &pluginpb.Batch{Seq: h.seq, DeadlineNanos: 5, Instance: h.instance}
		outcomes := &pluginpb.Outcomes{Seq: h.seq, Instance: h.instance, Missed: h.missed}
		var calls []*call
		var encoded [][]byte
		for range rapid.IntRange(0, 5).Draw(t, "n") {
			e := &pluginpb.Envelope{Kind: rapid.String().Draw(t, "kind"), Conn: rapid.Uint64().Draw(t, "conn")}
			b, err := appendMessage(nil, e)
			if err != nil {
				t.Fatal(err)
			}
			calls = append(calls, &call{view: b})
			batch.Envelopes = append(batch.Envelopes, e)
			o := &pluginpb.Outcome{Envelope: e, Verdict: 2}
			if b, err = appendMessage(nil, o); err != nil {
				t.Fatal(err)
			}
			encoded = append(encoded, b)
			outcomes.Outcomes = append(outcomes.Outcomes, o)
		}
		same(t, encodeBatch(h, calls, false), batch)
		same(t, encodeBatch(h, calls, true), &pluginpb.HostFrame{Batch: batch})
		same(t, encodeOutcomes(h, encoded, false), outcomes)
		same(t, encodeOutcomes(h, encoded, true), &pluginpb.HostFrame{Outcomes: outcomes})
	})
}

func same(t *rapid.T, b raw, want proto.Message) {
	t.Helper()
	got := want.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(b, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Fatal(diff)
	}
}
