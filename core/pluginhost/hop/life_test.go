package hop_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/pluginhost/hop"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// answers asks n times at once and returns how each ended.
func answers(t *testing.T, h *hop.Hop, n int) <-chan error {
	t.Helper()
	ended := make(chan error, n)
	for i := range n {
		go func() {
			d, err := h.Ask(t.Context(), message(uint64(i)))
			if err == nil && d.Verdict != sdk.Continue {
				err = errors.New("verdict " + d.Verdict.String())
			}
			ended <- err
		}()
	}
	return ended
}

func TestHeldUntilTheProcessIsThere(t *testing.T) {
	h := newHop(t, options())
	ended := answers(t, h, 50)
	until(t, "the queue", func() bool { return h.Stats().Waiting == 50 })
	conn, _ := process(t, &fake{})
	connect(t, h, conn)
	for range 50 {
		if err := receive(t, "an answer", ended); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHoldEnds(t *testing.T) {
	o := options()
	o.HoldMax = 30 * time.Millisecond
	h := newHop(t, o)
	wantFailure(t, receive(t, "the answer", answers(t, h, 1)), hop.FailDown)

	o.HoldMax = 0
	h = newHop(t, o)
	wantFailure(t, receive(t, "the answer", answers(t, h, 1)), hop.FailDown)
}

func TestHoldQueueIsBounded(t *testing.T) {
	o := options()
	o.HoldQueue = 3
	h := newHop(t, o)
	ended := answers(t, h, 4)
	wantFailure(t, receive(t, "the one too many", ended), hop.FailDown)
	conn, _ := process(t, &fake{})
	connect(t, h, conn)
	for range 3 {
		if err := receive(t, "an answer", ended); err != nil {
			t.Fatal(err)
		}
	}
}

// What the process had in hand is asked again only where that does no harm.
func TestCrashWithABatchInHand(t *testing.T) {
	for _, idempotent := range []bool{true, false} {
		h := newHop(t, options())
		conn, kill := process(t, &fake{judge: func(*pluginpb.Batch) *pluginpb.Verdicts { return nil }})
		broken := connect(t, h, conn, func(s *hop.Session) { s.Idempotent = idempotent })
		ended := answers(t, h, 20)
		until(t, "the batch", func() bool { return h.Stats().InHand == 20 })
		kill()
		if reason := receive(t, "the report", broken); reason != "stream" {
			t.Errorf("reported as %q, want stream", reason)
		}
		late := answers(t, h, 1) // comes while there is no process
		conn, _ = process(t, &fake{})
		connect(t, h, conn)
		for range 20 {
			err := receive(t, "an answer", ended)
			if idempotent && err != nil {
				t.Fatal(err)
			}
			if !idempotent {
				wantFailure(t, err, hop.FailCrash)
			}
		}
		if err := receive(t, "the late answer", late); err != nil {
			t.Fatal(err)
		}
		if s := h.Stats(); s.InHand != 0 || s.Replayed != map[bool]uint64{true: 20}[idempotent] {
			t.Errorf("idempotent %v: %+v", idempotent, s)
		}
	}
}

func TestDownForGood(t *testing.T) {
	h := up(t, options(), &fake{judge: func(*pluginpb.Batch) *pluginpb.Verdicts { return nil }})
	ended := answers(t, h, 1)
	until(t, "the batch", func() bool { return h.Stats().InHand == 1 })
	h.Down(errors.New("quarantined"), false)
	wantFailure(t, receive(t, "the answer", ended), hop.FailCrash)
	wantFailure(t, receive(t, "the next", answers(t, h, 1)), hop.FailDown)
}

func TestDeadline(t *testing.T) {
	o := options()
	o.Deadline = 20 * time.Millisecond
	o.Breaker.Misses = 1000
	release := make(chan struct{})
	h := up(t, o, &fake{judge: func(b *pluginpb.Batch) *pluginpb.Verdicts {
		<-release
		return allow(b)
	}})
	wantFailure(t, receive(t, "the answer", answers(t, h, 1)), hop.FailDeadline)
	close(release)
	until(t, "the late answer", func() bool { return h.Stats().Late == 1 })
	if err := receive(t, "the next", answers(t, h, 1)); err != nil {
		t.Fatal(err)
	}
}

func TestOverload(t *testing.T) {
	o := options()
	o.Window, o.Overload = 4, hop.Shed
	release := make(chan struct{})
	slow := &fake{judge: func(b *pluginpb.Batch) *pluginpb.Verdicts {
		<-release
		return allow(b)
	}}
	h := up(t, o, slow)
	ended := answers(t, h, 4)
	until(t, "a full window", func() bool { s := h.Stats(); return s.InHand+s.Waiting == 4 })
	wantFailure(t, receive(t, "the one too many", answers(t, h, 1)), hop.FailOverload)

	o.Overload = hop.Backpressure
	back := up(t, o, slow)
	more := answers(t, back, 40)
	until(t, "a full window", func() bool { s := back.Stats(); return s.InHand == 4 && s.Waiting == 36 })
	if back.Submit(t.Context(), message(1), nil) {
		t.Error("a full window took what nobody waits for")
	}
	close(release)
	for range 4 {
		if err := receive(t, "an answer", ended); err != nil {
			t.Fatal(err)
		}
	}
	for range 40 {
		if err := receive(t, "an answer", more); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBreaker(t *testing.T) {
	o := options()
	o.Deadline = 10 * time.Millisecond
	o.Breaker.Open = 50 * time.Millisecond
	var mu sync.Mutex
	bad := true
	h := up(t, o, &fake{judge: func(b *pluginpb.Batch) *pluginpb.Verdicts {
		mu.Lock()
		defer mu.Unlock()
		if bad {
			return nil
		}
		return allow(b)
	}})
	for range 3 {
		wantFailure(t, receive(t, "the answer", answers(t, h, 1)), hop.FailDeadline)
	}
	if s := h.Stats(); s.Breaker != "open" {
		t.Fatalf("the breaker is %s after three misses", s.Breaker)
	}
	wantFailure(t, receive(t, "the answer", answers(t, h, 1)), hop.FailBreaker)
	mu.Lock()
	bad = false
	mu.Unlock()
	until(t, "a probe that is answered", func() bool { return receive(t, "the answer", answers(t, h, 1)) == nil })
	if s := h.Stats(); s.Breaker != "closed" {
		t.Errorf("the breaker is %s after a good probe", s.Breaker)
	}
}

func TestSilenceIsReported(t *testing.T) {
	o := options()
	o.Deadline, o.HangAfter = 10*time.Millisecond, 400*time.Millisecond
	for name, c := range map[string]struct {
		deaf bool
		want string
	}{"stopped": {true, "hang"}, "stuck in a stage": {false, "stuck"}} {
		t.Run(name, func(t *testing.T) {
			f := &fake{deaf: c.deaf, judge: func(*pluginpb.Batch) *pluginpb.Verdicts { return nil }}
			h, broken := watched(t, o, f)
			wantFailure(t, receive(t, "the answer", answers(t, h, 1)), hop.FailDeadline)
			if got := receive(t, "the report", broken); got != c.want {
				t.Errorf("reported as %q, want %q", got, c.want)
			}
			if f.mu.Lock(); f.pings == 0 {
				t.Error("it was never asked for a sign")
			}
			f.mu.Unlock()
		})
	}
}

// An envelope that ends the process takes nobody with it: what was in hand with
// it is judged by the next process, and it itself is asked about once more.
func TestPoison(t *testing.T) {
	h := newHop(t, options())
	const poison = 13
	var kill atomic.Pointer[func()]
	crashes := 0
	life := func() {
		f := &fake{judge: func(b *pluginpb.Batch) *pluginpb.Verdicts {
			for _, e := range b.GetEnvelopes() {
				if e.GetConn() == poison {
					go (*kill.Load())()
					return nil
				}
			}
			return allow(b)
		}}
		conn, stop := process(t, f)
		kill.Store(&stop)
		connect(t, h, conn, func(s *hop.Session) { s.Idempotent = true })
	}
	ended := answers(t, h, 40)
	until(t, "the queue", func() bool { return h.Stats().Waiting == 40 })
	life()
	var failed []error
	for range 40 {
		for {
			select {
			case err := <-ended:
				if err != nil {
					failed = append(failed, err)
				}
			case <-time.After(20 * time.Millisecond):
				if !h.Stats().Up {
					crashes++
					life()
				}
				continue
			}
			break
		}
	}
	if len(failed) != 1 || crashes > 2 {
		t.Fatalf("%d failed after %d crashes: %v", len(failed), crashes, failed)
	}
	wantFailure(t, failed[0], hop.FailCrash)
}
