package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

func key(b byte) []byte { return slices.Repeat([]byte{b}, sdk.KeySize) }

func TestVerdicts(t *testing.T) {
	three := []*pluginpb.Recipient{{Member: key(1)}, {Member: key(2), Session: key(3)}, {Member: key(1)}}
	tests := []struct {
		name    string
		granted []string
		handle  handle
		want    *pluginpb.Verdict // of the second of three envelopes; nil for none
	}{
		{"says nothing of an envelope that goes on", nil, func(context.Context, *sdk.Envelope) (sdk.Decision, error) {
			return sdk.Next(), nil
		}, nil},
		{"refuses", nil, func(context.Context, *sdk.Envelope) (sdk.Decision, error) {
			return sdk.Decision{Verdict: sdk.Deny, Reason: "closed", Text: "come back", RetryAfter: time.Minute}, nil
		}, &pluginpb.Verdict{Index: 1, Verdict: 2, Reason: "closed", Text: "come back", RetryAfterNanos: int64(time.Minute)}},
		{"fails with an error", nil, func(context.Context, *sdk.Envelope) (sdk.Decision, error) {
			return sdk.Next(), errors.New("database away")
		}, &pluginpb.Verdict{Index: 1, Error: "database away"}},
		{"fails when nothing is decided", nil, func(context.Context, *sdk.Envelope) (sdk.Decision, error) {
			return sdk.Decision{}, nil
		}, &pluginpb.Verdict{Index: 1, Error: "the stage decided nothing (verdict 0)"}},
		{"cannot answer", nil, func(context.Context, *sdk.Envelope) (sdk.Decision, error) {
			return sdk.Decision{Verdict: sdk.Answer}, nil
		}, &pluginpb.Verdict{Index: 1, Error: "a plugin cannot answer; it continues, denies or drops"}},
		{"drops with the capability", []string{"verdict.drop"}, func(context.Context, *sdk.Envelope) (sdk.Decision, error) {
			return sdk.Decision{Verdict: sdk.Drop, Reason: "spam"}, nil
		}, &pluginpb.Verdict{Index: 1, Verdict: 3, Reason: "spam"}},
		{"fails to drop without it", nil, func(context.Context, *sdk.Envelope) (sdk.Decision, error) {
			return sdk.Decision{Verdict: sdk.Drop, Reason: "spam"}, nil
		}, &pluginpb.Verdict{Index: 1, Error: "dropping needs the capability verdict.drop"}},
		{"sets a priority with the capability", []string{"priority.write"}, func(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
			env.Priority = sdk.PriorityNow
			return sdk.Next(), nil
		}, &pluginpb.Verdict{Index: 1, Verdict: 1, SetPriority: 1}},
		{"fails to set a priority without it", nil, func(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
			env.Priority = sdk.PriorityLow
			return sdk.Next(), nil
		}, &pluginpb.Verdict{Index: 1, Error: "changing the priority needs the capability priority.write"}},
		{"holds back with the capability", []string{"delivery.hold"}, func(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
			env.Hold(time.Unix(7, 0))
			return sdk.Next(), nil
		}, &pluginpb.Verdict{Index: 1, Verdict: 1, HoldUntilNanos: 7e9}},
		{"fails to hold back without it", nil, func(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
			env.Hold(time.Unix(7, 0))
			return sdk.Next(), nil
		}, &pluginpb.Verdict{Index: 1, Error: "holding a message back needs the capability delivery.hold"}},
		{"notes attributes", nil, func(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
			env.Note("seen", "yes")
			env.Note("zone", "UTC")
			return sdk.Next(), nil
		}, &pluginpb.Verdict{Index: 1, Verdict: 1, Attributes: []*pluginpb.Attribute{{Key: "seen", Value: "yes"}, {Key: "zone", Value: "UTC"}}}},
		{"fails with a note without a key", nil, func(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
			env.Note("", "v")
			return sdk.Next(), nil
		}, &pluginpb.Verdict{Index: 1, Error: "the stage noted an attribute without a key"}},
		{"fails with a priority that there is not", []string{"priority.write"}, func(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
			env.Priority = 9
			return sdk.Next(), nil
		}, &pluginpb.Verdict{Index: 1, Error: "there is no priority 9"}},
		{"fails with too many notes", nil, func(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
			for range 17 {
				env.Note("k", "v")
			}
			return sdk.Next(), nil
		}, &pluginpb.Verdict{Index: 1, Error: "the stage noted 17 attributes with 34 bytes; 16 with 1024 are allowed"}},
		{"leaves recipients out", []string{"audience.read"}, func(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
			_, err := env.Audience(ctx)
			env.Narrow(func(r *sdk.Recipient) bool { return !r.Session.IsZero() })
			return sdk.Next(), err
		}, &pluginpb.Verdict{Index: 1, Verdict: 1, LeaveOut: []uint32{0, 2}}},
		{"fails when recipients are changed", []string{"audience.read"}, func(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
			env.Narrow(func(r *sdk.Recipient) bool { r.Member[0] = 9; return r.Session.IsZero() })
			return sdk.Next(), nil
		}, &pluginpb.Verdict{Index: 1, Error: "the stage changed recipients; it can only leave some out"}},
		{"fails to see an audience without the capability", nil, func(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
			_, err := env.Audience(ctx)
			return sdk.Next(), err
		}, &pluginpb.Verdict{Index: 1, Error: "the audience needs the capability audience.read, which the stage has to name in plugin.Needs or plugin.Wants and the operator has to grant"}},
	}
	for _, tt := range tests {
		t.Run("it "+tt.name, func(t *testing.T) {
			_, s := configured(t, judge(func(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
				if env.MessageID != "judged" {
					return sdk.Next(), nil
				}
				return tt.handle(ctx, env)
			}), tt.granted...)
			judged := envelope(1, "judged")
			judged.Target, judged.Audience = 3, three
			want := &pluginpb.Verdicts{Count: 3, DefaultVerdict: 1}
			if tt.want != nil {
				want.Exceptions = []*pluginpb.Verdict{tt.want}
			}
			for seq := range uint64(3) { // the second and third use memory again
				s.batch(seq+1, envelope(1, "a"), judged, envelope(1, "b"))
				want.Seq = seq + 1
				if diff := cmp.Diff(want, s.verdicts(), protocmp.Transform()); diff != "" {
					t.Fatalf("verdicts (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestWhatAStageSees(t *testing.T) {
	pb := &pluginpb.Envelope{
		Kind: "send", Mesh: "m", Conn: 7, Priority: 2, Size: 9, Arrived: 1e18, MessageId: "id", Target: 2, TargetName: "ops",
		Member: key(1), Session: key(2), MemberId: "member-1", Name: "ada", Remote: "192.0.2.1",
		Attributes: []*pluginpb.Attribute{{Key: "k", Value: "v"}}, Payload: []byte("sealed"), Credential: []byte("proof"), Trace: "00-1",
	}
	want := sdk.Envelope{
		Kind: "send", Mesh: "m", Priority: sdk.PriorityLow, Size: 9, Arrived: time.Unix(1e9, 0), MessageID: "id", Trace: "00-1",
		Sender:     sdk.Sender{MemberID: "member-1", Member: sdk.Key(key(1)), Session: sdk.Key(key(2)), Name: "ada", Conn: 7, Remote: "192.0.2.1"},
		Target:     sdk.Target{Kind: sdk.TargetGroup, Name: "ops", Spec: "@ops"},
		Attributes: []sdk.Attribute{{Key: "k", Value: "v"}},
	}
	var got sdk.Envelope
	var payload, credential string
	_, s := configured(t, judge(func(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
		payload, credential = string(env.Payload()), string(env.Credential())
		got = sdk.Envelope{
			Kind: env.Kind, Mesh: env.Mesh, Priority: env.Priority, Size: env.Size, Arrived: env.Arrived, MessageID: env.MessageID,
			Trace: env.Trace, Sender: env.Sender, Target: env.Target, Attributes: slices.Clone(env.Attributes),
		}
		return sdk.Next(), nil
	}))
	s.batch(1, pb)
	s.verdicts()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(sdk.Envelope{})); diff != "" {
		t.Errorf("envelope (-want +got):\n%s", diff)
	}
	if payload != "sealed" || credential != "proof" {
		t.Errorf("sealed parts: %q, %q", payload, credential)
	}
}

// A stage that is busy holds up neither a ping nor a cancel, and batches come
// back in order.
func TestBusy(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	var judged []string
	_, s := configured(t, judge(func(_ context.Context, env *sdk.Envelope) (sdk.Decision, error) {
		if env.MessageID == "first" {
			close(begun)
			<-release
		}
		judged = append(judged, env.MessageID)
		return sdk.Next(), nil
	}))
	s.batch(1, envelope(1, "first"))
	wait(t, begun)
	s.batch(2, envelope(1, "second"), envelope(2, "second too"))
	s.batch(3, envelope(1, "third"))
	s.send(&pluginpb.HostFrame{Cancel: &pluginpb.Cancel{Seqs: []uint64{1, 2, 99}}})
	s.send(&pluginpb.HostFrame{Ping: &pluginpb.Ping{Nonce: 42}})
	if frame := s.frame(); frame.Pong.GetNonce() != 42 {
		t.Fatalf("got %v, want the pong", frame)
	}
	close(release)
	for _, want := range []*pluginpb.Verdicts{
		{Seq: 1, Count: 1, DefaultVerdict: 1}, // was begun
		{Seq: 2, Count: 2, DefaultVerdict: 1, Exceptions: []*pluginpb.Verdict{ // was not
			{Index: 0, Error: "it was called off before it was begun"}, {Index: 1, Error: "it was called off before it was begun"},
		}},
		{Seq: 3, Count: 1, DefaultVerdict: 1},
	} {
		if diff := cmp.Diff(want, s.verdicts(), protocmp.Transform()); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff([]string{"first", "third"}, judged); diff != "" {
		t.Errorf("judged (-want +got):\n%s", diff)
	}
}

// The first envelope of connection 1 waits for the last of connection 2: other
// connections overtake, and each keeps its order.
func TestParallel(t *testing.T) {
	const conns, batches = 5, 40
	var mu sync.Mutex
	seen := make(map[uint64][]string)
	last := make(chan struct{})
	_, s := configured(t, judge(func(ctx context.Context, env *sdk.Envelope) (sdk.Decision, error) {
		if env.Sender.Conn == 1 {
			select {
			case <-last:
			case <-ctx.Done():
				return sdk.Decision{}, ctx.Err()
			}
		}
		mu.Lock()
		defer mu.Unlock()
		seen[env.Sender.Conn] = append(seen[env.Sender.Conn], env.MessageID)
		if env.Sender.Conn == 2 && env.MessageID == fmt.Sprint(batches-1) {
			close(last)
		}
		return sdk.Refuse("no", env.MessageID), nil
	}, plugin.Parallel(3)))
	var want []string
	for seq := range uint64(batches) {
		var list []*pluginpb.Envelope
		for conn := range uint64(conns) {
			list = append(list, envelope(conn+1, fmt.Sprint(seq)))
		}
		want = append(want, fmt.Sprint(seq))
		s.batch(seq+1, list...)
	}
	for range batches {
		v := s.verdicts()
		if v.Count != conns || len(v.Exceptions) != conns {
			t.Fatalf("verdicts: %v", v)
		}
		for i, e := range v.Exceptions {
			if e.Index != uint32(i) || e.Text != fmt.Sprint(v.Seq-1) {
				t.Errorf("batch %d, exception %d: %v", v.Seq, i, e)
			}
		}
	}
	for conn, got := range seen {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("connection %d (-want +got):\n%s", conn, diff)
		}
	}
}

func TestDeadline(t *testing.T) {
	_, s := configured(t, judge(func(ctx context.Context, _ *sdk.Envelope) (sdk.Decision, error) {
		if _, ok := ctx.Deadline(); !ok {
			return sdk.Decision{}, errors.New("no deadline")
		}
		<-ctx.Done()
		return sdk.Decision{}, ctx.Err()
	}))
	s.send(&pluginpb.HostFrame{Batch: &pluginpb.Batch{Seq: 1, DeadlineNanos: int64(20 * time.Millisecond), Envelopes: []*pluginpb.Envelope{envelope(1, "")}}})
	s.send(&pluginpb.HostFrame{Batch: &pluginpb.Batch{Seq: 2, DeadlineNanos: 1, Envelopes: []*pluginpb.Envelope{envelope(1, "")}}})
	late := &pluginpb.Verdicts{Seq: 2, Count: 1, DefaultVerdict: 1, Exceptions: []*pluginpb.Verdict{{Error: "its time was over before it was begun"}}}
	want := &pluginpb.Verdicts{Seq: 1, Count: 1, DefaultVerdict: 1, Exceptions: []*pluginpb.Verdict{{Error: "context deadline exceeded"}}}
	if diff := cmp.Diff(want, s.verdicts(), protocmp.Transform()); diff != "" {
		t.Errorf("the batch that ran out of time (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(late, s.verdicts(), protocmp.Transform()); diff != "" {
		t.Errorf("the batch that was never begun (-want +got):\n%s", diff)
	}
}

func TestStreamErrors(t *testing.T) {
	r, s := configured(t, judge(func(context.Context, *sdk.Envelope) (sdk.Decision, error) { return sdk.Next(), nil }))
	if _, err := r.open("unknown").Recv(); status.Code(err) != codes.NotFound {
		t.Errorf("an unknown instance: %v", err)
	}
	s.batch(1, envelope(1, "")) // so that the first stream has its instance for sure
	s.verdicts()
	if _, err := r.open("one").Recv(); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a second stream: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	bare, err := r.Process(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = bare.Send(&pluginpb.HostFrame{Ping: &pluginpb.Ping{}})
	if _, err := bare.Recv(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a stream without Open: %v", err)
	}
}
