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

	at   int64         // where the next read begins
	open io.ReadCloser // a piece from at on; nil for none
}

// Open returns the bytes of a file, for as long as ctx lasts. Nothing is read yet.
func (f *Files) Open(ctx context.Context, file *store.File) (*Content, error) {
	pieces, err := f.Store.FilePieces(ctx, file.ID)
	if err != nil {
		return nil, err
	}
	return &Content{ctx: ctx, files: f, pieces: pieces, size: file.Size}, nil
}

// Seek implements [io.Seeker].
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
	if offset == c.at {
		return offset, nil
	}
	c.at = offset
	return offset, c.Close()
}

// Read implements [io.Reader].
func (c *Content) Read(p []byte) (int, error) {
	if c.at >= c.size {
		return 0, io.EOF
	}
	if c.open == nil {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n, err := c.open.Read(p)
	c.at += int64(n)
	c.files.served.Add(int64(n))
	if errors.Is(err, io.EOF) {
		err = c.Close()
		if n == 0 && err == nil {
			return c.again(p)
		}
	}
	return n, err
}

// again reads from the next piece, where one has ended exactly.
func (c *Content) again(p []byte) (int, error) {
	if c.at < c.size && !c.begins(c.at) {
		return 0, io.ErrUnexpectedEOF // an object is shorter than its piece
	}
	return c.Read(p)
}

// begins reports whether a piece begins at a place.
func (c *Content) begins(at int64) bool {
	i := c.piece(at)
	return i < len(c.pieces) && c.pieces[i].Start == at
}

// piece returns the index of the piece that a place is in.
func (c *Content) piece(at int64) int {
	return sort.Search(len(c.pieces), func(i int) bool { return c.pieces[i].Start+c.pieces[i].Size > at })
}

// next opens the piece that the next byte is in.
func (c *Content) next() (err error) {
	i := c.piece(c.at)
	if i == len(c.pieces) {
		return io.ErrUnexpectedEOF
	}
	p := c.pieces[i]
	c.open, err = c.files.Objects.Open(c.ctx, p.Object, c.at-p.Start, p.Start+p.Size-c.at)
	return err
}

// Close ends the reading.
func (c *Content) Close() error {
	if c.open == nil {
		return nil
	}
	open := c.open
	c.open = nil
	return open.Close()
}
