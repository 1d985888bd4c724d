package webhookaudit

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin"
	"github.com/claudemesh/broker/sdk/sdktest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
	}
	goleak.VerifyTestMain(m)
}

func contextFor(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

func TestTheRulesOfAStage(t *testing.T) {
	r := newReceiver(t)
	sdktest.RunObserver(t, func() sdk.Observer {
		w, err := New(r.options(nil))
		if err != nil {
			t.Fatal(err)
		}
		return w
	})
}

func TestAnEvent(t *testing.T) {
	env := &sdk.Envelope{
		Kind: sdk.KindSend, Mesh: "mesh-1", MessageID: "m1", Priority: sdk.PriorityLow, Size: 512,
		Arrived: time.Date(2026, 8, 3, 11, 0, 0, 500, time.UTC),
		Sender:  sdk.Sender{MemberID: "member-1", Member: sdk.Key{1}, Session: sdk.Key{2}, Name: "ada", Conn: 7, Remote: "192.0.2.1"},
		Target:  sdk.Target{Kind: sdk.TargetGroup, Name: "ops", Spec: "@ops"},
		Body:    sealed{},
	}
	out := sdk.Outcome{
		Decision: sdk.Decision{Verdict: sdk.Deny, Reason: "blocked", Text: "no"}, Stage: "grants",
		Took: 1500 * time.Nanosecond, Settled: 3 * time.Millisecond, Recipients: 3, Pushed: 1, Queued: 2,
	}
	want := Event{
		Time: env.Arrived, Kind: "send", Mesh: "mesh-1", MessageID: "m1", Priority: "low", Size: 512,
		Sender: Sender{
			Conn: 7, Member: sdk.Key{1}.String(), Session: sdk.Key{2}.String(), MemberID: "member-1", Name: "ada", Remote: "192.0.2.1",
		},
		Target:  &Target{Kind: "group", Name: "ops"},
		Verdict: "deny", Reason: "blocked", Stage: "grants", TookUS: 1, SettledUS: 3000, Recipients: 3, Pushed: 1, Queued: 2,
	}
	text, err := appendEvent(nil, env, &out)
	if err != nil {
		t.Fatal(err)
	}
	var got Event
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	for _, secret := range []string{"ciphertext", "credential", "c2VhbGVk"} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s has %q in it", text, secret)
		}
	}
}

// sealed is a body that must not show.
type sealed struct{}

func (sealed) Payload() []byte    { return []byte("ciphertext") }
func (sealed) Credential() []byte { return []byte("credential") }

