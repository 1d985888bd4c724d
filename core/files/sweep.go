package files

import (
	"context"
	"errors"

	"github.com/claudemesh/broker/core/store"
)

// sweptAtOnce is how many rows are read at a time.
const sweptAtOnce = 100

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
// is left of those that are gone. One broker at a time does.
func (f *Files) Sweep(ctx context.Context) error {
	return errors.Join(f.expire(ctx), f.erase(ctx))
}

func (f *Files) expire(ctx context.Context) error {
	for {
		list, err := f.Store.ExpiredFiles(ctx, f.Now(), sweptAtOnce)
		if err != nil {
			return err
		}
		for _, file := range list {
			if err := f.Drop(ctx, file); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		if len(list) < sweptAtOnce {
			return nil
		}
	}
}

func (f *Files) erase(ctx context.Context) error {
	for {
		list, err := f.Store.GoneFiles(ctx, f.Now().Add(-goneKept), sweptAtOnce)
		if err != nil {
			return err
		}
		for _, file := range list {
			if err := f.Objects.DeleteUnder(ctx, folder(file.ID)); err != nil {
				return err
			}
			if err := f.Store.EraseFile(ctx, file.ID); err != nil {
				return err
			}
		}
		if len(list) < sweptAtOnce {
			return nil
		}
	}
}
