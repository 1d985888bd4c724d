package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/watch"
	"github.com/claudemesh/broker/core/wire"
)

// watchClient returns what asks for URLs; nil where the operator wants none of it.
func watchClient(c config.Config) *watch.Client {
	if !c.Watch.Enabled {
		return nil
	}
	return watch.NewClient(c.Watch.Networks())
}

// watchURLs looks at what members watch, until ctx ends.
func (a *App) watchURLs(ctx context.Context) {
	client := watchClient(a.options.Config)
	if client == nil {
		return
	}
	watch.New(watch.Options{
		Store: a.options.Store, Roster: a.roster, Client: client, Keys: a.options.Keys, Log: a.log, Alone: a.alone,
		Tell: a.tellWatch, Now: time.Now, Looks: a.beyond.looks,
	}).Run(ctx)
}

// tellWatch tells every session of a watch's member, on every node, of what is
// untold; false when none is connected, as far as this node knows.
func (a *App) tellWatch(ctx context.Context, w *store.Watch) bool {
	by, err := a.roster.MemberByID(ctx, w.MemberID)
	if err != nil || !a.engine.Connected(w.MeshID, by.Key) {
		return false // whatever the roster lacks, the next round asks again
	}
	frame, err := wire.AppendEvent(nil, &wire.Event{
		MessageID: identity.NewUUID(), MeshID: w.MeshID, Name: wire.EventWatchTriggered, Urgent: true, CreatedAt: w.Untold.At,
		Data: wire.WatchTriggered{WatchID: w.ID, URL: w.URL, Label: w.Label, Mode: w.Mode, OldValue: w.Untold.Old, NewValue: w.Untold.New},
	})
	if err != nil {
		a.log.Error("watch not told of", slog.String("watch", w.ID), slog.Any("err", err))
		return true // it would fail as often as it is tried
	}
	a.Tell(w.MeshID, w.MemberID, frame)
	return true
}

// tickEvery is how often clocks are looked at.
const tickEvery = time.Second

// tick tells peers of the simulated time of their meshes, until ctx ends.
func (a *App) tick(ctx context.Context) {
	a.catchUp(ctx)
	begun := time.Now()
	every := time.NewTicker(tickEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		err := a.alone(ctx, "mesh clocks", func(ctx context.Context) error {
			// A start of the broker, and its stop, say nothing of who is about to come back.
			return a.tickOnce(ctx, time.Since(begun) >= a.config.Load().Presence.Grace && !a.gate.Draining())
		})
		if err != nil && ctx.Err() == nil {
			a.log.Warn("clocks not looked after", slog.Any("err", err))
		}
	}
}

// tickOnce tells of ticks that have come, and pauses the clocks of meshes that
// nobody is connected to, if it may.
func (a *App) tickOnce(ctx context.Context, mayPause bool) error {
	list, err := a.options.Store.RunningClocks(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, c := range list {
		if len(a.dir.Views(c.MeshID)) == 0 {
			if !mayPause {
				continue
			}
			// Whoever has changed it meanwhile is here.
			if err := a.options.Store.SetClock(ctx, c.Changed(now, c.Speed, true), c); err != nil && !errors.Is(err, store.ErrConflict) {
				return err
			}
			continue
		}
		if err := a.tellTick(ctx, c, now); err != nil {
			return err
		}
	}
	return nil
}

func (a *App) tellTick(ctx context.Context, c *store.Clock, now time.Time) error {
	tick := feature.TickOf(c, now)
	if tick.Number == 0 {
		return nil
	}
	first, err := a.options.Store.TellTick(ctx, tick)
	if err != nil || !first {
		return err
	}
	frame, err := wire.AppendEvent(nil, &wire.Event{
		MessageID: identity.NewUUID(), MeshID: c.MeshID, Name: wire.EventTick, CreatedAt: now,
		Data: wire.Tick{Tick: tick.Number, SimTime: c.TimeOf(tick.Number), Speed: c.Speed},
	})
	if err != nil {
		return err
	}
	a.tellMesh(feature.Notice{Mesh: c.MeshID, Frame: string(frame)})
	return nil
}

// tellMesh tells every session of a mesh, on every node.
func (a *App) tellMesh(n feature.Notice) {
	if a.options.Cluster == nil {
		a.noticeHere(n)
		return
	}
	a.signal(store.SignalNotice, n)
}
