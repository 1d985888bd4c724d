package console

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// patient is a source that takes its time, and gives up when its context ends.
func patient(takes time.Duration) (source *patientFake) {
	return &patientFake{fake: empty(), takes: takes, began: make(chan struct{}, 1)}
}

type patientFake struct {
	*fake
	takes time.Duration
	began chan struct{} // one for each answer that is begun, as long as somebody reads
}

func (f *patientFake) Snapshot(ctx context.Context) (*Snapshot, error) {
	select {
	case f.began <- struct{}{}:
	default:
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(f.takes):
		return f.fake.Snapshot(ctx)
	}
}

// Who hangs up leaves the answer that was begun to all others.
func TestHangingUpSpoilsNobodysAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		source := patient(300 * time.Millisecond)
		c := newCollector(ctx, source, newVerifier(ctx, source, quiet()), quiet())
		gone, hangUp := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, hangUp)
		began := time.Now()
		if f, err := c.fresh(gone); !errors.Is(err, context.Canceled) {
			t.Errorf("who hung up got %v, %v", f, err)
		}
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("who hung up was held for %v", took)
		}
		f, err := c.fresh(t.Context())
		if err != nil || f.err != nil || f.snapshot == nil {
			t.Errorf("the next one got %+v, %v", f, err)
		}
		if n := source.asked.Load(); n != 1 {
			t.Errorf("both together asked %d times", n)
		}
		stop()
		c.wait()
	})
}

// A source that never answers holds nobody for longer than its time.
func TestSourceHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := patient(time.Hour)
		c := newCollector(t.Context(), source, newVerifier(t.Context(), source, quiet()), quiet())
		began := time.Now()
		f, err := c.fresh(t.Context())
		if err != nil || !errors.Is(f.err, context.DeadlineExceeded) || time.Since(began) != askTimeout {
			t.Errorf("after %v: %+v, %v", time.Since(began), f, err)
		}
		c.wait()
	})
}

// The end of the page ends the answer that is under way, which nobody keeps.
func TestEndOfThePageEndsTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		source := patient(time.Second)
		c := newCollector(ctx, source, newVerifier(ctx, source, quiet()), quiet())
		time.AfterFunc(time.Millisecond, stop)
		if _, err := c.fresh(t.Context()); !errors.Is(err, errStopping) {
			t.Errorf("who asked got %v", err)
		}
		if f, _ := c.current(); f != nil {
			t.Errorf("it is remembered: %+v", f)
		}
		if _, err := c.fresh(t.Context()); !errors.Is(err, errStopping) {
			t.Errorf("who asks then gets %v", err)
		}
		c.wait()
	})
}

func TestReloadWhileTheFirstAnswerIsMade(t *testing.T) {
	source := patient(300 * time.Millisecond)
	s := New(Options{Listen: "127.0.0.1:0", Token: token, Source: source, Log: quiet()})
	s.collect.every = time.Minute // what was spoiled would stay
	r := start(t, s)
	ctx, hangUp := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Addr().String()+"/console/snapshot.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	bearer(req)
	go func() { <-source.began; hangUp() }()
	if res, err := r.client.Do(req); err == nil {
		_ = res.Body.Close()
		t.Fatal("it was answered before it hung up")
	}
	until(t, "the answer is there", func() bool { f, _ := r.collect.current(); return f != nil })
	if a := r.do(http.MethodGet, "/console/snapshot.json", nil, bearer); a.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", a.Status, a.body)
	}
}

// What a watcher sees first is new, also after hours in which nobody watched.
func TestWatcherBeginsWithAFreshAnswer(t *testing.T) {
	s := New(Options{Listen: "127.0.0.1:0", Token: token, Source: empty(), Log: quiet()})
	s.collect.every = time.Hour // no answer comes by itself
	r := start(t, s)
	r.enter()
	r.get("/console/")
	old, _ := r.collect.current()
	aged := &frame{asked: old.asked.Add(-3 * time.Hour), snapshot: old.snapshot, rates: old.rates}
	r.collect.mu.Lock()
	r.collect.latest = aged
	r.collect.mu.Unlock()
	e := r.watch("").next("at")
	ms, err := strconv.ParseInt(e.data, 10, 64)
	if err != nil || time.UnixMilli(ms).Before(old.asked.Truncate(time.Millisecond)) {
		t.Errorf("the first answer is of %v, %v; an hour is all that it may be old", time.UnixMilli(ms), err)
	}
}
