package app

import (
	"context"
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

// banRegretted is how long a topic outlives that all who are in it were banned, for
// the case that somebody is brought back.
const banRegretted = 24 * time.Hour

// topicBatch is how many messages one look at all of the history finds that there
// is no room for.
const topicBatch = 50_000

// pruneTopics ends topics that nobody is left in, and deletes what there is no room
// for in the history.
func (a *App) pruneTopics(ctx context.Context, now time.Time) error {
	if _, err := a.options.Store.EndTopics(ctx, now.Add(-banRegretted), topicBatch); err != nil {
		return err
	}
	room := store.TopicRoom{Topic: topicMessages, Mesh: meshMessages, Bytes: meshBytes, Since: now.Add(-historyKept)}
	for {
		n, err := a.options.Store.PruneTopics(ctx, room, topicBatch)
		a.beyond.pruned.Add(n)
		if err != nil || n < topicBatch {
			return err
		}
	}
}
