package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A look that fails is logged and does not end the sweep; one that the end of the
// broker cuts off is not logged.
func TestSweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		a := &App{log: slog.New(slog.NewTextHandler(&log, nil))}
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		var looks []time.Duration
		a.sweep(ctx, sweep{
			every: time.Minute,
			look: func(ctx context.Context, now time.Time) error {
				looks = append(looks, now.Sub(began))
				if len(looks) == 3 {
					cancel()
				}
				return errors.Join(errors.New("the disk is full"), ctx.Err())
			},
			failed: func(err error) { a.log.Warn("not swept", slog.Any("err", err)) },
		})
		if len(looks) != 3 || looks[0] != time.Minute || looks[2] != 3*time.Minute {
			t.Errorf("looks after %v, want one a minute until the end", looks)
		}
		if n := strings.Count(log.String(), "the disk is full"); n != 2 {
			t.Errorf("%d lines of the log, want one for each of the first two looks:\n%s", n, &log)
		}
	})
}

// Each sweep has a lock of its own: one that had another's would keep other nodes
// from both.
func TestSweepsHaveNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range new(App).sweeps() {
		if s.name == "" || seen[s.name] {
			t.Errorf("a second sweep is called %q", s.name)
		}
		seen[s.name] = true
	}
}
