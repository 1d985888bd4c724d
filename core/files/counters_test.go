package files

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// TestUploadsAreCounted has uploads end in every way.
func TestUploadsAreCounted(t *testing.T) {
	r := newRig(t)
	body := content(100)
	add := func(f *store.File, body io.Reader, want *[sha256.Size]byte) error {
		_, err := r.Append(t.Context(), f, body, f.Size, want)
		return err
	}
	ready, broken, wrong, twice := r.create(100, nil), r.create(100, nil), r.create(100, nil), r.create(100, nil)
	r.must(add(ready, bytes.NewReader(body), nil))
	if err := add(broken, io.MultiReader(bytes.NewReader(body[:10]), iotest.ErrReader(io.ErrUnexpectedEOF)), nil); !errors.Is(err, ErrBrokenOff) {
		t.Errorf("got %v", err)
	}
	if err := add(wrong, bytes.NewReader(body), &[sha256.Size]byte{1}); !errors.Is(err, ErrDigest) {
		t.Errorf("got %v", err)
	}
	first := *twice
	r.must(add(twice, bytes.NewReader(body), nil))
	if err := add(&first, bytes.NewReader(body), nil); !errors.Is(err, ErrMoved) {
		t.Errorf("got %v", err)
	}
	held := r.create(100, nil)
	r.must(r.store.HoldUpload(t.Context(), held.ID, 0, "another", r.time(), r.time().Add(HeldFor)))
	if err := add(held, bytes.NewReader(body), nil); !errors.Is(err, ErrHeld) {
		t.Errorf("got %v", err)
	}
	r.Begun()
	r.Refused(sdk.ReasonTooLarge)
	r.Refused("whatever the reason is")
	for why, want := range map[string]int64{"broken_off": 1, "digest": 1, "conflict": 1, "locked": 1, "too_large": 1, "unavailable": 1, "capacity": 0, "invalid": 0} {
		if got := r.Counters.Refused.Count(why); got != want {
			t.Errorf("%s: %d, want %d", why, got, want)
		}
	}
	r.want(ready, body)
	if c := &r.Counters; c.Begun.Load() != 1 || c.Finished.Load() != 2 || c.Received.Load() != 300 || c.Sent.Load() != 100 {
		t.Errorf("%d began, %d finished, %d bytes in, %d out", c.Begun.Load(), c.Finished.Load(), c.Received.Load(), c.Sent.Load())
	}
}

// TestSweepsAreCounted has a sweep find what is over, and one that may not look.
func TestSweepsAreCounted(t *testing.T) {
	r := newRig(t)
	f := r.create(100, nil)
	if _, err := r.Append(t.Context(), f, bytes.NewReader(content(100)), 50, nil); err != nil {
		t.Fatal(err)
	}
	r.pass(UnfinishedKept + time.Minute)
	r.must(r.Sweep(t.Context()))
	r.pass(goneKept + time.Minute)
	r.must(r.Sweep(t.Context()))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if r.Sweep(over) == nil {
		t.Error("a sweep went on that was over")
	}
	c := &r.Counters
	if c.Expired.Load() != 1 || c.Erased.Load() != 1 || c.Sweeps.Count(sweepDone) != 2 || c.Sweeps.Count(sweepFailed) != 0 {
		t.Errorf("%d expired, %d erased, %d sweeps, %d failed", c.Expired.Load(), c.Erased.Load(), c.Sweeps.Count(sweepDone), c.Sweeps.Count(sweepFailed))
	}
}
