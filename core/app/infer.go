package app

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/transcript"
)

// inferEvery is how often transcripts are read.
const inferEvery = 15 * time.Second

// infer keeps statuses that nobody tells at what transcripts on this machine
// show, until ctx ends. It does nothing unless the config asks for it.
func (a *App) infer(ctx context.Context) {
	if !a.options.Config.Presence.InferFromTranscript {
		return
	}
	home, err := os.UserHomeDir()
	if err != nil {
		a.log.Warn("no status will be inferred", slog.Any("err", err))
		return
	}
	tick := time.NewTicker(inferEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			a.inferAll(ctx, home)
		}
	}
}

// inferAll reads the transcripts of all sessions whose status may be guessed. A
// session that has none, such as one on another machine, keeps its status.
func (a *App) inferAll(ctx context.Context, home string) {
	for _, v := range a.dir.Guessable() {
		if ctx.Err() != nil {
			return
		}
		working, found := transcript.Infer(home, v.Cwd)
		switch {
		case !found:
		case working:
			a.dir.SetStatus(v.Session, presence.Working, presence.Inferred)
		case v.Status != presence.Idle: // nobody needs to be told twice
			a.dir.SetStatus(v.Session, presence.Idle, presence.Inferred)
		}
	}
}
