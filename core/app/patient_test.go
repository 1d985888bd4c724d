package app

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claudemesh/broker/core/store"
)

// flaky does not answer before a time.
type flaky struct {
	store.Store
	back time.Time
	n    int
}

func (f *flaky) FindSent(context.Context, string, string, string) (*store.Sent, error) {
	f.n++
	if time.Now().Before(f.back) {
		return nil, store.ErrUnavailable
	}
	return &store.Sent{MessageID: "m"}, nil
}

func TestReadsWaitForADatabaseThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{back: time.Now().Add(3 * time.Second)}
		log := slog.New(slog.DiscardHandler)
		p := patient{f, store.NewPatience(5*time.Second, log)}
		find := func() (*store.Sent, error) { return p.FindSent(t.Context(), "mesh", "ada", "c") }
		if sent, err := find(); err != nil || sent.MessageID != "m" {
			t.Fatalf("it was back in time: got %v, %v", sent, err)
		}
		f.back = time.Now().Add(time.Hour)
		began := time.Now()
		if _, err := find(); !errors.Is(err, store.ErrUnavailable) || time.Since(began) < 5*time.Second || time.Since(began) > 6*time.Second {
			t.Errorf("got %v after %v, want it given up after 5 s", err, time.Since(began))
		}
		began, f.n = time.Now(), 0
		if _, err := find(); !errors.Is(err, store.ErrUnavailable) || time.Since(began) > 0 || f.n != 1 {
			t.Errorf("got %v after %v and %d attempts, want one attempt", err, time.Since(began), f.n)
		}
		f.n = 0
		if _, err := (patient{f, store.NewPatience(0, log)}).FindSent(t.Context(), "mesh", "ada", "c"); !errors.Is(err, store.ErrUnavailable) || f.n != 1 {
			t.Errorf("without patience: got %v after %d attempts, want one", err, f.n)
		}
	})
}
