package hop_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/pluginhost/hop"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// wantFailure checks an error of a hop.
func wantFailure(t *testing.T, err error, want hop.Failure) {
	t.Helper()
	e, ok := errors.AsType[*hop.Error](err)
	if !ok || e.Failure != want {
		t.Fatalf("error %v, want the failure %q", err, want)
	}
}

func TestVerdictsReachTheirEnvelopes(t *testing.T) {
	for _, streams := range []bool{true, false} {
		t.Run(fmt.Sprintf("stream=%v", streams), func(t *testing.T) {
			f := &fake{judge: func(b *pluginpb.Batch) *pluginpb.Verdicts {
				v := allow(b)
				for i, e := range b.GetEnvelopes() {
					if e.GetConn()%3 == 0 {
						v.Exceptions = append(v.Exceptions, &pluginpb.Verdict{
							Index: uint32(i), Verdict: 2, Reason: "third", Text: fmt.Sprint(e.GetConn()), RetryAfterNanos: 7,
						})
					}
				}
				return v
			}}
			h := newHop(t, options())
			conn, _ := process(t, f)
			if err := h.Up(hop.Session{Conn: conn, Instance: "1", Stream: streams}); err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for c := range uint64(64) {
				wg.Go(func() {
					for range 50 {
						d, err := h.Ask(t.Context(), message(c))
						want := sdk.Next()
						if c%3 == 0 {
							want = sdk.Decision{Verdict: sdk.Deny, Reason: "third", Text: fmt.Sprint(c), RetryAfter: 7}
						}
						if err != nil || d != want {
							t.Errorf("connection %d: %+v, %v; want %+v", c, d, err, want)
							return
						}
					}
				})
			}
			wg.Wait()
			s := h.Stats()
			if s.Sent != 64*50 || s.InHand != 0 || s.Waiting != 0 || s.Batches == s.Sent {
				t.Errorf("%+v: want 3200 sent in fewer batches, and nothing left", s)
			}
			if s.Answered != s.Batches || s.Crossing <= 0 || len(s.Sizes.Buckets) != 7 || len(s.Crossings.Buckets) == 0 {
				t.Errorf("%+v: want every batch answered, and both told apart by buckets, sizes up to 64", s)
			}
		})
	}
}

func TestOrderOfAConnection(t *testing.T) {
	next := map[uint64]int64{}
	f := &fake{judge: func(b *pluginpb.Batch) *pluginpb.Verdicts {
		for _, e := range b.GetEnvelopes() {
			if e.GetSize() != next[e.GetConn()] {
				t.Errorf("connection %d: envelope %d, want %d", e.GetConn(), e.GetSize(), next[e.GetConn()])
			}
			next[e.GetConn()]++
		}
		return allow(b)
	}}
	h := up(t, options(), f)
	var wg sync.WaitGroup
	for i := range 2000 {
		env := message(uint64(i % 7))
		env.Size = i / 7
		wg.Add(1)
		for !h.Submit(t.Context(), env, func(sdk.Decision, error) { wg.Done() }) {
			time.Sleep(time.Millisecond) // the window is full
		}
	}
	wg.Wait()
}

