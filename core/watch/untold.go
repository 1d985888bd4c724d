package watch

import (
	"context"
	"errors"

	"github.com/claudemesh/broker/core/store"
)

// retoldAtOnce is how many watches with something untold a round looks through.
// The next round goes on behind them, so that members who stay away keep nobody
// who has come back from what is theirs.
const retoldAtOnce = 256

// tell tells a watch's member of what was seen. It stays untold while none of its
// sessions is connected, in the store: after a start of the broker nobody is, and
// the next look compares with the new value already. A watch keeps the last thing
// that it has seen. A broker that ends in between tells twice.
func (w *Watcher) tell(ctx context.Context, row *store.Watch) error {
	if !w.o.Tell(ctx, row) {
		return nil
	}
	return w.o.Store.WatchTold(ctx, row.ID, row.Untold.At)
}

// retell tries again to tell what is untold.
func (w *Watcher) retell(ctx context.Context) (err error) {
	rows, err := w.o.Store.UntoldWatches(ctx, w.retold, retoldAtOnce)
	if err != nil {
		return err
	}
	w.retold = ""
	if len(rows) == retoldAtOnce {
		w.retold = rows[len(rows)-1].ID
	}
	for _, row := range rows {
		err = errors.Join(err, w.tell(ctx, row))
	}
	return err
}
