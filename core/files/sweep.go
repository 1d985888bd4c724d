package files

import (
	"context"
	"errors"

	"github.com/claudemesh/broker/core/store"
)

// sweptAtOnce is how many rows are read at a time.
const sweptAtOnce = 100

// failsAtOnce is after how many files that cannot be deleted a sweep gives up: the
// place may be away.
const failsAtOnce = 10

// Drop makes a file gone for everybody, and deletes its bytes. Bytes that cannot be
// deleted now are deleted by a sweep. store.ErrNotFound for a file that is gone.
func (f *Files) Drop(ctx context.Context, file *store.File) error {
	if err := f.Store.DropFile(ctx, file.MeshID, file.ID, f.Now()); err != nil {
		return err
	}
	f.clean(ctx, folder(file.ID), f.Objects.DeleteUnder)
	return nil
}

// Sweep deletes files whose time is over, uploads that nobody goes on with, and what
// is left of those that are gone. Files that the audit log knows nothing of, since a
// broker died, it tells the log of. One broker at a time does.
func (f *Files) Sweep(ctx context.Context) error {
	err := errors.Join(f.recordLate(ctx), f.expire(ctx), f.erase(ctx))
	switch {
	case err == nil:
		f.Counters.Sweeps.Add(sweepDone)
	case ctx.Err() == nil:
		f.Counters.Sweeps.Add(sweepFailed)
	}
	return err
}

func (f *Files) recordLate(ctx context.Context) error {
	for {
		list, err := f.Store.UnrecordedFiles(ctx, f.Now().Add(-recordedIn), sweptAtOnce)
		if err != nil {
			return err
		}
		for _, file := range list {
			if err := f.record(ctx, file); err != nil {
				return err
			}
		}
		if len(list) < sweptAtOnce {
			return nil
		}
	}
}

func (f *Files) expire(ctx context.Context) error {
	for {
		list, err := f.Store.ExpiredFiles(ctx, f.Now(), sweptAtOnce)
		if err != nil {
			return err
		}
		for _, file := range list {
			switch err := f.Drop(ctx, file); {
			case err == nil:
				f.Counters.Expired.Add(1)
			case !errors.Is(err, store.ErrNotFound):
				return err
			}
		}
		if len(list) < sweptAtOnce {
			return nil
		}
	}
}

// erase deletes what is left of files. One that cannot be deleted is tried again with
// the next sweep, and keeps none of the others that were read with it.
func (f *Files) erase(ctx context.Context) error {
	for {
		list, err := f.Store.GoneFiles(ctx, f.Now().Add(-goneKept), sweptAtOnce)
		if err != nil {
			return err
		}
		var failed []error
		for _, file := range list {
			err := f.Objects.DeleteUnder(ctx, folder(file.ID))
			if err == nil {
				err = f.Store.EraseFile(ctx, file.ID)
			}
			if err != nil {
				failed = append(failed, err)
			} else {
				f.Counters.Erased.Add(1)
			}
			if len(failed) == failsAtOnce {
				break
			}
		}
		if len(failed) > 0 || len(list) < sweptAtOnce {
			return errors.Join(failed...)
		}
	}
}