// An answer is used only when it is beyond doubt. Nothing else is "continue".
func TestAnswersAgainstTheProtocol(t *testing.T) {
	for name, spoil := range map[string]func(*pluginpb.Verdicts){
		"count too small":        func(v *pluginpb.Verdicts) { v.Count-- },
		"count too large":        func(v *pluginpb.Verdicts) { v.Count++ },
		"no default":             func(v *pluginpb.Verdicts) { v.DefaultVerdict = 0 },
		"default answers":        func(v *pluginpb.Verdicts) { v.DefaultVerdict = 4 },
		"default unknown":        func(v *pluginpb.Verdicts) { v.DefaultVerdict = 9 },
		"unknown seq":            func(v *pluginpb.Verdicts) { v.Seq += 100 },
		"index out of range":     func(v *pluginpb.Verdicts) { v.Exceptions = []*pluginpb.Verdict{{Index: 1, Verdict: 1}} },
		"index far out of range": func(v *pluginpb.Verdicts) { v.Exceptions = []*pluginpb.Verdict{{Index: 1 << 31, Verdict: 1}} },
		"verdict unknown":        func(v *pluginpb.Verdicts) { v.Exceptions = []*pluginpb.Verdict{{Verdict: 5}} },
		"index twice":            func(v *pluginpb.Verdicts) { v.Exceptions = []*pluginpb.Verdict{{Verdict: 1}, {Verdict: 1}} },
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.Deadline = time.Second
			h, broken := watched(t, o, &fake{judge: func(b *pluginpb.Batch) *pluginpb.Verdicts {
				v := allow(b)
				spoil(v)
				return v
			}})
			d, err := h.Ask(t.Context(), message(1))
			if err == nil || d.Verdict == sdk.Continue {
				t.Errorf("decision %+v, error %v; want a failure", d, err)
			}
			if reason := receive(t, "the report", broken); reason != "protocol" {
				t.Errorf("reported as %q, want protocol", reason)
			}
		})
	}
}

func TestAnsweredTwice(t *testing.T) {
	var f *fake
	f = &fake{judge: func(b *pluginpb.Batch) *pluginpb.Verdicts {
		f.sent(&pluginpb.PluginFrame{Verdicts: allow(b)})
		return allow(b)
	}}
	h, broken := watched(t, options(), f)
	if _, err := h.Ask(t.Context(), message(1)); err != nil {
		t.Fatal(err)
	}
	if reason := receive(t, "the report", broken); reason != "protocol" {
		t.Errorf("reported as %q, want protocol", reason)
	}
}

