package files

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"time"

	"github.com/claudemesh/broker/core/object"
	"github.com/claudemesh/broker/core/store"
)

// Errors of appending. Any other is a failure of the broker's.
var (
	ErrBrokenOff = errors.New("the body did not arrive whole")
	ErrHeld      = errors.New("another request writes the same upload")
	ErrMoved     = errors.New("another request was faster, or the file is gone")
	ErrDigest    = errors.New("the bytes are not those that were announced")
)

// cleanTimeout bounds what is deleted although its request is over.
const cleanTimeout = 30 * time.Second

// Start returns the hash of a file of which nothing has arrived.
func Start() []byte {
	state, err := sha256.New().(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		panic(err) // the standard library's hashes marshal themselves
	}
	return state
}

// Append adds the next n bytes to a file, and returns the file as it is then, also
// with an error. Whole pieces are there when it returns, whatever became of the rest.
// With want, a file whose SHA-256 is another one is dropped. Of requests that append to
// the same file at once, to any broker, all but one get ErrHeld or ErrMoved before a
// byte of theirs is read.
func (f *Files) Append(ctx context.Context, file *store.File, body io.Reader, n int64, want *[sha256.Size]byte) (*store.File, error) {
	file, err := f.appendAlone(ctx, file, body, n, want)
	if err == nil && file.Ready() {
		err = f.record(context.WithoutCancel(ctx), file)
	}
	f.Counters.ended(ctx, err)
	return file, err
}

func (f *Files) appendAlone(ctx context.Context, file *store.File, body io.Reader, n int64, want *[sha256.Size]byte) (*store.File, error) {
	h, err := f.hold(ctx, file)
	if err != nil {
		return file, err
	}
	defer h.release(ctx)
	n = min(n, file.Size-file.Received)
	for n > 0 {
		size := min(n, PieceBytes)
		next, err := f.piece(ctx, file, body, size, want, h.holder)
		if err != nil {
			return file, err
		}
		file, n = next, n-size
	}
	return file, nil
}

// record writes to the audit log that a file is there, and then that this was done.
func (f *Files) record(ctx context.Context, file *store.File) error {
	if err := f.Record(ctx, file); err != nil {
		return err
	}
	return f.Store.FileRecorded(ctx, file.ID)
}

// piece adds one piece.
func (f *Files) piece(ctx context.Context, file *store.File, body io.Reader, size int64, want *[sha256.Size]byte, holder string) (*store.File, error) {
	h := sha256.New()
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(file.Hash); err != nil {
		return nil, fmt.Errorf("hash of file %s: %w", file.ID, err)
	}
	p := store.FilePiece{Start: file.Received, Size: size, Object: folder(file.ID) + "/" + rand.Text()}
	in := &reader{Reader: body}
	if err := f.Objects.Put(ctx, p.Object, io.TeeReader(in, h), size); err != nil {
		if errors.Is(err, object.ErrShort) && in.over {
			return nil, fmt.Errorf("%w: %w", ErrBrokenOff, err)
		}
		return nil, err
	}
	f.Counters.Received.Add(size)
	next, err := f.after(file, size, h)
	if err != nil {
		return nil, err
	}
	if want != nil && next.Ready() && next.Digest != *want {
		return nil, errors.Join(ErrDigest, f.Drop(ctx, file))
	}
	// Who sent the bytes may leave before it hears that they are there.
	err = f.Store.AddPiece(context.WithoutCancel(ctx), next, p, holder)
	switch {
	case err == nil:
		if next.Ready() {
			f.Counters.Finished.Add(1)
		}
		return next, nil
	case errors.Is(err, store.ErrConflict):
		f.clean(ctx, p.Object, f.Objects.Delete)
		return nil, ErrMoved
	default:
		return nil, err // it may have been written: the object stays, and goes with the file
	}
}

// after returns a file as it is with another piece.
func (f *Files) after(file *store.File, size int64, h hash.Hash) (*store.File, error) {
	next, now := *file, f.Now()
	next.Received += size
	if next.Received < next.Size {
		next.ExpiresAt = now.Add(UnfinishedKept)
		var err error
		next.Hash, err = h.(encoding.BinaryMarshaler).MarshalBinary()
		return &next, err
	}
	next.Hash, next.ReadyAt, next.ExpiresAt = nil, now, time.Time{}
	if !next.Persistent {
		next.ExpiresAt = now.Add(f.Keep)
	}
	h.Sum(next.Digest[:0])
	return &next, nil
}

// clean deletes what nobody needs any more, also when the request is over. What
// stays because of an error goes with the file's row.
func (f *Files) clean(ctx context.Context, key string, remove func(context.Context, string) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
	defer cancel()
	if err := remove(ctx, key); err != nil {
		f.Log.Warn("objects of a file not deleted yet", slog.String("object", key), slog.Any("err", err))
	}
}

// reader knows whether the body has ended or failed, as opposed to what it is
// written to.
type reader struct {
	io.Reader
	over bool
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.over = r.over || err != nil
	return n, err
}
