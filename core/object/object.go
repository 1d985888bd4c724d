// Package object keeps runs of bytes under keys: what is too large for the
// database. One folder for each kind of place, and one suite, objecttest, for all.
package object

import (
	"context"
	"errors"
	"io"
	"regexp"
)

// ErrNotFound is wrapped by the error of reading an object that is not there.
var ErrNotFound = errors.New("no such object")

// ErrKey is returned for a key that none of ours is.
var ErrKey = errors.New("the key of an object is parts of letters, digits, _ and -, with one slash between them")

// ErrShort is wrapped by the error of writing an object of which less came than was
// said, beside the reader's own.
var ErrShort = errors.New("the object ended early")

// Store keeps objects. An object is written once and never changed. Keys are made by
// the broker alone, see [Valid].
//
// Methods may be called concurrently, also by several brokers with the same place.
type Store interface {
	// Put writes an object of exactly size bytes, and returns when it survives the
	// machine losing power. Where the reader ends early or fails, there is no object.
	// Nothing is held in memory but a small buffer.
	Put(ctx context.Context, key string, r io.Reader, size int64) error

	// Open returns size bytes of an object from an offset on. The caller closes it.
	// ErrNotFound, then or at the first read.
	Open(ctx context.Context, key string, offset, size int64) (io.ReadCloser, error)

	// Delete deletes one object. One that is not there is no error.
	Delete(ctx context.Context, key string) error

	// DeleteUnder deletes every object whose key begins with a key and a slash.
	DeleteUnder(ctx context.Context, key string) error
}

var keyForm = regexp.MustCompile(`^[0-9A-Za-z_-]+(/[0-9A-Za-z_-]+)*$`)

// Valid reports whether a text can be a key. No key leads out of its place.
func Valid(key string) bool { return len(key) <= 512 && keyForm.MatchString(key) }
