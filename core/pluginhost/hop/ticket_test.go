package hop_test

import (
	"context"
	"testing"
	"time"

	"github.com/claudemesh/broker/sdk/plugin/pluginpb"
)

// A ticket knows when its verdict came, or why there is none, however long after
// that somebody waits for it.
func TestWhenAVerdictCame(t *testing.T) {
	silent := func(*pluginpb.Batch) *pluginpb.Verdicts { return nil }
	for name, test := range map[string]struct {
		judge func(*pluginpb.Batch) *pluginpb.Verdicts
		stop  bool // the process ends
		fails bool
	}{
		"a verdict":  {judge: allow},
		"a breach":   {judge: func(b *pluginpb.Batch) *pluginpb.Verdicts { v := allow(b); v.Count++; return v }, fails: true},
		"a deadline": {judge: silent, fails: true},
		"a crash":    {judge: silent, stop: true, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.HoldMax = 0
			if !test.stop {
				o.Deadline = 100 * time.Millisecond
			}
			h, asked := newHop(t, o), make(chan struct{}, 2)
			conn, stop := process(t, &fake{judge: func(b *pluginpb.Batch) *pluginpb.Verdicts {
				asked <- struct{}{}
				return test.judge(b)
			}})
			connect(t, h, conn)
			before := time.Now()
			ticket, err := h.Send(t.Context(), message(1))
			if err != nil {
				t.Fatal(err)
			}
			receive(t, "the batch", asked)
			if test.stop {
				stop()
			}
			// Another one behind it that is waited for, so that the first is over.
			ended, err := h.Send(t.Context(), message(1))
			if err == nil {
				_, _ = ended.Wait(t.Context(), message(1))
			}
			after := time.Now()
			_, came, err := ticket.WaitDated(t.Context(), message(1))
			if (err != nil) != test.fails {
				t.Fatalf("it ended with %v", err)
			}
			if came.Before(before) || came.After(after) {
				t.Errorf("it came at %v, want a time from %v to %v", came, before, after)
			}
		})
	}
}

// Whoever gives up has waited until then.
func TestWhenAWaitWasGivenUp(t *testing.T) {
	h := up(t, options(), &fake{judge: func(*pluginpb.Batch) *pluginpb.Verdicts { return nil }})
	ticket, err := h.Send(t.Context(), message(1))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := time.Now()
	if _, came, err := ticket.WaitDated(ctx, message(1)); err == nil || came.Before(before) {
		t.Errorf("it came at %v, with %v", came, err)
	}
}
