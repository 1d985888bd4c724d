package files

import (
	"context"
	"errors"
	"io"
	"sort"

	"github.com/claudemesh/broker/core/store"
)

// Content is the bytes of a file that is ready. It is for one goroutine, which
// closes it.
type Content struct {
	ctx    context.Context //nolint:containedctx // io.Reader has none
	files  *Files
	pieces []store.FilePiece
	size   int64
	served int64
	err    error

	at   int64         // where the next read begins
	open io.ReadCloser // a piece from pos on; nil for none
	pos  int64
}

// Open returns the bytes of a file, for as long as ctx lasts. Nothing is read yet.
func (f *Files) Open(ctx context.Context, file *store.File) (*Content, error) {
	pieces, err := f.Store.FilePieces(ctx, file.ID)
	if err != nil {
		return nil, err
	}
	return &Content{ctx: ctx, files: f, pieces: pieces, size: file.Size}, nil
}

// Prime opens what the next read needs, so that an error is known before.
func (c *Content) Prime() error {
	if c.open != nil && c.pos == c.at {
		return nil
	}
	if err := c.Close(); err != nil {
		return err
	}
	i := sort.Search(len(c.pieces), func(i int) bool { return c.pieces[i].Start+c.pieces[i].Size > c.at })
	if i == len(c.pieces) {
		return io.ErrUnexpectedEOF
	}
	p := c.pieces[i]
	open, err := c.files.Objects.Open(c.ctx, p.Object, c.at-p.Start, p.Start+p.Size-c.at)
	if err != nil {
		return err
	}
	// Longer than its piece an object cannot be; shorter is an error.
	c.open, c.pos = whole{open, &io.LimitedReader{R: open, N: p.Start + p.Size - c.at}}, c.at
	return nil
}

// whole is an object that must not end early.
type whole struct {
	io.Closer
	left *io.LimitedReader
}

// Read implements [io.Reader].
func (w whole) Read(p []byte) (int, error) {
	n, err := w.left.Read(p)
	if errors.Is(err, io.EOF) && w.left.N > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Seek implements [io.Seeker]. Nothing is opened or closed by it.
func (c *Content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.at
	case io.SeekEnd:
		offset += c.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	c.at = offset
	return offset, nil
}

// Read implements [io.Reader].
func (c *Content) Read(p []byte) (n int, err error) {
	for n == 0 && err == nil && len(p) > 0 {
		if c.at >= c.size {
			return 0, io.EOF
		}
		n, err = c.read(p)
	}
	if err != nil {
		c.err = err
	}
	return n, err
}

// read reads of one piece. The end of a piece is no error.
func (c *Content) read(p []byte) (int, error) {
	if err := c.Prime(); err != nil {
		return 0, err
	}
	n, err := c.open.Read(p)
	c.at, c.pos, c.served = c.at+int64(n), c.pos+int64(n), c.served+int64(n)
	c.files.Counters.Sent.Add(int64(n))
	if errors.Is(err, io.EOF) {
		err = c.Close()
	}
	return n, err
}

// Err returns why a read failed, nil when none did.
func (c *Content) Err() error { return c.err }

// Served returns how many bytes were read.
func (c *Content) Served() int64 { return c.served }

// Close ends the reading.
func (c *Content) Close() error {
	if c.open == nil {
		return nil
	}
	open := c.open
	c.open = nil
	return open.Close()
}