func TestEventsComeInOrder(t *testing.T) {
	r := newReceiver(t)
	w := start(t, r.options(nil))
	tell(w, 0, 105)
	r.untilEvents(105)
	stop(t, w)
	r.wantInOrder(0, 105)
	if got, want := w.Stats(), (Stats{Delivered: 105}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// What the broker left out counts as lost, and the next batch says so.
func TestMissedOutcomesAreTold(t *testing.T) {
	r := newReceiver(t)
	w := start(t, r.options(nil))
	w.Missed(3)
	w.Missed(4)
	tell(w, 0, 1)
	r.untilEvents(1)
	r.mu.Lock()
	lost := r.lost
	r.mu.Unlock()
	if lost != 7 {
		t.Errorf("the endpoint was told of %d lost events, want 7", lost)
	}
	stop(t, w)
	if got, want := w.Stats(), (Stats{Delivered: 1, Lost: 7, Missed: 7}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestOnlyWhatIsWantedIsTold(t *testing.T) {
	r := newReceiver(t)
	w := start(t, r.options(func(o *Options) { o.Verdicts = []string{"deny"}; o.Kinds = []sdk.Kind{"send"} }))
	if diff := cmp.Diff([]sdk.Kind{"send"}, w.Kinds()); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	tell(w, 0, 5)
	w.Done(&sdk.Envelope{MessageID: "refused"}, sdk.Outcome{Decision: sdk.Refuse("blocked", "")})
	stop(t, w)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) != 1 || r.events[0].MessageID != "refused" {
		t.Errorf("got %+v", r.events)
	}
}

func TestAnOutageLosesNothing(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spill bool
	}{{"in memory", false}, {"with a spill", true}} {
		t.Run(tt.name, func(t *testing.T) {
			r := newReceiver(t)
			w := start(t, r.options(func(o *Options) {
				if tt.spill {
					o.SpillDir = t.TempDir()
				}
			}))
			r.answer(http.StatusServiceUnavailable)
			tell(w, 0, 500)
			r.until("attempts during the outage", func() bool { return r.posts >= 3 })
			r.answer(0, http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusFound, http.StatusOK)
			tell(w, 500, 700)
			r.untilEvents(700)
			r.wantInOrder(0, 700)
			stop(t, w)
			if got, want := w.Stats(), (Stats{Delivered: 700}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestTheSpillOutlivesTheObserver(t *testing.T) {
	r := newReceiver(t)
	o := r.options(func(o *Options) { o.SpillDir = filepath.Join(t.TempDir(), "made", "here") })
	r.answer(http.StatusBadGateway)
	first := start(t, o)
	tell(first, 0, 300)
	stop(t, first)
	r.answer(0)
	second := start(t, o)
	tell(second, 300, 400)
	r.untilEvents(400)
	r.wantInOrder(0, 400)
	stop(t, second)
	numbers, err := segmentNumbers(o.SpillDir)
	if err != nil || len(numbers) != 1 {
		t.Errorf("the segments %v are left (%v), want the last one", numbers, err)
	}
}

// A reload starts the new link before the old one has stopped.
func TestTwoLivesShareADirectoryOneAfterTheOther(t *testing.T) {
	r := newReceiver(t)
	o := r.options(func(o *Options) { o.SpillDir = t.TempDir() })
	first := start(t, o)
	tell(first, 0, 50)
	r.untilEvents(50)
	second := start(t, o)
	tell(second, 60, 100)
	tell(first, 50, 60)
	stop(t, first)
	r.untilEvents(100)
	r.wantInOrder(0, 100)
}

func TestStopPostsWhatThereIs(t *testing.T) {
	r := newReceiver(t)
	w := start(t, r.options(func(o *Options) { o.MaxWait, o.MaxEvents = plugin.Duration(time.Hour), 1000 }))
	tell(w, 0, 7)
	stop(t, w)
	r.wantInOrder(0, 7)
	tell(w, 7, 9) // too late, and no harm
	stop(t, w)
	r.wantInOrder(0, 7)
}

func TestStopHeedsItsDeadline(t *testing.T) {
	r := newReceiver(t)
	r.answer(http.StatusBadGateway)
	w := start(t, r.options(nil))
	tell(w, 0, 7)
	ctx, cancel := contextFor(50 * time.Millisecond)
	defer cancel()
	if err := w.Stop(ctx); err != nil {
		t.Error(err)
	}
	if got, want := w.Stats(), (Stats{Lost: 7}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestARefusedBatchIsADeadLetter(t *testing.T) {
	r := newReceiver(t)
	o := r.options(func(o *Options) { o.SpillDir = t.TempDir() })
	r.answer(0, http.StatusUnprocessableEntity)
	w := start(t, o)
	tell(w, 0, 10)
	r.until("the refusal", func() bool { return r.posts >= 1 })
	tell(w, 10, 20)
	r.untilEvents(10)
	stop(t, w)
	r.wantInOrder(10, 20)
	if got, want := w.Stats(), (Stats{Delivered: 10, Refused: 10}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	text, err := os.ReadFile(filepath.Join(o.SpillDir, deadFile))
	if err != nil {
		t.Fatal(err)
	}
	var letter struct {
		Status int
		Reason string
		Batch  received
	}
	if err := json.Unmarshal(text, &letter); err != nil {
		t.Fatal(err)
	}
	if letter.Status != 422 || letter.Reason != "422 Unprocessable Entity answer 422" || len(letter.Batch.Events) != 10 {
		t.Errorf("got %+v", letter)
	}
}

func TestBoundsCountWhatTheyLose(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, o *Options)
	}{
		{"of memory", func(_ *testing.T, o *Options) { o.MemoryMax = leastMemory }},
		{"of the spill", func(t *testing.T, o *Options) { o.SpillDir, o.SpillMax = t.TempDir(), leastSpill }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newReceiver(t)
			r.answer(http.StatusBadGateway)
			o := r.options(func(o *Options) { tt.change(t, o) })
			w := start(t, o)
			const all = 10_000 // of some 200 bytes each
			for n := 0; n < all; n += 100 {
				tell(w, n, n+100)
				eventually(t, func() bool { return w.intake.waiting() == 0 })
			}
			eventually(t, func() bool { return w.Stats().Lost > 0 })
			r.answer(0)
			r.until("the newest event", func() bool {
				n := len(r.events)
				return n > 0 && r.events[n-1].MessageID == messageID(all-1)
			})
			tell(w, all, all+1) // carries the count, if no other did
			r.until("the last event", func() bool { return r.events[len(r.events)-1].MessageID == messageID(all) })
			stop(t, w)
			r.mu.Lock()
			defer r.mu.Unlock()
			// What was posted when it was dropped is counted as lost too.
			if got := len(r.events) + int(r.lost); got < all+1 || got > all+1+o.MaxEvents {
				t.Errorf("%d events came and %d are told as lost, of %d", len(r.events), r.lost, all+1)
			}
			if w.Stats().Lost != r.lost {
				t.Errorf("%d are counted as lost, %d were told", w.Stats().Lost, r.lost)
			}
			for i := 1; i < len(r.events); i++ {
				if r.events[i-1].MessageID >= r.events[i].MessageID {
					t.Fatalf("%s comes before %s", r.events[i-1].MessageID, r.events[i].MessageID)
				}
			}
		})
	}
}

func eventually(t testing.TB, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
		<-tick.C
	}
}

func TestAStrangerIsNotTrusted(t *testing.T) {
	r := newReceiver(t)
	w := start(t, r.options(func(o *Options) { o.CAFile = "" }))
	a := w.to.post(t.Context(), &batch{id: "x"})
	if a.taken || a.final || !strings.Contains(a.reason, "certificate") {
		t.Errorf("got %+v", a)
	}
}
