package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/core/store"
)

// How much of the history of topics is kept. With all of it a mesh has a gigabyte:
// members that send as much as they may fill that in some hours, and then the
// oldest messages go.
const (
	topicMessages = 10_000 // of a topic
	meshMessages  = 100_000
	meshBytes     = 1 << 30
	historyKept   = 365 * 24 * time.Hour
)

// topicBatch bounds one deleting transaction: commits wait for it.
const topicBatch = 1000

// pruneTopics deletes what there is no room for in the history of topics, until
// ctx ends.
func (a *App) pruneTopics(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			err := a.alone(ctx, "topic sweep", func(ctx context.Context) error { return a.sweepTopics(ctx, now) })
			if err != nil && ctx.Err() == nil {
				a.log.Warn("topics not pruned", slog.Any("err", err))
			}
		}
	}
}

func (a *App) sweepTopics(ctx context.Context, now time.Time) error {
	room := store.TopicRoom{Topic: topicMessages, Mesh: meshMessages, Bytes: meshBytes, Since: now.Add(-historyKept)}
	for {
		n, err := a.options.Store.PruneTopics(ctx, room, topicBatch)
		if err != nil || n < topicBatch {
			return err
		}
	}
}
