package app

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/presence"
)

// A store that is slow to say what a session had must not keep news from others.
func TestNewsDoesNotWaitForWhoLeft(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	a := &App{heard: newTurns("news", log), leaving: newTurns("left", log), registry: feature.NewRegistry()}
	begun, release := make(chan struct{}), make(chan struct{})
	a.registry.OnLeft(func(context.Context, presence.View) { close(begun); <-release })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	for _, q := range []*turns{a.heard, a.leaving} {
		go func() { q.run(ctx); done <- struct{}{} }()
	}
	a.featuresLeft(presence.View{Serves: true})
	<-begun
	told := make(chan struct{})
	a.heard.add(func(context.Context) { close(told) })
	select {
	case <-told:
	case <-time.After(10 * time.Second):
		t.Error("the news waits for what a session left")
	}
	close(release)
	cancel()
	<-done
	<-done
}

// What nobody takes is not kept without end, and whoever adds does not wait.
func TestTurnsAreBounded(t *testing.T) {
	q := newTurns("news", slog.New(slog.DiscardHandler))
	for range turnsMost + 1 {
		q.add(func(context.Context) {})
	}
	if n := len(q.queue); n != turnsMost {
		t.Errorf("%d wait, want %d", n, turnsMost)
	}
}