// The stage's own failure is that envelope's alone.
func TestStageFailsOnOne(t *testing.T) {
	h := up(t, options(), &fake{judge: func(b *pluginpb.Batch) *pluginpb.Verdicts {
		v := allow(b)
		v.Exceptions = []*pluginpb.Verdict{{Verdict: 0, Error: "panic: boom"}}
		return v
	}})
	_, err := h.Ask(t.Context(), message(1))
	wantFailure(t, err, hop.FailStage)
	if got, want := err.Error(), "plugin: it failed: panic: boom"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

// Reasons are labels of metrics and codes on the wire: they have a form, and a
// plugin cannot make ever more of them.
func TestReasons(t *testing.T) {
	var next string
	h := up(t, options(), &fake{judge: func(b *pluginpb.Batch) *pluginpb.Verdicts {
		v := allow(b)
		v.Exceptions = []*pluginpb.Verdict{{Verdict: 2, Reason: next}}
		return v
	}})
	for _, next = range []string{"no way", "Ünfug", "a-b", strings.Repeat("a", 65)} {
		_, err := h.Ask(t.Context(), message(1))
		wantFailure(t, err, hop.FailProtocol)
	}
	words := map[sdk.Reason]bool{}
	for i := range 200 {
		next = fmt.Sprintf("word_%d", i)
		if i == 0 {
			next = ""
		}
		d, err := h.Ask(t.Context(), message(1))
		if err != nil || d.Verdict != sdk.Deny {
			t.Fatalf("%+v, %v", d, err)
		}
		words[d.Reason] = true
	}
	if len(words) != 65 || !words[sdk.ReasonRefused] {
		t.Errorf("%d words, want 64 of its own and the common one", len(words))
	}
}

func TestRightsAreNeeded(t *testing.T) {
	one := func(v *pluginpb.Verdict) *fake {
		return &fake{judge: func(b *pluginpb.Batch) *pluginpb.Verdicts {
			answer := allow(b)
			answer.Exceptions = []*pluginpb.Verdict{v}
			return answer
		}}
	}
	until := time.Now().Add(time.Hour)
	for right, v := range map[string]*pluginpb.Verdict{
		hop.VerdictDrop:   {Verdict: 3, Reason: "no"},
		hop.AudienceRead:  {Verdict: 1, LeaveOut: []uint32{1}},
		hop.PriorityWrite: {Verdict: 1, SetPriority: 3},
		hop.DeliveryHold:  {Verdict: 1, HoldUntilNanos: until.UnixNano()},
	} {
		t.Run(right, func(t *testing.T) {
			env := message(1)
			env.SetAudience([]sdk.Recipient{{Member: sdk.Key{3}}, {Member: sdk.Key{4}}})
			_, err := up(t, options(), one(v)).Ask(t.Context(), env)
			wantFailure(t, err, hop.FailRight)
			if env.Priority != sdk.PriorityNext || !env.HoldUntil.IsZero() || env.Narrowed() != 0 {
				t.Errorf("the envelope was changed: %+v", env)
			}

			o := options()
			if !o.Rights.Grant(right) {
				t.Fatalf("no right is called %q", right)
			}
			env = message(1)
			env.SetAudience([]sdk.Recipient{{Member: sdk.Key{3}}, {Member: sdk.Key{4}}})
			d, err := up(t, o, one(v)).Ask(t.Context(), env)
			if err != nil || uint32(d.Verdict) != v.GetVerdict() {
				t.Fatalf("with the right: %+v, %v", d, err)
			}
			if v.SetPriority > 0 && env.Priority != sdk.PriorityLow ||
				v.HoldUntilNanos > 0 && !env.HoldUntil.Equal(until) || len(v.LeaveOut) > 0 && env.Narrowed() != 1 {
				t.Errorf("the envelope was not changed: %+v", env)
			}
		})
	}
}

func TestViewShowsWhatIsGranted(t *testing.T) {
	t.Run("metadata only", func(t *testing.T) {
		e := second(t, options())
		if e.GetName() != "" || e.GetMemberId() != "" || e.GetRemote() != "" || len(e.GetAudience()) != 0 {
			t.Errorf("more than the metadata: %v", e)
		}
		if len(e.GetMember()) != sdk.KeySize || cmp.Equal(e.GetMember(), key(1)) || cmp.Equal(e.GetMember(), e.GetSession()) {
			t.Errorf("member %x: want a pseudonym", e.GetMember())
		}
		if len(e.GetAttributes()) != 1 || e.GetAttributes()[0].GetKey() != "mine" {
			t.Errorf("attributes %v: want its own alone", e.GetAttributes())
		}
	})
	t.Run("everything", func(t *testing.T) {
		o := options()
		o.Rights = hop.Rights{Identity: true, Audience: true, Attributes: true}
		e := second(t, o)
		if e.GetName() != "ada" || e.GetMemberId() != "m-1" || !cmp.Equal(e.GetMember(), key(1)) || !cmp.Equal(e.GetTargetKey(), key(3)) {
			t.Errorf("identity: %v", e)
		}
		if len(e.GetAudience()) != 2 || !cmp.Equal(e.GetAudience()[0].GetSession(), key(4)) || len(e.GetAudience()[1].GetSession()) != 0 {
			t.Errorf("audience: %v", e.GetAudience())
		}
		if len(e.GetAttributes()) != 2 {
			t.Errorf("attributes: %v", e.GetAttributes())
		}
	})
}

func key(b byte) []byte { k := sdk.Key{b}; return k[:] }

// second returns what a plugin sees of the second of two equal envelopes: what
// the first left behind must not show.
func second(t *testing.T, o hop.Options) *pluginpb.Envelope {
	t.Helper()
	var last *pluginpb.Envelope
	h := up(t, o, &fake{judge: func(b *pluginpb.Batch) *pluginpb.Verdicts {
		last = b.GetEnvelopes()[0]
		return allow(b)
	}})
	for range 2 {
		env := message(9)
		env.Note("guard.mine", "1")
		env.Note("other.theirs", "2")
		env.SetAudience([]sdk.Recipient{{Member: sdk.Key{3}, Session: sdk.Key{4}}, {Member: sdk.Key{5}}})
		if _, err := h.Ask(t.Context(), env); err != nil {
			t.Fatal(err)
		}
	}
	return last
}

func TestPseudonymsDifferBetweenHops(t *testing.T) {
	a, b := second(t, options()), second(t, options())
	if cmp.Equal(a.GetMember(), b.GetMember()) {
		t.Error("two plugins can compare notes: they see the same pseudonym")
	}
}

func TestContextEndsTheWait(t *testing.T) {
	h := up(t, options(), &fake{judge: func(*pluginpb.Batch) *pluginpb.Verdicts { return nil }})
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() {
		_, err := h.Ask(ctx, message(1))
		asked <- err
	}()
	until(t, "the batch", func() bool { return h.Stats().InHand == 1 })
	cancel()
	if err := receive(t, "the answer", asked); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestOutcomes(t *testing.T) {
	got := make(chan *pluginpb.Outcomes, 100)
	h := up(t, options(), &fake{observe: func(o *pluginpb.Outcomes) { got <- o }})
	for i := range 100 {
		h.Observe(message(uint64(i)), sdk.Outcome{Decision: sdk.Refuse("late", "x"), Stage: "route", Recipients: i})
	}
	for next := 0; next < 100; {
		for _, o := range receive(t, "outcomes", got).GetOutcomes() {
			if o.GetRecipients() != int64(next) || o.GetReason() != "late" || o.GetEnvelope().GetConn() != uint64(next) {
				t.Fatalf("outcome %d is %v", next, o)
			}
			next++
		}
	}
	until(t, "the confirmation", h.Idle)
}

// A plugin that does not keep up with outcomes misses some, and holds nobody.
func TestOutcomesOverflow(t *testing.T) {
	release := make(chan struct{})
	var told, missed uint64
	f := &fake{observe: func(o *pluginpb.Outcomes) {
		<-release
		told += uint64(len(o.GetOutcomes()))
		missed += o.GetMissed()
	}}
	o := options()
	o.Window = 10
	h := up(t, o, f)
	const all = 10_000
	for range all {
		h.Observe(message(1), sdk.Outcome{Decision: sdk.Next()})
	}
	close(release)
	until(t, "the rest", h.Idle)
	h.Observe(message(1), sdk.Outcome{Decision: sdk.Next()})
	until(t, "one more", h.Idle)
	if told+missed != all+1 || missed != h.Stats().Missed || missed == 0 {
		t.Errorf("told %d, missed %d (%d counted), want %d together", told, missed, h.Stats().Missed, all+1)
	}
}

// A plugin of the simple level has several batches at a time, and never two
// with envelopes of one connection.
func TestOrderOnTheSimpleLevel(t *testing.T) {
	var mu sync.Mutex
	next, busy, most := map[uint64]int64{}, 0, 0
	f := &fake{judge: func(b *pluginpb.Batch) *pluginpb.Verdicts {
		mu.Lock()
		busy++
		most = max(most, busy)
		mu.Unlock()
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond) // so that batches end in any order
		mu.Lock()
		defer mu.Unlock()
		busy--
		for _, e := range b.GetEnvelopes() {
			if e.GetSize() != next[e.GetConn()] {
				t.Errorf("connection %d: envelope %d, want %d", e.GetConn(), e.GetSize(), next[e.GetConn()])
			}
			next[e.GetConn()]++
		}
		return allow(b)
	}}
	h := newHop(t, options())
	conn, _ := process(t, f)
	if err := h.Up(hop.Session{Conn: conn, Instance: "1"}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 2000 {
		env := message(uint64(i%500 + 1))
		env.Size = i / 500
		wg.Add(1)
		for !h.Submit(t.Context(), env, func(sdk.Decision, error) { wg.Done() }) {
			time.Sleep(time.Millisecond) // the window is full
		}
	}
	wg.Wait()
	if most < 2 {
		t.Error("never more than one batch at a time")
	}
}
