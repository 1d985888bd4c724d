package files

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
)

// HeldFor is how long an upload is held after its request was last known to go on.
// What a broker held that was killed can be gone on with after it.
const HeldFor = 30 * time.Second

// hold keeps other requests, on any broker, from writing the same upload. Of two that
// do one would lose its bytes at the end, and each would fill the disk until then.
type hold struct {
	files  *Files
	file   string
	holder string
	over   chan struct{}
	kept   sync.WaitGroup
}

// hold takes an upload, for one that goes on from what file says.
func (f *Files) hold(ctx context.Context, file *store.File) (*hold, error) {
	h := &hold{files: f, file: file.ID, holder: rand.Text(), over: make(chan struct{})}
	now := f.Now()
	err := f.Store.HoldUpload(ctx, file.ID, file.Received, h.holder, now, now.Add(HeldFor))
	switch {
	case errors.Is(err, store.ErrConflict):
		return nil, ErrHeld
	case errors.Is(err, store.ErrNotFound):
		return nil, ErrMoved
	case err != nil:
		return nil, err
	}
	h.kept.Go(func() { h.keep(context.WithoutCancel(ctx)) })
	return h, nil
}

// keep holds the upload for as long as its bytes take, which may be an hour. It goes
// on when the file is deleted: what is written then counts until it is over.
func (h *hold) keep(ctx context.Context) {
	tick := time.NewTicker(HeldFor / 3)
	defer tick.Stop()
	for {
		select {
		case <-h.over:
			return
		case <-tick.C:
			h.until(ctx, h.files.Now().Add(HeldFor))
		}
	}
}

// release lets others go on with the upload.
func (h *hold) release(ctx context.Context) {
	close(h.over)
	h.kept.Wait()
	h.until(context.WithoutCancel(ctx), time.Time{})
}

// until writes down how long the upload is held. Where that fails the hold ends early,
// or late: no byte is lost by it.
func (h *hold) until(ctx context.Context, at time.Time) {
	ctx, cancel := context.WithTimeout(ctx, cleanTimeout)
	defer cancel()
	if err := h.files.Store.KeepUpload(ctx, h.file, h.holder, at); err != nil {
		h.files.Log.Warn("upload not held, or not released", slog.String("file", h.file), slog.Any("err", err))
	}
}
