// Package disk keeps objects as files below a directory. An object is written
// beside its place, synced and renamed, so that there is all of it or nothing.
package disk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/object"
)

// Folders below the directory.
const (
	objects = "objects"
	partial = "partial" // what is being written
)

// partialKept is how long something is left alone that is being written: longer
// than any upload takes, since another broker may be writing it.
const partialKept = 24 * time.Hour

// Disk is an [object.Store] below a directory.
type Disk struct{ root *os.Root }

var _ object.Store = (*Disk)(nil)

// Open makes the directory where it is missing, readable for its owner alone, and
// deletes what a broker was writing when it was killed.
func Open(dir string) (*Disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	d := &Disk{root}
	if err := d.prepare(time.Now()); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return d, nil
}

func (d *Disk) prepare(now time.Time) error {
	for _, folder := range []string{objects, partial} {
		if err := d.root.MkdirAll(folder, 0o700); err != nil {
			return err
		}
	}
	left, err := fs.ReadDir(d.root.FS(), partial)
	if err != nil {
		return err
	}
	for _, entry := range left {
		info, err := entry.Info()
		if err != nil || now.Sub(info.ModTime()) < partialKept {
			continue // an error: another broker has just finished it
		}
		if err := absent(d.root.Remove(path.Join(partial, entry.Name()))); err != nil {
			return err
		}
	}
	return d.sync(".")
}

// Close closes the directory.
func (d *Disk) Close() error { return d.root.Close() }

// place returns where an object is.
func place(key string) (string, error) {
	if !object.Valid(key) {
		return "", object.ErrKey
	}
	return path.Join(objects, key), nil
}

// Put implements [object.Store].
func (d *Disk) Put(ctx context.Context, key string, r io.Reader, size int64) error {
	to, err := place(key)
	if err != nil {
		return err
	}
	from := path.Join(partial, strings.ReplaceAll(key, "/", "-")+"-"+rand.Text())
	if err := d.write(ctx, from, r, size); err != nil {
		return errors.Join(err, absent(d.root.Remove(from)))
	}
	if err := d.move(from, to); err != nil {
		return errors.Join(fmt.Errorf("put object: %w", err), absent(d.root.Remove(from)))
	}
	return nil
}

// write writes a file of exactly size bytes, and syncs it.
func (d *Disk) write(ctx context.Context, name string, r io.Reader, size int64) error {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("put object: %w", err)
	}
	n, err := io.Copy(f, io.LimitReader(r, size))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	if n < size {
		err = fmt.Errorf("put object: %w: %w", object.ErrShort, err)
	}
	if err == nil {
		err = errors.Join(f.Sync(), ctx.Err())
	}
	return errors.Join(err, f.Close())
}

// move gives a written file its name, and syncs the folders above it.
func (d *Disk) move(from, to string) error {
	folder := path.Dir(to)
	if err := d.root.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := d.root.Rename(from, to); err != nil {
		return err
	}
	for ; folder != "."; folder = path.Dir(folder) {
		if err := d.sync(folder); err != nil {
			return err
		}
	}
	return nil
}

// sync has a folder's names survive the machine losing power.
func (d *Disk) sync(folder string) error {
	f, err := d.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Open implements [object.Store].
func (d *Disk) Open(_ context.Context, key string, offset, size int64) (io.ReadCloser, error) {
	at, err := place(key)
	if err != nil {
		return nil, err
	}
	f, err := d.root.Open(at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("open object %s: %w", key, object.ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("open object: %w", err)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, offset, size), f}, nil
}

// Delete implements [object.Store].
func (d *Disk) Delete(_ context.Context, key string) error {
	at, err := place(key)
	if err != nil {
		return err
	}
	if err := absent(d.root.Remove(at)); err != nil {
		return fmt.Errorf("delete object: %w", err)
	}
	return nil
}

// DeleteUnder implements [object.Store].
func (d *Disk) DeleteUnder(_ context.Context, key string) error {
	at, err := place(key)
	if err != nil {
		return err
	}
	if err := d.root.RemoveAll(at); err != nil {
		return fmt.Errorf("delete objects: %w", err)
	}
	return nil
}

// absent returns the error of removing a file, nil when it was not there.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
